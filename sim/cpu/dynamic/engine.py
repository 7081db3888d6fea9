"""What the machines that issue in order and finish out of order share: the clock and the issue.

Each cycle the latest stage that may look at an earlier one works after it, and a stage only counts
what happened in earlier cycles. So a result written in cycle c is used from cycle c + 1 on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

from sim.cpu.dynamic.flight import DynamicRun, Flight, Operand, before
from sim.cpu.dynamic.front import Front
from sim.cpu.dynamic.spec import (
    SERIAL,
    Branches,
    DynamicSpec,
    ScoreboardSpec,
    TomasuloSpec,
    unit_names,
)
from sim.cpu.riscv.machine import Machine
from sim.cpu.riscv.memory import ExecutionError
from sim.cpu.riscv.program import Instruction, Program
from sim.cpu.riscv.semantics import next_address
from sim.stalls import CycleStack, StallCause

CYCLE_LIMIT = 1_000_000
"""Cycles after which a program counts as endless."""
S = TypeVar("S", bound=ScoreboardSpec | TomasuloSpec)


class Engine(Generic[S]):
    """A machine that issues in order; its technique says what happens then."""

    def __init__(
        self, spec: S, program: Program, registers: Mapping[int, int], *, branches: Branches
    ) -> None:
        check_units(spec, program)
        self.spec: S = spec
        self.units = spec.groups()
        self.program = program
        self.machine = Machine(program)
        for register, value in registers.items():
            self.machine.registers[register] = value
        self.front = Front(self.machine, branches)
        self.status: dict[int, Flight] = {}
        """Register to the instruction that will write it: the register result status."""
        self.flights: list[Flight] = []
        self.active: list[Flight] = []
        """Instructions in a unit or station, oldest first."""
        self.cycle = 0
        self.width = 1
        self.stack: dict[StallCause | None, int] = {}
        """Cause to cycles in which nothing was issued; None for those in which something was."""

    def run(self, limit: int = CYCLE_LIMIT) -> DynamicRun:
        """Run to the exit call; ExecutionError after `limit` cycles."""
        while self.machine.exit_code is None:
            self.cycle += 1
            if self.cycle > limit:
                where = self.program.name
                if self.flights:
                    where = self.program.where((self.active or self.flights)[-1].instruction)
                raise ExecutionError(
                    f"{where}: still running after {limit} cycles; the program loops for ever, or "
                    "needs a higher limit"
                )
            self._issue()
            self.tick()
        stalls = {cause: lost for cause, lost in self.stack.items() if cause is not None}
        return DynamicRun(
            spec=self.spec,
            cycles=max((f.last for f in self.flights if not f.squashed), default=0),
            flights=tuple(self.flights),
            stack=CycleStack(busy=self.stack.get(None, 0), stalls=stalls),
            machine=self.machine,
        )

    def tick(self) -> None:
        """Do a cycle's work behind issue."""
        raise NotImplementedError

    def hazard(self, instruction: Instruction, group: str) -> StallCause | None:
        """Return why an instruction cannot be issued now; its operands are no reason."""
        raise NotImplementedError

    def drained(self) -> bool:
        """Whether everything issued in earlier cycles has finished."""
        return not self.active

    # Issue

    def _issue(self) -> None:
        cause: StallCause | None = None
        for place in range(self.width):
            instruction = self.front.peek(self.cycle)
            if instruction is None:
                cause = cause if place else self._no_instruction()
                break
            why = self._issue_one(instruction)
            if self.machine.exit_code is not None:
                return
            if why is not None:
                cause = cause if place else why
                break
            if instruction.operation.transfers_control or instruction.operation.kind in SERIAL:
                break
        self.stack[cause] = self.stack.get(cause, 0) + 1

    def _no_instruction(self) -> StallCause:
        if self.front.lost and self.drained():
            self.machine.fetch(self.front.address or 0)  # raises, naming the text's range
        return StallCause.CONTROL

    def _issue_one(self, instruction: Instruction) -> StallCause | None:
        if instruction.operation.kind in SERIAL:
            return self._do_alone(instruction)
        group = self.spec.group_of(instruction.operation.kind) or ""
        if cause := self.hazard(instruction, group):
            return cause
        unit = next(name for name in unit_names(group, self.units[group]) if self._free(name))
        flight = self._depart(instruction, unit)
        self.active.append(flight)
        if flight.dest is not None:
            self.status[flight.dest] = flight
        return None

    def _depart(self, instruction: Instruction, unit: str) -> Flight:
        flight = Flight(
            instruction=instruction, number=len(self.flights), unit=unit, issue=self.cycle
        )
        for source in instruction.sources:
            value, producer = self.machine.registers[source], self.status.get(source)
            flight.operands.append(Operand(register=source, value=value, producer=producer))
        self.flights.append(flight)
        self.front.advance(flight)
        return flight

    def _do_alone(self, instruction: Instruction) -> StallCause | None:
        """Do what must not overlap with anything, once all before it has finished."""
        if not self.drained():
            return StallCause.SYNCHRONISATION
        values = [self.machine.registers[source] for source in instruction.sources]
        self.machine.retired = sum(not flight.squashed for flight in self.flights)
        try:
            written = self.machine.compute(instruction, values)
        except ExecutionError as error:
            raise ExecutionError(f"{self.program.where(instruction)}: {error}") from error
        if self.machine.exit_code is None:
            flight = self._depart(instruction, "")
            flight.done = self.cycle
            if instruction.dest is not None:
                self.machine.registers[instruction.dest] = written
        return None

    def _free(self, name: str) -> bool:
        return all(flight.unit != name for flight in self.active)

    def has_free(self, group: str) -> bool:
        """Whether a unit or station of a group is free."""
        return any(self._free(name) for name in unit_names(group, self.units[group]))

    # Execution

    def latency(self, flight: Flight) -> int:
        """Cycles of execution."""
        group = self.spec.group_of(flight.kind) or ""
        return self.units[group].latency_cycles[flight.kind]

    def compute(self, flight: Flight, values: list[int]) -> None:
        """Compute the result of an instruction that accesses no memory, and where it goes on."""
        flight.next_address = next_address(flight.instruction, values, self.program.xlen)
        flight.result = self.machine.compute(flight.instruction, values)

    def access(self, flight: Flight, values: list[int]) -> None:
        """Do a load or store; ExecutionError names its line."""
        try:
            flight.result = self.machine.access_memory(flight.instruction, values, flight.address)
        except ExecutionError as error:
            where = self.program.where(flight.instruction)
            raise ExecutionError(f"{where}: {error}") from error

    def write_register(self, flight: Flight) -> None:
        """Write a result unless a younger instruction is to write the register."""
        if flight.dest is not None and self.status.get(flight.dest) is flight:
            self.machine.registers[flight.dest] = flight.result
            del self.status[flight.dest]

    def leave(self) -> None:
        """Free the units and stations of what has finished by this cycle's end."""
        gone = [flight for flight in self.active if before(flight.done, self.cycle + 1)]
        self.active = [flight for flight in self.active if flight not in gone]


def check_units(spec: DynamicSpec, program: Program) -> None:
    """Raise ExecutionError where a machine lacks a unit or the width that a program needs."""
    if program.xlen != spec.xlen:
        raise ExecutionError(
            f"{program.name}: is assembled for {program.xlen} bits and '{spec.name}' has "
            f"{spec.xlen}; assemble with xlen={spec.xlen}"
        )
    for instruction in program.instructions:
        kind = instruction.operation.kind
        if kind not in SERIAL and spec.group_of(kind) is None:
            raise ExecutionError(
                f"{program.where(instruction)}: '{spec.name}' has no unit for '{kind}'; give it "
                "one under `units`, or take another machine"
            )
