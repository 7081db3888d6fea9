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
from sim.cpu.riscv.compiled.arithmetic import atomic, holds, integer, word
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
    FEQ,
    FLW,
    FROM_INTEGER,
    GROUP,
    HART,
    IMMEDIATE,
    INDIRECT,
    INTEGER,
    JUMP,
    LB,
    LBU,
    LD,
    LH,
    LHU,
    LINK,
    LOAD,
    LW,
    MARK,
    MOVE,
    NOTHING,
    RAW,
    SINGLE,
    STORE,
    TARGET,
    TO,
    TO_DOUBLE,
    TO_SINGLE,
    W_X,
    WIDE,
    WITH_IMMEDIATE,
    X_W,
    A,
    B,
    C,
)
from sim.cpu.riscv.compiled.floating import move, rounded, to_integer
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
BOX = np.int64(-1) << 32
_LOW = np.int64(0xFFFF_FFFF)
SINGLE_NAN, DOUBLE_NAN = np.int64(0x7FC0_0000), np.int64(0x7FF8_0000_0000_0000)
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


@njit(cache=True, inline="always")
def _place(regions: Ints, address: Any, size: Any) -> Any:
    """Return where in the content an access lies, -1 where no region has it."""
    for region in range(len(regions)):
        if regions[region, 0] <= address <= regions[region, 1] - size:
            return regions[region, 2] + address - regions[region, 0]
    return np.int64(-1)


@njit(cache=True, inline="always")
def _load(numbers: Ints, code: Any, at: Any) -> Any:  # noqa: PLR0911 - a switch
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
def _store(numbers: Ints, size: Any, at: Any, value: Any) -> None:
    """Store the lowest bytes of a value."""
    place = np.uint64(at >> 3)
    if size == 8:
        numbers[place] = value
    else:
        shift = (at & 7) << 3
        bits = (np.int64(1) << (size << 3)) - 1
        numbers[place] = numbers[place] & ~(bits << shift) | (value & bits) << shift


@njit(cache=True, inline="always")
def _single(values: Ints, number: Any) -> Any:
    """Return a register's single; what is no boxed single reads as a NaN."""
    return np.int32(_pattern(values, number)).view(np.float32)


@njit(cache=True, inline="always")
def _pattern(values: Ints, number: Any) -> Any:
    value = values[np.uint64(number)]
    return value & _LOW if value >> 32 == -1 else SINGLE_NAN


@njit(cache=True, inline="always")
def _set_single(values: Ints, number: Any, value: Any) -> None:
    low = SINGLE_NAN
    if value == value:  # noqa: PLR0124 - no NaN
        low = np.int64(np.float32(value).view(np.int32)) & _LOW
    values[np.uint64(number)] = BOX | low


@njit(cache=True, inline="always")
def _double(values: Ints, number: Any) -> Any:
    return np.int64(values[np.uint64(number)]).view(np.float64)


@njit(cache=True, inline="always")
def _set_double(values: Ints, number: Any, value: Any) -> None:
    pattern = DOUBLE_NAN
    if value == value:  # noqa: PLR0124 - no NaN
        pattern = np.float64(value).view(np.int64)
    values[np.uint64(number)] = pattern


@njit(cache=True, inline="always")
def _moved(values: Ints, row: Ints) -> Any:
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
        x, y = _double(values, first), _double(values, second)
        return move(code - WIDE, values[first], values[second], x, y, np.int64(64))
    a, b = _pattern(values, first), _pattern(values, second)
    x, y = np.float64(_single(values, first)), np.float64(_single(values, second))
    made = move(code, a, b, x, y, np.int64(32))
    return BOX | made if code < FEQ else made


@njit(cache=True, inline="always")
def _convert(values: Ints, row: Ints) -> None:
    """Do a conversion between formats, or from or to an integer."""
    code, to, of = row[CODE], row[TO], row[A]
    if code == TO_SINGLE:
        _set_single(values, to, np.float32(_double(values, of)))
    elif code == TO_DOUBLE:
        _set_double(values, to, np.float64(_single(values, of)))
    elif code < FROM_INTEGER:
        x = _double(values, of) if code & 4 else np.float64(_single(values, of))
        values[to] = to_integer(x, code & 3, row[IMMEDIATE])
    else:
        value = values[of]
        form = code & 3
        if form < 2:
            value = word(value) if form == 0 else value & _LOW
        if code & 4:
            made = np.float64(np.uint64(value)) if form == 3 else np.float64(value)
            _set_double(values, to, made)
        else:
            low = np.float32(np.uint64(value)) if form == 3 else np.float32(value)
            _set_single(values, to, low)


