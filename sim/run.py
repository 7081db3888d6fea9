"""The run: a trace on a machine becomes a RunResult.

The path: lower each operation (once for each distinct case), compose the uops of a step through the
machine's top-level pipeline, account every cycle of the main stage to an operation, check the laws.
"""

from __future__ import annotations

from collections.abc import Callable

from sim.accounting import Ledger
from sim.composition import StepProgram, compose, engines_agree, lower_step
from sim.errors import LawViolationError
from sim.laws import check
from sim.limits import compulsory_bytes
from sim.lowering import MachineModel
from sim.memory.capacity import require_room
from sim.pipeline import Engine
from sim.result import RunResult
from workloads.trace import Block, Phase, Role, Trace

Progress = Callable[[int, int], None]
"""Called with steps done and steps in all."""


def run(
    trace: Trace,
    machine: MachineModel,
    *,
    engine: Engine = "auto",
    progress: Progress | None = None,
) -> RunResult:
    """Run a trace on a machine, cold caches first.

    Raises CapacityError where the model does not fit, UnsupportedOpError where an operation has no
    lowering, and LawViolationError where the result cannot be true.
    """
    trace.verify()
    require_room(trace, machine.spec.memory.capacity_bytes, machine.spec.name)
    machine.start(trace)
    steps = steps_of(trace)
    ledger = Ledger(trace, machine)
    first: StepProgram | None = None
    for number, blocks in enumerate(steps):
        program = lower_step(machine, blocks)
        first = first or program
        ledger.add(blocks, program, compose(machine, program, engine))
        if progress is not None:
            progress(number + 1, len(steps))
    assert first is not None  # noqa: S101 - `verify` refuses a trace without blocks
    _require_same_fidelity(machine, first)
    _require_determinism(trace, machine, steps[0], first)
    result = ledger.result()
    check(result, compulsory_bytes(trace.blocks, trace.tensors, roles=(Role.WEIGHT,)))
    return result


def steps_of(trace: Trace) -> list[list[Block]]:
    """Group a trace's blocks by step, and a training step's by phase, in order."""
    steps: list[list[Block]] = []
    for block in trace.blocks:
        if not steps or _step_of(steps[-1][0]) != _step_of(block):
            steps.append([])
        steps[-1].append(block)
    return steps


def _step_of(block: Block) -> tuple[int, Phase]:
    return block.ops[0].step, block.ops[0].phase


def _require_same_fidelity(machine: MachineModel, program: StepProgram) -> None:
    if not engines_agree(machine, program):
        raise LawViolationError(f"{machine.spec.name}: SimPy and compiled pipelines disagree")


def _require_determinism(
    trace: Trace, machine: MachineModel, blocks: list[Block], first: StepProgram
) -> None:
    """Lower the first step again on a machine built anew: every uop must come out the same."""
    fresh = type(machine)(machine.spec)
    fresh.start(trace)
    if lower_step(fresh, blocks).digest() != first.digest():
        raise LawViolationError(f"{machine.spec.name}: the same operations lowered differently")
