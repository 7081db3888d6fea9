"""The miss-ratio curve: how much cache it takes, for each kind of data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, PercentFormatter

from reports.charts.style import GRID, INK, MUTED, WIDTH_INCHES
from reports.memory_rows import ALL, MemoryAnswer
from reports.quantities import binary_bytes
from workloads.trace import Role

ROLE_COLOURS: Mapping[str, str] = {
    ALL: INK.light,
    Role.WEIGHT: "#d55e00",
    Role.KV_CACHE: "#0072b2",
    Role.ACTIVATION: "#009e73",
    Role.INPUT: "#7a4fa3",
    Role.GRADIENT: "#a6761d",
    Role.OPTIMIZER_STATE: "#cc79a7",
    Role.STATE: "#b8860b",
}
ROLE_LINES: Mapping[str, Any] = {
    ALL: "-",
    Role.WEIGHT: "--",
    Role.KV_CACHE: "-.",
    Role.ACTIVATION: ":",
    Role.INPUT: (0, (6, 1, 1, 1)),
    Role.GRADIENT: (0, (3, 3)),
    Role.OPTIMIZER_STATE: (0, (8, 2, 2, 2)),
    Role.STATE: (0, (1, 2)),
}
ROLE_NAMES: Mapping[str, str] = {
    ALL: "all accesses",
    Role.WEIGHT: "weights",
    Role.KV_CACHE: "KV cache",
    Role.ACTIVATION: "activations",
    Role.INPUT: "token numbers",
    Role.GRADIENT: "gradients of weights",
    Role.OPTIMIZER_STATE: "optimiser state",
    Role.STATE: "recurrent state",
}
_TICK_EVERY = 4
"""Powers of two between two labels."""


def miss_ratio(answer: MemoryAnswer) -> Figure:
    """Draw the share of accesses that miss over cache size; the machine's caches stand as lines."""
    figure = Figure(figsize=(WIDTH_INCHES, 3.0), layout="constrained")
    axes = figure.subplots()
    for curve in answer.curves:
        axes.step(
            curve.sizes_bytes,
            curve.ratios,
            where="post",
            color=ROLE_COLOURS[curve.role],
            linestyle=ROLE_LINES[curve.role],
            linewidth=1.6 if curve.role == ALL else 1.2,
            label=ROLE_NAMES[curve.role],
        )
    _mark_levels(axes, answer)
    axes.set_xscale("log", base=2)
    sizes = answer.curves[0].sizes_bytes
    first = sizes[0].bit_length() - 1
    ticks = [1 << p for p in range(first, sizes[-1].bit_length(), _TICK_EVERY)]
    axes.set_xticks(ticks, [binary_bytes(tick) for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("size of one fully associative LRU cache")
    axes.set_ylabel("accesses that miss")
    axes.set_title(f"{answer.workload}: misses over cache size", pad=18)
    axes.grid(color=GRID.light)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def _mark_levels(axes: Axes, answer: MemoryAnswer) -> None:
    for level in answer.levels:
        axes.axvline(level.capacity_bytes, color=MUTED.light, linewidth=0.8, zorder=0)
        axes.annotate(
            level.level.upper(),
            (level.capacity_bytes, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            color=MUTED.light,
            fontsize=7.5,
        )
