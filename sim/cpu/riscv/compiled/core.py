"""The compiled machine: programs to their end, section by section, at tens of millions a second.

`sim.cpu.riscv.machine` is the readable specification of the values, `sim.cpu.inorder` of the time;
property tests hold this equal to both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.cpu import inorder_compiled as pipeline
from sim.cpu.inorder_rules import PipelineRules
from sim.cpu.riscv.compiled import loop, state
from sim.cpu.riscv.compiled.codes import MARK, decode
from sim.cpu.riscv.compiled.memory import FlatMemory
from sim.cpu.riscv.compiled.timing import CoreTiming, no_caches
from sim.cpu.riscv.compiled.vector_side import VectorSide
from sim.cpu.riscv.integers import signed, wrap
from sim.cpu.riscv.machine import (
    INSTRUCTION_LIMIT,
    STACK_BYTES,
    STACK_TOP,
    STRING_LIMIT_BYTES,
)
from sim.cpu.riscv.memory import ExecutionError
from sim.cpu.riscv.program import INSTRUCTION_BYTES, Program
from sim.cpu.riscv.registers import A0, A7, REGISTERS, SP, F
from sim.cpu.riscv.vector.configuration import VLEN_BITS, check_vlen
from sim.cpu.steady import CAUSE_ORDER
from sim.memory.cache.compiled_state import counts_of
from sim.memory.cache.counts import HierarchyCounts
from sim.stalls import CycleStack, StallCause

Ints = npt.NDArray[np.int64]

BLOCK = 4096
"""Instructions between two passes of the pipeline: their rows stay in the host's caches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of a run: from one mark to the next."""

    address: int
    """Of its first instruction."""
    instructions: int
    stack: CycleStack
    """Its cycles; without timing, empty."""


