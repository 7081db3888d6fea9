"""A systolic array drawn cycle by cycle: which operand is where, one small picture a cycle."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from reports.charts.style import GRID, INK, MUTED, PAPER, RC
from reports.frames import Cell, Frame, frames
from sim.tpu.array.elements import BUBBLE
from sim.tpu.array.folds import outputs_stay
from sim.tpu.array.systolic import ArraySpec, Dataflow, Drain, Gemm, SystolicSchedule

STEP_COLOURS = (
    *("#77aadd", "#ee8866", "#eedd88", "#ffaabb", "#99ddff"),
    *("#44bb99", "#bbcc33", "#aaaa00", "#dddddd"),
)
"""Paul Tol's `light` scheme (SRON/EPS/TN/09-002, 2021): holds under colour blindness, and black
text stands out on all of it."""

NAMES = {
    Dataflow.WEIGHT_STATIONARY: "weight stationary",
    Dataflow.OUTPUT_STATIONARY: "output stationary",
    Dataflow.INPUT_STATIONARY: "input stationary",
}
PARTS = {
    Dataflow.WEIGHT_STATIONARY: ("A", "B", "sum of C", "row of A"),
    Dataflow.OUTPUT_STATIONARY: ("A", "sum of C", "B", "k"),
    Dataflow.INPUT_STATIONARY: ("B", "A", "sum of C", "column of B"),
}
"""What moves right, what stays, what moves down, and what a step is."""

CELL_INCHES = 0.44
GAP_INCHES = 0.26
CAPTION_INCHES = 1.15
"""Least width of a frame: the words above it."""
CAPTION_HEIGHT_INCHES = 0.28
OUT_INCHES = 0.26
"""Below an array, for the names of results."""
TITLE_INCHES = 0.42
KEY_INCHES = 0.68
SHEET_INCHES = 7.6
NARROWEST_INCHES = 5.4


def array_picture(array: ArraySpec, gemm: Gemm, *, overlapped: bool = False) -> Figure:
    """Draw every cycle of a product; PictureError as `reports.frames`."""
    shown = frames(array, gemm, overlapped=overlapped)
    with rc_context(RC):
        return _sheet(array, gemm, shown, overlapped=overlapped)


def _sheet(array: ArraySpec, gemm: Gemm, shown: Sequence[Frame], *, overlapped: bool) -> Figure:
    """Lay the frames out in lines, under a title and over a key."""
    wide = max(array.cols * CELL_INCHES, CAPTION_INCHES) + GAP_INCHES
    tall = array.rows * CELL_INCHES + CAPTION_HEIGHT_INCHES
    below = OUT_INCHES if any(any(frame.out) for frame in shown) else 0.0
    across = min(len(shown), int((SHEET_INCHES - GAP_INCHES) / wide))
    width = max(across * wide + GAP_INCHES, NARROWEST_INCHES)
    height = TITLE_INCHES + ceil(len(shown) / across) * (tall + below) + KEY_INCHES
    figure = Figure(figsize=(width, height))
    left = GAP_INCHES / width
    title = _title(array, gemm, len(shown), overlapped=overlapped)
    figure.text(left, 1 - 0.2 / height, title, fontsize=8.5, fontweight="bold", va="center")
    for number, frame in enumerate(shown):
        line, place = divmod(number, across)
        low = height - TITLE_INCHES - line * (tall + below) - tall
        axes = figure.add_axes(
            (
                (GAP_INCHES + place * wide) / width,
                low / height,
                array.cols * CELL_INCHES / width,
                array.rows * CELL_INCHES / height,
            )
        )
        _draw(axes, array, frame)
    key = _key(array, overlapped=overlapped)
    figure.text(left, 0.1 / height, key, fontsize=6.8, color=MUTED.light, va="bottom")
    return figure


def _title(array: ArraySpec, gemm: Gemm, cycles: int, *, overlapped: bool) -> str:
    folds = SystolicSchedule(array, gemm).folds
    way = "overlapped" if overlapped else "one after another"
    return (
        f"{gemm.m}x{gemm.n}x{gemm.k} (MxNxK) on {array.rows}x{array.cols}, "
        f"{NAMES[array.dataflow]}: {cycles} cycles"
        f"{f', {folds} folds {way}' if folds > 1 else ''}"
    )


def _key(array: ArraySpec, *, overlapped: bool) -> str:
    right, stays, down, steps = PARTS[array.dataflow]
    elements = (
        f"{right} moving right (top), {stays} in its place (middle, bold), {down} moving down"
    )
    lines = [
        f"In each element: {elements} (bottom).",
        f"Colour: the {steps} that the element works on; hatched: on padding; white: on nothing.",
    ]
    if not outputs_stay(array):
        lines.append("Below the array: results, or partial sums, that leave.")
        if overlapped:
            lines[-1] += f" What waits of the next fold's {stays} is not shown."
    elif array.drain is Drain.DIRECT:
        lines.append("Thick edge: the sum is complete, and leaves from its element.")
    else:
        lines.append("Thick edge: the sum is complete. In italics: results on their way down.")
    return "\n".join(lines)


def _draw(axes: Axes, array: ArraySpec, frame: Frame) -> None:
    axes.set_xlim(0, array.cols)
    axes.set_ylim(array.rows, 0)
    axes.axis("off")
    axes.text(0, -0.12, f"{frame.cycle}", fontsize=8, fontweight="bold", va="bottom")
    after = 0.22 + 0.16 * len(str(frame.cycle))
    axes.text(after, -0.12, frame.what, fontsize=7, color=MUTED.light, va="bottom")
    for row, line in enumerate(frame.cells):
        for col, cell in enumerate(line):
            _draw_cell(axes, row, col, cell, padding=_on_padding(array, cell))
    for col, name in enumerate(frame.out):
        if name:
            axes.annotate(
                name,
                (col + 0.5, array.rows),
                (col + 0.5, array.rows + 0.42),
                fontsize=6.8,
                ha="center",
                va="center",
                annotation_clip=False,
                arrowprops={"arrowstyle": "<-", "lw": 0.6, "color": MUTED.light, "shrinkB": 0},
            )


def _on_padding(array: ArraySpec, cell: Cell) -> bool:
    """Whether an operand is one of the zeros that fill a partial fold up."""
    operands = (cell.right, cell.down if outputs_stay(array) else cell.stays)
    return cell.step != BUBBLE and not all(operands)


def _draw_cell(axes: Axes, row: int, col: int, cell: Cell, *, padding: bool) -> None:
    works = cell.step != BUBBLE and not padding
    axes.add_patch(
        Rectangle(
            (col, row),
            1,
            1,
            facecolor=STEP_COLOURS[cell.step % len(STEP_COLOURS)] if works else PAPER.light,
            edgecolor=INK.light if works else GRID.light,
            hatch="////" if padding else None,
            linewidth=1.6 if works and cell.complete else 0.5,
            zorder=1 + works + cell.complete,
            clip_on=False,
        )
    )
    lines: list[tuple[str, dict[str, Any]]] = [
        (cell.right and f"{cell.right}\N{RIGHTWARDS ARROW}", {"fontsize": 5.8}),
        (cell.stays, {"fontsize": 7.2, "fontweight": "bold"}),
        (cell.down and f"{cell.down}\N{DOWNWARDS ARROW}", {"fontsize": 5.8}),
        (cell.leaves, {"fontsize": 5.8, "fontstyle": "italic"}),
    ]
    both = cell.leaves and (cell.right or cell.down)
    places = (0.15, 0.38, 0.62, 0.86) if both else (0.19, 0.5, 0.81, 0.5)
    for (text, style), place in zip(lines, places, strict=True):
        if text:
            axes.text(col + 0.5, row + place, text, ha="center", va="center", zorder=5, **style)
