"""Results as pandas tables: one function a table, with JSON and CSV of them.

Those that need results alone are in one dictionary; energy needs the machines' descriptions too.

Column names carry their units, as field names do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import Any

import pandas as pd

from reports.charts.style import parts_of
from reports.energy import MachineEnergy
from sim.result import MemoryRow, PhaseRow, RunResult

Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A machine that could not run the trace."""

    machine: str
    reason: str
    """One line, with the remedy."""


def summary(results: Sequence[RunResult]) -> pd.DataFrame:
    """One row a machine and phase: throughput, what binds, the nearest limit, how it was got."""
    return pd.DataFrame([_summary_row(r, phase) for r in results for phase in r.phases])


def stacks(results: Sequence[RunResult]) -> pd.DataFrame:
    """One row a machine, phase and cause: cycles, and their share of the phase."""
    return pd.DataFrame(
        [
            {
                "machine": result.machine,
                "phase": str(phase.phase),
                "cause": label,
                "cycles": cycles,
                "share": cycles / phase.cycles,
            }
            for result in results
            for phase in result.phases
            for label, _, cycles in parts_of(result, phase)
        ]
    )


def ops(results: Sequence[RunResult]) -> pd.DataFrame:
    """One row a machine, phase and operation of the model, summed over steps and layers."""
    rows = [
        {
            "machine": result.machine,
            "phase": str(row.phase),
            "operation": row.name,
            "kind": row.kind,
            "family": str(row.family),
            "count": row.count,
            "cycles": row.cycles,
            "busy_cycles": row.stack.busy,
            "flops": row.flops,
            "dram_bytes": row.dram_read_bytes + row.dram_written_bytes,
        }
        for result in results
        for row in result.ops
    ]
    keys = ["machine", "phase", "operation", "kind", "family"]
    return pd.DataFrame(rows).groupby(keys, sort=False, as_index=False).sum()


def units(results: Sequence[RunResult]) -> pd.DataFrame:
    """One row a machine and unit: its cycles over the whole run by what it did."""
    rows = [
        {
            "machine": result.machine,
            "unit": unit.name,
            "cycles": unit.stack.total,
            "utilisation": unit.utilisation,
            "busy": unit.stack.busy,
            "idle": unit.stack.idle,
            **{str(cause): cycles for cause, cycles in unit.stack.stalls.items()},
        }
        for result in results
        for unit in result.units
    ]
    table = pd.DataFrame(rows)
    counts = table.columns[4:]
    table[counts] = table[counts].fillna(0).astype("int64")
    return table


def memory(results: Sequence[RunResult]) -> pd.DataFrame:
    """One row a machine, memory level and phase: bytes moved, and share of the peak bandwidth."""
    return pd.DataFrame([_memory_row(r, level) for r in results for level in r.memory])


def limits(results: Sequence[RunResult]) -> pd.DataFrame:
    """One row a machine, phase and resource: cycles if only that limited, beside the simulated."""
    return pd.DataFrame(
        [
            {
                "machine": result.machine,
                "phase": str(phase.phase),
                "limit": name,
                "limit_cycles": cycles,
                "simulated_cycles": phase.cycles,
                "limit_tokens_per_second": _rate(phase, cycles),
                "simulated_tokens_per_second": phase.tokens_per_second,
            }
            for result in results
            for phase in result.phases
            for name, cycles in phase.limits.items()
        ]
    )


def energy(energies: Sequence[MachineEnergy]) -> pd.DataFrame:
    """One row a machine, phase and part with energy: joules, and their share of the phase."""
    rows = [
        {
            "machine": each.machine,
            "phase": str(phase.phase),
            "part": part,
            "joules": joules,
            "share": joules / phase.joules if phase.joules else 0.0,
        }
        for each in energies
        if each.run is not None
        for phase in each.run.phases
        for part, joules in phase.joules_by_part.items()
    ]
    return pd.DataFrame(rows, columns=["machine", "phase", "part", "joules", "share"])


