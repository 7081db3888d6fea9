"""The scoreboard of the CDC 6600: issue, read operands, execute, write result."""

from __future__ import annotations

from collections.abc import Mapping

from sim.cpu.dynamic.engine import Engine
from sim.cpu.dynamic.flight import Flight, before
from sim.cpu.dynamic.spec import ScoreboardSpec
from sim.cpu.riscv.operation import Kind
from sim.cpu.riscv.program import Instruction, Program
from sim.cpu.riscv.semantics import data_address
from sim.stalls import StallCause


class Scoreboard(Engine[ScoreboardSpec]):
    """Registers are read together, when all are ready, and written when nobody needs the old value.

    Models:   issue in order, held by a busy unit or a pending write of the same register (WAW);
              operands read at once (RAW); results held while an older instruction has yet to read
              the register (WAR); units that stay busy until their result is written; branches
              that are waited for.
    Ignores:  the limited buses between registers and units; units of the 6600 that RISC-V has not;
              memory accesses overlap only among loads.
    Source:   Thornton, Parallel Operation in the Control Data 6600, AFIPS 1964; Hennessy and
              Patterson, Computer Architecture, 6th ed., appendix C.7.
    """

    def __init__(
        self, spec: ScoreboardSpec, program: Program, registers: Mapping[int, int]
    ) -> None:
        super().__init__(spec, program, registers, branches="stall")

    def hazard(self, instruction: Instruction, group: str) -> StallCause | None:
        """Hold an instruction for a unit, and for a pending write of its destination."""
        if not self.has_free(group):
            return StallCause.STRUCTURAL
        return StallCause.DATA_DEPENDENCY if instruction.dest in self.status else None

    def tick(self) -> None:
        """Read operands, execute, write results."""
        for flight in self.active:
            if before(flight.issue, self.cycle) and not flight.read:
                self._read(flight)
            elif flight.complete == self.cycle:
                self._execute(flight)
            elif before(flight.complete, self.cycle) and not self._still_to_read(flight):
                self._write(flight)
        self.leave()

    def _read(self, flight: Flight) -> None:
        if not all(operand.ready(self.cycle) for operand in flight.operands):
            return
        if flight.instruction.operation.accesses_memory and self._memory_waits(flight):
            return
        for operand in flight.operands:
            operand.value = self.machine.registers[operand.register]
        flight.read, flight.begin = self.cycle, self.cycle + 1
        flight.complete = self.cycle + self.latency(flight)

    def _memory_waits(self, flight: Flight) -> bool:
        """Whether an older access must end first: only loads pass loads."""
        return any(
            older.number < flight.number
            and older.instruction.operation.accesses_memory
            and Kind.STORE in (older.kind, flight.kind)
            for older in self.active
        )

    def _execute(self, flight: Flight) -> None:
        values = [operand.value for operand in flight.operands]
        if flight.instruction.operation.accesses_memory:
            flight.address = data_address(flight.instruction, values, self.program.xlen)
            if flight.kind is Kind.LOAD:
                self.access(flight, values)
            return
        self.compute(flight, values)
        if flight.instruction.operation.transfers_control:
            self.front.resolve(flight, self.cycle)

    def _still_to_read(self, flight: Flight) -> bool:
        """Whether an older instruction needs the value that the result would overwrite."""
        return any(
            operand.register == flight.dest
            for older in self.active
            if older.number < flight.number and not before(older.read, self.cycle)
            for operand in older.operands
        )

    def _write(self, flight: Flight) -> None:
        if flight.kind is Kind.STORE:
            self.access(flight, [operand.value for operand in flight.operands])
        self.write_register(flight)
        flight.write = flight.done = self.cycle
