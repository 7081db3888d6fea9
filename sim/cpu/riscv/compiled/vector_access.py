"""Vector loads and stores of the compiled interpreter, and their way through the caches.

Source: The RISC-V "V" Vector Extension, version 1.0, section 7.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.cpu.inorder_compiled import MISS, TO_DRAM
from sim.cpu.riscv.compiled.lookup import look_up
from sim.cpu.riscv.compiled.state import (
    FULL,
    LENGTH,
    MISALIGNED,
    VLENB,
    VTYPE,
    WILD,
    XLEN,
    Caches,
    Content,
    Ints,
)
from sim.cpu.riscv.compiled.values import place_of, store
from sim.cpu.riscv.compiled.vector_codes import (
    ADDRESSING,
    ELEMENT_BITS,
    FORM,
    FROM,
    MASKED,
    SECOND,
    VD,
    VS2,
    WHOLE,
)
from sim.cpu.riscv.compiled.vector_elements import bit, element, unsigned
from sim.cpu.riscv.vector.operation import Addressing, Form
from sim.jit import njit
from sim.memory.cache.compiled import unowned
from sim.memory.cache.compiled_state import SHIFT

_LOAD = int(Form.LOAD)
UNIT_STRIDE = int(Addressing.UNIT)
STRIDED, INDEXED = int(Addressing.STRIDED), int(Addressing.INDEXED)
MASK, WHOLE_REGISTERS = int(Addressing.MASK), int(Addressing.WHOLE)


@njit(cache=True, inline="always")
def moved_bits(row: Ints, state: Ints) -> Any:
    """Return the width of an element that is moved."""
    if row[ADDRESSING] == INDEXED:
        return np.int64(8) << (state[VTYPE] >> 3 & 7)
    return row[ELEMENT_BITS]


@njit(cache=True, inline="always")
def moved_elements(row: Ints, state: Ints) -> Any:
    """Return how many elements are moved, masked ones too."""
    if row[ADDRESSING] == WHOLE_REGISTERS:
        return row[WHOLE] * (state[VLENB] << 3) // row[ELEMENT_BITS]
    if row[ADDRESSING] == MASK:
        return (state[LENGTH] + 7) >> 3
    return state[LENGTH]


@njit(cache=True, inline="always")
def _address(row: Ints, values: Ints, registers: Ints, state: Ints, i: Any) -> Any:
    """Return where an element lies, also one of those that are masked."""
    offset = i * (moved_bits(row, state) >> 3)
    if row[ADDRESSING] == STRIDED:
        offset = i * values[row[SECOND]]
    elif row[ADDRESSING] == INDEXED:
        bits = row[ELEMENT_BITS]
        offset = unsigned(element(registers, row[VS2] * state[VLENB] + i * (bits >> 3), bits), bits)
    address = values[row[FROM]] + offset
    return address & np.int64(0xFFFF_FFFF) if state[XLEN] == 32 else address


@njit(cache=True)
def access(row: Ints, values: Ints, registers: Ints, state: Ints, content: Content) -> Any:
    """Move the elements in order; return FULL, or what is wrong with which address."""
    numbers, regions = unowned(content.numbers), unowned(content.regions)
    bits = moved_bits(row, state)
    size = bits >> 3
    for i in range(moved_elements(row, state)):
        if row[MASKED] and not bit(registers, 0, i):
            continue
        address = _address(row, values, registers, state, np.int64(i))
        if address & (size - 1):
            return MISALIGNED, address
        place = place_of(regions, address, size)
        if place < 0:
            return WILD, address
        here = row[VD] * state[VLENB] + i * size
        if row[FORM] == _LOAD:
            store(registers, size, here, element(numbers, place, bits))
        else:
            store(numbers, size, place, element(registers, here, bits))
    return FULL, np.int64(0)


@njit(cache=True)
def through_caches(  # noqa: PLR0917 - an access, then what it passes through
    row: Ints, values: Ints, registers: Ints, state: Ints, caches: Caches, scratch: Ints
) -> Any:
    """Find an access in the caches, a line at a time, or an element at a time where they lie apart.

    Return the cycles beyond hits, and whether main memory took part. `scratch` is a step's row.
    """
    table, lines = unowned(caches.table), unowned(caches.state)
    stored = np.int64(row[FORM] != _LOAD)
    missed, to_dram = np.int64(0), False
    size, count = moved_bits(row, state) >> 3, moved_elements(row, state)
    apart = row[ADDRESSING] in (STRIDED, INDEXED)
    step = np.int64(1)
    line_bytes = np.int64(1) << table[0, SHIFT]
    at = np.int64(0)
    while at < count:
        address = _address(row, values, registers, state, at)
        if not apart:
            left = line_bytes - (address & (line_bytes - 1))
            step = min(count - at, max(np.int64(1), left // size))
        if not apart or not row[MASKED] or bit(registers, 0, at):
            scratch[MISS], scratch[TO_DRAM] = 0, 0
            look_up(caches, table, lines, stored, address, step * size, scratch)
            missed += scratch[MISS]
            to_dram = to_dram or scratch[TO_DRAM] > 0
        at += step
    scratch[MISS], scratch[TO_DRAM] = 0, 0
    return missed, to_dram
