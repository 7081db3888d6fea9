"""The configuration of the compiled interpreter's vector side: vtype and vl.

`sim.cpu.riscv.vector.execute` is the readable specification; a property test holds both equal.
Source: The RISC-V "V" Vector Extension, version 1.0, sections 3.4 and 6.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.cpu.riscv.compiled.state import FULL, ILLEGAL, LENGTH, VLENB, VTYPE, Ints
from sim.cpu.riscv.compiled.vector_codes import DOES, FROM, NUMBER, SCALAR_DEST, SECOND
from sim.jit import njit

FAR = np.int64(2**62)
"""A place behind every element."""


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
def configure(row: Ints, values: Ints, state: Ints) -> Any:
    """Set type and length; ILLEGAL where the length cannot stay."""
    vtype, wanted, keeps = row[NUMBER], np.int64(0), False
    if row[DOES] == 1:  # vsetivli
        vtype, wanted = row[NUMBER] >> 5, row[NUMBER] & 31
    else:
        if row[DOES] == 2:  # vsetvl
            vtype = values[row[SECOND]]
        wanted = values[row[FROM]]
        if wanted < 0:
            wanted = FAR
        if row[FROM] == 0:
            wanted, keeps = FAR, row[SCALAR_DEST] < 0
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
