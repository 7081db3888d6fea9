"""The functional machine: executes a program one instruction after the other.

It is what the pipelines are held against, and the source of the retired instructions that the
timing engines walk. Environment calls are those of teaching simulators: a7 = 1 prints an integer, 4
a string, 11 a character, 10 exits with 0, 93 with a0 (Ripes, docs/ecalls.md).
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.cpu.riscv.encoding import CONTROL_REGISTERS
from sim.cpu.riscv.integers import signed, wrap
from sim.cpu.riscv.memory import ExecutionError, Memory
from sim.cpu.riscv.operation import Kind
from sim.cpu.riscv.program import INSTRUCTION_BYTES, Instruction, Program
from sim.cpu.riscv.registers import A0, A7, REGISTERS, SP, ZERO
from sim.cpu.riscv.semantics import data_address, is_taken, next_address, result
from sim.cpu.riscv.vector.configuration import VLEN_BITS
from sim.cpu.riscv.vector.execute import data_base
from sim.cpu.riscv.vector.execute import execute as execute_vector
from sim.cpu.riscv.vector.state import VectorState

STACK_TOP, STACK_BYTES = 0x7FFF_FFF0, 2**20
POWER_OFF_ADDRESS, POWER_OFF_VALUE = 0x10_0000, 0x5555
"""A store of the value there ends the run: the finisher device of QEMU's `virt` board."""
INSTRUCTION_LIMIT = 50_000_000
"""Instructions after which a program counts as endless."""
STRING_LIMIT_BYTES = 2**16

