"""Tokens per second over what a scenario swept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from reports.charts.style import GRID, PHASE_MARKERS, WIDTH_INCHES, family_colour
from reports.charts.throughput import throughput
from reports.quantities import significant
from sim.result import RunResult
from workloads.trace import Phase

_LOG_FROM = 8
"""A parameter whose largest value is this many times its smallest gets a log axis."""
_LINE_STYLES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)))


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPoint:
    """One run of a sweep: what was set, and what came out."""

    parameters: Mapping[str, Any]
    result: RunResult


def sweep(points: Sequence[SweepPoint]) -> Figure:
    """Draw tokens/s over the parameter with the most values, one panel a phase.

    One line for each machine and each combination of the other parameters; where nothing varies,
    the machines' throughput.
    """
    key = swept_parameter(points)
    if key is None:
        return throughput([point.result for point in points])
    phases = [p for p in (Phase.PREFILL, Phase.DECODE) if any(q.result.phase(p) for q in points)]
    figure = Figure(figsize=(WIDTH_INCHES, 0.9 + 2.0 * len(phases)), layout="constrained")
    panels = figure.subplots(len(phases), 1, sharex=True, squeeze=False)[:, 0]
    series = _series(points, key)
    for axes, phase in zip(panels, phases, strict=True):
        _draw_lines(axes, series, phase, key)
        axes.set_title(str(phase))
        axes.set_ylabel("tokens/s")
        axes.grid(color=GRID.light)
    _set_x(panels[-1], points, key)
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False
    )
    return figure


def swept_parameter(points: Sequence[SweepPoint]) -> str | None:
    """Return the parameter with the most distinct values; None where none varies."""
    counts: dict[str, int] = {}
    for point in points:
        for key in point.parameters:
            values = {str(other.parameters.get(key)) for other in points}
            counts[key] = len(values)
    varying = [key for key, count in counts.items() if count > 1]
    return max(varying, key=lambda key: counts[key]) if varying else None


def _series(points: Sequence[SweepPoint], key: str) -> dict[str, list[SweepPoint]]:
    """Group by machine and by the other parameters that vary."""
    others = sorted(
        {
            name
            for point in points
            for name in point.parameters
            if name != key and len({str(other.parameters.get(name)) for other in points}) > 1
        }
    )
    series: dict[str, list[SweepPoint]] = {}
    for point in points:
        parts = [f"{name} {point.parameters.get(name)}" for name in others]
        series.setdefault(", ".join([point.result.title, *parts]), []).append(point)
    return series


def _draw_lines(
    axes: Axes, series: Mapping[str, Sequence[SweepPoint]], phase: Phase, key: str
) -> None:
    drawn: dict[str, int] = {}
    for label, points in series.items():
        rows = [(p.parameters[key], p.result.phase(phase)) for p in points]
        family = points[0].result.family
        style = _LINE_STYLES[drawn.get(family, 0) % len(_LINE_STYLES)]
        drawn[family] = drawn.get(family, 0) + 1
        axes.plot(
            np.array([x for x, row in rows if row]),
            [row.tokens_per_second for _, row in rows if row],
            color=family_colour(family),
            linestyle=style,
            marker=PHASE_MARKERS[phase],
            markersize=3.5,
            linewidth=1.2,
            label=label,
        )
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(lambda value, _: significant(value))
    axes.yaxis.set_minor_locator(NullLocator())


def _set_x(axes: Axes, points: Sequence[SweepPoint], key: str) -> None:
    axes.set_xlabel(key.replace("_", " "))
    values = sorted({p.parameters[key] for p in points if isinstance(p.parameters[key], Real)})
    if len(values) > 1 and min(values) > 0:
        if max(values) / min(values) >= _LOG_FROM:
            axes.set_xscale("log")
        axes.set_xticks(values, [f"{value:,}" for value in values])
        axes.minorticks_off()