class CompiledMachine:
    """A program, its registers and memory, executed by compiled code.

    Models: RV32IM and RV64IM with F, D, V and atomics; exit and print calls; the power-off
    register.
    Ignores: as the readable machine; rounding modes but the nearest even, other than in conversions
    to integers, and all control registers but counters are refused.
    Source: The RISC-V Instruction Set Manual, Volume I, version 20240411.
    """

    def __init__(
        self,
        program: Program,
        *,
        timing: CoreTiming | None = None,
        regions: Sequence[tuple[int, int]] = (),
        marks: Sequence[int] = (),
        hart: int = 0,
        power_off: bool = True,
        vlen_bits: int = VLEN_BITS,
    ) -> None:
        """Take a program; `regions` (first address, length) add to its data and stack.

        `marks` are addresses at which a new section begins; without `power_off` there is no such
        register. ExecutionError for what is not executed here, SpecError for a vector register of
        a length that there is not, and where vector instructions lack a unit to time them.
        """
        self.timing = timing
        self.vectors = VectorSide(vlen_bits=check_vlen(vlen_bits), timing=timing, rows=BLOCK)
        stack = (STACK_TOP - STACK_BYTES, STACK_BYTES + 16)
        data = (program.data_base, len(program.data))
        self.memory = FlatMemory((data, stack, *regions), power_off=power_off)
        self.output = ""
        self._values = np.zeros(REGISTERS + 1, dtype=np.int64)
        self._values[SP] = STACK_TOP
        self._caches = timing.empty_caches() if timing else no_caches()
        rules = timing.rules if timing else PipelineRules(forwarding=True, shared_port=False)
        self._rules = pipeline.pack(rules)
        self._pipeline = pipeline.initial_state(rules)
        self._no_stamps = pipeline.no_stamps(rules)
        self._state = np.zeros(state.STATE, dtype=np.int64)
        self._state[state.HART_ID] = hart
        self.load(program, marks)

    def load(self, program: Program, marks: Sequence[int] = ()) -> None:
        """Put a program in place of another; registers, memory, caches and pipeline stay.

        ExecutionError where there is no room for its data.
        """
        self.program = program
        if program.data:
            content = np.frombuffer(program.data, dtype=np.uint8)
            self.memory.view(program.data_base, len(program.data))[:] = content
        if self.timing:
            self.timing.check(program)
        self.vectors.load(program)
        self._code = decode(program, frozenset(marks))
        none = np.zeros((0, 0), dtype=np.int64)
        self._steps = self.timing.steps(program) if self.timing else none
        self._state[state.ADDRESS_MASK] = 2**32 - 1 if program.xlen == 32 else -1
        self._state[state.TEXT_BASE] = program.text_base
        self._state[state.LAST] = -1
        self.jump(program.entry)

    exit_code: int | None
    """None while the program runs."""

    @property
    def registers(self) -> tuple[int, ...]:
        """Unsigned; x0 to x31, then the 64-bit patterns of f0 to f31."""
        values = self._values[:REGISTERS].tolist()
        return tuple(
            wrap(self.program.xlen if number < F else 64, value)
            for number, value in enumerate(values)
        )

    def set_register(self, number: int, value: int) -> None:
        """Set an integer register, or a floating-point register's pattern."""
        self._values[number] = signed(self.program.xlen if number < F else 64, value)

    @property
    def vector_registers(self) -> bytes:
        """The bytes of v0, then v1, and so on."""
        return self.vectors.registers.tobytes()

    @property
    def retired(self) -> int:
        """Instructions executed so far."""
        return int(self._state[state.RETIRED])

    @property
    def cache_counts(self) -> HierarchyCounts:
        """What the caches counted so far."""
        return counts_of(self._caches.table, self._caches.state)

    def jump(self, address: int) -> None:
        """Go on at an address, as a program that runs again does."""
        index = self.program.index_of(address)
        self._state[state.INDEX] = -1 if index is None else index
        self._state[state.ADDRESS] = address
        self.exit_code = None

    def run(self, *, limit: int = INSTRUCTION_LIMIT) -> tuple[Section, ...]:
        """Execute until the program exits; ExecutionError names the line of what goes wrong.

        Caches and pipeline stay as they were left. The first section begins where the run does;
        the last one includes the cycles in which the pipeline drains.
        """
        sections: list[Section] = []
        rows = np.zeros((BLOCK if self.timing else 0, pipeline.COLUMNS), dtype=np.int64)
        block = BLOCK if self.timing else limit
        left = limit
        begun: tuple[int, int, int, Ints] | None = None
        while self.exit_code is None:
            if not left:
                self._endless(limit)
            at = int(self._state[state.INDEX])
            marked = 0 <= at < len(self._code) and bool(self._code[at, MARK])
            if begun is None or marked:
                if begun is not None:
                    sections.append(_section(*begun))
                address = self.program.text_base + INSTRUCTION_BYTES * at
                begun = (address, 0, 0, np.zeros(pipeline.CAUSES, dtype=np.int64))
            why, done = loop.run_block(
                self._code,
                self._steps,
                self._values,
                self.memory.content,
                self._caches,
                self._state,
                rows,
                self.vectors.content,
                min(block, left),
                self.timing is not None,
            )
            left -= done
            begun = self._timed(rows[:done], begun, done)
            self._handle(why)
        if begun is not None:
            address, instructions, cycles, lost = begun
            cycles += self.vectors.drain(self._pipeline, self._rules, lost)
            sections.append(_section(address, instructions, cycles, lost))
        return tuple(sections)

    def _timed(
        self, rows: Ints, begun: tuple[int, int, int, Ints], done: int
    ) -> tuple[int, int, int, Ints]:
        """Pass executed instructions through the pipeline."""
        address, instructions, cycles, lost = begun
        if self.timing is not None and done:
            cycles += self.vectors.advance(rows, self._pipeline, self._rules, self._no_stamps, lost)
        return address, instructions + done, cycles, lost

    def _handle(self, why: int) -> None:
        """Do what the compiled loop stopped for."""
        if why in (state.FULL, state.SECTION):
            return
        if why == state.POWER_OFF:
            self.exit_code = 0
            return
        program = self.program
        if why == state.NO_INSTRUCTION:
            end = program.text_base + INSTRUCTION_BYTES * len(program.instructions)
            address = wrap(program.xlen, int(self._state[state.ADDRESS]))
            last = int(self._state[state.LAST])
            where = program.where(program.instructions[last]) if last >= 0 else program.name
            raise ExecutionError(
                f"{where}: no instruction at {address:#x}; the text is "
                f"{program.text_base:#x} to {end - 1:#x}; end with an exit call"
            )
        instruction = program.instructions[int(self._state[state.FAULT])]
        where = program.where(instruction)
        if why == state.ILLEGAL:
            values = [self.registers[source] for source in instruction.sources]
            self.vectors.refuse(program, instruction, values)
        if why == state.CALL:
            try:
                self._call(instruction.mnemonic)
            except ExecutionError as error:
                raise ExecutionError(f"{where}: {error}") from error
            return
        size = instruction.operation.bytes or self.vectors.element_bytes(instruction)
        address = wrap(program.xlen, int(self._state[state.ADDRESS]))
        if why == state.MISALIGNED:
            raise ExecutionError(
                f"{where}: misaligned access of {size} bytes at {address:#x}; align the data"
            )
        raise ExecutionError(
            f"{where}: wild access of {size} bytes at {address:#x}; {self.memory.known}"
        )

    def _call(self, mnemonic: str) -> None:
        """Do an environment call as the readable machine does."""
        if mnemonic == "ebreak":
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
        while byte := int(self.memory.view(address + len(content), 1)[0]):
            content.append(byte)
            if len(content) > STRING_LIMIT_BYTES:
                raise ExecutionError(f"the string at {address:#x} does not end")
        return content.decode(errors="replace")

    def _endless(self, limit: int) -> None:
        at = min(max(int(self._state[state.INDEX]), 0), len(self.program.instructions) - 1)
        raise ExecutionError(
            f"{self.program.where(self.program.instructions[at])}: still running after {limit} "
            "instructions; the program loops for ever, or needs a higher limit"
        )


def _section(address: int, instructions: int, cycles: int, lost: Ints) -> Section:
    stalls: dict[StallCause, int] = dict(zip(CAUSE_ORDER, lost.tolist(), strict=True))
    busy = cycles - int(lost.sum())
    return Section(
        address=address, instructions=instructions, stack=CycleStack(busy=busy, stalls=stalls)
    )
