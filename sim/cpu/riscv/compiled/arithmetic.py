"""Integer arithmetic of the compiled interpreter, on sign-extended registers.

Source: The RISC-V Instruction Set Manual, Volume I, version 20240411, chapters 2, 4, 7, 13, 14.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.cpu.riscv.compiled.codes import (
    AADD,
    AAND,
    ADD,
    AMAX,
    AMAXU,
    AMIN,
    AMINU,
    AND,
    AOR,
    AXOR,
    BEQ,
    BGE,
    BLT,
    BLTU,
    BNE,
    DIV,
    DIVU,
    MUL,
    MULH,
    MULHSU,
    MULHU,
    OR,
    REM,
    SLL,
    SLT,
    SLTU,
    SRA,
    SRL,
    SUB,
    WORD,
    XOR,
)
from sim.jit import njit

LEAST = -(2**63)
_LOW = 0xFFFF_FFFF


@njit(cache=True, inline="always")
def word(value: Any) -> Any:
    """Sign-extend the lowest 32 bits."""
    return np.int64(np.int32(value))


@njit(cache=True)
def _high_unsigned(a: Any, b: Any) -> Any:
    """Return the upper 64 bits of an unsigned product."""
    x, y, half, low = np.uint64(a), np.uint64(b), np.uint64(32), np.uint64(_LOW)
    x_low, x_high, y_low, y_high = x & low, x >> half, y & low, y >> half
    cross = x_high * y_low + (x_low * y_low >> half)
    middle = x_low * y_high + (cross & low)
    return np.int64(x_high * y_high + (cross >> half) + (middle >> half))


@njit(cache=True)
def _multiply_high(code: Any, a: Any, b: Any) -> Any:
    high = _high_unsigned(a, b)
    if code != MULHU and a < 0:
        high -= b
    if code == MULH and b < 0:
        high -= a
    return high


@njit(cache=True, error_model="numpy")
def _divide(code: Any, a: Any, b: Any) -> Any:
    if b == 0:
        return np.int64(-1) if code in (DIV, DIVU) else a
    if code in (DIV, REM):
        if a == LEAST and b == -1:
            return a if code == DIV else np.int64(0)
        quotient = a // b
        if quotient < 0 and quotient * b != a:
            quotient += 1
        return quotient if code == DIV else a - quotient * b
    if code == DIVU:
        return np.int64(np.uint64(a) // np.uint64(b))
    return np.int64(np.uint64(a) % np.uint64(b))


@njit(cache=True)
def _on_words(code: Any, a: Any, b: Any) -> Any:  # noqa: PLR0911 - one return an operation
    amount = b & 31
    if code == SLL:
        return word(a << amount)
    if code == SRL:
        return word((a & _LOW) >> amount)
    if code == SRA:
        return word(a) >> amount
    if code == MULH:
        return (a * b) >> 32
    if code == MULHU:
        return word(np.int64(np.uint64(a & _LOW) * np.uint64(b & _LOW) >> np.uint64(32)))
    if code == MULHSU:
        return word((a * (b & _LOW)) >> 32)
    if code == DIVU or code > REM:
        return word(_divide(code, a & _LOW, b & _LOW))
    return word(_divide(code, word(a), word(b)))


@njit(cache=True, inline="always")
def integer(code: Any, a: Any, b: Any) -> Any:  # noqa: C901, PLR0911, PLR0912 - a switch
    """Compute an integer operation."""
    if code == ADD:
        return a + b
    if code == ADD + WORD:
        return word(a + b)
    if code == SUB:
        return a - b
    if code == SUB + WORD:
        return word(a - b)
    if code == AND:
        return a & b
    if code == OR:
        return a | b
    if code == XOR:
        return a ^ b
    if code == SLT:
        return np.int64(a < b)
    if code == SLTU:
        return np.int64(np.uint64(a) < np.uint64(b))
    if code == SLL:
        return a << (b & 63)
    if code == SRL:
        return np.int64(np.uint64(a) >> np.uint64(b & 63))
    if code == SRA:
        return a >> (b & 63)
    if code == MUL:
        return a * b
    if code == MUL + WORD:
        return word(a * b)
    if code >= WORD:
        return _on_words(code - WORD, a, b)
    if code < DIV:
        return _multiply_high(code, a, b)
    return _divide(code, a, b)


@njit(cache=True, inline="always")
def holds(code: Any, a: Any, b: Any) -> Any:
    """Return whether a branch's condition holds."""
    if code == BEQ:
        return a == b
    if code == BNE:
        return a != b
    if code == BLT:
        return a < b
    if code == BGE:
        return a >= b
    if code == BLTU:
        return np.uint64(a) < np.uint64(b)
    return np.uint64(a) >= np.uint64(b)


@njit(cache=True)
def atomic(code: Any, old: Any, b: Any) -> Any:  # noqa: PLR0911 - a switch
    """Return what an atomic leaves in memory; both operands are sign-extended."""
    if code == AADD:
        return old + b
    if code == AXOR:
        return old ^ b
    if code == AAND:
        return old & b
    if code == AOR:
        return old | b
    if code == AMIN:
        return min(old, b)
    if code == AMAX:
        return max(old, b)
    if code == AMINU:
        return old if np.uint64(old) < np.uint64(b) else b
    if code == AMAXU:
        return old if np.uint64(old) > np.uint64(b) else b
    return b
