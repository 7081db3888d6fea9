"""Tokens per second of every architecture, prefill and decode apart."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from reports.charts.style import (
    GRID,
    INK,
    MUTED,
    PAPER,
    PHASE_HATCHES,
    WIDTH_INCHES,
    family_colour,
    fastest_first,
)
from reports.quantities import significant
from sim.result import PhaseRow, RunResult
from workloads.trace import Phase

_BARS = 0.76
"""Room of a machine's bars together, of 1 from machine to machine."""
_LABEL_ROOM = 6.0
"""Room for a value label right of the longest bar, as a factor on the log axis."""


def throughput(results: Sequence[RunResult]) -> Figure:
    """Draw grouped bars on a log axis, fastest machine on top, each with its value."""
    rows = fastest_first(results)
    present = [phase for phase in Phase if any(row.phase(phase) for row in rows)]
    figure = Figure(figsize=(WIDTH_INCHES, 1.0 + 0.42 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    rates = [_draw_row(axes, at, row, present) for at, row in enumerate(rows)]
    known = [rate for row in rates for rate in row if rate > 0]
    axes.set_xscale("log")
    if known:
        axes.set_xlim(10.0 ** _decade_below(min(known)), max(known) * _LABEL_ROOM)
    axes.set_yticks(range(len(rows)), [row.title for row in rows])
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=GRID.light)
    axes.set_xlabel("tokens per second (simulated, log scale)")
    figure.legend(
        handles=[_phase_patch(phase) for phase in present],
        loc="outside upper right",
        ncols=len(present),
        frameon=False,
    )
    return figure


def _draw_row(axes: Axes, at: int, result: RunResult, present: list[Phase]) -> list[float]:
    rates, height = [], _BARS / max(len(present), 1)
    for order, phase in enumerate(present):
        row = result.phase(phase)
        if row is None:
            continue
        offset = (order - (len(present) - 1) / 2) * height
        _draw_bar(axes, at + offset, height, result.family, row)
        rates.append(row.tokens_per_second)
    return rates


def _draw_bar(axes: Axes, y: float, height: float, family: str, row: PhaseRow) -> None:
    colour = family_colour(family)
    axes.barh(
        y,
        row.tokens_per_second,
        height=height * 0.92,
        facecolor=colour if _filled(row.phase) else PAPER.light,
        edgecolor=colour,
        hatch=PHASE_HATCHES[row.phase],
        linewidth=0.8,
    )
    axes.annotate(
        significant(row.tokens_per_second),
        (row.tokens_per_second, y),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        fontsize=7,
        color=INK.light,
    )


def _phase_patch(phase: Phase) -> Patch:
    return Patch(
        facecolor=MUTED.light if _filled(phase) else PAPER.light,
        edgecolor=MUTED.light,
        hatch=PHASE_HATCHES[phase],
        label=str(phase),
    )


def _filled(phase: Phase) -> bool:
    """Whether bars are solid: a hatch would not show on its own colour."""
    return not PHASE_HATCHES[phase]


def _decade_below(value: float) -> int:
    exponent = 0
    while 10.0**exponent > value / 1.5:
        exponent -= 1
    while 10.0 ** (exponent + 1) <= value / 1.5:
        exponent += 1
    return exponent
