"""The ledger: attributes every cycle of every step to an operation, a unit and a phase.

On the main stage's time line an operation's time runs from the end of the operation before it to
its own end. What passed before its uops began, or until they were handed on, goes to the cause that
the stage states; the work itself goes to the account that the lowering made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from sim.composition import LoweredRun, StepProgram
from sim.limits import MATRIX, VECTOR, step_limits, total_limits
from sim.lowering import DRAM, LoweredOp, MachineModel, Traffic
from sim.pipeline import Cycles, Schedule
from sim.result import MemoryRow, OpRow, PhaseRow, RunResult, Shares, UnitRow
from sim.stalls import CycleStack, StallCause
from workloads.trace import Block, Family, Op, Phase, Trace

SATURATED = 0.9
"""A resource whose analytic limit is this share of the time binds: without it at most a tenth could
be gained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpWaits:
    """Cycles of one operation, all repetitions, that the main stage did not work on it."""

    stalls: dict[StallCause, int]

    @property
    def cycles(self) -> int:
        """Of all causes together."""
        return sum(self.stalls.values())


class Ledger:
    """Takes composed steps in order and gives the run's result."""

    def __init__(self, trace: Trace, machine: MachineModel) -> None:
        self._trace = trace
        self._machine = machine
        self._peaks = machine.peaks()
        self._ops: list[OpRow] = []
        self._index = 0
        self._steps: dict[Phase, int] = {}
        self._limits: dict[Phase, list[dict[str, int]]] = {}
        self._traffic: dict[tuple[str, Phase], Traffic] = {}
        self._stages: dict[str, CycleStack] = {}
        self._units: dict[str, CycleStack] = {}
        self._hidden: dict[str, int] = {}
        self._cycles = 0
        self._seen: dict[int, LoweredOp] = {}  # by identity; holds them so that ids stay theirs

    def add(self, blocks: list[Block], program: StepProgram, schedule: Schedule) -> None:
        """Account one step."""
        phase = blocks[0].ops[0].phase
        cold = not self._steps
        self._steps[phase] = self._steps.get(phase, 0) + 1
        self._limits.setdefault(phase, []).append(
            step_limits(
                blocks,
                self._trace.tensors,
                self._peaks,
                self._machine.spec.clock_hz,
                cold=cold,
            )
        )
        for number, stage in enumerate(self._machine.stages):
            if number != self._machine.main_stage:
                self._add_unit(self._stages, stage.name, schedule.account(number))
        waits = _waits_by_op(program, schedule, self._machine.main_stage)
        for run in program.runs:
            first = self._index
            block = blocks[run.block]
            for position, (op, lowered) in enumerate(zip(block.ops, run.ops, strict=True)):
                self._add_op(op, lowered, run, first + position, next(waits))
            self._index += len(run.ops) * run.repeats
        self._cycles += schedule.total

    def _add_op(
        self, op: Op, lowered: LoweredOp, run: LoweredRun, index: int, waits: OpWaits
    ) -> None:
        stack = lowered.stack.scaled(run.repeats) + CycleStack(stalls=waits.stalls)
        dram = lowered.traffic[DRAM].scaled(run.repeats)
        self._ops.append(
            OpRow(
                index=index,
                name=op.name,
                kind=op.kind,
                family=op.family,
                phase=op.phase,
                step=op.step,
                layer=None if op.layer is None else op.layer + run.first_repeat,
                count=run.repeats,
                cycles=stack.total,
                stack=stack,
                flops=op.flops * run.repeats,
                dram_read_bytes=dram.read_bytes,
                dram_written_bytes=dram.written_bytes,
                shares=self._shares(lowered, run.repeats, waits.cycles),
                choice=lowered.choice,
            )
        )
        for level, traffic in lowered.traffic.items():
            key = (level, op.phase)
            self._traffic[key] = self._traffic.get(key, Traffic()) + traffic.scaled(run.repeats)
        for name in {*self._units, *lowered.units}:
            inner = lowered.units.get(name, CycleStack(idle=lowered.main_cycles))
            waiting = CycleStack(stalls=waits.stalls)
            self._add_unit(self._units, name, inner.scaled(run.repeats) + waiting)
        for name, cycles in lowered.hidden.items():
            self._hidden[name] = self._hidden.get(name, 0) + cycles * run.repeats

    def _add_unit(self, units: dict[str, CycleStack], name: str, stack: CycleStack) -> None:
        """Add to a unit's account; what passed before it first appeared was idle."""
        units[name] = units.get(name, CycleStack()) + stack

    def _shares(self, lowered: LoweredOp, repeats: int, waited: int) -> Shares:
        """Say how the operation's cycles were come by; waits are composed event by event."""
        worked = lowered.main_cycles - lowered.extrapolated_cycles
        fresh = 0 if id(lowered) in self._seen else 1
        self._seen[id(lowered)] = lowered
        return Shares(
            simulated_cycles=worked * fresh + waited,
            replayed_cycles=worked * (repeats - fresh),
            extrapolated_cycles=lowered.extrapolated_cycles * repeats,
            unproved_cycles=lowered.unproved_cycles * repeats,
        )

    def result(self) -> RunResult:
        """Sum up the run."""
        trace, spec = self._trace, self._machine.spec
        shares = Shares()
        for row in self._ops:
            shares += row.shares
        return RunResult(
            machine=spec.name,
            title=spec.title,
            family=spec.family,
            model=trace.model,
            dtype=trace.dtype,
            batch=trace.batch,
            prompt_tokens=trace.prompt_tokens,
            new_tokens=trace.new_tokens,
            trace_digest=trace.digest(),
            clock_hz=spec.clock_hz,
            peak_matmul_flops_per_second=self._peaks.matmul_flops_per_second[trace.dtype],
            peak_memory_bytes_per_second=self._peaks.memory_bytes_per_second,
            phases=tuple(self._phase_row(phase) for phase in self._steps),
            ops=tuple(self._ops),
            units=tuple(self._unit_rows()),
            memory=tuple(self._memory_rows()),
            shares=shares,
        )

    def _phase_row(self, phase: Phase) -> PhaseRow:
        ops = [row for row in self._ops if row.phase is phase]
        stack = CycleStack.sum(row.stack for row in ops)
        limits = total_limits(self._limits[phase])
        binds, share = what_binds(ops, limits)
        trace = self._trace
        passes = {Phase.PREFILL: trace.prompt_tokens, Phase.DECODE: trace.new_tokens - 1}
        per_sequence = passes.get(phase, trace.prompt_tokens * self._steps[phase])
        return PhaseRow(
            phase=phase,
            clock_hz=self._machine.spec.clock_hz,
            steps=self._steps[phase],
            tokens=per_sequence * trace.batch,
            cycles=stack.total,
            stack=stack,
            flops=sum(row.flops for row in ops),
            dram_bytes=sum(row.dram_read_bytes + row.dram_written_bytes for row in ops),
            limits=limits,
            binds=binds,
            bound_share=share,
        )

    def _unit_rows(self) -> Iterator[UnitRow]:
        for name, stack in {**self._units, **self._stages}.items():
            idle = stack.idle + self._cycles - stack.total
            hidden = self._hidden.get(name, 0)
            yield UnitRow(
                name=name,
                stack=CycleStack(busy=stack.busy + hidden, idle=idle - hidden, stalls=stack.stalls),
            )

    def _memory_rows(self) -> Iterator[MemoryRow]:
        levels = {level.name: level for level in self._machine.memory_levels()}
        clock_hz = self._machine.spec.clock_hz
        for (name, phase), traffic in self._traffic.items():
            level = levels[name]
            cycles = sum(row.cycles for row in self._ops if row.phase is phase)
            moved = traffic.read_bytes + traffic.written_bytes
            possible = level.bandwidth_bytes_per_second * cycles / clock_hz
            yield MemoryRow(
                name=name,
                phase=phase,
                read_bytes=traffic.read_bytes,
                written_bytes=traffic.written_bytes,
                capacity_bytes=level.capacity_bytes,
                bandwidth_bytes_per_second=level.bandwidth_bytes_per_second,
                utilisation=moved / possible if possible else 0.0,
            )


