"""Vector instructions of the compiled interpreter that compute, element by element.

`sim.cpu.riscv.vector.execute` is the readable specification; a property test holds both equal.
Source: The RISC-V "V" Vector Extension, version 1.0, sections 11 to 14.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.cpu.riscv.compiled.state import LENGTH, VLENB, Ints
from sim.cpu.riscv.compiled.values import SINGLE_NAN, store
from sim.cpu.riscv.compiled.vector_codes import (
    DEST_WIDTH,
    DOES,
    FLOAT_SCALAR,
    FLOATING,
    FROM,
    INTEGER_SCALAR,
    MASKED,
    NUMBER,
    ORDER,
    SCALAR,
    VD,
    VS1,
    VS1_SIGNED,
    VS1_WIDTH,
    VS2,
    VS2_SIGNED,
    VS2_WIDTH,
)
from sim.cpu.riscv.compiled.vector_configure import width
from sim.cpu.riscv.compiled.vector_elements import (
    as_double,
    bit,
    converted,
    element,
    float_element,
    floats_compare,
    integer_element,
    integers_compare,
    of_double,
    set_bit,
    shortened,
    unsigned,
)
from sim.jit import njit


@njit(cache=True)
def scalar_of(row: Ints, values: Ints, sew: Any) -> Any:
    """Return what stands in for vs1, sign-extended from SEW bits."""
    if row[SCALAR] == INTEGER_SCALAR:
        return shortened(values[row[FROM]], sew)
    if row[SCALAR] == FLOAT_SCALAR:
        value = values[row[FROM]]
        if sew == 64:
            return value
        return shortened(value if value >> 32 == -1 else SINGLE_NAN, np.int64(32))
    return row[NUMBER]


@njit(cache=True, inline="always")
def _widened(pattern: Any, bits: Any, work: Any, signed: Any, floating: Any) -> Any:
    if bits < work:
        if floating:
            return of_double(as_double(pattern, bits))
        if not signed:
            return unsigned(pattern, bits)
    return pattern


@njit(cache=True, error_model="numpy")
def elementwise(row: Ints, registers: Ints, state: Ints, scalar: Any, sew: Any) -> None:
    """Make each element of the result from those of the operands at its place."""
    to, of = width(sew, row[DEST_WIDTH]), width(sew, row[VS2_WIDTH])
    beside, floating = width(sew, row[VS1_WIDTH]), row[FLOATING] > 0
    work = max(to, of, beside)
    vd, vs2, vs1 = row[VD] * state[VLENB], row[VS2] * state[VLENB], row[VS1] * state[VLENB]
    masked, code, order = row[MASKED] > 0, row[DOES], row[ORDER]
    b = _widened(scalar, beside, work, row[VS1_SIGNED], floating)
    for i in range(state[LENGTH]):
        if masked and not bit(registers, 0, i):
            continue
        a = np.int64(0)
        if vs2 >= 0:
            a = element(registers, vs2 + i * (of >> 3), of)
            a = _widened(a, of, work, row[VS2_SIGNED], floating)
        if vs1 >= 0:
            b = element(registers, vs1 + i * (beside >> 3), beside)
            b = _widened(b, beside, work, row[VS1_SIGNED], floating)
        place = vd + i * (to >> 3)
        d = element(registers, place, to)
        if floating:
            made = float_element(code, order, a, b, d, work)
        else:
            made = integer_element(code, order, a, b, d, work)
        store(registers, to >> 3, place, made)


@njit(cache=True)
def compare(row: Ints, registers: Ints, state: Ints, scalar: Any, sew: Any) -> None:
    """Set a bit of a mask for each element of which a comparison holds."""
    vlenb, size, b = state[VLENB], sew >> 3, scalar
    for i in range(state[LENGTH]):
        if row[MASKED] and not bit(registers, 0, i):
            continue
        a = element(registers, row[VS2] * vlenb + i * size, sew)
        if row[VS1] >= 0:
            b = element(registers, row[VS1] * vlenb + i * size, sew)
        if row[FLOATING]:
            holds = floats_compare(row[DOES], row[ORDER], a, b, sew)
        else:
            holds = integers_compare(row[DOES], a, b)
        set_bit(registers, row[VD] * vlenb, i, holds)


@njit(cache=True)
def convert(row: Ints, registers: Ints, state: Ints, sew: Any) -> None:
    """Turn each element into another kind or width of number."""
    to, of = width(sew, row[DEST_WIDTH]), width(sew, row[VS2_WIDTH])
    for i in range(state[LENGTH]):
        if row[MASKED] and not bit(registers, 0, i):
            continue
        a = element(registers, row[VS2] * state[VLENB] + i * (of >> 3), of)
        made = converted(row[DOES], a, to, of)
        store(registers, to >> 3, row[VD] * state[VLENB] + i * (to >> 3), made)


@njit(cache=True)
def reduce(row: Ints, registers: Ints, state: Ints, sew: Any) -> None:
    """Begin with vs1[0] and take the elements in order."""
    if state[LENGTH] == 0:
        return
    vlenb = state[VLENB]
    total = element(registers, row[VS1] * vlenb, sew)
    for i in range(state[LENGTH]):
        if row[MASKED] and not bit(registers, 0, i):
            continue
        a = element(registers, row[VS2] * vlenb + i * (sew >> 3), sew)
        if row[FLOATING]:
            total = shortened(float_element(row[DOES], 0, total, a, 0, sew), sew)
        else:
            total = shortened(integer_element(row[DOES], 0, total, a, 0, sew), sew)
    store(registers, sew >> 3, row[VD] * vlenb, total)
