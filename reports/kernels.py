"""A kernel's steady state as text and as JSON: throughput, bounds, pressure, timeline."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from sim.cpu.kernelcores import (
    KernelResult,
    core_names,
    load_core,
    packaged_about,
    packaged_names,
)

TIMELINE_CYCLES = 110
"""Columns of a timeline; what happens later is not shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelCatalogue:
    """Which cores there are, and which kernels come with the package."""

    cores: tuple[tuple[str, str, str], ...]
    """Name, instruction set, title."""
    kernels: tuple[tuple[str, str, str], ...]
    """Name, instruction set, what it does."""

    def as_json(self) -> dict[str, list[dict[str, str]]]:
        """Return both lists, an object an entry."""
        return {
            "cores": [{"name": n, "isa": isa, "title": title} for n, isa, title in self.cores],
            "kernels": [{"name": n, "isa": isa, "about": text} for n, isa, text in self.kernels],
        }

    def as_text(self) -> str:
        """Return both lists, a line an entry."""
        lines = []
        for title, entries in (("cores", self.cores), ("packaged kernels", self.kernels)):
            lines += [f"{title}:"]
            lines += [f"  {name:<20} {isa:<8} {text}" for name, isa, text in entries]
        return "\n".join(lines)


def kernel_catalogue() -> KernelCatalogue:
    """Return all cores and packaged kernels, by instruction set and name."""
    cores = sorted(map(load_core, core_names()), key=lambda core: (core.isa, core.name))
    sets = dict.fromkeys(core.isa for core in cores)
    return KernelCatalogue(
        cores=tuple((core.name, core.isa, core.title) for core in cores),
        kernels=tuple(
            (name, isa, packaged_about(isa, name)) for isa in sets for name in packaged_names(isa)
        ),
    )


def kernel_json(result: KernelResult) -> dict[str, Any]:
    """Return a result with plain numbers; times in cycles, per iteration where nothing is said."""
    return {
        "kernel": result.kernel,
        "core": result.core,
        "cycles_per_iteration": float(result.cycles_per_iteration),
        "instructions_per_iteration": result.instructions_per_iteration,
        "fused_micro_ops_per_iteration": result.slots_per_iteration,
        "micro_ops_per_iteration": result.micro_ops_per_iteration,
        "instructions_per_cycle": result.instructions_per_cycle,
        "steady_state_proved": result.proved,
        "period_iterations": result.period_iterations,
        "simulated_iterations": result.simulated_iterations,
        "bottleneck": result.bottleneck,
        "bounds": {name: float(bound) for name, bound in result.bounds.as_dict().items()},
        "busiest_ports": list(result.bounds.ports_of),
        "slowest_chain_lines": list(result.bounds.chain),
        "pressure": {unit: float(cycles) for unit, cycles in result.pressure},
        "timeline": [
            {
                "iteration": stamp.iteration,
                "line": stamp.line,
                "instruction": stamp.text,
                "renamed": stamp.renamed,
                "issued": stamp.issued,
                "complete": stamp.complete,
                "retired": stamp.retired,
            }
            for stamp in result.stamps
        ],
    }


def kernel_text(result: KernelResult) -> str:
    """Return a result for people."""
    steady = (
        f"proved: the state repeats every {result.period_iterations} iterations"
        if result.proved
        else f"not proved: no state came back; mean over {result.period_iterations} iterations"
    )
    counts = (
        f"{result.instructions_per_iteration} instructions, {result.slots_per_iteration} fused "
        f"micro-ops, {result.micro_ops_per_iteration} executed"
    )
    lines = [
        f"{result.kernel} on {result.core}",
        f"cycles per iteration  {_number(result.cycles_per_iteration)}  ({steady})",
        f"IPC                   {result.instructions_per_cycle:.2f}  ({counts})",
        f"bottleneck            {result.bottleneck}",
        "",
        "cycles per iteration if only this limited:",
    ]
    for name, bound in result.bounds.as_dict().items():
        lines.append(f"  {name:<14} {_number(bound):>8}{_of(name, result)}")
    lines += ["", "pressure, cycles per iteration with micro-ops spread evenly:"]
    busy = [(unit, cycles) for unit, cycles in result.pressure if cycles]
    lines.append("  " + "  ".join(f"{unit} {_number(cycles)}" for unit, cycles in busy))
    return "\n".join([*lines, "", *_timeline(result)])


def _of(name: str, result: KernelResult) -> str:
    if name == "ports" and result.bounds.ports_of:
        return f"  ({', '.join(result.bounds.ports_of)})"
    if name == "dependencies" and result.bounds.chain:
        return f"  (lines {', '.join(str(line) for line in result.bounds.chain)})"
    return ""


def _timeline(result: KernelResult) -> list[str]:
    lines = ["timeline (R renamed, = waits, E executes, - complete, r retired):"]
    for stamp in result.stamps:
        cells = [" "] * min(TIMELINE_CYCLES, stamp.retired + 1)
        for cycle in range(len(cells)):
            cells[cycle] = _cell(cycle, stamp.renamed, stamp.issued, stamp.complete, stamp.retired)
        drawn = "".join(cells).rstrip()
        if drawn:
            lines.append(
                f"[{stamp.iteration},{stamp.line:>3}] {drawn:<{TIMELINE_CYCLES}} {stamp.text}"
            )
    return lines


def _cell(cycle: int, renamed: int, issued: int, complete: int, retired: int) -> str:
    if cycle == retired:
        return "r"
    if cycle == renamed and issued > renamed:
        return "R"
    if issued <= cycle < complete:
        return "E"
    if renamed < cycle < issued:
        return "="
    return "-" if complete <= cycle < retired else " "


def _number(value: Fraction) -> str:
    return f"{float(value):.2f}"
