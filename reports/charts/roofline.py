"""The roofline of every machine, with the point that each phase reached under it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation

from reports.charts.labels import Label, LabelPlacer
from reports.charts.style import (
    GRID,
    INK,
    MUTED,
    PAPER,
    PHASE_MARKERS,
    WIDTH_INCHES,
    family_colour,
    fastest_first,
)
from reports.quantities import si, significant
from sim.result import PhaseRow, RunResult
from workloads.trace import Phase

_HEIGHT_INCHES = 4.3
_ROOM_FOR_NOTES = 25.0
"""The flat roofs go on for this factor, so that their notes fit above them."""
_NOTE_STEP_POINTS = 12
_NOTE_RISE_POINTS = 10.0


@dataclass(frozen=True, slots=True)
class _Roof:
    """One shape of roof and the machines that stand under it."""

    family: str
    flops_per_second: float
    bytes_per_second: float
    titles: tuple[str, ...]

    @property
    def ridge(self) -> float:
        """Arithmetic intensity of the knee, FLOP/byte."""
        return self.flops_per_second / self.bytes_per_second

    def at(self, flops_per_byte: float) -> float:
        """Attainable FLOP/s."""
        return min(self.flops_per_second, self.bytes_per_second * flops_per_byte)


def roofline(results: Sequence[RunResult]) -> Figure:
    """Draw roofs and points on log-log axes; machines of equal roofs share one line.

    A phase that moved no bytes over the DRAM port has no finite intensity and stands, as an arrow,
    at the right edge.
    """
    rows = fastest_first(results)
    roofs = _roofs(rows)
    figure = Figure(figsize=(WIDTH_INCHES, _HEIGHT_INCHES))
    # Fixed margins rather than a layout engine: labels are placed in pixels, which must not move.
    axes = figure.add_axes((0.115, 0.115, 0.865, 0.80))
    _set_axes(axes, roofs, rows)
    for roof in roofs:
        _draw_roof(axes, roof)
    labels = [label for row in rows for label in _draw_points(axes, row)]
    placer = LabelPlacer(axes)
    placer.place_notes([_roof_note(axes, roof) for roof in roofs])
    placer.place_labels(labels)
    figure.legend(
        handles=_legend(rows),
        loc="upper right",
        bbox_to_anchor=(0.99, 1.0),
        ncols=3,
        frameon=False,
        columnspacing=1.2,
        handletextpad=0.4,
    )
    return figure


def _roofs(rows: Sequence[RunResult]) -> list[_Roof]:
    shared: dict[tuple[str, int, int], list[str]] = {}
    for row in rows:
        key = (row.family, row.peak_matmul_flops_per_second, row.peak_memory_bytes_per_second)
        shared.setdefault(key, []).append(row.title)
    return [
        _Roof(family, flops, bandwidth, tuple(titles))
        for (family, flops, bandwidth), titles in shared.items()
    ]


def _set_axes(axes: Axes, roofs: Sequence[_Roof], rows: Sequence[RunResult]) -> None:
    phases = [phase for row in rows for phase in row.phases if phase.flops]
    finite = [phase.flops_per_byte for phase in phases if isfinite(phase.flops_per_byte)]
    ridges = [roof.ridge for roof in roofs]
    heights = [phase.flops_per_second for phase in phases]
    peaks = [roof.flops_per_second for roof in roofs]
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(min([*finite, *ridges]) / 4, max([*finite, *ridges]) * _ROOM_FOR_NOTES)
    axes.set_ylim(min([*heights, *peaks]) / 4, max([*heights, *peaks]) * 7)
    axes.grid(color=GRID.light)
    axes.set_xlabel("arithmetic intensity (FLOP per byte over the DRAM port)")
    axes.set_ylabel("arithmetic rate (FLOP/s)")


def _draw_roof(axes: Axes, roof: _Roof) -> None:
    left, right = axes.get_xlim()
    colour = family_colour(roof.family)
    x = np.geomspace(left, right, 200)
    x = np.sort(np.append(x, roof.ridge))
    axes.plot(x, [roof.at(value) for value in x], color=colour, linewidth=1.4, zorder=2)
    axes.plot(
        [roof.ridge], [roof.flops_per_second], marker="D", markersize=3.2, color=colour, zorder=3
    )


def _roof_note(axes: Axes, roof: _Roof) -> tuple[Annotation, list[tuple[float, float]]]:
    """Write what the roof's numbers are, and say where along its flat part they may stand."""
    right = axes.get_xlim()[1]
    many = len(roof.titles) > 1
    who = f"{len(roof.titles)} {roof.family.upper()}s" if many else roof.titles[0]
    note = axes.annotate(
        f"{who}\n{si(roof.flops_per_second, 'FLOP/s')}, ridge {significant(roof.ridge)}",
        (right, roof.flops_per_second),
        xytext=(0, 0),
        textcoords="offset points",
        ha="right",
        va="center",
        fontsize=6.5,
        linespacing=1.1,
        color=family_colour(roof.family),
    )
    width = axes.transAxes.transform((1, 0))[0] - axes.transAxes.transform((0, 0))[0]
    pixels_of = axes.transData.transform
    flat = width - (pixels_of((roof.ridge, 1.0))[0] - axes.transAxes.transform((0, 0))[0])
    points = 72 / axes.figure.dpi
    shifts = range(2, max(int(flat * points), 3), _NOTE_STEP_POINTS)
    return note, [(-float(x), y) for y in (_NOTE_RISE_POINTS, -_NOTE_RISE_POINTS) for x in shifts]


def _draw_points(axes: Axes, result: RunResult) -> list[Label]:
    """Draw a machine's points, joined, and return what names them."""
    right = axes.get_xlim()[1]
    colour = family_colour(result.family)
    points = [
        (phase, min(phase.flops_per_byte, right / 1.3), phase.flops_per_second)
        for phase in result.phases
        if phase.flops
    ]
    axes.plot(
        [x for _, x, _ in points], [y for _, _, y in points], color=colour, linewidth=0.7, zorder=4
    )
    for phase, x, y in points:
        axes.plot([x], [y], linestyle="none", zorder=5, **_marker(phase, colour))
    return [Label(result.title, tuple((x, y) for _, x, y in points), colour)] if points else []


def _marker(phase: PhaseRow, colour: str) -> dict[str, Any]:
    on_chip = not isfinite(phase.flops_per_byte)
    return {
        "marker": ">" if on_chip else PHASE_MARKERS[phase.phase],
        "markersize": 5.5,
        "markeredgewidth": 1.1,
        "markeredgecolor": colour,
        "markerfacecolor": colour if phase.phase is Phase.DECODE else PAPER.light,
    }


def _legend(rows: Sequence[RunResult]) -> list[Line2D]:
    present = {phase.phase for row in rows for phase in row.phases}
    handles = [
        Line2D(
            [],
            [],
            linestyle="none",
            marker=PHASE_MARKERS[phase],
            color=MUTED.light,
            markerfacecolor=MUTED.light if phase is Phase.DECODE else PAPER.light,
            label=str(phase),
        )
        for phase in Phase
        if phase in present
    ]
    ridge = Line2D([], [], marker="D", markersize=3.2, color=INK.light, label="roof and ridge")
    return [*handles, ridge]
