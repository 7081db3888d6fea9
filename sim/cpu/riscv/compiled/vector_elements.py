"""Elements of the compiled interpreter: numbers of 8 to 64 bits, sign-extended to 64.

Registers lie one behind the other as numbers of 64 bits, as memory does. Places count bytes.
Source: The RISC-V "V" Vector Extension, version 1.0, sections 11 and 13.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.cpu.riscv.compiled.arithmetic import integer
from sim.cpu.riscv.compiled.codes import (
    DIVU,
    FLT,
    MULH,
    MULHSU,
    MULHU,
    REMU,
    SLL,
    SRA,
    SRL,
    Ints,
)
from sim.cpu.riscv.compiled.floating import move, rounded, to_integer
from sim.cpu.riscv.compiled.vector_codes import (
    ADD_TO_DEST,
    DEST_MINUS,
    EQ,
    FIRST_OPERAND,
    FLOAT_EQ,
    FLOAT_NE,
    GT,
    LE,
    LEU,
    LT,
    LTU,
    MAX,
    MAXU,
    MIN,
    MINU,
    MINUS_DEST_TIMES,
    MOVE_FLOAT,
    MULTIPLY_DEST,
    NE,
    OF_FLOAT,
    SECOND_OPERAND,
    SWAPPED,
    TO_FLOAT,
    TO_UNSIGNED,
    TRUNCATING,
)
from sim.jit import njit

_SINGLE_NAN, _DOUBLE_NAN = np.int64(0x7FC0_0000), np.int64(0x7FF8_0000_0000_0000)
_NEAREST, _TOWARDS_ZERO = 0, 1


@njit(cache=True)
def shortened(value: Any, bits: Any) -> Any:
    """Sign-extend the lowest bits."""
    return value << (64 - bits) >> (64 - bits)


@njit(cache=True)
def unsigned(value: Any, bits: Any) -> Any:
    """Return the lowest bits, zero-extended."""
    return np.int64(np.uint64(value) << np.uint64(64 - bits) >> np.uint64(64 - bits))


@njit(cache=True)
def element(numbers: Ints, place: Any, bits: Any) -> Any:
    """Return the element at a place, sign-extended."""
    return shortened(numbers[np.uint64(place >> 3)] >> ((place & 7) << 3), bits)


@njit(cache=True)
def bit(numbers: Ints, place: Any, index: Any) -> Any:
    """Return a bit of the mask that begins at a place."""
    at = (place << 3) + index
    return numbers[np.uint64(at >> 6)] >> (at & 63) & 1


@njit(cache=True)
def set_bit(numbers: Ints, place: Any, index: Any, value: Any) -> None:
    """Set a bit of the mask that begins at a place."""
    at = (place << 3) + index
    one = np.int64(1) << (at & 63)
    word = np.uint64(at >> 6)
    numbers[word] = numbers[word] | one if value else numbers[word] & ~one


@njit(cache=True)
def as_double(pattern: Any, bits: Any) -> Any:
    """Return an element's value, exact as a double."""
    if bits == 32:
        return np.float64(np.int32(pattern).view(np.float32))
    return np.int64(pattern).view(np.float64)


@njit(cache=True)
def of_single(value: Any) -> Any:
    """Return a single's pattern; a NaN becomes the canonical one."""
    if value == value:  # noqa: PLR0124 - no NaN
        return np.int64(np.float32(value).view(np.int32))
    return _SINGLE_NAN


@njit(cache=True)
def of_double(value: Any) -> Any:
    """Return a double's pattern; a NaN becomes the canonical one."""
    if value == value:  # noqa: PLR0124 - no NaN
        return np.float64(value).view(np.int64)
    return _DOUBLE_NAN


@njit(cache=True)
def _high(code: Any, a: Any, b: Any, bits: Any) -> Any:
    """Return the upper half of a product of less than 64 bits."""
    if code == MULH:
        return a * b >> bits
    low = unsigned(b, bits)
    if code == MULHSU:
        return a * low >> bits
    return np.int64(np.uint64(unsigned(a, bits)) * np.uint64(low) >> np.uint64(bits))


@njit(cache=True)
def _extreme(code: Any, a: Any, b: Any) -> Any:
    """Return the smaller or larger; sign-extended numbers keep their unsigned order."""
    if code == MIN:
        return min(a, b)
    if code == MAX:
        return max(a, b)
    below = np.uint64(a) < np.uint64(b)
    if code == MINU:
        return a if below else b
    return b if below else a


