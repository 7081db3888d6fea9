"""A step of a model as one flow of uops through a machine's top-level pipeline.

Layers whose lowering has been proved to repeat (equal on-chip state at their start) are lowered
once; the pipeline itself is simulated over all of them, so that what overlaps between operations
and layers (a host running ahead, weights prefetched) is exact.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from sim.lowering import LoweredOp, MachineModel
from sim.pipeline import AUTO_SIMPY_HOPS, Engine, Flow, Schedule, run_pipeline
from workloads.trace import Block


@dataclass(frozen=True, slots=True, kw_only=True)
class LoweredRun:
    """Consecutive layers of a block that lower alike."""

    block: int
    """Index of the block within the step."""
    first_repeat: int
    """Which of the block's repetitions is the first here."""
    repeats: int
    ops: tuple[LoweredOp, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepProgram:
    """All of a step's operations, lowered, in program order."""

    runs: tuple[LoweredRun, ...]

    def flow(self) -> Flow:
        """Return the step's uops; the first waits for the step before to end."""
        parts = [
            np.tile(np.concatenate([op.uops for op in run.ops]), (run.repeats, 1))
            for run in self.runs
        ]
        cycles = np.concatenate(parts)
        fences = np.zeros(len(cycles), dtype=np.bool_)
        fences[0] = True
        return Flow(cycles=cycles, fences=fences)

    def digest(self) -> str:
        """SHA-256 over every uop and account: equal programs, equal digests."""
        sha = hashlib.sha256()
        for run in self.runs:
            sha.update(f"{run.block},{run.first_repeat},{run.repeats}".encode())
            for op in run.ops:
                sha.update(op.uops.tobytes())
                stalls = sorted(op.stack.stalls.items())
                sha.update(f"{op.stack.busy},{stalls},{sorted(op.traffic)}".encode())
        return sha.hexdigest()


def lower_step(machine: MachineModel, blocks: list[Block]) -> StepProgram:
    """Lower a step's blocks in order; a layer that starts in a known state is not lowered again."""
    runs: list[LoweredRun] = []
    for index, block in enumerate(blocks):
        _lower_block(machine, index, block, runs)
    return StepProgram(runs=tuple(runs))


def _lower_block(machine: MachineModel, index: int, block: Block, runs: list[LoweredRun]) -> None:
    before: Hashable = None
    for repeat in range(block.repeats):
        layer = None if block.first_layer is None else block.first_layer + repeat
        if layer is not None and block.repeats > 1:
            state = machine.state_key(layer)
            if state == before:
                remaining = block.repeats - repeat
                _extend(runs, index, repeat, runs[-1].ops, remaining)
                machine.skip_layers(remaining)
                return
            before = state
        _extend(runs, index, repeat, tuple(machine.lower(op, layer) for op in block.ops), 1)


def _extend(
    runs: list[LoweredRun], block: int, repeat: int, ops: tuple[LoweredOp, ...], repeats: int
) -> None:
    """Add layers to the last run where they lower to the very same operations."""
    last = runs[-1] if runs else None
    if last and last.block == block and all(a is b for a, b in zip(last.ops, ops, strict=True)):
        runs.pop()
        repeat, repeats = last.first_repeat, last.repeats + repeats
    runs.append(LoweredRun(block=block, first_repeat=repeat, repeats=repeats, ops=ops))


def compose(machine: MachineModel, program: StepProgram, engine: Engine) -> Schedule:
    """Pass the program through the machine's pipeline."""
    return run_pipeline(machine.stages, program.flow(), engine=engine)


def engines_agree(machine: MachineModel, program: StepProgram) -> bool:
    """Say whether both engines give the same times to the step's first uops.

    A uop's times depend on earlier uops only, so that a prefix is as good as a run of its own.
    """
    flow = program.flow()
    count = max(1, AUTO_SIMPY_HOPS // len(machine.stages))
    prefix = Flow(cycles=flow.cycles[:count], fences=flow.fences[:count])
    simpy, compiled = (
        run_pipeline(machine.stages, prefix, engine=engine) for engine in ("simpy", "compiled")
    )
    return bool((simpy.start == compiled.start).all() and (simpy.leave == compiled.leave).all())
