"""What the compiled loop works on: its state, why it stops, memory, caches, vector registers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

INDEX, RETIRED, ADDRESS, FAULT, ADDRESS_MASK, TEXT_BASE, HART_ID, LAST = range(8)
"""In a state: the next instruction's index, instructions so far, the address of an access that
failed or of an instruction that is not there, the index of the instruction that failed, which bits
an address has, where the text begins, the hart's number, and the index of the last instruction
executed, -1 for none."""
STATE = 8
(FULL, SECTION, CALL, NO_INSTRUCTION, MISALIGNED, WILD, POWER_OFF, ILLEGAL) = range(8)
"""Why the loop stopped: as many instructions as asked for, a section's first instruction, an
environment call, and faults; `ILLEGAL` is a vector instruction under its vtype."""


class Content(NamedTuple):
    """Memory as numbers of 64 bits, little-endian, and the regions in it."""

    numbers: Ints
    regions: Ints
    """[regions, 3]: first address, end, and place of the first byte."""
    power_off: tuple[int, int]
    """Address of the power-off register, and the value that ends the run."""


class Caches(NamedTuple):
    """Caches as the compiled hierarchy keeps them, and what a miss costs."""

    table: Ints
    state: Ints
    frames: Ints
    miss_cycles: Ints
    """By level at which an access is found, main memory last."""
    write_back_cycles: int
    """By which each line that goes to main memory lengthens the access that drives it out."""


class Vectors(NamedTuple):
    """Vector registers, and the rows of `vector_codes` beside those of `codes`."""

    code: Ints
    registers: Ints
    """v0, then v1, and so on."""
    state: Ints
    """[VECTOR_STATE]"""
    work: Ints
    """[most, WORK_COLUMNS]: what executed vector instructions ask of the vector unit, if timed."""
    like_cycles: Ints
    """By kind of operation: cycles until an element's result is there."""
    unit: Ints
    """[UNIT]"""


VLENB, LENGTH, VTYPE, XLEN, WORK = range(5)
"""In a vector state: bytes of a register, `vl`, `vtype` (-1: invalid), bits of a scalar register,
and how many rows of work are filled."""
VECTOR_STATE = 5
DATAPATH_BITS, MEMORY_BYTES, CHAINS = range(3)
"""Of a vector unit: bits computed and bytes moved in a cycle, and whether it chains."""
UNIT = 3
(ROW, PORT, OCCUPIES, LATENCY, WORK_MISS, WORK_TO_DRAM, RESULT, RESULTS, TO_REGISTER) = range(9)
OPERANDS = 9
"""Columns of work: the instruction's row among those executed, which part of the unit it takes and
for how long, cycles to a result, of misses, the registers written; then up to four groups of
registers read, each as first and count."""
OPERAND_GROUPS = 4
WORK_COLUMNS = OPERANDS + 2 * OPERAND_GROUPS
NO_PORT, ARITHMETIC, MEMORY = -1, 0, 1