@njit(cache=True)
def whole(code: Any, a: Any, b: Any, bits: Any) -> Any:
    """Compute an integer element, of whose result the lowest bits count."""
    if code in (FIRST_OPERAND, SECOND_OPERAND):
        return a if code == FIRST_OPERAND else b
    if code in (MIN, MAX, MINU, MAXU):
        return _extreme(code, a, b)
    if bits < 64 and code in (MULH, MULHSU, MULHU):
        return _high(code, a, b, bits)
    if code in (SRL, DIVU, REMU):
        a = unsigned(a, bits)
    if code in (DIVU, REMU):
        b = unsigned(b, bits)
    if code in (SLL, SRL, SRA):
        b &= bits - 1
    return integer(code, a, b)


@njit(cache=True)
def integer_element(  # noqa: PLR0917 - three operands and what is done
    code: Any, order: Any, a: Any, b: Any, d: Any, bits: Any
) -> Any:
    """Compute an integer element of vs2 `a`, vs1 `b` and the old destination `d`."""
    if order == ADD_TO_DEST:
        return d + a * b
    if order == DEST_MINUS:
        return d - a * b
    if order == MULTIPLY_DEST:
        return b * d + a
    if order == MINUS_DEST_TIMES:
        return a - b * d
    if order == SWAPPED:
        return whole(code, b, a, bits)
    return whole(code, a, b, bits)


@njit(cache=True, error_model="numpy")
def float_element(  # noqa: PLR0917 - three operands and what is done
    code: Any, order: Any, a: Any, b: Any, d: Any, bits: Any
) -> Any:
    """Compute a floating-point element, of patterns."""
    if code >= MOVE_FLOAT:
        low = np.int64(-1) if bits == 64 else np.int64(0xFFFF_FFFF)
        x, y = as_double(a, bits), as_double(b, bits)
        return move(code - MOVE_FLOAT, a & low, b & low, x, y, bits)
    first, second, third = a, b, d
    if order in (SWAPPED, ADD_TO_DEST):
        first, second = b, a
    elif order == MULTIPLY_DEST:
        first, second, third = b, d, a
    if bits == 64:
        p, q = np.int64(first).view(np.float64), np.int64(second).view(np.float64)
        return of_double(rounded(code, p, q, np.int64(third).view(np.float64)))
    x32, y32 = np.int32(first).view(np.float32), np.int32(second).view(np.float32)
    return of_single(rounded(code, x32, y32, np.int32(third).view(np.float32)))


@njit(cache=True)
def integers_compare(code: Any, a: Any, b: Any) -> Any:  # noqa: PLR0911 - a switch
    """Whether a comparison of integers holds."""
    if code == EQ:
        return a == b
    if code == NE:
        return a != b
    if code == LT:
        return a < b
    if code == LE:
        return a <= b
    if code == GT:
        return a > b
    x, y = np.uint64(a), np.uint64(b)
    if code == LTU:
        return x < y
    if code == LEU:
        return x <= y
    return x > y


@njit(cache=True)
def floats_compare(code: Any, order: Any, a: Any, b: Any, bits: Any) -> Any:
    """Whether a comparison of floating-point elements holds."""
    x, y = as_double(a, bits), as_double(b, bits)
    if order == SWAPPED:
        x, y = y, x
    if code == FLOAT_EQ:
        return x == y
    if code == FLOAT_NE:
        return x != y
    return x < y if code == FLT else x <= y


@njit(cache=True)
def converted(code: Any, pattern: Any, to_bits: Any, of_bits: Any) -> Any:
    """Convert an element between kinds of numbers and widths."""
    if code & OF_FLOAT:
        x = as_double(pattern, of_bits)
        if code & TO_FLOAT:
            return of_double(x) if to_bits == 64 else of_single(np.float32(x))
        mode = _TOWARDS_ZERO if code & TRUNCATING else _NEAREST
        if to_bits == 64:
            return to_integer(x, 3 if code & TO_UNSIGNED else 2, mode)
        least, most = -(np.int64(1) << (to_bits - 1)), (np.int64(1) << (to_bits - 1)) - 1
        if code & TO_UNSIGNED:
            least, most = np.int64(0), (np.int64(1) << to_bits) - 1
        return min(max(to_integer(x, 2, mode), least), most)
    if code & TO_UNSIGNED:
        low = np.uint64(unsigned(pattern, of_bits))
        return of_double(np.float64(low)) if to_bits == 64 else of_single(np.float32(low))
    return of_double(np.float64(pattern)) if to_bits == 64 else of_single(np.float32(pattern))
