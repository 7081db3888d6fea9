"""Cycles of an access over the number of cores that share, or do not."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from reports.charts.style import GRID, WIDTH_INCHES
from reports.quantities import significant
from reports.sharing_rows import SharingAnswer

LINES: Mapping[str, tuple[str, str, str, str]] = {
    "private": ("#009e73", "o", ":", "private: a line for each core"),
    "false-sharing": ("#d55e00", "s", "--", "false sharing: own words, side by side"),
    "true-sharing": ("#0072b2", "^", "-", "true sharing: one counter for all"),
}
"""Colour (of Okabe and Ito's set), marker, line and label of each pattern."""


def sharing_growth(answer: SharingAnswer) -> Figure:
    """Draw cycles per access of one core over the number of cores, both on log axes."""
    figure = Figure(figsize=(WIDTH_INCHES, 3.0), layout="constrained")
    axes = figure.subplots()
    counts = sorted({point.cores for point in answer.growth})
    for pattern, (colour, marker, line, label) in LINES.items():
        points = [point for point in answer.growth if point.pattern == pattern]
        axes.plot(
            [point.cores for point in points],
            [point.cycles_per_access for point in points],
            color=colour,
            marker=marker,
            linestyle=line,
            linewidth=1.4,
            markersize=4.5,
            label=label,
        )
        last = points[-1]
        axes.annotate(
            significant(last.cycles_per_access),
            (last.cores, last.cycles_per_access),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=7.5,
            color=colour,
        )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda value, _position: f"{value:g}")
    axes.set_xlabel("cores at work")
    axes.set_ylabel("cycles per access of a core")
    axes.set_title(f"{answer.title} ({answer.protocol}): what sharing costs")
    axes.margins(x=0.12, y=0.08)
    axes.grid(color=GRID.light)
    figure.legend(loc="outside lower center", ncols=1, frameon=False)
    return figure
