"""The pipeline, cycle by cycle, executing for real: the readable specification.

Each cycle the stages work from the last to the first, so that a register written in WB is read in
the same cycle; then every stage hands on, holds, or is squashed. Values travel with the
instruction: without forwarding and interlock it computes with what it has read, stale or not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from sim.cpu.pipelines.issue import may_pair
from sim.cpu.pipelines.predictor import Predictor
from sim.cpu.pipelines.result import Flight, PipelineRun
from sim.cpu.pipelines.sequential import run_sequential
from sim.cpu.pipelines.spec import PipelineSpec
from sim.cpu.riscv.integers import wrap
from sim.cpu.riscv.machine import Machine
from sim.cpu.riscv.memory import ExecutionError
from sim.cpu.riscv.operation import Kind
from sim.cpu.riscv.program import INSTRUCTION_BYTES, Program
from sim.cpu.riscv.semantics import data_address, is_taken, next_address
from sim.stalls import CycleStack, StallCause

FROM_MEMORY = (Kind.LOAD, Kind.ATOMIC)
"""What has its result only after MEM."""
CYCLE_LIMIT = 2_000_000
"""Cycles after which a program counts as endless."""


@dataclass(slots=True)
class _Slot:
    """What stands in one stage; why, where it is empty."""

    flights: list[Flight] = field(default_factory=list)
    cause: StallCause = StallCause.FILL_DRAIN


class Pipeline:
    """An in-order pipeline that executes a program.

    Models: stages with values; forwarding, interlock or neither; branches resolved in EX or MEM;
    prediction in IF; two instructions a cycle; the wait of environment calls for older writes.
    Ignores: caches and memory latency; multi-cycle multiplication, division and floating point;
    exceptions other than the closing call.
    Source: Hennessy and Patterson, Computer Architecture, 6th ed., appendix C; the rules of Ripes
    (github.com/mortbopet/Ripes) and QtRvSim (github.com/cvut/qtrvsim) as its fields.
    """

    def __init__(self, spec: PipelineSpec, program: Program) -> None:
        self.spec = spec
        self.program = program
        # A machine that computes with stale values may go anywhere.
        lenient = not spec.interlock
        self.machine = Machine(program, lenient=lenient)
        self.predictor = Predictor(spec.predictor) if spec.predictor else None
        self.slots = {stage: _Slot() for stage in spec.stages}
        self.cycle = 0
        self.fetch_address: int | None = program.entry
        """None once the program has ended."""
        self.flights: list[Flight] = []
        self.retired = 0
        self.stall_cycles = 0
        self.busy = 0
        self.stalls = dict.fromkeys(StallCause, 0)

    def run(self, limit: int = CYCLE_LIMIT) -> PipelineRun:
        """Run to the exit call; ExecutionError after `limit` cycles."""
        while not self._finished():
            self.tick()
            if self.cycle > limit:
                raise ExecutionError(
                    f"{self.program.name}: still running after {limit} cycles; the program loops "
                    "for ever, or needs a higher limit"
                )
        return PipelineRun(
            spec=self.spec,
            cycles=self.cycle,
            retired=self.retired,
            stall_cycles=self.stall_cycles,
            stack=CycleStack(busy=self.busy, stalls=self.stalls),
            flights=tuple(self.flights),
            machine=self.machine,
            predictions=self.predictor.total if self.predictor else None,
            correct_predictions=self.predictor.hits if self.predictor else None,
        )

    def _finished(self) -> bool:
        if self.machine.exit_code is None:
            if self.cycle and not any(slot.flights for slot in self.slots.values()):
                address = self.fetch_address
                raise ExecutionError(
                    f"{self.program.name}: no instruction at {address or 0:#x} and none on its "
                    "way; end the program with an exit call"
                )
            return False
        return not self.spec.drains or not any(slot.flights for slot in self.slots.values())

    def tick(self) -> None:
        """Do one cycle."""
        if not self.cycle:
            self._fetch()
        for stage, slot in self.slots.items():
            for flight in slot.flights:
                flight.stay(stage, self.cycle)
        self._write_back()
        self._access_memory()
        self._execute()
        self._read_registers()
        wrong = self._resolve()
        if self._finish_calls():
            self._squash_before(self.spec.call_stage, StallCause.FILL_DRAIN)
            self.fetch_address = None
        if wrong is None:
            self._advance()
        else:
            self._advance_from(self.spec.resolve_stage, wrong)
        self.cycle += 1

    # What the stages do

    def _write_back(self) -> None:
        slot = self.slots["WB"]
        for flight in slot.flights:
            if flight.instruction.dest is not None:
                self.machine.registers[flight.instruction.dest] = flight.written
            leaves = flight.instruction.operation.kind is Kind.ENVIRONMENT
            self._retire(flight, counts=not leaves or self.machine.exit_code is None)
        if slot.flights:
            self.busy += 1
        else:
            self.stalls[slot.cause] += 1

    def _retire(self, flight: Flight, *, counts: bool) -> None:
        flight.retired = counts or self.spec.counts_exit
        self.retired += flight.retired
        self.machine.retired += 1

    def _access_memory(self) -> None:
        for flight in self.slots["MEM"].flights:
            if flight.instruction.operation.accesses_memory:
                try:
                    flight.written = self.machine.access_memory(
                        flight.instruction, flight.values, flight.result
                    )
                except ExecutionError as error:
                    where = self.program.where(flight.instruction)
                    raise ExecutionError(f"{where}: {error}") from error

    def _execute(self) -> None:
        xlen = self.program.xlen
        for flight in self.slots["EX"].flights:
            instruction = flight.instruction
            if self.spec.forwarding:
                for place, source in enumerate(instruction.sources):
                    flight.values[place] = self._forwarded(source, flight.values[place])
            flight.next_address = next_address(instruction, flight.values, xlen)
            if instruction.operation.accesses_memory:
                flight.result = data_address(instruction, flight.values, xlen)
            elif instruction.operation.kind is not Kind.ENVIRONMENT:
                flight.result = self.machine.compute(instruction, flight.values)
            flight.written = flight.result

    def _forwarded(self, source: int, read: int) -> int:
        """Return the newest value on its way: from MEM what EX computed, from WB what it writes."""
        if source:
            for flight in reversed(self.slots["MEM"].flights):
                if flight.instruction.dest == source:
                    return flight.result
            for flight in reversed(self.slots["WB"].flights):
                if flight.instruction.dest == source:
                    return flight.written
        return read

    def _read_registers(self) -> None:
        for flight in self.slots[self.spec.read_stage].flights:
            flight.values = [self.machine.registers[s] for s in flight.instruction.sources]

    def _resolve(self) -> int | None:
        """Return the right next address where a wrong one was fetched; teach the predictor."""
        wrong = None
        for flight in self.slots[self.spec.resolve_stage].flights:
            operation = flight.instruction.operation
            if not operation.transfers_control:
                continue
            correct = flight.next_address == flight.predicted_address
            if self.predictor is not None:
                conditional = operation.kind is Kind.BRANCH
                address = flight.instruction.address
                target = flight.next_address
                if conditional:
                    target = wrap(self.program.xlen, address + flight.instruction.immediate)
                self.predictor.update(
                    address,
                    target,
                    conditional=conditional,
                    taken=is_taken(flight.instruction, flight.values, self.program.xlen),
                    correct=correct,
                )
            if not correct:
                wrong = flight.next_address
        return wrong

    def _finish_calls(self) -> bool:
        """Do environment calls; return whether the program has ended."""
        for flight in self.slots[self.spec.call_stage].flights:
            is_call = flight.instruction.operation.kind is Kind.ENVIRONMENT
            if is_call and not self._call_waits() and self.machine.exit_code is None:
                self.machine.call(flight.instruction)
                return self.machine.exit_code is not None
        return False

    # What passes on

    def _call_waits(self) -> bool:
        """Whether a call is held in EX for older writes."""
        if not self.spec.call_waits_for_writes:
            return False
        calls = [
            flight
            for flight in self.slots["EX"].flights
            if flight.instruction.operation.kind is Kind.ENVIRONMENT
        ]
        older = self.slots["MEM"].flights + self.slots["WB"].flights
        return bool(calls) and any(
            "d" in flight.instruction.operation.operands.lower() for flight in older
        )

    def _operands_missing(self) -> bool:
        """Whether the interlock holds what reads registers."""
        if not self.spec.interlock:
            return False
        producers = self.slots["EX"].flights
        if self.spec.forwarding:
            producers = [f for f in producers if f.instruction.operation.kind in FROM_MEMORY]
        else:
            producers = producers + self.slots["MEM"].flights
        coming = {flight.instruction.dest for flight in producers}
        return any(
            source and source in coming
            for flight in self.slots[self.spec.read_stage].flights
            for source in flight.instruction.sources
        )

    def _advance(self) -> None:
        """Hand on, from the last stage to the first; a held stage holds all before it."""
        held = False
        stages = self.spec.stages
        call_waits, missing = self._call_waits(), self._operands_missing()
        self.slots["WB"] = _Slot()
        for stage, following in reversed(list(pairwise(stages))):
            if held:
                continue
            cause = None
            if stage == "EX" and call_waits:
                cause = StallCause.SYNCHRONISATION
            elif stage == self.spec.read_stage and missing:
                cause = StallCause.DATA_DEPENDENCY
                self.stall_cycles += 1
            if cause is not None:
                held = True
                self.slots[following] = _Slot(cause=cause)
                continue
            moving = self.slots[stage]
            self.slots[following] = moving
            self.slots[stage] = _Slot(cause=moving.cause)
            if self._splits(stage, moving):
                held = True
                self.slots[stage] = _Slot([moving.flights.pop()])
            elif stage == "IF":
                self._predict(moving)
        if not held:
            self._fetch()

    def _splits(self, stage: str, slot: _Slot) -> bool:
        """Whether only the first of two may go on."""
        issue_stage = self.spec.stages[1]
        return stage == issue_stage and len(slot.flights) == 2 and not may_pair(*slot.flights)

    def _predict(self, slot: _Slot) -> None:
        for flight in slot.flights:
            address = flight.instruction.address
            flight.predicted_address = address + INSTRUCTION_BYTES
            if self.predictor is not None:
                flight.predicted_address = self.predictor.predict(address)
            self.fetch_address = flight.predicted_address

    def _advance_from(self, stage: str, address: int) -> None:
        """Squash what is younger than a stage, hand on the rest, and fetch from `address`."""
        self._squash_before(stage, StallCause.CONTROL)
        stages = self.spec.stages
        for index in range(len(stages) - 2, stages.index(stage) - 1, -1):
            self.slots[stages[index + 1]] = self.slots[stages[index]]
        for younger in stages[: stages.index(stage) + 1]:
            self.slots[younger] = _Slot(cause=StallCause.CONTROL)
        self.fetch_address = address
        self._fetch()

    def _squash_before(self, stage: str, cause: StallCause) -> None:
        for younger in self.spec.stages[: self.spec.stages.index(stage)]:
            self.slots[younger] = _Slot(cause=cause)

    def _fetch(self) -> None:
        """Put what stands at the fetch address into IF."""
        slot = _Slot()
        address = self.fetch_address
        for place in range(self.spec.width if address is not None else 0):
            index = self.program.index_of((address or 0) + place * INSTRUCTION_BYTES)
            if index is None:
                break
            flight = Flight(instruction=self.program.instructions[index], number=len(self.flights))
            self.flights.append(flight)
            slot.flights.append(flight)
        self.slots["IF"] = slot


def run_pipeline(spec: PipelineSpec, program: Program, *, limit: int = CYCLE_LIMIT) -> PipelineRun:
    """Run a program on a machine; ExecutionError for what no program may do, naming the line."""
    if spec.organisation != "pipelined":
        return run_sequential(spec, program, limit=limit)
    return Pipeline(spec, program).run(limit)
