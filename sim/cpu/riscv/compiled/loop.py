"""The loop of the compiled interpreter: instructions until something needs Python.

In one pass it computes values, finds every access in the caches, and writes down for each executed
instruction the row from which `inorder_compiled.advance` takes its time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sim.cpu.inorder_compiled import TAKEN
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
    VECTOR,
    VECTOR_REGISTER,
    WITH_IMMEDIATE,
    A,
    B,
    C,
)
from sim.cpu.riscv.compiled.floating import rounded
from sim.cpu.riscv.compiled.lookup import look_up
from sim.cpu.riscv.compiled.state import (
    ADDRESS,
    ADDRESS_MASK,
    CALL,
    FAULT,
    FULL,
    HART_ID,
    INDEX,
    LAST,
    LENGTH,
    MISALIGNED,
    NO_INSTRUCTION,
    POWER_OFF,
    RETIRED,
    SECTION,
    TEXT_BASE,
    VLENB,
    VTYPE,
    WILD,
    XLEN,
    Caches,
    Content,
    Vectors,
)
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
from sim.cpu.riscv.compiled.vector_execute import execute
from sim.cpu.riscv.compiled.vector_work import note_work
from sim.jit import njit
from sim.memory.cache.compiled import unowned

Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int64]


@njit(cache=True, inline="always")
def _access(values: Ints, numbers: Ints, row: Ints, place: Any) -> None:
    """Do a load, store or atomic at a place in memory."""
    if row[GROUP] == LOAD:
        values[row[TO]] = load(numbers, row[CODE], place)
    elif row[GROUP] == STORE:
        store(numbers, row[BYTES], place, values[row[A]])
    else:
        atomically(values, numbers, row, place)


@njit(cache=True, inline="always")
def copy_step(step: Ints, row: Ints) -> None:
    """Copy what the pipeline must know; read before written, so that it is done in wide pieces."""
    a, b, c, d, e, f = step[0], step[1], step[2], step[3], step[4], step[5]
    g, h, i, j, k, m = step[6], step[7], step[8], step[9], step[10], step[11]
    row[0], row[1], row[2], row[3], row[4], row[5] = a, b, c, d, e, f
    row[6], row[7], row[8], row[9], row[10], row[11] = g, h, i, j, k, m


@njit(cache=True)
def power_off_by(value: Any, size: Any, ends: Any) -> Any:
    """Return whether a store to the power-off register ends the run."""
    shift = np.uint64(64 - 8 * size)
    stored = np.uint64(value) << shift >> shift
    return POWER_OFF if stored == np.uint64(ends) else FULL


@njit(cache=True, inline="always")
def compute(values: Ints, row: Ints) -> None:
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


@njit(cache=True)
def _vector_register(which: Any, state: Ints) -> Any:
    """Return `vl`, `vtype` or `vlenb`."""
    if which == 0:
        return state[LENGTH]
    if which == 2:
        return state[VLENB]
    return state[VTYPE] if state[VTYPE] >= 0 else np.int64(-1) << (state[XLEN] - 1)


@njit(cache=True, error_model="numpy")
def run_block(  # noqa: C901, PLR0912, PLR0915, PLR0917 - one switch, kept in one loop
    code: Ints,
    steps: Rows,
    registers: Ints,
    content: Content,
    caches: Caches,
    owned_state: Ints,
    rows: Rows,
    vectors: Vectors,
    most: int,
    timed: bool,
) -> tuple[int, int]:
    """Execute up to `most` instructions; return why it stopped and how many were executed.

    `steps` is what the pipeline knows of each instruction of the program; where `timed`, `rows`
    [most] receives a copy for each executed one, with its miss and whether it was taken, and the
    vectors' work what vector instructions ask.
    """
    code, steps, rows = unowned(code), unowned(steps), unowned(rows)
    state, regions = unowned(owned_state), unowned(content.regions)
    table, lines = unowned(caches.table), unowned(caches.state)
    values, numbers = unowned(registers), unowned(content.numbers)
    vector_state, vector_registers = unowned(vectors.state), unowned(vectors.registers)
    vector_code = unowned(vectors.code)
    # What is handed on whole: counting its references took longer than a vector instruction.
    held = Content(numbers, regions, content.power_off)
    found = Caches(
        table,
        lines,
        unowned(caches.frames),
        unowned(caches.miss_cycles),
        caches.write_back_cycles,
    )
    unit = Vectors(
        vector_code,
        vector_registers,
        vector_state,
        unowned(vectors.work),
        unowned(vectors.like_cycles),
        unowned(vectors.unit),
    )
    mask, base = state[ADDRESS_MASK], state[TEXT_BASE]
    power_off = content.power_off[0]
    at, done = np.int64(state[INDEX]), np.int64(0)
    retired, why, last = state[RETIRED], FULL, state[LAST]
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
            copy_step(steps[np.uint64(at)], rows[np.uint64(done)])
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
                look_up(found, table, lines, stored, address, size, rows[np.uint64(done)])
            _access(values, numbers, row, place)
            if address == power_off and group == STORE:
                why = power_off_by(values[row[A]], size, content.power_off[1])
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
        elif group == VECTOR:
            instruction = vector_code[np.uint64(at)]
            if timed:
                step = rows[np.uint64(done)]
                note_work(instruction, done, values, unit, found, step)
            why, address = execute(instruction, values, vector_registers, vector_state, held)
            if why != FULL:
                state[ADDRESS], state[FAULT] = address, at
                break
        elif group == VECTOR_REGISTER:
            values[row[TO]] = _vector_register(operation, vector_state)
        elif group == COUNTER:
            values[row[TO]] = retired
        elif group == HART:
            values[row[TO]] = state[HART_ID]
        elif group == ENVIRONMENT:
            state[FAULT], why = at, CALL
        else:
            compute(values, row)
        if timed:
            rows[np.uint64(done), TAKEN] = taken
        last, at = at, following
        done += 1
        retired += 1
        if why != FULL:
            break
    state[INDEX], state[RETIRED], state[LAST] = at, retired, last
    return why, int(done)