def what_binds(ops: list[OpRow], limits: Mapping[str, int]) -> tuple[str, float]:
    """Return what binds some operations, and the share of their cycles that it accounts for.

    A resource that is needed for nearly all of the time binds, whatever the units wait for
    meanwhile; where there is none, it is what took the most cycles.
    """
    parts: dict[str, int] = {MATRIX: 0, VECTOR: 0}
    for row in ops:
        parts[MATRIX if row.family is Family.MATMUL else VECTOR] += row.stack.busy
        for cause, cycles in row.stack.stalls.items():
            parts[str(cause)] = parts.get(str(cause), 0) + cycles
    total = sum(row.cycles for row in ops)
    saturated = {name: cycles for name, cycles in limits.items() if cycles >= SATURATED * total}
    candidates = saturated or parts
    largest = max(candidates, key=lambda name: candidates[name])
    return largest, candidates[largest] / total if total else 0.0


def _waits_by_op(program: StepProgram, schedule: Schedule, stage: int) -> Iterator[OpWaits]:
    """Yield, operation by operation, what the main stage waited, summed over repetitions.

    The tail until the last uop has left the last stage is the last operation's.
    """
    by_cause = _waits_by_cause(schedule, stage)
    uop = 0
    tail = schedule.total - int(schedule.leave[-1, stage])
    for number, run in enumerate(program.runs):
        counts = [len(op.uops) for op in run.ops]
        width = sum(counts)
        edges = np.concatenate(([0], np.cumsum(counts)))
        span = slice(uop, uop + width * run.repeats)
        sums = {
            cause: np.concatenate(
                ([0], np.cumsum(waits[span].reshape(run.repeats, width).sum(axis=0)))
            )
            for cause, waits in by_cause.items()
        }
        uop += width * run.repeats
        last_run = number == len(program.runs) - 1
        for position in range(len(counts)):
            stalls = {
                cause: int(total[edges[position + 1]] - total[edges[position]])
                for cause, total in sums.items()
            }
            if last_run and position == len(counts) - 1:
                stalls[StallCause.FILL_DRAIN] = stalls.get(StallCause.FILL_DRAIN, 0) + tail
            yield OpWaits(stalls=stalls)


def _waits_by_cause(schedule: Schedule, stage: int) -> dict[StallCause, Cycles]:
    """[uops] cycles waited at a stage, by cause."""
    spec = schedule.stages[stage]
    before, after = schedule.waits(stage)
    first = np.zeros(len(before), dtype=np.bool_)
    first[:1] = True
    fenced = schedule.flow.fences & ~first
    by_cause: dict[StallCause, Cycles] = {}
    for cause, waits in (
        (StallCause.FILL_DRAIN, np.where(first, before, 0)),
        (spec.fenced_as, np.where(fenced, before, 0)),
        (spec.starved_as, np.where(first | fenced, 0, before)),
        (spec.blocked_as, after),
    ):
        by_cause[cause] = by_cause.get(cause, np.zeros_like(before)) + waits
    return by_cause
