"""One self-contained HTML page: the sentence, the charts, the numbers, and how to repeat them.

The charts are inline SVG whose colours are CSS variables: one drawing serves light and dark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from reports.charts import CHARTS
from reports.charts.style import ALL_SWATCHES, fastest_first, parts_of
from reports.energy import MachineEnergy
from reports.quantities import percent, si, significant
from sim.energy import PhaseEnergy
from sim.result import PhaseRow, RunResult
from workloads.trace import ANSWERING, Phase

_LABELLED_SHARE = 0.1
"""Causes below this share are left out of a chart's description in words."""


def render_page(
    content: Mapping[str, Any],
    results: Sequence[RunResult],
    energies: Sequence[MachineEnergy],
    svgs: Mapping[str, str],
) -> str:
    """Return the page of a comparison: its JSON content, results, energies and charts as SVG."""
    environment = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["unbroken"] = lambda text: text.replace(" %", "\N{NO-BREAK SPACE}%")
    rows = fastest_first(results)
    return environment.get_template("page.html").render(
        content=content,
        trace=content["trace"],
        trace_facts=_trace_facts(content["trace"]),
        swatches=ALL_SWATCHES,
        figures=[_figure(name, rows, svgs[name]) for name in CHARTS],
        machines=[_machine(result) for result in rows],
        energies=_energies(results, energies),
        bounds=[_bounds(rows, phase) for phase in Phase if any(r.phase(phase) for r in rows)],
    )


def describe(name: str, results: Sequence[RunResult]) -> str:
    """Say in words what a chart shows, for who cannot see it."""
    lines = [
        f"{result.title}, {phase.phase}: {_DESCRIBE[name](result, phase)}"
        for result in results
        for phase in result.phases
    ]
    return f"{CHARTS[name].title}. {'; '.join(lines)}."


def _of_stacks(result: RunResult, phase: PhaseRow) -> str:
    shares = [(label, cycles / phase.cycles) for label, _, cycles in parts_of(result, phase)]
    shares.sort(key=lambda pair: -pair[1])
    return ", ".join(f"{label} {percent(s)}" for label, s in shares if s >= _LABELLED_SHARE)


def _of_roofline(_: RunResult, phase: PhaseRow) -> str:
    return (
        f"{si(phase.flops_per_second, 'FLOP/s')} at {significant(phase.flops_per_byte)} FLOP/byte"
    )


_DESCRIBE = {
    "throughput": lambda _, phase: f"{significant(phase.tokens_per_second)} tokens per second",
    "stacks": _of_stacks,
    "roofline": _of_roofline,
}


def _figure(name: str, results: Sequence[RunResult], svg: str) -> dict[str, Any]:
    chart = CHARTS[name]
    label = Markup('<svg role="img" aria-labelledby="{0}-words"').format(name)
    return {
        "name": name,
        "title": chart.title,
        "caption": chart.caption,
        "words": describe(name, results),
        # Markup: drawn here by matplotlib, which escapes the texts it was given.
        "svg": Markup(svg.replace("<svg", label, 1)),  # noqa: S704 - our own chart
    }


def _machine(result: RunResult) -> dict[str, Any]:
    total = result.shares.total or 1
    ridge = result.peak_matmul_flops_per_second / result.peak_memory_bytes_per_second
    return {
        "title": result.title,
        "name": result.machine,
        "peaks": [
            si(result.peak_matmul_flops_per_second, "FLOP/s"),
            si(result.peak_memory_bytes_per_second, "B/s"),
            f"{significant(ridge)} FLOP/byte",
            si(result.clock_hz, "Hz"),
        ],
        "phases": [_phase_cells(result.phase(phase)) for phase in ANSWERING],
        "simulated": percent(result.shares.simulated_cycles / total),
        "replayed": percent(result.shares.replayed_cycles / total),
        "extrapolated": percent(result.shares.extrapolated_cycles / total),
        "cycles": f"{result.cycles:,}",
        "seconds": si(result.seconds, "s"),
        "digest": result.digest()[:12],
    }


def _phase_cells(row: PhaseRow | None) -> dict[str, str]:
    if row is None:
        return {"rate": "none", "per_token": "", "binds": ""}
    return {
        "rate": significant(row.tokens_per_second),
        "per_token": si(row.seconds / row.tokens, "s") if row.tokens else "",
        "binds": f"{row.binds} {percent(row.bound_share)}",
    }


def _bounds(results: Sequence[RunResult], phase: Phase) -> dict[str, Any]:
    """Tokens/s if only one resource limited, beside the simulated; the lowest bound is marked."""
    rows = [(result, row) for result in results if (row := result.phase(phase)) is not None]
    names = list(dict.fromkeys(name for _, row in rows for name in row.limits))
    return {
        "phase": str(phase),
        "names": names,
        "rows": [
            {
                "title": result.title,
                "simulated": significant(row.tokens_per_second),
                "cells": [_bound_cell(row, name) for name in names],
                "share": percent(row.limit_cycles / row.cycles),
            }
            for result, row in rows
        ],
    }


def _bound_cell(row: PhaseRow, name: str) -> dict[str, Any]:
    cycles = row.limits.get(name, 0)
    rate = significant(row.tokens * row.clock_hz / cycles) if cycles else "no limit"
    return {"rate": rate, "nearest": bool(cycles) and cycles == row.limit_cycles}


def _energies(
    results: Sequence[RunResult], energies: Sequence[MachineEnergy]
) -> list[dict[str, Any]]:
    """Return cells of the machines of which energy is known, the least for a token first."""
    known = [
        (result.title, run)
        for result, energy in zip(results, energies, strict=True)
        if (run := energy.run) is not None
    ]
    known.sort(key=lambda pair: pair[1].phases[-1].joules_per_token)
    return [
        {"title": title, "phases": [_energy_cells(run.phase(phase)) for phase in ANSWERING]}
        for title, run in known
    ]


def _energy_cells(energy: PhaseEnergy | None) -> tuple[str, str, str]:
    if energy is None or not energy.joules:
        return "none", "", ""
    parts = energy.joules_by_part
    largest = max(parts, key=lambda part: parts[part])
    return (
        si(energy.joules_per_token, "J"),
        si(energy.watts, "W"),
        f"{largest} {percent(parts[largest] / energy.joules)}",
    )


def _trace_facts(trace: Mapping[str, Any]) -> list[tuple[str, str]]:
    shown = {
        "flops": si(trace["flops"], "FLOP"),
        "weight_bytes": si(trace["weight_bytes"], "B"),
        "operations": f"{trace['operations']:,}",
    }
    return [
        (name.replace("_bytes", "").replace("_", " "), shown.get(name, _plain(value)))
        for name, value in trace.items()
    ]


def _plain(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
