"""Where each token's cycles went: one bar a machine and phase, one colour a cause."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from reports.charts.style import (
    ALL_SWATCHES,
    DARK_SWATCHES,
    HATCHES,
    INK,
    PAPER,
    WIDTH_INCHES,
    Swatch,
    fastest_first,
    parts_of,
)
from reports.quantities import si
from sim.result import PhaseRow, RunResult
from workloads.trace import Phase

_LEGEND_COLUMNS = 4
_PERCENT_PER_CHARACTER = 2.0
"""Width of a character of a segment's label, in percent of the bar."""
_VISIBLE_PERCENT = 0.5
"""A cause below this in every bar is too thin to see, and needs no entry in the legend."""


def stacks(results: Sequence[RunResult]) -> Figure:
    """Draw bars of 100 % of a phase's time; the time of one token stands at the bar's end."""
    rows = fastest_first(results)
    phases = [p for p in Phase if any(row.phase(p) for row in rows)]
    legend: dict[str, Swatch] = {}
    figure = Figure(
        figsize=(WIDTH_INCHES, 1.1 + len(phases) * (0.35 + 0.27 * len(rows))), layout="constrained"
    )
    panels = figure.subplots(len(phases), 1, sharex=True, squeeze=False)[:, 0]
    for axes, phase in zip(panels, phases, strict=True):
        for at, result in enumerate(rows):
            row = result.phase(phase)
            if row is not None:
                legend |= _draw_bar(axes, at, result, row)
        _dress(axes, phase, [row.title for row in rows])
    panels[-1].set_xlabel("share of the machine's cycles (%)")
    figure.legend(
        handles=[_patch(label, swatch) for label, swatch in _in_order(legend)],
        loc="outside lower center",
        ncols=_LEGEND_COLUMNS,
        frameon=False,
        columnspacing=1.2,
        handlelength=1.4,
    )
    return figure


def _draw_bar(axes: Axes, at: int, result: RunResult, row: PhaseRow) -> dict[str, Swatch]:
    left = 0.0
    drawn = {}
    for label, swatch, cycles in parts_of(result, row):
        width = 100 * cycles / row.cycles
        axes.barh(
            at,
            width,
            left=left,
            height=0.74,
            facecolor=swatch.light,
            edgecolor=PAPER.light,
            linewidth=0.5,
            hatch=HATCHES.get(swatch.name, ""),
        )
        _label(axes, (left + width / 2, at), swatch, label, width)
        left += width
        if width >= _VISIBLE_PERCENT:
            drawn[label] = swatch
    axes.annotate(
        si(row.seconds / row.tokens, "s") if row.tokens else "",
        (100, at),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        fontsize=7.5,
        color=INK.light,
        annotation_clip=False,
    )
    return drawn


def _label(axes: Axes, at: tuple[float, float], swatch: Swatch, label: str, width: float) -> None:
    """Write the cause and its share into its segment, as much of it as fits."""
    share = f"{width:.0f}"
    for text in (f"{label} {share}", share):
        if len(text) * _PERCENT_PER_CHARACTER <= width - 1:
            colour = "white" if swatch.name in DARK_SWATCHES else "black"
            note = axes.text(*at, text, ha="center", va="center", fontsize=6.5, color=colour)
            if swatch.name in HATCHES:
                note.set_bbox({"facecolor": swatch.light, "edgecolor": "none", "pad": 0.6})
            return


def _dress(axes: Axes, phase: Phase, titles: list[str]) -> None:
    axes.set_title(str(phase))
    axes.set_title("time per token", loc="right", fontsize=7.5, fontweight="normal")
    axes.set_yticks(range(len(titles)), titles)
    axes.set_ylim(len(titles) - 0.5, -0.5)
    axes.set_xlim(0, 100)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _patch(label: str, swatch: Swatch) -> Patch:
    return Patch(
        facecolor=swatch.light,
        edgecolor=PAPER.light,
        hatch=HATCHES.get(swatch.name, ""),
        label=label,
    )


def _in_order(legend: dict[str, Swatch]) -> list[tuple[str, Swatch]]:
    """Order as in the bars, whichever machine a cause was met on first."""
    return sorted(legend.items(), key=lambda entry: ALL_SWATCHES.index(entry[1]))
