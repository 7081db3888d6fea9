"""Where the next instruction to issue comes from, past branches too."""

from __future__ import annotations

from sim.cpu.dynamic.flight import Flight
from sim.cpu.dynamic.spec import Branches
from sim.cpu.riscv.integers import wrap
from sim.cpu.riscv.machine import Machine
from sim.cpu.riscv.operation import Kind
from sim.cpu.riscv.program import INSTRUCTION_BYTES, Instruction


class Front:
    """The program counter of a machine that issues in order.

    Models:   waiting for branches, static predictions, or the right path known beforehand; jumps
              whose target is in the instruction cost nothing.
    Ignores:  the instruction cache; fetching takes no stage of its own.
    Source:   Hennessy and Patterson, Computer Architecture, 6th ed., sections 3.3 and 3.6.
    """

    def __init__(self, machine: Machine, branches: Branches) -> None:
        self.program = machine.program
        self.branches = branches
        self.address: int | None = machine.program.entry
        """Of the next instruction; None while a branch is awaited."""
        self.open_from = 0
        """First cycle in which that may be issued."""
        self._oracle = Machine(self.program) if branches == "perfect" else None
        if self._oracle is not None:
            self._oracle.registers[:] = machine.registers

    def peek(self, cycle: int) -> Instruction | None:
        """Return what may be issued next, if anything."""
        if self.address is None or cycle < self.open_from:
            return None
        index = self.program.index_of(self.address)
        return None if index is None else self.program.instructions[index]

    @property
    def lost(self) -> bool:
        """Whether it stands where the program has no instruction."""
        return self.address is not None and self.program.index_of(self.address) is None

    def advance(self, flight: Flight) -> None:
        """Go on behind an instruction that is being issued."""
        flight.predicted = self.address = self._next(flight.instruction)

    def _next(self, instruction: Instruction) -> int | None:
        following = instruction.address + INSTRUCTION_BYTES
        target = wrap(self.program.xlen, instruction.address + instruction.immediate)
        kind = instruction.operation.kind
        if self._oracle is not None:
            self._oracle.step()
            return self._oracle.address
        if kind is Kind.JUMP:
            return target
        if kind is Kind.INDIRECT or (kind is Kind.BRANCH and self.branches == "stall"):
            return None
        if kind is not Kind.BRANCH or self.branches == "not-taken":
            return following
        goes = self.branches == "taken" or instruction.immediate < 0
        return target if goes else following

    def resolve(self, flight: Flight, cycle: int) -> bool:
        """Learn where a branch goes; return whether anything younger is on a wrong path."""
        if flight.predicted == flight.next_address:
            return False
        wrong = flight.predicted is not None
        self.address, self.open_from = flight.next_address, cycle + 1
        return wrong
