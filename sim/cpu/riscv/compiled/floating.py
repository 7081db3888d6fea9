"""Floating point of the compiled interpreter: the host's own, which rounds as IEEE 754 says.

Source: IEEE 754-2019; The RISC-V Instruction Set Manual, Volume I, version 20240411, chapters 20
and 21.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import intrinsic

from sim.cpu.riscv.compiled.codes import (
    FADD,
    FCLASS,
    FDIV,
    FEQ,
    FLT,
    FMADD,
    FMAX,
    FMIN,
    FMSUB,
    FMUL,
    FNMSUB,
    FSGNJ,
    FSGNJN,
    FSGNJX,
    FSQRT,
    FSUB,
    RDN,
    RNE,
    RTZ,
    RUP,
)
from sim.jit import njit

TWO_63, TWO_64 = 2.0**63, 2.0**64
_LEAST, _MOST = -(2**63), 2**63 - 1


@intrinsic
def _fused(_: Any, a: Any, b: Any, c: Any) -> Any:
    """Multiply and add, rounded once."""

    def generate(_: Any, builder: Any, __: Any, args: Any) -> Any:
        return builder.fma(*args)

    return a(a, b, c), generate


fused: Any = _fused


@njit(cache=True, inline="always", error_model="numpy")
def rounded(code: Any, a: Any, b: Any, c: Any) -> Any:  # noqa: PLR0911 - a switch
    """Compute what rounds, in the operands' own format."""
    if code == FADD:
        return a + b
    if code == FSUB:
        return a - b
    if code == FMUL:
        return a * b
    if code == FDIV:
        return a / b
    if code == FSQRT:
        return np.sqrt(a)
    if code == FMADD:
        return fused(a, b, c)
    if code == FMSUB:
        return fused(a, b, -c)
    if code == FNMSUB:
        return fused(-a, b, c)
    return fused(-a, b, -c)


@njit(cache=True)
def move(  # noqa: PLR0911, PLR0917 - a switch
    code: Any, a: Any, b: Any, x: Any, y: Any, bits: Any
) -> Any:
    """Do what keeps or compares patterns `a` and `b` of `bits` bits, of the values `x` and `y`."""
    sign = np.int64(1) << (bits - 1)
    if code == FSGNJ:
        return a & (sign - 1) | b & sign
    if code == FSGNJN:
        return a & (sign - 1) | ~b & sign
    if code == FSGNJX:
        return a ^ b & sign
    if code in (FMIN, FMAX):
        return _extreme(code, a, b, x, y, bits)
    if code == FEQ:
        return np.int64(x == y)
    if code == FLT:
        return np.int64(x < y)
    if code == FCLASS:
        return _classify(a, bits)
    return np.int64(x <= y)


@njit(cache=True)
def _extreme(  # noqa: PLR0917 - two operands, as patterns and as values
    code: Any, a: Any, b: Any, x: Any, y: Any, bits: Any
) -> Any:
    """Return the smaller or larger: a number before a NaN, -0 below +0."""
    if x != x and y != y:  # noqa: PLR0124 - a NaN
        return np.int64(0x7FC0_0000) if bits == 32 else np.int64(0x7FF8_0000_0000_0000)
    if x != x:  # noqa: PLR0124 - a NaN
        return b
    if y != y:  # noqa: PLR0124 - a NaN
        return a
    below = x < y
    if x == y:
        below = bool(a >> (bits - 1) & 1) and not bool(b >> (bits - 1) & 1)
    if code == FMIN:
        return a if below or a == b else b
    return b if below else a


@njit(cache=True)
def _classify(a: Any, bits: Any) -> Any:
    fraction = 23 if bits == 32 else 52
    size = a & ((np.int64(1) << (bits - 1)) - 1)
    infinity = ((np.int64(1) << (bits - 1 - fraction)) - 1) << fraction
    if size > infinity:
        return np.int64(1) << (8 + (size >> (fraction - 1) & 1))
    rank = np.int64(2)
    if size == 0:
        rank = np.int64(0)
    elif size >> fraction == 0:
        rank = np.int64(1)
    elif size == infinity:
        rank = np.int64(3)
    return np.int64(1) << (3 - rank if a >> (bits - 1) & 1 else 4 + rank)


@njit(cache=True)
def _whole(x: Any, mode: Any) -> Any:
    if mode == RTZ:
        return np.trunc(x)
    if mode == RDN:
        return np.floor(x)
    if mode == RUP:
        return np.ceil(x)
    if mode == RNE:
        return np.rint(x)
    size = np.trunc(abs(x))
    if abs(x) - size >= 0.5:
        size += 1.0
    return np.copysign(size, x)


@njit(cache=True)
def to_integer(x: Any, form: Any, mode: Any) -> Any:  # noqa: PLR0911 - a switch
    """Convert a double to an integer, clamped; forms as in `codes.INTEGER_FORMS`."""
    if x != x:  # noqa: PLR0124 - a NaN
        return np.int64(2**31 - 1 if form == 0 else _MOST if form == 2 else -1)
    whole = _whole(x, mode)
    if form == 0:
        return np.int64(min(max(whole, -2147483648.0), 2147483647.0))
    if form == 1:
        return np.int64(np.int32(np.int64(min(max(whole, 0.0), 4294967295.0))))
    if form == 2:
        if whole >= TWO_63:
            return np.int64(_MOST)
        return np.int64(whole) if whole >= -TWO_63 else np.int64(_LEAST)
    if whole >= TWO_64:
        return np.int64(-1)
    if whole >= TWO_63:
        return np.int64(whole - TWO_63) ^ np.int64(_LEAST)
    return np.int64(max(whole, 0.0))
