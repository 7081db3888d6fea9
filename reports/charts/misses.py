"""Where accesses were served, and why misses missed, cache by cache."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from reports.charts.style import GRID, WIDTH_INCHES
from reports.memory_rows import MemoryAnswer
from reports.quantities import percent

PARTS = {
    "hits": ("#dddddd", "", "hit"),
    "cold": ("#88ccee", "", "cold miss"),
    "capacity": ("#cc6677", "////", "capacity miss"),
    "conflict": ("#332288", "", "conflict miss"),
}
_LABEL_FROM = 0.08
"""Shares that have room for their figure."""


def misses(answer: MemoryAnswer) -> Figure:
    """Draw each cache's accesses as one bar: hits, then misses by cause."""
    levels = answer.levels
    figure = Figure(figsize=(WIDTH_INCHES, 1.3 + 0.45 * len(levels)), layout="constrained")
    axes = figure.subplots()
    labels = [f"{row.level.upper()}\n{row.accesses:,} lines" for row in levels]
    left = [0.0] * len(levels)
    for name, (colour, hatch, label) in PARTS.items():
        widths = [getattr(row, name) / max(row.accesses, 1) for row in levels]
        axes.barh(
            labels,
            widths,
            left=left,
            color=colour,
            hatch=hatch,
            edgecolor="white",
            linewidth=0.5,
            height=0.6,
            label=label,
        )
        for row, (start, width) in enumerate(zip(left, widths, strict=True)):
            if width >= _LABEL_FROM:
                axes.text(
                    start + width / 2,
                    row,
                    percent(width),
                    ha="center",
                    va="center",
                    fontsize=7.5,
                    color="white" if name == "conflict" else "black",
                    bbox={"facecolor": colour, "edgecolor": "none", "pad": 1.0},
                )
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("share of the accesses that reach a cache")
    axes.set_title(f"{answer.workload}: hits and misses by cause")
    axes.grid(axis="x", color=GRID.light)
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    return figure
