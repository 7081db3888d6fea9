"""Vector instructions of the compiled interpreter, on registers as numbers of 64 bits.

`sim.cpu.riscv.vector.execute` is the readable specification; a property test holds both equal.
Source: The RISC-V "V" Vector Extension, version 1.0, sections 6, 10 to 16.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.cpu.riscv.compiled.state import (
    FULL,
    ILLEGAL,
    LENGTH,
    VLENB,
    VTYPE,
    XLEN,
    Content,
    Ints,
)
from sim.cpu.riscv.compiled.values import store
from sim.cpu.riscv.compiled.vector_access import access
from sim.cpu.riscv.compiled.vector_codes import (
    DEST_WIDTH,
    DOES,
    FLOATING,
    FORM,
    FROM,
    LEGAL,
    MASKED,
    NUMBER,
    ORDER,
    SCALAR,
    SCALAR_DEST,
    SECOND,
    VD,
    VS1,
    VS1_SIGNED,
    VS1_WIDTH,
    VS2,
    VS2_SIGNED,
    VS2_WIDTH,
    WHOLE,
)
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
from sim.cpu.riscv.vector.operation import Form, Scalar
from sim.jit import njit

SET, ELEMENTWISE, COMPARE, CONVERT = (
    int(form) for form in (Form.SET, Form.ELEMENTWISE, Form.COMPARE, Form.CONVERT)
)
REDUCE, MASK, COUNT, FIRST = (
    int(form) for form in (Form.REDUCE, Form.MASK, Form.COUNT, Form.FIRST)
)
SLIDE_UP, SLIDE_DOWN = int(Form.SLIDE_UP), int(Form.SLIDE_DOWN)
SLIDE_ONE_UP, SLIDE_ONE_DOWN = int(Form.SLIDE_ONE_UP), int(Form.SLIDE_ONE_DOWN)
GATHER, MERGE, INDEX, COPY = (
    int(form) for form in (Form.GATHER, Form.MERGE, Form.INDEX, Form.COPY)
)
TO_SCALAR, FROM_SCALAR = int(Form.TO_SCALAR), int(Form.FROM_SCALAR)
LOAD, STORE = int(Form.LOAD), int(Form.STORE)
_INTEGER, _FLOAT = int(Scalar.INTEGER), int(Scalar.FLOAT)
_FAR = np.int64(2**62)
"""A place behind every element."""
_BOX, _LOW, _SINGLE_NAN = np.int64(-1) << 32, np.int64(0xFFFF_FFFF), np.int64(0x7FC0_0000)


@njit(cache=True, inline="always")
def width(bits: Any, power: Any) -> Any:
    """Return a width times two to a power."""
    return bits << power if power >= 0 else bits >> -power


@njit(cache=True)
def grouping(vtype: Any) -> Any:
    """Return LMUL as a power of two."""
    return (vtype & 7) - 8 if vtype & 4 else vtype & 7


@njit(cache=True)
def most_elements(vtype: Any, vlenb: Any) -> Any:
    """Return VLMAX."""
    return (vlenb << 6 >> (3 - grouping(vtype))) >> (3 + (vtype >> 3 & 7))


@njit(cache=True)
def _supported(vtype: Any, vlenb: Any) -> Any:
    if vtype >> 8 or vtype & 7 == 4 or vtype >> 3 & 7 > 3:
        return False
    held = min(np.int64(64), vlenb << 3)
    power = grouping(vtype)
    if power < 0:
        held >>= -power
    return (np.int64(8) << (vtype >> 3 & 7)) <= held


@njit(cache=True)
def _configure(row: Ints, values: Ints, state: Ints) -> Any:
    """Set type and length; ILLEGAL where the length cannot stay."""
    vtype, wanted, keeps = row[NUMBER], np.int64(0), False
    if row[DOES] == 1:  # vsetivli
        vtype, wanted = row[NUMBER] >> 5, row[NUMBER] & 31
    else:
        if row[DOES] == 2:  # vsetvl
            vtype = values[row[SECOND]]
        wanted = values[row[FROM]]
        if wanted < 0:
            wanted = _FAR
        if row[FROM] == 0:
            wanted, keeps = _FAR, row[SCALAR_DEST] < 0
    if not _supported(vtype, state[VLENB]):
        state[VTYPE], state[LENGTH] = -1, 0
    else:
        most = most_elements(vtype, state[VLENB])
        if keeps:
            if state[VTYPE] < 0 or most_elements(state[VTYPE], state[VLENB]) != most:
                return ILLEGAL
            wanted = state[LENGTH]
        state[VTYPE], state[LENGTH] = vtype, min(wanted, most)
    if row[SCALAR_DEST] >= 0:
        values[row[SCALAR_DEST]] = state[LENGTH]
    return FULL


@njit(cache=True)
def _scalar(row: Ints, values: Ints, sew: Any) -> Any:
    """Return what stands in for vs1, sign-extended from SEW bits."""
    if row[SCALAR] == _INTEGER:
        return shortened(values[row[FROM]], sew)
    if row[SCALAR] == _FLOAT:
        value = values[row[FROM]]
        if sew == 64:
            return value
        return shortened(value if value >> 32 == -1 else _SINGLE_NAN, np.int64(32))
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
def _elementwise(row: Ints, registers: Ints, state: Ints, scalar: Any, sew: Any) -> None:
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
def _compare(row: Ints, registers: Ints, state: Ints, scalar: Any, sew: Any) -> None:
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
def _convert(row: Ints, registers: Ints, state: Ints, sew: Any) -> None:
    to, of = width(sew, row[DEST_WIDTH]), width(sew, row[VS2_WIDTH])
    for i in range(state[LENGTH]):
        if row[MASKED] and not bit(registers, 0, i):
            continue
        a = element(registers, row[VS2] * state[VLENB] + i * (of >> 3), of)
        made = converted(row[DOES], a, to, of)
        store(registers, to >> 3, row[VD] * state[VLENB] + i * (to >> 3), made)


@njit(cache=True)
def _reduce(row: Ints, registers: Ints, state: Ints, sew: Any) -> None:
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


@njit(cache=True)
def _logic(code: Any, a: Any, b: Any) -> Any:  # noqa: PLR0911 - a switch
    if code == 0:
        return a & b
    if code == 1:
        return 1 - (a & b)
    if code == 2:
        return a & (1 - b)
    if code == 3:
        return a ^ b
    if code == 4:
        return a | b
    if code == 5:
        return 1 - (a | b)
    if code == 6:
        return a | (1 - b)
    return 1 - (a ^ b)


@njit(cache=True)
def _on_masks(row: Ints, registers: Ints, state: Ints, values: Ints) -> None:
    """Do mask logic, `vcpop.m` or `vfirst.m`."""
    vlenb, count, first = state[VLENB], np.int64(0), np.int64(-1)
    for i in range(state[LENGTH]):
        if row[MASKED] and not bit(registers, 0, i):
            continue
        a = bit(registers, row[VS2] * vlenb, i)
        if row[FORM] == MASK:
            made = _logic(row[DOES], a, bit(registers, row[VS1] * vlenb, i))
            set_bit(registers, row[VD] * vlenb, i, made)
        count += a
        if a and first < 0:
            first = np.int64(i)
    if row[SCALAR_DEST] >= 0:
        values[row[SCALAR_DEST]] = count if row[FORM] == COUNT else first


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
def _move(row: Ints, registers: Ints, state: Ints, values: Ints, scalar: Any, sew: Any) -> None:  # noqa: PLR0917 - what a move depends on
    """Slide or gather."""
    offset = row[NUMBER] if row[SCALAR] != _INTEGER else values[row[FROM]]
    offset = offset if 0 <= offset < _FAR else _FAR
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
def _merge(row: Ints, registers: Ints, state: Ints, scalar: Any, sew: Any) -> None:
    vlenb, size = state[VLENB], sew >> 3
    for i in range(state[LENGTH]):
        made = scalar
        if not bit(registers, 0, i):
            made = element(registers, row[VS2] * vlenb + i * size, sew)
        elif row[VS1] >= 0:
            made = element(registers, row[VS1] * vlenb + i * size, sew)
        store(registers, size, row[VD] * vlenb + i * size, made)


@njit(cache=True)
def _others(row: Ints, registers: Ints, state: Ints, values: Ints, scalar: Any, sew: Any) -> None:  # noqa: C901, PLR0917 - a switch
    """Move between scalar and vector registers, copy whole registers, write indices."""
    form, vlenb, size = row[FORM], state[VLENB], sew >> 3
    if form == TO_SCALAR:
        made = element(registers, row[VS2] * vlenb, sew)
        if row[FLOATING] and sew == 32:
            made = _BOX | made & _LOW
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


@njit(cache=True)
def execute(  # noqa: C901 - a switch
    row: Ints, values: Ints, registers: Ints, state: Ints, content: Content
) -> Any:
    """Do a vector instruction; return FULL, ILLEGAL, or what is wrong with an access.

    The address of a faulty access is the second number.
    """
    form, vtype = row[FORM], state[VTYPE]
    if form == SET:
        return _configure(row, values, state), np.int64(0)
    if not row[LEGAL] >> (vtype & 63) & 1:
        return ILLEGAL, np.int64(0)
    if form in (LOAD, STORE):
        return access(row, values, registers, state, content)
    sew = np.int64(8) << (vtype >> 3 & 7)
    scalar = _scalar(row, values, sew)
    if form == ELEMENTWISE:
        _elementwise(row, registers, state, scalar, sew)
    elif form == COMPARE:
        _compare(row, registers, state, scalar, sew)
    elif form == CONVERT:
        _convert(row, registers, state, sew)
    elif form == REDUCE:
        _reduce(row, registers, state, sew)
    elif form in (MASK, COUNT, FIRST):
        _on_masks(row, registers, state, values)
    elif form in (TO_SCALAR, FROM_SCALAR, INDEX, COPY):
        _others(row, registers, state, values, scalar, sew)
    elif form == MERGE:
        _merge(row, registers, state, scalar, sew)
    else:
        _move(row, registers, state, values, scalar, sew)
    return FULL, np.int64(0)
