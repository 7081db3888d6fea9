"""The vector side of a compiled machine: registers, decoded instructions, the unit's time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import numpy as np

from sim.cpu import inorder_compiled as pipeline
from sim.cpu.inorder_compiled import Rules
from sim.cpu.riscv.compiled import state
from sim.cpu.riscv.compiled.state import Ints, Vectors
from sim.cpu.riscv.compiled.timing import CoreTiming
from sim.cpu.riscv.compiled.vector_codes import vector_rows
from sim.cpu.riscv.compiled.vector_timing import advance_vectors, drain, idle_unit
from sim.cpu.riscv.memory import ExecutionError, Memory
from sim.cpu.riscv.program import Instruction, Program
from sim.cpu.riscv.vector.execute import execute
from sim.cpu.riscv.vector.operation import Addressing, VectorOperation
from sim.cpu.riscv.vector.state import VECTOR_REGISTERS, VectorState


class VectorSide:
    """What a compiled machine keeps for its vector instructions."""

    def __init__(self, *, vlen_bits: int, timing: CoreTiming | None, rows: int) -> None:
        """Begin with zeroed registers, an invalid vtype and an idle unit."""
        self.vlen_bits = vlen_bits
        self.registers = np.zeros(VECTOR_REGISTERS * vlen_bits // 64, dtype=np.int64)
        unit = timing.vector if timing else None
        self._times = idle_unit()
        self._unit = np.ones(state.UNIT, dtype=np.int64)
        if unit is not None:
            self._unit[state.DATAPATH_BITS] = unit.datapath_bits
            self._unit[state.MEMORY_BYTES] = unit.memory_bytes_per_cycle
            self._unit[state.CHAINS] = unit.chaining
        kept = rows if unit is not None else 0
        self._work = np.zeros((kept, state.WORK_COLUMNS), dtype=np.int64)
        self._like_cycles = timing.like_cycles() if timing else np.zeros(1, dtype=np.int64)
        self._state = np.zeros(state.VECTOR_STATE, dtype=np.int64)
        self._state[state.VLENB], self._state[state.VTYPE] = vlen_bits // 8, -1

    def load(self, program: Program) -> None:
        """Decode a program's vector instructions; registers and configuration stay."""
        self._state[state.XLEN] = program.xlen
        self.content = Vectors(
            code=vector_rows(program, self.vlen_bits),
            registers=self.registers,
            state=self._state,
            work=self._work,
            like_cycles=self._like_cycles,
            unit=self._unit,
        )

    def advance(
        self,
        rows: Ints,
        pipeline_state: Ints,
        rules: Rules,
        stamps: Ints,
        lost: Ints,
    ) -> int:
        """Pass executed instructions through the pipeline and the unit; return their cycles."""
        if not len(self._work):
            return int(pipeline.advance(rows, pipeline_state, rules, stamps, lost))
        work = self._work[: self._state[state.WORK]]
        self._state[state.WORK] = 0
        return int(
            advance_vectors(
                rows, work, pipeline_state, rules, stamps, lost, self._times, self._unit
            )
        )

    def drain(self, pipeline_state: Ints, rules: Rules, lost: Ints) -> int:
        """Return the cycles that the unit still works behind the last instruction."""
        return int(drain(pipeline_state, rules, lost, self._times)) if len(self._work) else 0

    def element_bytes(self, instruction: Instruction) -> int:
        """Return the bytes of an element that a vector access moves."""
        operation = instruction.operation
        if not isinstance(operation, VectorOperation):
            return 0
        if operation.addressing is Addressing.INDEXED:
            return 1 << (int(self._state[state.VTYPE]) >> 3 & 7)
        return operation.element_bits // 8

    def refuse(self, program: Program, instruction: Instruction, values: Sequence[int]) -> NoReturn:
        """Raise the ExecutionError of the readable machine for an illegal instruction."""
        readable = VectorState(vlen_bits=self.vlen_bits, xlen=program.xlen)
        vtype = int(self._state[state.VTYPE])
        if vtype >= 0:
            readable.configure(vtype, int(self._state[state.LENGTH]))
        try:
            execute(readable, Memory(()), instruction, values)
        except ExecutionError as error:
            raise ExecutionError(f"{program.where(instruction)}: {error}") from error
        raise ExecutionError(f"{program.where(instruction)}: illegal")