_COUNTERS = tuple(
    CONTROL_REGISTERS[name] for name in ("cycle", "time", "instret", "mcycle", "minstret")
)
_VECTOR = {
    CONTROL_REGISTERS["vl"]: "length",
    CONTROL_REGISTERS["vtype"]: "vtype",
    CONTROL_REGISTERS["vlenb"]: "register_bytes",
}
_HART_ID, _STATUS = CONTROL_REGISTERS["mhartid"], CONTROL_REGISTERS["mstatus"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one executed instruction did."""

    instruction: Instruction
    taken: bool
    """Whether it is a jump, or a branch whose condition holds."""
    data_address: int
    """-1 without a memory access; of a vector access, its base."""


class Machine:
    """Registers, memory and the place in a program.

    Models: RV32IM and RV64IM with F, D, V and atomics; exit and print calls; the power-off
    register.
    Ignores: privilege, interrupts, floating-point exception flags, changes of the rounding mode;
    the cycle and time counters count instructions.
    Source: The RISC-V Instruction Set Manual, Volume I, version 20240411.
    """

    def __init__(
        self,
        program: Program,
        *,
        hart: int = 0,
        lenient: bool = False,
        vlen_bits: int = VLEN_BITS,
    ) -> None:
        """Take a program; SpecError for a vector register of a length that there is not."""
        self.program = program
        self.hart = hart
        self.registers = [0] * REGISTERS
        """Unsigned; x0 to x31, then the 64-bit patterns of f0 to f31."""
        self.registers[SP] = STACK_TOP
        self.memory = Memory(
            (
                (program.data_base, len(program.data)),
                (STACK_TOP - STACK_BYTES, STACK_BYTES + 16),
                (POWER_OFF_ADDRESS, 4),
            ),
            lenient=lenient,
        )
        self.memory.fill(program.data_base, program.data)
        self.address = program.entry
        """Of the next instruction."""
        self.exit_code: int | None = None
        """None while the program runs."""
        self.output = ""
        self.retired = 0
        self.vectors = VectorState(vlen_bits=vlen_bits, xlen=program.xlen)
        """Vector registers, length and type."""
        self._control: dict[int, int] = {_STATUS: 0}
        self._last: Instruction | None = None
        """Executed, and named where it leads nowhere."""

    def fetch(self, address: int) -> Instruction:
        """Return the instruction at an address; ExecutionError where there is none."""
        index = self.program.index_of(address)
        if index is None:
            end = self.program.text_base + INSTRUCTION_BYTES * len(self.program.instructions)
            where = self.program.where(self._last) if self._last else self.program.name
            raise ExecutionError(
                f"{where}: no instruction at {address:#x}; the text is "
                f"{self.program.text_base:#x} to {end - 1:#x}; end with an exit call"
            )
        return self.program.instructions[index]

    def step(self) -> Step:
        """Execute one instruction; ExecutionError names its line."""
        instruction = self._last = self.fetch(self.address)
        values = [self.registers[source] for source in instruction.sources]
        data = -1
        try:
            if instruction.vector is not None:
                written = execute_vector(self.vectors, self.memory, instruction, values)
                data = data_base(instruction, values)
            elif instruction.operation.accesses_memory:
                data = data_address(instruction, values, self.program.xlen)
                written = self.access_memory(instruction, values, data)
            else:
                written = self.compute(instruction, values)
        except ExecutionError as error:
            raise ExecutionError(f"{self.program.where(instruction)}: {error}") from error
        if instruction.dest is not None:
            self.registers[instruction.dest] = written
        taken = False
        self.address += INSTRUCTION_BYTES
        if instruction.operation.transfers_control:
            taken = is_taken(instruction, values, self.program.xlen)
            self.address = next_address(instruction, values, self.program.xlen)
        self.retired += 1
        return Step(instruction=instruction, taken=taken, data_address=data)

    def access_memory(self, instruction: Instruction, values: list[int], address: int) -> int:
        """Do what a load, store or atomic does at its address; return what is loaded."""
        operation, xlen = instruction.operation, self.program.xlen
        size = operation.bytes
        if operation.kind is Kind.STORE:
            content = operation.function(xlen, values[0])
            if address == POWER_OFF_ADDRESS and content == POWER_OFF_VALUE:
                self.exit_code = 0
            self.memory.write(address, size, content)
            return 0
        raw = self.memory.read(address, size)
        if operation.kind is Kind.LOAD:
            return operation.function(xlen, raw)
        self.memory.write(address, size, operation.function(8 * size, raw, values[0]))
        return wrap(xlen, signed(8 * size, raw))

    def compute(self, instruction: Instruction, values: list[int]) -> int:
        """Do what an instruction without memory access does; return its result."""
        kind = instruction.operation.kind
        if kind is Kind.ENVIRONMENT:
            self.call(instruction)
            return 0
        if kind is Kind.CONTROL_REGISTER:
            return self._control_register(instruction, values)
        return result(instruction, values, self.program.xlen)

    def _control_register(self, instruction: Instruction, values: list[int]) -> int:
        number = instruction.immediate
        writes = instruction.mnemonic == "csrrw" or instruction.sources[0] != ZERO
        if number in _COUNTERS and not writes:
            return self.retired
        if number in _VECTOR and not writes:
            return int(getattr(self.vectors, _VECTOR[number]))
        if number == _HART_ID and not writes:
            return self.hart
        if number not in self._control:
            name = next(name for name, known in CONTROL_REGISTERS.items() if known == number)
            raise ExecutionError(
                f"control register '{name}' cannot be {'written' if writes else 'read'} here"
            )
        old = self._control[number]
        self._control[number] = instruction.operation.function(self.program.xlen, old, values[0])
        return old

    def call(self, instruction: Instruction) -> None:
        """Do an environment call; `ebreak` stops like an exit with 0."""
        if instruction.mnemonic == "ebreak":
            self.exit_code = 0
            return
        number, argument = self.registers[A7], self.registers[A0]
        if number == 10:
            self.exit_code = 0
        elif number == 93:
            self.exit_code = argument & 0xFF
        elif number == 1:
            self.output += str(signed(self.program.xlen, argument))
        elif number == 4:
            self.output += self._string(argument)
        elif number == 11:
            self.output += chr(argument & 0xFF)
        else:
            raise ExecutionError(
                f"environment call {number} is not known; a7 may be 1, 4 or 11 (print) or 10 or "
                "93 (exit)"
            )

    def _string(self, address: int) -> str:
        content = bytearray()
        while byte := self.memory.read(address + len(content), 1):
            content.append(byte)
            if len(content) > STRING_LIMIT_BYTES:
                raise ExecutionError(f"the string at {address:#x} does not end")
        return content.decode(errors="replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """A whole run: how it ended, and every retired instruction in order."""

    program: Program
    exit_code: int
    registers: tuple[int, ...]
    memory: Memory
    output: str
    indices: npt.NDArray[np.int64]
    """[retired] place in the program's instructions."""
    taken: npt.NDArray[np.bool_]
    """[retired] whether it is a jump, or a branch whose condition holds."""
    addresses: npt.NDArray[np.int64]
    """[retired] of the data, -1 without a memory access."""

    @property
    def retired(self) -> int:
        """Instructions executed, the last one too."""
        return len(self.indices)


def execute(
    program: Program,
    *,
    limit: int = INSTRUCTION_LIMIT,
    hart: int = 0,
    lenient: bool = False,
    vlen_bits: int = VLEN_BITS,
) -> Execution:
    """Run a program to its end; ExecutionError after `limit` instructions, as for a wild access."""
    machine = Machine(program, hart=hart, lenient=lenient, vlen_bits=vlen_bits)
    indices, taken, addresses = array("q"), array("b"), array("q")
    while machine.exit_code is None:
        step = machine.step()
        indices.append((step.instruction.address - program.text_base) // INSTRUCTION_BYTES)
        taken.append(step.taken)
        addresses.append(step.data_address)
        if len(indices) >= limit and machine.exit_code is None:
            raise ExecutionError(
                f"{program.where(step.instruction)}: still running after {limit} instructions; "
                "the program loops for ever, or needs a higher limit"
            )
    return Execution(
        program=program,
        exit_code=machine.exit_code,
        registers=tuple(machine.registers),
        memory=machine.memory,
        output=machine.output,
        indices=np.frombuffer(indices, dtype=np.int64),
        taken=np.frombuffer(taken, dtype=np.bool_),
        addresses=np.frombuffer(addresses, dtype=np.int64),
    )
