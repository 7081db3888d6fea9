"""Tomasulo's algorithm: issue to reservation stations, execute, broadcast the result."""

from __future__ import annotations

from collections.abc import Mapping

from sim.cpu.dynamic.engine import Engine
from sim.cpu.dynamic.flight import Flight, Operand, before
from sim.cpu.dynamic.spec import StationsSpec, TomasuloSpec
from sim.cpu.riscv.operation import Kind
from sim.cpu.riscv.program import Instruction, Program
from sim.cpu.riscv.semantics import data_address
from sim.stalls import StallCause


class Tomasulo(Engine[TomasuloSpec]):
    """Stations hold values or the names of those who will produce them: registers are renamed.

    Models:   issue in order to a free station of the kind; execution when all operands are there,
              oldest first where units are short; loads and stores in two steps, the address and
              the access, which waits for older accesses to the same bytes or to bytes not yet
              known; common data buses, oldest first; nothing executed behind an unresolved branch.
    Ignores:  caches; forwarding from a store to a load.
    Source:   Tomasulo, An Efficient Algorithm for Exploiting Multiple Arithmetic Units, IBM
              Journal, 1967; Hennessy and Patterson, Computer Architecture, 6th ed., sections 3.4,
              3.5 and 3.8.
    """

    SPECULATES = False
    """Whether instructions behind an unresolved branch are executed."""

    def __init__(self, spec: TomasuloSpec, program: Program, registers: Mapping[int, int]) -> None:
        super().__init__(spec, program, registers, branches=spec.branches)
        self.width = spec.issue_width
        self.ports = 0
        """Accesses begun in this cycle."""

    def hazard(self, instruction: Instruction, group: str) -> StallCause | None:  # noqa: ARG002 - names are renamed: no register holds an instruction
        """Hold an instruction for a reservation station."""
        return None if self.has_free(group) else StallCause.STRUCTURAL

    def tick(self) -> None:
        """Begin, resolve, access memory, broadcast."""
        self.ports = 0
        self._begin()
        for flight in self.active:
            transfers = flight.instruction.operation.transfers_control
            if flight.complete == self.cycle and transfers and not flight.squashed:
                self.resolve(flight)
        self._access_memory()
        self._broadcast()
        self._finish()
        self.leave()

    # Execution

    def _begin(self) -> None:
        unresolved = False
        for flight in self.active:
            waits = not flight.begin and before(flight.issue, self.cycle)
            held = unresolved and not self.SPECULATES
            if waits and not held and self._operands_ready(flight) and self._unit_free(flight):
                self._execute(flight)
            if flight.kind in (Kind.BRANCH, Kind.INDIRECT):
                unresolved |= not before(flight.complete, self.cycle)

    def _operands_ready(self, flight: Flight) -> bool:
        needed = address_operands(flight)
        return all(operand.ready(self.cycle) for operand in needed)

    def _unit_free(self, flight: Flight) -> bool:
        """Whether one of the units behind the stations can take an instruction now."""
        group = self.spec.units[self.spec.group_of(flight.kind) or ""]
        return self._in_use(group) < group.units

    def _in_use(self, group: StationsSpec) -> int:
        return sum(
            flight.begin == self.cycle
            or (not group.pipelined and 0 < flight.begin <= self.cycle <= flight.complete)
            for flight in self.active
            if flight.kind in group.latency_cycles
        )

    def _execute(self, flight: Flight) -> None:
        flight.begin = self.cycle
        flight.complete = self.cycle + self.latency(flight) - 1
        values = [operand.read() for operand in flight.operands]
        if flight.instruction.operation.accesses_memory:
            flight.address = data_address(flight.instruction, values, self.program.xlen)
        else:
            self.compute(flight, values)

    def resolve(self, flight: Flight) -> None:
        """Let fetching go on where a branch really goes; it went there or waited."""
        self.front.resolve(flight, self.cycle)

    # Memory

    def _access_memory(self) -> None:
        for flight in self.active:
            if (
                flight.instruction.operation.accesses_memory
                and not flight.memory
                and self.ports < self.spec.memory_ports
                and before(flight.complete, self.cycle)
                and self.may_access(flight)
                and not self.conflicts(flight)
            ):
                self.ports += 1
                flight.memory = self.cycle + self.spec.memory_cycles - 1
                self.begin_access(flight)

    def begin_access(self, flight: Flight) -> None:
        """Do an access, right when it begins: nothing that overlaps is under way."""
        self.access(flight, [operand.read() for operand in flight.operands])

    def may_access(self, flight: Flight) -> bool:
        """Whether a store has its value; a load needs none."""
        return all(operand.ready(self.cycle) for operand in flight.operands)

    def conflicts(self, flight: Flight) -> bool:
        """Whether an older access must come first; where none is a store, none must."""
        return any(
            Kind.STORE in (older.kind, flight.kind)
            and not self.settled(older)
            and (not before(older.complete, self.cycle) or overlap(older, flight))
            for older in self.in_order()
            if older.number < flight.number and older.instruction.operation.accesses_memory
        )

    def in_order(self) -> list[Flight]:
        """Return everything whose access to memory may be outstanding."""
        return self.active

    def settled(self, flight: Flight) -> bool:
        """Whether an access has been done in an earlier cycle."""
        return before(flight.memory, self.cycle)

    # Write result

    def _broadcast(self) -> None:
        buses = self.spec.common_data_buses
        for flight in self.active:
            stamp = flight.memory if flight.kind is Kind.LOAD else flight.complete
            if flight.dest is None or flight.write or not before(stamp, self.cycle) or not buses:
                continue
            buses -= 1
            flight.write = self.cycle
            self.broadcast(flight)

    def broadcast(self, flight: Flight) -> None:
        """Write the register, if it still waits for this station."""
        self.write_register(flight)

    def _finish(self) -> None:
        for flight in self.active:
            if not flight.done:
                flight.done = self.finished(flight)

    def finished(self, flight: Flight) -> int:
        """Return the last cycle that an instruction needs its station, 0 where not yet known."""
        if flight.dest is not None:
            return flight.write
        return flight.memory if flight.instruction.operation.accesses_memory else flight.complete


def address_operands(flight: Flight) -> list[Operand]:
    """Return what an instruction needs to begin: of a store only the base, its last source."""
    return flight.operands[-1:] if flight.kind is Kind.STORE else flight.operands


def overlap(one: Flight, other: Flight) -> bool:
    """Whether two accesses share a byte."""
    ends = [f.address + f.instruction.operation.bytes for f in (one, other)]
    return one.address < ends[1] and other.address < ends[0]
