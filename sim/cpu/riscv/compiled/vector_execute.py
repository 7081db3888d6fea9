"""Vector instructions of the compiled interpreter, on registers as numbers of 64 bits.

`sim.cpu.riscv.vector.execute` is the readable specification; a property test holds both equal.
Source: The RISC-V "V" Vector Extension, version 1.0, sections 6, 10 to 16.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.cpu.riscv.compiled.state import FULL, ILLEGAL, VTYPE, Content, Ints
from sim.cpu.riscv.compiled.vector_access import access
from sim.cpu.riscv.compiled.vector_arithmetic import (
    compare,
    convert,
    elementwise,
    reduce,
    scalar_of,
)
from sim.cpu.riscv.compiled.vector_codes import (
    COMPARE,
    CONVERT,
    COPY,
    COUNT,
    ELEMENTWISE,
    FIRST,
    FORM,
    FROM_SCALAR,
    INDEX,
    LEGAL,
    LOAD,
    MASK,
    MERGE,
    REDUCE,
    SET,
    STORE,
    TO_SCALAR,
)
from sim.cpu.riscv.compiled.vector_configure import configure
from sim.cpu.riscv.compiled.vector_masks import on_masks
from sim.cpu.riscv.compiled.vector_moves import merge, move, others
from sim.cpu.riscv.compiled.vector_singles import move_words, moves_words, singles, takes_singles
from sim.jit import njit


@njit(cache=True)
def execute(  # noqa: C901, PLR0912 - a switch
    row: Ints, values: Ints, registers: Ints, state: Ints, content: Content
) -> Any:
    """Do a vector instruction; return FULL, ILLEGAL, or what is wrong with an access.

    The address of a faulty access is the second number.
    """
    form, vtype = row[FORM], state[VTYPE]
    if form == SET:
        return configure(row, values, state), np.int64(0)
    if not row[LEGAL] >> (vtype & 63) & 1:
        return ILLEGAL, np.int64(0)
    if form in (LOAD, STORE):
        place = moves_words(row, state, values, content.regions)
        if place < 0:
            return access(row, values, registers, state, content)
        move_words(row, state, registers, content.numbers, place)
        return FULL, np.int64(0)
    sew = np.int64(8) << (vtype >> 3 & 7)
    scalar = scalar_of(row, values, sew)
    if form == ELEMENTWISE and takes_singles(row, sew):
        singles(row, registers, state, scalar)
    elif form == ELEMENTWISE:
        elementwise(row, registers, state, scalar, sew)
    elif form == COMPARE:
        compare(row, registers, state, scalar, sew)
    elif form == CONVERT:
        convert(row, registers, state, sew)
    elif form == REDUCE:
        reduce(row, registers, state, sew)
    elif form in (MASK, COUNT, FIRST):
        on_masks(row, registers, state, values)
    elif form in (TO_SCALAR, FROM_SCALAR, INDEX, COPY):
        others(row, registers, state, values, scalar, sew)
    elif form == MERGE:
        merge(row, registers, state, scalar, sew)
    else:
        move(row, registers, state, values, scalar, sew)
    return FULL, np.int64(0)
