"""Names beside points, placed so that they cover neither each other nor what is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from math import hypot

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

Points = npt.NDArray[np.float64]
Offset = tuple[float, float]

_FONT_POINTS = 7
_RADII_POINTS = (5, 12, 20, 30, 42, 56, 72)
_DIRECTIONS = ((1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1), (0, 1), (0, -1))
_LEADER_FROM_POINTS = 9
"""A label this far from its point gets a line to it."""
_MARKER_RADIUS_POINTS = 4
_GAP_PIXELS = 2
_SAMPLES_PER_SEGMENT = 24

_COST_OF_LEAVING = 1000.0
_COST_OF_COVERING_TEXT = 300.0
_COST_OF_COVERING_LINE = 12.0  # for each sample of a line or marker
_COST_OF_LYING_CLOSER_TO_ANOTHER = 40.0


@dataclass(frozen=True, slots=True)
class Label:
    """A name for a machine's points; it stands beside one of them."""

    text: str
    anchors: tuple[tuple[float, float], ...]
    """The points, in data coordinates."""
    colour: str


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a label could stand."""

    anchor: tuple[float, float]
    """In data coordinates."""
    offset: tuple[float, float]
    """From the anchor to the label's middle, in points."""
    box: Bbox
    """In pixels."""
    distance: float
    """Between the label's edge and the anchor, in points."""


class LabelPlacer:
    """Puts text into finished axes: greedily, each label where it costs least."""

    def __init__(self, axes: Axes) -> None:
        figure = axes.get_figure(root=True)
        if figure is None:
            raise ValueError("axes without a figure have no pixels to place labels in")
        self._axes = axes
        canvas = FigureCanvasAgg(figure)
        self._renderer = canvas.get_renderer()  # type: ignore[no-untyped-call] # matplotlib
        self._pixels = figure.dpi / 72  # in a point
        self._inside = axes.get_window_extent(self._renderer)
        self._texts = [note.get_window_extent(self._renderer) for note in axes.texts]
        self._drawn = _samples(axes, _MARKER_RADIUS_POINTS * self._pixels)

    def place_notes(
        self, notes: Sequence[tuple[Annotation, Sequence[tuple[float, float]]]]
    ) -> None:
        """Move each note to the cheapest of its offsets, in points; the first wins a tie."""
        for note, offsets in notes:
            boxes = {}
            for offset in offsets:
                note.set_position(offset)
                boxes[offset] = note.get_window_extent(self._renderer)
            best, _ = min(boxes.items(), key=lambda placed: self._cost(placed[1]))
            note.set_position(best)
            self._texts.append(boxes[best])

    def place_labels(self, labels: Sequence[Label]) -> None:
        """Write every label near one of its points, with a line to it where that is far."""
        anchors = {label.text: self._axes.transData.transform(label.anchors) for label in labels}
        for label in labels:
            others = np.concatenate(
                [np.empty((0, 2)), *(anchors[text] for text in anchors if text != label.text)]
            )
            best = min(self._places(label), key=partial(self._total, others=others))
            self._texts.append(best.box)
            self._write(label.text, best.anchor, best.offset, label.colour)
            if best.distance > _LEADER_FROM_POINTS:
                self._draw_leader(label, best)

    def _places(self, label: Label) -> Iterator[_Place]:
        probe = self._write(label.text, label.anchors[0], (0, 0), label.colour)
        size = probe.get_window_extent(self._renderer)
        probe.remove()
        width, height = size.width / self._pixels, size.height / self._pixels
        origin = self._axes.transData.transform(label.anchors[0])
        for anchor in label.anchors:
            moved = self._axes.transData.transform(anchor) - origin
            for radius, (dx, dy) in product(_RADII_POINTS, _DIRECTIONS):
                x = dx * (width / 2 + radius * (0.5 if dy else 1))
                y = dy * (height / 2 + radius)
                box = size.translated(moved[0] + x * self._pixels, moved[1] + y * self._pixels)
                distance = hypot(max(abs(x) - width / 2, 0), max(abs(y) - height / 2, 0))
                yield _Place(anchor, (x, y), box, distance)

    def _total(self, place: _Place, others: Points) -> float:
        closer = (_distances(place.box, others) < place.distance * self._pixels).sum()
        crowding = _COST_OF_LYING_CLOSER_TO_ANOTHER * int(closer)
        return self._cost(place.box) + crowding + place.distance

    def _cost(self, box: Bbox) -> float:
        padded = box.padded(_GAP_PIXELS)
        left = sum(not self._inside.contains(x, y) for x, y in padded.corners())
        covered = sum(bool(padded.overlaps(text)) for text in self._texts)
        within = (self._drawn > padded.min) & (self._drawn < padded.max)
        return (
            _COST_OF_LEAVING * left
            + _COST_OF_COVERING_TEXT * covered
            + _COST_OF_COVERING_LINE * int(within.all(axis=1).sum())
        )

    def _write(
        self, text: str, anchor: tuple[float, float], offset: tuple[float, float], colour: str
    ) -> Annotation:
        return self._axes.annotate(
            text,
            anchor,
            xytext=offset,
            textcoords="offset points",
            fontsize=_FONT_POINTS,
            color=colour,
            ha="center",
            va="center",
            zorder=6,
        )

    def _draw_leader(self, label: Label, place: _Place) -> None:
        (x, y), half_width, half_height = (
            place.offset,
            place.box.width / self._pixels / 2,
            place.box.height / self._pixels / 2,
        )
        nearest = (
            min(max(0.0, x - half_width), x + half_width),
            min(max(0.0, y - half_height), y + half_height),
        )
        self._axes.annotate(
            "",
            place.anchor,
            xytext=nearest,
            textcoords="offset points",
            arrowprops={
                "arrowstyle": "-",
                "linewidth": 0.5,
                "color": label.colour,
                "shrinkA": 1,
                "shrinkB": 3,
            },
            zorder=4,
        )


def _distances(box: Bbox, points: Points) -> Points:
    """Return [points] pixels from each point to the nearest edge of the box, 0 inside."""
    outside = np.maximum(np.maximum(box.min - points, points - box.max), 0)
    return np.hypot(outside[:, 0], outside[:, 1])


def _samples(axes: Axes, marker_radius: float) -> Points:
    """Return [samples, 2] pixels along every line and around every marker of the axes."""
    angles = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    ring = marker_radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)  # [8, 2]
    parts = [np.empty((0, 2))]
    for line in axes.lines:
        pixels = axes.transData.transform(np.asarray(line.get_xydata(), dtype=np.float64))
        if line.get_marker() not in ("None", None, ""):
            parts.append((pixels[:, None, :] + ring).reshape(-1, 2))
        if len(pixels) > 1 and line.get_linestyle() != "None":
            share = np.linspace(0, 1, _SAMPLES_PER_SEGMENT)[:, None, None]
            between = pixels[:-1] * (1 - share) + pixels[1:] * share
            parts.append(between.reshape(-1, 2))
    return np.concatenate(parts)
