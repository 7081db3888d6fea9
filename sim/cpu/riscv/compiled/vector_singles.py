"""The common case of the compiled interpreter's vector side: whole groups of unmasked singles.

The general way computes the same, element by element on patterns; a property test holds both to the
readable machine. Here the host's own vector instructions do it.
Source: The RISC-V "V" Vector Extension, version 1.0, sections 7.4, 7.9 and 13.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.cpu.riscv.compiled.floating import rounded
from sim.cpu.riscv.compiled.state import LENGTH, VLENB, XLEN, Ints
from sim.cpu.riscv.compiled.values import place_of
from sim.cpu.riscv.compiled.vector_access import UNIT_STRIDE, WHOLE_REGISTERS, moved_elements
from sim.cpu.riscv.compiled.vector_codes import (
    ADD_TO_DEST,
    ADDRESSING,
    DEST_WIDTH,
    DOES,
    ELEMENT_BITS,
    FLOATING,
    FORM,
    FROM,
    LOAD,
    MASKED,
    MOVE_FLOAT,
    MULTIPLY_DEST,
    ORDER,
    SWAPPED,
    VD,
    VS1,
    VS1_WIDTH,
    VS2,
    VS2_WIDTH,
)
from sim.jit import njit
from sim.memory.cache.compiled import unowned

_SINGLE_BITS = 32
_NAN = np.float32(np.nan)
"""The canonical one."""


@njit(cache=True, inline="always")
def takes_singles(row: Ints, sew: Any) -> Any:
    """Whether an elementwise instruction rounds singles, without a mask and without widening."""
    plain = row[FLOATING] > 0 and row[MASKED] == 0 and row[DOES] < MOVE_FLOAT
    same = row[DEST_WIDTH] == 0 and row[VS2_WIDTH] == 0 and row[VS1_WIDTH] == 0
    return sew == _SINGLE_BITS and plain and same


@njit(cache=True, inline="always")
def _canonical(value: Any) -> Any:
    return value if value == value else _NAN  # noqa: PLR0124 - no NaN


@njit(cache=True, error_model="numpy")
def singles(row: Ints, registers: Ints, state: Ints, scalar: Any) -> None:
    """Do what `takes_singles` accepts; `scalar` is the pattern that stands in for vs1."""
    floats = unowned(registers).view(np.float32)
    words, count, code, order = state[VLENB] >> 2, state[LENGTH], row[DOES], row[ORDER]
    one = np.int32(scalar).view(np.float32)
    vd, vs2, vs1 = row[VD] * words, max(row[VS2], 0) * words, row[VS1] * words
    by_scalar = row[VS1] < 0
    for i in range(count):
        a, d = floats[vs2 + i], floats[vd + i]
        b = one if by_scalar else floats[vs1 + i]
        x, y, z = a, b, d
        if order in (SWAPPED, ADD_TO_DEST):
            x, y = b, a
        elif order == MULTIPLY_DEST:
            x, y, z = b, d, a
        floats[vd + i] = _canonical(rounded(code, x, y, z))


@njit(cache=True)
def moves_words(row: Ints, state: Ints, values: Ints, regions: Ints) -> Any:
    """Return where in the content a whole unmasked unit-stride access lies, -1 where none is.

    Of elements of whole words, all in one region; else the general way finds what is wrong.
    """
    addressing, size = row[ADDRESSING], row[ELEMENT_BITS] >> 3
    if row[MASKED] or size < 4 or addressing not in (UNIT_STRIDE, WHOLE_REGISTERS):
        return np.int64(-1)
    address = values[row[FROM]]
    if state[XLEN] == 32:
        address &= np.int64(0xFFFF_FFFF)
    if address & (size - 1):
        return np.int64(-1)
    return place_of(regions, address, size * moved_elements(row, state))


@njit(cache=True)
def move_words(row: Ints, state: Ints, registers: Ints, numbers: Ints, place: Any) -> None:
    """Do what `moves_words` accepts."""
    held, kept = unowned(registers).view(np.int32), unowned(numbers).view(np.int32)
    count = moved_elements(row, state) * (row[ELEMENT_BITS] >> 5)
    here, there = row[VD] * (state[VLENB] >> 2), place >> 2
    if row[FORM] == LOAD:
        for i in range(count):
            held[here + i] = kept[there + i]
    else:
        for i in range(count):
            kept[there + i] = held[here + i]
