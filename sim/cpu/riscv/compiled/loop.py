"""The loop of the compiled interpreter: instructions until something needs Python.

In one pass it computes values, finds every access in the caches, and writes down for each executed
instruction the row from which `inorder_compiled.advance` takes its time.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from sim.cpu.inorder_compiled import COLUMNS, MISS, TAKEN, TO_DRAM
from sim.cpu.riscv.compiled.arithmetic import holds, integer
from sim.cpu.riscv.compiled.codes import (
    ATOMIC,
    BRANCH,
    BYTES,
    CODE,
    CONSTANT,
    CONVERT,
    COUNTER,
    DOUBLE,
    ENVIRONMENT,
    GROUP,
    HART,
    IMMEDIATE,
    INDIRECT,
    INTEGER,
    JUMP,
    LINK,
    LOAD,
    MARK,
    MOVE,
    SINGLE,
    STORE,
    TARGET,
    TO,
    WITH_IMMEDIATE,
    A,
    B,
    C,
)
from sim.cpu.riscv.compiled.floating import rounded
from sim.cpu.riscv.compiled.values import (
    atomically,
    convert,
    double,
    load,
    moved,
    place_of,
    set_double,
    set_single,
    single,
    store,
)
from sim.memory.cache.compiled import unowned
from sim.memory.cache.compiled_request import request
from sim.memory.cache.compiled_sets import find, use
from sim.memory.cache.compiled_state import COUNTS, LINES, LOAD_HITS, SHIFT, STORE_HITS

Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int64]

INDEX, RETIRED, ADDRESS, FAULT, ADDRESS_MASK, TEXT_BASE, HART_ID = range(7)
"""In a state: the next instruction's index, instructions so far, the address of an access that
failed or of an instruction that is not there, the index of the instruction that failed, which bits
an address has, where the text begins, and the hart's number."""
STATE = 7
(FULL, SECTION, CALL, NO_INSTRUCTION, MISALIGNED, WILD, POWER_OFF) = range(7)
"""Why the loop stopped: as many instructions as asked for, a section's first instruction, an
environment call, and faults."""
MEMORY_WRITES = 1
"""Of main memory's counters."""


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


@njit(cache=True)
def _missed(caches: Caches, kind: Any, address: Any, size: Any, row: Rows) -> None:
    """Pass an access through the levels; note in its row what it costs beyond a hit in L1."""
    table, state, frames = unowned(caches.table), unowned(caches.state), unowned(caches.frames)
    counter = table[len(table) - 1, COUNTS] + MEMORY_WRITES
    before = state[counter]
    depth = request(kind, address, address + size - 1, table, state, frames)
    driven_out = state[counter] - before
    row[MISS] = caches.miss_cycles[depth] + driven_out * caches.write_back_cycles
    row[TO_DRAM] = depth == len(caches.miss_cycles) - 1 or driven_out > 0


@njit(cache=True, inline="always")
def _look_up(  # noqa: PLR0917 - an access, then what it passes through
    caches: Caches, table: Ints, state: Ints, stored: Any, address: Any, size: Any, row: Rows
) -> None:
    """Find an access in the caches; a hit in the first level costs nothing more."""
    place = find(table, state, 0, address >> table[0, SHIFT])
    if place < 0:
        _missed(caches, np.int64(stored), address, size, row)
        return
    place = use(table, state, 0, place)
    state[table[0, LINES] + place] |= stored
    state[table[0, COUNTS] + (STORE_HITS if stored else LOAD_HITS)] += 1


@njit(cache=True, inline="always")
def _access(values: Ints, numbers: Ints, row: Ints, place: Any) -> None:
    """Do a load, store or atomic at a place in memory."""
    if row[GROUP] == LOAD:
        values[row[TO]] = load(numbers, row[CODE], place)
    elif row[GROUP] == STORE:
        store(numbers, row[BYTES], place, values[row[A]])
    else:
        atomically(values, numbers, row, place)


@njit(cache=True)
def _power_off(value: Any, size: Any, ends: Any) -> Any:
    """Return whether a store to the power-off register ends the run."""
    shift = np.uint64(64 - 8 * size)
    stored = np.uint64(value) << shift >> shift
    return POWER_OFF if stored == np.uint64(ends) else FULL


