"""The mix of a trace: each kind's share of operations, flops and bytes, and its intensity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, floor, log10
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from reports.charts.style import (
    GRID,
    INK,
    MATRIX,
    MUTED,
    PAPER,
    PHASE_HATCHES,
    PHASE_MARKERS,
    RC,
    VECTOR,
    WIDTH_INCHES,
)
from reports.mix import mix_rows
from workloads.trace import Family, Phase, Trace

_SHARES = {"count": "operations", "flops": "FLOPs", "bytes": "bytes"}
_MOST_KINDS = 12
"""Rows drawn; of more kinds, those with the least are drawn as one."""
_ROOM_PERCENT = 145
"""End of the axes of shares: behind the longest bar its label has room."""
_BAR = 0.8
_OTHERS = "all others"

Row = Mapping[str, Any]


def mix_chart(trace: Trace) -> Figure:
    """Draw one row a kind and one panel a quantity; shares are of a phase's own total.

    The first three panels have bars, the last the arithmetic intensity on a log axis.
    """
    with rc_context(RC):
        return _drawn(mix_rows(trace))


def _drawn(rows: Sequence[Row]) -> Figure:
    phases = [phase for phase in Phase if any(row["phase"] == phase for row in rows)]
    shares = _with_shares(rows, phases)
    kinds = list(dict.fromkeys(row["kind"] for row in shares))
    height = 0.95 + len(kinds) * (0.08 + 0.1 * len(phases))
    figure = Figure(figsize=(WIDTH_INCHES, height), layout="constrained")
    panels = figure.subplots(1, len(_SHARES) + 1, sharey=True, width_ratios=[1, 1, 1, 1.25])
    for axes, (column, title) in zip(panels[:-1], _SHARES.items(), strict=True):
        for row in shares:
            _draw_share(axes, kinds.index(row["kind"]), phases, row, column)
        axes.set_title(title)
        axes.set_xlim(0, _ROOM_PERCENT)
        axes.set_xticks([0, 50, 100])
        axes.set_xlabel("% of phase")
        axes.grid(axis="x", color=GRID.light)
    _draw_intensity(panels[-1], kinds, phases, shares)
    for axes in panels:
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
    panels[0].set_yticks(range(len(kinds)), [kind.replace("_", " ") for kind in kinds])
    panels[0].set_ylim(len(kinds) - 0.5, -0.5)
    figure.legend(
        handles=_legend(shares, phases),
        loc="outside lower center",
        ncols=5,
        frameon=False,
        columnspacing=1.2,
        handlelength=1.4,
    )
    return figure


def _with_shares(rows: Sequence[Row], phases: Sequence[Phase]) -> list[Row]:
    """Rows of each kind to be drawn, the largest first, with shares of their phase's total."""
    totals = {
        (phase, column): sum(row[column] for row in rows if row["phase"] == phase) or 1
        for phase in phases
        for column in _SHARES
    }

    def share(row: Row, column: str) -> float:
        return float(row[column] / totals[row["phase"], column])

    largest: dict[str, float] = {}
    for row in rows:
        most = max(share(row, column) for column in ("flops", "bytes"))
        largest[row["kind"]] = max(largest.get(row["kind"], 0.0), most)
    ordered = sorted(largest, key=lambda kind: -largest[kind])
    shown = ordered if len(ordered) <= _MOST_KINDS else ordered[: _MOST_KINDS - 1]
    drawn = [row for kind in shown for row in rows if row["kind"] == kind]
    for phase in phases:
        rest = [row for row in rows if row["phase"] == phase and row["kind"] not in shown]
        if rest:
            drawn.append(_together(rest))
    return [{**row, "shares": {column: share(row, column) for column in _SHARES}} for row in drawn]


