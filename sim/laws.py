"""Laws that hold in every run, not only in tests; a broken one is a defect and stops the run.

1. Conservation: of every unit busy + stalls + idle = total, and operations sum to the phases.
2. Limits: no phase is faster than any analytic lower bound.
3. Compulsory traffic: main memory delivers at least the distinct weight bytes that are used.
4. Two fidelities: a step composed in SimPy and by the compiled twin gives the same times.
5. Determinism: the same input gives the same digest; lowering a case again gives an equal result.

Laws 1 to 3 are checked here on the finished result; 4 and 5 by `machine.run` on the first step:
both engines compose its first uops, and it is lowered a second time on a machine built anew.
"""

from __future__ import annotations

from collections.abc import Iterator

from sim.errors import LawViolationError
from sim.result import PhaseRow, RunResult
from sim.stalls import CycleStack


def check(result: RunResult, compulsory_weight_bytes: int) -> None:
    """Raise LawViolationError, naming unit or phase, at the first law that `result` breaks."""
    for broken in (
        *_conservation(result),
        *_limits(result),
        *_compulsory_traffic(result, compulsory_weight_bytes),
    ):
        raise LawViolationError(f"{result.model} on {result.machine}: {broken}")


def _conservation(result: RunResult) -> Iterator[str]:
    for unit in result.units:
        if unit.stack.total != result.cycles:
            yield f"unit {unit.name} accounts for {unit.stack.total} of {result.cycles} cycles"
    for op in result.ops:
        if not op.stack.total == op.cycles == op.shares.total:
            yield f"operation {op.name} at {op.index} does not conserve its {op.cycles} cycles"
    for phase in result.phases:
        yield from _phase_conservation(result, phase)


def _phase_conservation(result: RunResult, phase: PhaseRow) -> Iterator[str]:
    ops = [op for op in result.ops if op.phase is phase.phase]
    if not sum(op.cycles for op in ops) == phase.cycles == phase.stack.total:
        yield f"operations of {phase.phase} do not sum to its {phase.cycles} cycles"
    if CycleStack.sum(op.stack for op in ops) != phase.stack:
        yield f"stacks of {phase.phase} do not add up by cause"


def _limits(result: RunResult) -> Iterator[str]:
    for phase in result.phases:
        for limit, cycles in phase.limits.items():
            if phase.cycles < cycles:
                yield (
                    f"{phase.phase} took {phase.cycles} cycles, less than the {cycles} that "
                    f"{limit} needs"
                )


def _compulsory_traffic(result: RunResult, needed: int) -> Iterator[str]:
    read = sum(op.dram_read_bytes for op in result.ops)
    if read < needed:
        yield f"read {read} bytes from DRAM, fewer than the {needed} bytes of weights in use"