@njit(cache=True, inline="always")
def _compute(values: Ints, row: Ints) -> None:
    """Do what neither accesses memory nor goes elsewhere."""
    group, operation = row[GROUP], row[CODE]
    if group == INTEGER:
        values[row[TO]] = integer(operation, values[row[A]], values[row[B]])
    elif group == WITH_IMMEDIATE:
        values[row[TO]] = integer(operation, values[row[A]], row[IMMEDIATE])
    elif group == SINGLE:
        x, y = single(values, row[A]), single(values, max(row[B], 0))
        z = single(values, max(row[C], 0))
        set_single(values, row[TO], rounded(operation, x, y, z))
    elif group == DOUBLE:
        p, q = double(values, row[A]), double(values, max(row[B], 0))
        r = double(values, max(row[C], 0))
        set_double(values, row[TO], rounded(operation, p, q, r))
    elif group == CONSTANT:
        values[row[TO]] = row[IMMEDIATE]
    elif group == MOVE:
        values[row[TO]] = moved(values, row)
    elif group == CONVERT:
        convert(values, row)


@njit(cache=True, error_model="numpy")
def run_block(  # noqa: C901, PLR0912, PLR0915, PLR0917 - one switch, kept in one loop
    code: Ints,
    steps: Rows,
    registers: Ints,
    content: Content,
    caches: Caches,
    owned_state: Ints,
    rows: Rows,
    most: int,
    timed: bool,
) -> tuple[int, int]:
    """Execute up to `most` instructions; return why it stopped and how many were executed.

    `steps` is what the pipeline knows of each instruction of the program; where `timed`, `rows`
    [most] receives a copy for each executed one, with its miss and whether it was taken.
    """
    code, steps, rows = unowned(code), unowned(steps), unowned(rows)
    state, regions = unowned(owned_state), unowned(content.regions)
    table, lines = unowned(caches.table), unowned(caches.state)
    values, numbers = unowned(registers), unowned(content.numbers)
    mask, base = state[ADDRESS_MASK], state[TEXT_BASE]
    power_off = content.power_off[0]
    at, done = np.int64(state[INDEX]), np.int64(0)
    retired, why = state[RETIRED], FULL
    while done < most:
        if at < 0 or at >= len(code):
            state[ADDRESS], why = state[ADDRESS] if at < 0 else base + 4 * at, NO_INSTRUCTION
            break
        row = code[np.uint64(at)]
        if row[MARK] and done > 0:
            why = SECTION
            break
        group, operation, following, taken = row[GROUP], row[CODE], at + 1, False
        if timed:
            for column in range(COLUMNS):  # whatever the pipeline must know
                rows[np.uint64(done), column] = steps[np.uint64(at), column]
        if group in (LOAD, STORE, ATOMIC):
            # A load's only source is its base; a store's and an atomic's second.
            address = values[row[A] if group == LOAD else row[B]]
            address = (address + (0 if group == ATOMIC else row[IMMEDIATE])) & mask
            size = row[BYTES]
            place = place_of(regions, address, size)
            if address & (size - 1) or place < 0:
                why = MISALIGNED if address & (size - 1) else WILD
                state[ADDRESS], state[FAULT] = address, at
                break
            if timed:
                stored = np.int64(group != LOAD)
                _look_up(caches, table, lines, stored, address, size, rows[np.uint64(done)])
            _access(values, numbers, row, place)
            if address == power_off and group == STORE:
                why = _power_off(values[row[A]], size, content.power_off[1])
        elif group == BRANCH:
            if holds(operation, values[row[A]], values[row[B]]):
                following, taken = row[TARGET], True
                state[ADDRESS] = base + 4 * at + row[IMMEDIATE]
        elif group == JUMP:
            values[row[TO]] = row[LINK]
            following, taken = row[TARGET], True
            state[ADDRESS] = base + 4 * at + row[IMMEDIATE]
        elif group == INDIRECT:
            address = (values[row[A]] + row[IMMEDIATE]) & mask & ~1
            values[row[TO]] = row[LINK]
            following, taken = (address - base) >> 2, True
            if address & 3 or following < 0 or following >= len(code):
                following = np.int64(-1)
            state[ADDRESS] = address
        elif group == COUNTER:
            values[row[TO]] = retired
        elif group == HART:
            values[row[TO]] = state[HART_ID]
        elif group == ENVIRONMENT:
            state[FAULT], why = at, CALL
        else:
            _compute(values, row)
        if timed:
            rows[np.uint64(done), TAKEN] = taken
        at = following
        done += 1
        retired += 1
        if why != FULL:
            break
    state[INDEX], state[RETIRED] = at, retired
    return why, int(done)
