"""Mask instructions of the compiled interpreter.

`sim.cpu.riscv.vector.execute` is the readable specification; a property test holds both equal.
Source: The RISC-V "V" Vector Extension, version 1.0, section 15.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.cpu.riscv.compiled.state import LENGTH, VLENB, Ints
from sim.cpu.riscv.compiled.vector_codes import (
    COUNT,
    DOES,
    FORM,
    MASK,
    MASKED,
    SCALAR_DEST,
    VD,
    VS1,
    VS2,
)
from sim.cpu.riscv.compiled.vector_elements import bit, set_bit
from sim.jit import njit


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
def on_masks(row: Ints, registers: Ints, state: Ints, values: Ints) -> None:
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
