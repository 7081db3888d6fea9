"""Registers and memory of the compiled interpreter: both are numbers of 64 bits.

Singles lie boxed in NaNs. Source: The RISC-V Instruction Set Manual, Volume I, version 20240411,
chapters 2, 20 and 21.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.cpu.riscv.compiled.arithmetic import atomic, word
from sim.cpu.riscv.compiled.codes import (
    BYTES,
    CODE,
    FEQ,
    FLW,
    FROM_INTEGER,
    IMMEDIATE,
    LB,
    LBU,
    LD,
    LH,
    LHU,
    LW,
    RAW,
    TO,
    TO_DOUBLE,
    TO_SINGLE,
    W_X,
    WIDE,
    X_W,
    A,
    B,
    Ints,
)
from sim.cpu.riscv.compiled.floating import move, to_integer
from sim.jit import njit

BOX = np.int64(-1) << 32
_LOW = np.int64(0xFFFF_FFFF)
SINGLE_NAN, DOUBLE_NAN = np.int64(0x7FC0_0000), np.int64(0x7FF8_0000_0000_0000)


@njit(cache=True, inline="always")
def place_of(regions: Ints, address: Any, size: Any) -> Any:
    """Return where in the content an access lies, -1 where no region has it."""
    for region in range(len(regions)):
        if regions[region, 0] <= address <= regions[region, 1] - size:
            return regions[region, 2] + address - regions[region, 0]
    return np.int64(-1)


@njit(cache=True, inline="always")
def load(numbers: Ints, code: Any, at: Any) -> Any:  # noqa: PLR0911 - a switch
    """Return what a load at a place in memory writes to its register."""
    number = numbers[np.uint64(at >> 3)] >> ((at & 7) << 3)
    if code == LD:
        return number
    if code == FLW:
        return BOX | number & _LOW
    if code == LW:
        return word(number)
    if code == LB:
        return np.int64(np.int8(number))
    if code == LBU:
        return number & 0xFF
    if code == LH:
        return np.int64(np.int16(number))
    if code == LHU:
        return number & 0xFFFF
    return number & _LOW


@njit(cache=True, inline="always")
def store(numbers: Ints, size: Any, at: Any, value: Any) -> None:
    """Store the lowest bytes of a value."""
    place = np.uint64(at >> 3)
    if size == 8:
        numbers[place] = value
    else:
        shift = (at & 7) << 3
        bits = (np.int64(1) << (size << 3)) - 1
        numbers[place] = numbers[place] & ~(bits << shift) | (value & bits) << shift


@njit(cache=True, inline="always")
def single(values: Ints, number: Any) -> Any:
    """Return a register's single; what is no boxed single reads as a NaN."""
    return np.int32(_pattern(values, number)).view(np.float32)


@njit(cache=True, inline="always")
def _pattern(values: Ints, number: Any) -> Any:
    value = values[np.uint64(number)]
    return value & _LOW if value >> 32 == -1 else SINGLE_NAN


@njit(cache=True, inline="always")
def set_single(values: Ints, number: Any, value: Any) -> None:
    """Box a single in a register; a NaN becomes the canonical one."""
    low = SINGLE_NAN
    if value == value:  # noqa: PLR0124 - no NaN
        low = np.int64(np.float32(value).view(np.int32)) & _LOW
    values[np.uint64(number)] = BOX | low


@njit(cache=True, inline="always")
def double(values: Ints, number: Any) -> Any:
    """Return a register's double."""
    return np.int64(values[np.uint64(number)]).view(np.float64)


@njit(cache=True, inline="always")
def set_double(values: Ints, number: Any, value: Any) -> None:
    """Set a register to a double; a NaN becomes the canonical one."""
    pattern = DOUBLE_NAN
    if value == value:  # noqa: PLR0124 - no NaN
        pattern = np.float64(value).view(np.int64)
    values[np.uint64(number)] = pattern


@njit(cache=True, inline="always")
def moved(values: Ints, row: Ints) -> Any:
    """Return what a `MOVE` writes to its destination."""
    code, first, second = row[CODE], row[A], row[B]
    if code == RAW:
        return values[first]
    if code == X_W:
        return word(values[first])
    if code == W_X:
        return BOX | values[first] & _LOW
    second = max(second, 0)  # `fclass` has one operand
    if code >= WIDE:
        x, y = double(values, first), double(values, second)
        return move(code - WIDE, values[first], values[second], x, y, np.int64(64))
    a, b = _pattern(values, first), _pattern(values, second)
    x, y = np.float64(single(values, first)), np.float64(single(values, second))
    made = move(code, a, b, x, y, np.int64(32))
    return BOX | made if code < FEQ else made


@njit(cache=True, inline="always")
def convert(values: Ints, row: Ints) -> None:
    """Do a conversion between formats, or from or to an integer."""
    code, to, of = row[CODE], row[TO], row[A]
    if code == TO_SINGLE:
        set_single(values, to, np.float32(double(values, of)))
    elif code == TO_DOUBLE:
        set_double(values, to, np.float64(single(values, of)))
    elif code < FROM_INTEGER:
        x = double(values, of) if code & 4 else np.float64(single(values, of))
        values[to] = to_integer(x, code & 3, row[IMMEDIATE])
    else:
        value = values[of]
        form = code & 3
        if form < 2:
            value = word(value) if form == 0 else value & _LOW
        if code & 4:
            made = np.float64(np.uint64(value)) if form == 3 else np.float64(value)
            set_double(values, to, made)
        else:
            low = np.float32(np.uint64(value)) if form == 3 else np.float32(value)
            set_single(values, to, low)


@njit(cache=True, inline="always")
def atomically(values: Ints, numbers: Ints, row: Ints, at: Any) -> None:
    """Do an atomic's load, operation and store."""
    operand = values[row[A]]
    old = load(numbers, LD if row[BYTES] == 8 else LW, at)
    if row[BYTES] == 4:
        operand = word(operand)
    store(numbers, row[BYTES], at, atomic(row[CODE], old, operand))
    values[row[TO]] = old
