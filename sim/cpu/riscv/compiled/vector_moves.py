"""Vector instructions of the compiled interpreter that move elements from place to place.

`sim.cpu.riscv.vector.execute` is the readable specification; a property test holds both equal.
Source: The RISC-V "V" Vector Extension, version 1.0, sections 15.8, 15.9 and 16.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.cpu.riscv.compiled.state import LENGTH, VLENB, VTYPE, XLEN, Ints
from sim.cpu.riscv.compiled.values import BOX, store
from sim.cpu.riscv.compiled.vector_codes import (
    FLOATING,
    FORM,
    FROM,
    FROM_SCALAR,
    GATHER,
    INDEX,
    INTEGER_SCALAR,
    MASKED,
    NUMBER,
    SCALAR,
    SCALAR_DEST,
    SLIDE_ONE_DOWN,
    SLIDE_ONE_UP,
    SLIDE_UP,
    TO_SCALAR,
    VD,
    VS1,
    VS2,
    WHOLE,
)
from sim.cpu.riscv.compiled.vector_configure import FAR, most_elements
from sim.cpu.riscv.compiled.vector_elements import bit, element, shortened, unsigned
from sim.jit import njit


@njit(cache=True)
def _source(row: Ints, registers: Ints, state: Ints, i: Any, offset: Any, sew: Any) -> Any:  # noqa: PLR0917 - what a place depends on
    """Return which element of vs2 goes to place i: -1 none, -2 the scalar, -3 keep the old."""
    form, last = row[FORM], state[LENGTH] - 1
    if form == SLIDE_UP:
        return i - offset if i >= offset else np.int64(-3)
    if form == SLIDE_ONE_UP:
        return i - 1 if i else np.int64(-2)
    if form == SLIDE_ONE_DOWN:
        return i + 1 if i < last else np.int64(-2)
    place = i + offset
    if form == GATHER:
        place = offset
        if row[VS1] >= 0:
            place = element(registers, row[VS1] * state[VLENB] + i * (sew >> 3), sew)
            place = unsigned(place, sew)
    most = most_elements(state[VTYPE], state[VLENB])
    return place if 0 <= place < most else np.int64(-1)


@njit(cache=True)
def move(row: Ints, registers: Ints, state: Ints, values: Ints, scalar: Any, sew: Any) -> None:  # noqa: PLR0917 - what a move depends on
    """Slide or gather."""
    offset = row[NUMBER] if row[SCALAR] != INTEGER_SCALAR else values[row[FROM]]
    offset = offset if 0 <= offset < FAR else FAR
    size = sew >> 3
    for i in range(state[LENGTH]):
        if row[MASKED] and not bit(registers, 0, i):
            continue
        source = _source(row, registers, state, np.int64(i), offset, sew)
        if source == -3:
            continue
        made = scalar if source == -2 else np.int64(0)
        if source >= 0:
            made = element(registers, row[VS2] * state[VLENB] + source * size, sew)
        store(registers, size, row[VD] * state[VLENB] + i * size, made)


@njit(cache=True)
def merge(row: Ints, registers: Ints, state: Ints, scalar: Any, sew: Any) -> None:
    """Take elements from vs1 or the scalar where the mask is set, else from vs2."""
    vlenb, size = state[VLENB], sew >> 3
    for i in range(state[LENGTH]):
        made = scalar
        if not bit(registers, 0, i):
            made = element(registers, row[VS2] * vlenb + i * size, sew)
        elif row[VS1] >= 0:
            made = element(registers, row[VS1] * vlenb + i * size, sew)
        store(registers, size, row[VD] * vlenb + i * size, made)


@njit(cache=True)
def others(row: Ints, registers: Ints, state: Ints, values: Ints, scalar: Any, sew: Any) -> None:  # noqa: C901, PLR0917 - a switch
    """Move between scalar and vector registers, copy whole registers, write indices."""
    form, vlenb, size = row[FORM], state[VLENB], sew >> 3
    if form == TO_SCALAR:
        made = element(registers, row[VS2] * vlenb, sew)
        if row[FLOATING] and sew == 32:
            made = BOX | made & 0xFFFF_FFFF
        elif not row[FLOATING] and state[XLEN] == 32:
            made = shortened(made, np.int64(32))
        if row[SCALAR_DEST] >= 0:
            values[row[SCALAR_DEST]] = made
    elif form == FROM_SCALAR:
        if state[LENGTH]:
            store(registers, size, row[VD] * vlenb, scalar)
    elif form == INDEX:
        for i in range(state[LENGTH]):
            if not row[MASKED] or bit(registers, 0, i):
                store(registers, size, row[VD] * vlenb + i * size, np.int64(i))
    else:
        for place in range(0, row[WHOLE] * vlenb, 4):
            word = element(registers, row[VS2] * vlenb + place, np.int64(32))
            store(registers, np.int64(4), row[VD] * vlenb + place, word)
