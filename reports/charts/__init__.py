"""Charts: one function a chart, from results to a matplotlib Figure, all in the table below."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib import rc_context
from matplotlib.figure import Figure

from reports.charts.roofline import roofline
from reports.charts.stacks import stacks
from reports.charts.style import RC
from reports.charts.throughput import throughput
from sim.result import RunResult

__all__ = ["CHARTS", "Chart", "draw"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One chart of a comparison."""

    draw: Callable[[Sequence[RunResult]], Figure]
    title: str
    caption: str
    """What a reader should see, for the page."""


CHARTS: Mapping[str, Chart] = {
    "throughput": Chart(
        draw=throughput,
        title="Tokens per second",
        caption="Simulated throughput of each machine on the same trace. Prefill takes in all "
        "prompt tokens in one pass; decode makes one token a pass. Log scale: a grid line is "
        "ten times the one before.",
    ),
    "stacks": Chart(
        draw=stacks,
        title="Where each token's cycles went",
        caption="Every cycle of a machine's time line is arithmetic or one stall cause. Bars are "
        "shares of the phase; the time of one token stands at the right.",
    ),
    "roofline": Chart(
        draw=roofline,
        title="Roofline",
        caption="A roof is what a machine could do at best: bandwidth on the slope, arithmetic on "
        "the flat, the diamond where the two meet (ridge, in FLOP/byte). A line joins a machine's "
        "two phases; the vertical distance to its roof is what was lost.",
    ),
}


def draw(chart: Chart, results: Sequence[RunResult]) -> Figure:
    """Draw a chart in the common style."""
    with rc_context(RC):
        return chart.draw(results)