@njit(cache=True, inline="always")
def _atomically(values: Ints, numbers: Ints, row: Ints, at: Any) -> None:
    """Do an atomic's load, operation and store."""
    operand = values[row[A]]
    old = _load(numbers, LD if row[BYTES] == 8 else LW, at)
    if row[BYTES] == 4:
        operand = word(operand)
    _store(numbers, row[BYTES], at, atomic(row[CODE], old, operand))
    values[row[TO]] = old


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
        group, operation, following = row[GROUP], row[CODE], at + 1
        if timed:
            for column in range(COLUMNS):
                rows[np.uint64(done), column] = steps[np.uint64(at), column]
        if group == INTEGER:
            values[row[TO]] = integer(operation, values[row[A]], values[row[B]])
        elif group == WITH_IMMEDIATE:
            values[row[TO]] = integer(operation, values[row[A]], row[IMMEDIATE])
        elif group in (LOAD, STORE, ATOMIC):
            # A load's only source is its base; a store's and an atomic's second.
            address = values[row[A] if group == LOAD else row[B]]
            address = (address + (0 if group == ATOMIC else row[IMMEDIATE])) & mask
            size = row[BYTES]
            place = _place(regions, address, size)
            if address & (size - 1) or place < 0:
                why = MISALIGNED if address & (size - 1) else WILD
                state[ADDRESS], state[FAULT] = address, at
                break
            if timed:
                _look_up(
                    caches,
                    table,
                    lines,
                    np.int64(group != LOAD),
                    address,
                    size,
                    rows[np.uint64(done)],
                )
            if group == LOAD:
                values[row[TO]] = _load(numbers, operation, place)
            elif group == STORE:
                value = values[row[A]]
                _store(numbers, size, place, value)
                if address == content.power_off[0]:
                    shift = 64 - 8 * size
                    unsigned = np.uint64(value << shift) >> np.uint64(shift)
                    if unsigned == np.uint64(content.power_off[1]):
                        why = POWER_OFF
            else:
                _atomically(values, numbers, row, place)
        elif group == BRANCH:
            if holds(operation, values[row[A]], values[row[B]]):
                following = row[TARGET]
                state[ADDRESS] = base + 4 * at + row[IMMEDIATE]
        elif group == SINGLE:
            x = _single(values, row[A])
            y = _single(values, max(row[B], 0))
            z = _single(values, max(row[C], 0))
            _set_single(values, row[TO], rounded(operation, x, y, z))
        elif group == JUMP:
            values[row[TO]] = row[LINK]
            following = row[TARGET]
            state[ADDRESS] = base + 4 * at + row[IMMEDIATE]
        elif group == INDIRECT:
            address = (values[row[A]] + row[IMMEDIATE]) & mask & ~1
            values[row[TO]] = row[LINK]
            following = (address - base) >> 2
            if address & 3 or following < 0 or following >= len(code):
                following = np.int64(-1)
            state[ADDRESS] = address
        elif group == CONSTANT:
            values[row[TO]] = row[IMMEDIATE]
        elif group == DOUBLE:
            p = _double(values, row[A])
            q = _double(values, max(row[B], 0))
            r = _double(values, max(row[C], 0))
            _set_double(values, row[TO], rounded(operation, p, q, r))
        elif group == MOVE:
            values[row[TO]] = _moved(values, row)
        elif group == CONVERT:
            _convert(values, row)
        elif group == COUNTER:
            values[row[TO]] = retired
        elif group == HART:
            values[row[TO]] = state[HART_ID]
        elif group == ENVIRONMENT:
            state[FAULT], why = at, CALL
        elif group != NOTHING:
            why = NO_INSTRUCTION
        if timed:
            rows[np.uint64(done), TAKEN] = following != at + 1
        at = following
        done += 1
        retired += 1
        if why != FULL:
            break
    state[INDEX], state[RETIRED] = at, retired
    return why, int(done)