def _together(rows: Sequence[Row]) -> Row:
    sums = {column: sum(row[column] for row in rows) for column in _SHARES}
    intensity = sums["flops"] / sums["bytes"] if sums["bytes"] else 0.0
    family = Family.ELEMENTWISE if sums["flops"] else Family.COPY
    return {
        "phase": rows[0]["phase"],
        "kind": _OTHERS,
        "family": family,
        "flops_per_byte": intensity,
        **sums,
    }


def _draw_share(axes: Axes, at: int, phases: Sequence[Phase], row: Row, column: str) -> None:
    percent = 100 * row["shares"][column]
    if not percent:
        return
    phase, colour = Phase(row["phase"]), _colour(row)
    y = at + _offset(phases, phase)
    axes.barh(
        y,
        percent,
        height=_BAR / len(phases) * 0.9,
        facecolor=colour if _filled(phase) else PAPER.light,
        edgecolor=colour,
        hatch=PHASE_HATCHES.get(phase, ""),
        linewidth=0.7,
    )
    axes.annotate(
        f"{percent:.0f}" if percent >= 1 else "<1",
        (percent, y),
        xytext=(2, 0),
        textcoords="offset points",
        va="center",
        fontsize=6,
        color=INK.light,
    )


def _draw_intensity(
    axes: Axes, kinds: Sequence[str], phases: Sequence[Phase], rows: Sequence[Row]
) -> None:
    known = [row["flops_per_byte"] for row in rows if row["flops_per_byte"]]
    axes.set_title("FLOP/byte")
    axes.set_xlabel("log scale")
    axes.set_xscale("log")
    axes.grid(axis="x", color=GRID.light)
    if known:
        decades = floor(log10(min(known) / 1.5)), ceil(log10(max(known) * 1.5))
        axes.set_xlim(10.0 ** decades[0], 10.0 ** decades[1])
        step = max(1, ceil((decades[1] - decades[0]) / 3))
        axes.set_xticks([10.0**power for power in range(decades[0], decades[1] + 1, step)])
        axes.minorticks_off()
    for row in rows:
        phase = Phase(row["phase"])
        y = kinds.index(row["kind"]) + _offset(phases, phase)
        if row["flops_per_byte"]:
            axes.plot([row["flops_per_byte"]], [y], **_marker(phase, _colour(row)))
        else:
            axes.annotate(
                "none",
                (0, y),
                xycoords=("axes fraction", "data"),
                xytext=(2, 0),
                textcoords="offset points",
                va="center",
                fontsize=6,
                color=MUTED.light,
            )


def _marker(phase: Phase, colour: str) -> dict[str, Any]:
    return {
        "linestyle": "none",
        "marker": PHASE_MARKERS.get(phase, "D"),
        "markersize": 4,
        "markeredgewidth": 0.9,
        "markeredgecolor": colour,
        "markerfacecolor": colour if _filled(phase) else PAPER.light,
        "clip_on": False,
    }


def _colour(row: Row) -> str:
    if row["family"] == Family.MATMUL:
        return MATRIX.light
    moves = row["family"] in {Family.COPY, Family.GATHER}
    return MUTED.light if moves else VECTOR.light


def _filled(phase: Phase) -> bool:
    return not PHASE_HATCHES.get(phase, "")


def _offset(phases: Sequence[Phase], phase: Phase) -> float:
    return (phases.index(phase) - (len(phases) - 1) / 2) * _BAR / len(phases)


def _legend(rows: Sequence[Row], phases: Sequence[Phase]) -> list[Patch | Line2D]:
    present = {_colour(row) for row in rows}
    meanings = {
        "matrix products": MATRIX.light,
        "other arithmetic": VECTOR.light,
        "moves": MUTED.light,
    }
    handles: list[Patch | Line2D] = [
        Patch(facecolor=colour, edgecolor=colour, label=label)
        for label, colour in meanings.items()
        if colour in present
    ]
    handles += [
        Patch(
            facecolor=INK.light if _filled(phase) else PAPER.light,
            edgecolor=INK.light,
            hatch=PHASE_HATCHES.get(phase, ""),
            label=str(phase),
        )
        for phase in phases
    ]
    return handles