def with_energy(
    table: pd.DataFrame, results: Sequence[RunResult], energies: Sequence[MachineEnergy]
) -> pd.DataFrame:
    """Add joules per token and mean watts to a summary of `results`; nothing where none is known.

    `energies` are those of the results, in their order.
    """
    phases = [
        energy.run.phase(phase.phase) if energy.run is not None else None
        for result, energy in zip(results, energies, strict=True)
        for phase in result.phases
    ]
    return table.assign(
        joules_per_token=[nan if phase is None else phase.joules_per_token for phase in phases],
        mean_watts=[nan if phase is None else phase.watts for phase in phases],
    )


TABLES: Mapping[str, Callable[[Sequence[RunResult]], pd.DataFrame]] = {
    "summary": summary,
    "stacks": stacks,
    "ops": ops,
    "units": units,
    "memory": memory,
    "limits": limits,
}


def with_failures(table: pd.DataFrame, failures: Sequence[Failure]) -> pd.DataFrame:
    """Add a `status` column: `ok`, or why a machine has no numbers, each on a row of its own."""
    table = table.assign(status="ok")
    missing = pd.DataFrame([{"machine": f.machine, "status": f.reason} for f in failures])
    return pd.concat([table, missing], ignore_index=True) if failures else table


def records(table: pd.DataFrame) -> Rows:
    """Return a table as JSON values, one mapping a row; what JSON cannot say becomes null."""
    return [
        {str(name): _plain(value) for name, value in row.items()}
        for row in table.astype(object).to_dict(orient="records")
    ]


def csv_text(table: pd.DataFrame) -> str:
    """Return a table as CSV; floating-point numbers with nine significant digits."""
    return table.to_csv(index=False, float_format="%.9g", lineterminator="\n")


def _plain(value: Any) -> Any:
    """Turn NumPy's numbers into Python's; JSON has neither infinity nor not-a-number."""
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not isfinite(value) else value


def _summary_row(result: RunResult, phase: PhaseRow) -> dict[str, Any]:
    nearest = max(phase.limits, key=lambda name: phase.limits[name], default="")
    total = result.shares.total or 1
    return {
        "machine": result.machine,
        "title": result.title,
        "family": result.family,
        "model": result.model,
        "dtype": result.dtype,
        "batch": result.batch,
        "phase": str(phase.phase),
        "steps": phase.steps,
        "tokens": phase.tokens,
        "cycles": phase.cycles,
        "clock_hz": phase.clock_hz,
        "seconds": phase.seconds,
        "tokens_per_second": phase.tokens_per_second,
        "cycles_per_token": phase.cycles_per_token,
        "flops": phase.flops,
        "flops_per_second": phase.flops_per_second,
        "dram_bytes": phase.dram_bytes,
        "flops_per_byte": phase.flops_per_byte,
        "binds": phase.binds,
        "bound_share": phase.bound_share,
        "nearest_limit": nearest,
        "nearest_limit_cycles": phase.limit_cycles,
        "nearest_limit_tokens_per_second": _rate(phase, phase.limit_cycles),
        "run_simulated_share": result.shares.simulated_cycles / total,
        "run_replayed_share": result.shares.replayed_cycles / total,
        "run_extrapolated_share": result.shares.extrapolated_cycles / total,
        "run_extrapolation_error_bound": result.shares.error_bound_cycles / total,
        "result_digest": result.digest(),
    }


def _memory_row(result: RunResult, level: MemoryRow) -> dict[str, Any]:
    return {
        "machine": result.machine,
        "level": level.name,
        "phase": str(level.phase),
        "read_bytes": level.read_bytes,
        "written_bytes": level.written_bytes,
        "capacity_bytes": level.capacity_bytes,
        "bandwidth_bytes_per_second": level.bandwidth_bytes_per_second,
        "utilisation": level.utilisation,
    }


def _rate(phase: PhaseRow, cycles: int) -> float:
    """Tokens/s if the phase took `cycles`."""
    return phase.tokens * phase.clock_hz / cycles if cycles else float("inf")
