"""Tomasulo's algorithm with a reorder buffer: issue, execute, write result, commit."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from sim.cpu.dynamic.flight import Flight, before
from sim.cpu.dynamic.spec import TomasuloSpec
from sim.cpu.dynamic.tomasulo import Tomasulo
from sim.cpu.riscv.memory import ExecutionError
from sim.cpu.riscv.operation import Kind
from sim.cpu.riscv.program import Instruction, Program
from sim.stalls import StallCause


class SpeculativeTomasulo(Tomasulo):
    """Results wait in a reorder buffer until all before them have committed.

    Models:   the reorder buffer, which renames registers and gives values before they commit;
              commit in order, some a cycle; stores that write memory when they commit; execution
              behind predicted branches, undone as soon as a branch turns out otherwise; accesses
              that are wild on a wrong path and do no harm.
    Ignores:  caches; forwarding from a store to a load; branch predictors that learn.
    Source:   Smith and Pleszkun, Implementation of Precise Interrupts in Pipelined Processors,
              ISCA 1985; Hennessy and Patterson, Computer Architecture, 6th ed., sections 3.6, 3.8.
    """

    SPECULATES = True

    def __init__(self, spec: TomasuloSpec, program: Program, registers: Mapping[int, int]) -> None:
        super().__init__(spec, program, registers)
        self.buffer: deque[Flight] = deque()
        """The reorder buffer, oldest first."""
        self.stores = 0
        """Memory ports that commit takes in this cycle."""

    def hazard(self, instruction: Instruction, group: str) -> StallCause | None:
        """Hold an instruction for an entry of the reorder buffer or a reservation station."""
        if len(self.buffer) >= (self.spec.reorder_buffer_entries or 0):
            return StallCause.STRUCTURAL
        return super().hazard(instruction, group)

    def _depart(self, instruction: Instruction, unit: str) -> Flight:
        flight = super()._depart(instruction, unit)
        if unit:
            self.buffer.append(flight)
        return flight

    def drained(self) -> bool:
        """Whether everything has committed."""
        return not self.buffer

    def tick(self) -> None:
        """Commit what was done in earlier cycles; it has first call on the memory ports."""
        committing = self._committing()
        self.stores = sum(flight.kind is Kind.STORE for flight in committing)
        super().tick()
        for flight in committing:
            self._commit(flight)

    def _access_memory(self) -> None:
        self.ports = self.stores
        super()._access_memory()

    # Execution

    def resolve(self, flight: Flight) -> None:
        """Undo everything younger than a branch that was predicted wrongly."""
        if not self.front.resolve(flight, self.cycle):
            return
        while self.buffer[-1] is not flight:
            self.buffer.pop().squash(self.cycle)
        self.active = [other for other in self.active if not other.squashed]
        self.status = {other.dest: other for other in self.buffer if other.dest is not None}

    def may_access(self, flight: Flight) -> bool:
        """Only loads access memory before they commit."""
        return flight.kind is Kind.LOAD

    def begin_access(self, flight: Flight) -> None:
        """Read memory; what goes wrong counts only once the load commits."""
        try:
            super().begin_access(flight)
        except ExecutionError as error:
            flight.fault = str(error)

    def in_order(self) -> list[Flight]:
        """Return everything that has not committed."""
        return list(self.buffer)

    def settled(self, flight: Flight) -> bool:
        """Whether an access has been done in an earlier cycle; a store's, when it committed."""
        return before(flight.commit if flight.kind is Kind.STORE else flight.memory, self.cycle)

    def broadcast(self, flight: Flight) -> None:
        """Put a result into the reorder buffer; registers change at commit."""

    def finished(self, flight: Flight) -> int:
        """Return when the buffer has all of an instruction: of a store address and value."""
        if flight.kind is not Kind.STORE:
            return super().finished(flight)
        producer = flight.operands[0].producer
        known = flight.issue if producer is None else producer.write
        return max(known, flight.complete) if known and flight.complete else 0

    # Commit

    def _committing(self) -> list[Flight]:
        chosen: list[Flight] = []
        ports = self.spec.memory_ports
        for flight in self.buffer:
            if len(chosen) == self.spec.commit_width or not before(flight.done, self.cycle):
                break
            ports -= flight.kind is Kind.STORE
            if ports < 0:
                break
            chosen.append(flight)
        return chosen

    def _commit(self, flight: Flight) -> None:
        if flight.fault:
            raise ExecutionError(flight.fault)
        if flight.kind is Kind.STORE:
            self.access(flight, [operand.read() for operand in flight.operands])
        if flight.dest is not None:  # a younger writer may yet be undone: the register is written
            self.machine.registers[flight.dest] = flight.result
            if self.status.get(flight.dest) is flight:
                del self.status[flight.dest]
        flight.commit = self.cycle
        self.buffer.popleft()
