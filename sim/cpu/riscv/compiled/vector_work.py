"""What an executed vector instruction asks of the vector unit: cycles, and registers by number."""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.cpu.riscv.compiled.state import (
    ARITHMETIC,
    DATAPATH_BITS,
    LATENCY,
    LENGTH,
    MEMORY,
    MEMORY_BYTES,
    NO_PORT,
    OCCUPIES,
    OPERANDS,
    PORT,
    RESULT,
    RESULTS,
    ROW,
    TO_REGISTER,
    VLENB,
    VTYPE,
    WORK,
    WORK_MISS,
    WORK_TO_DRAM,
    Caches,
    Ints,
    Vectors,
)
from sim.cpu.riscv.compiled.vector_access import (
    INDEXED,
    STRIDED,
    moved_bits,
    moved_elements,
    through_caches,
)
from sim.cpu.riscv.compiled.vector_codes import (
    ADDRESSING,
    COMPARE,
    COPY,
    COUNT,
    DEST_WIDTH,
    ELEMENT_BITS,
    FIRST,
    FORM,
    FROM_SCALAR,
    GATHER,
    LIKE,
    LIKES,
    LOAD,
    MASK,
    MASKED,
    ORDER,
    ORDERED,
    READS_VD,
    REDUCE,
    SCALAR_DEST,
    SET,
    STORE,
    TO_SCALAR,
    VD,
    VS1,
    VS1_WIDTH,
    VS2,
    VS2_WIDTH,
    WHOLE,
)
from sim.cpu.riscv.compiled.vector_configure import width
from sim.cpu.riscv.operation import Kind
from sim.jit import njit

_DIVIDE, _FLOAT_DIVIDE = LIKES.index(Kind.DIVIDE), LIKES.index(Kind.FLOAT_DIVIDE)


@njit(cache=True)
def _held(elements: Any, bits: Any, vlenb: Any) -> Any:
    """Return how many registers elements take, at least one."""
    return max(np.int64(1), (elements * bits + 8 * vlenb - 1) // (8 * vlenb))


@njit(cache=True)
def _arithmetic_cycles(row: Ints, state: Ints, unit: Ints, latency: Any) -> Any:
    """Return how long an instruction takes the arithmetic part of the unit."""
    form, sew = row[FORM], np.int64(8) << (state[VTYPE] >> 3 & 7)
    widest = max(width(sew, row[DEST_WIDTH]), width(sew, row[VS2_WIDTH]))
    bits, elements = max(widest, width(sew, row[VS1_WIDTH])), state[LENGTH]
    if form in (MASK, COUNT, FIRST):
        bits = np.int64(1)
    elif form in (TO_SCALAR, FROM_SCALAR):
        elements = np.int64(1)
    elif form == COPY:
        bits, elements = np.int64(8), row[WHOLE] * state[VLENB]
    elif form == GATHER:
        return max(np.int64(1), elements)
    groups = max(np.int64(1), (elements * bits + unit[DATAPATH_BITS] - 1) // unit[DATAPATH_BITS])
    if form == REDUCE and elements:
        if row[ORDER] == ORDERED:
            return elements * latency
        lanes, steps = min(elements, unit[DATAPATH_BITS] // bits), np.int64(1)  # vs1 is one more
        while lanes > 1:
            lanes, steps = (lanes + 1) >> 1, steps + 1
        return groups + steps * latency
    return groups * latency if row[LIKE] in (_DIVIDE, _FLOAT_DIVIDE) else groups


@njit(cache=True)
def _registers(row: Ints, state: Ints, work: Ints) -> None:
    """Write down the registers that an instruction writes and reads."""
    form, vlenb, length = row[FORM], state[VLENB], state[LENGTH]
    sew = np.int64(8) << (state[VTYPE] >> 3 & 7)
    dest = _held(length, width(sew, row[DEST_WIDTH]), vlenb)
    second = _held(length, width(sew, row[VS2_WIDTH]), vlenb)
    first = _held(length, width(sew, row[VS1_WIDTH]), vlenb)
    if form in (COMPARE, MASK, REDUCE, FROM_SCALAR):
        dest = np.int64(1)
    if form in (MASK, COUNT, FIRST, TO_SCALAR):
        second = np.int64(1)
    if form in (MASK, REDUCE):
        first = np.int64(1)
    if form == COPY:
        dest = second = row[WHOLE]
    if form in (LOAD, STORE):
        dest = _held(moved_elements(row, state), moved_bits(row, state), vlenb)
        second = _held(length, row[ELEMENT_BITS], vlenb)
    work[RESULT], work[RESULTS] = (row[VD], dest) if form != STORE else (np.int64(-1), dest)
    for place, (register, count) in enumerate(
        (
            (row[VD] if row[READS_VD] or form == STORE else np.int64(-1), dest),
            (row[VS2], second),
            (row[VS1], first),
            (np.int64(0) if row[MASKED] else np.int64(-1), np.int64(1)),
        )
    ):
        work[OPERANDS + 2 * place] = register
        work[OPERANDS + 2 * place + 1] = count


@njit(cache=True)
def note_work(  # noqa: PLR0917 - an instruction, then what it works on
    row: Ints, at: Any, values: Ints, vectors: Vectors, caches: Caches, step: Ints
) -> None:
    """Write a row of work for an instruction just executed; its accesses pass the caches."""
    state = vectors.state
    work = vectors.work[state[WORK]]
    state[WORK] += 1
    form, latency = row[FORM], vectors.like_cycles[row[LIKE]]
    work[ROW], work[PORT], work[OCCUPIES], work[LATENCY] = at, ARITHMETIC, 0, latency
    work[WORK_MISS], work[WORK_TO_DRAM], work[TO_REGISTER] = 0, 0, row[SCALAR_DEST]
    if form == SET:
        work[PORT] = NO_PORT
        return
    _registers(row, state, work)
    if form in (LOAD, STORE):
        work[PORT] = MEMORY
        elements, per_cycle = moved_elements(row, state), vectors.unit[MEMORY_BYTES]
        cycles = elements
        if row[ADDRESSING] not in (STRIDED, INDEXED):
            cycles = (elements * (moved_bits(row, state) >> 3) + per_cycle - 1) // per_cycle
        work[OCCUPIES] = max(np.int64(1), cycles)
        missed, to_dram = through_caches(row, values, vectors.registers, state, caches, step)
        work[WORK_MISS], work[WORK_TO_DRAM] = missed, to_dram
    else:
        work[OCCUPIES] = _arithmetic_cycles(row, state, vectors.unit, latency)
