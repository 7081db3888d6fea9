"""One cycle's work of a machine without interlock, compiled: `stages` and `control` in numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.cpu.pipelines.bare_memory import Pages, read, write
from sim.cpu.pipelines.bare_state import (
    ADDRESS,
    BASE,
    BUSY,
    CALL,
    CONDITIONAL,
    CONTROL,
    COUNTS_EXIT,
    CYCLE,
    DEST,
    ENDED,
    ENTERED,
    EXECUTE,
    EXIT,
    FETCH,
    FETCHED,
    FILL,
    FLIGHT,
    GUESS,
    HISTORY,
    HITS,
    INDEX,
    LAST,
    MASK,
    MEMORY,
    NEXT,
    NUMBER,
    PASSED,
    RESULT,
    RETIRED,
    SOURCE,
    SOURCES,
    STALLS,
    TAKEN,
    TOTAL,
    VALUES,
    WRITTEN,
    WRONG_PATH,
    Bare,
    Ints,
)
from sim.cpu.pipelines.compiled_predictor import learn, predicted
from sim.cpu.riscv.compiled.arithmetic import atomic, holds, word
from sim.cpu.riscv.compiled.codes import (
    ATOMIC,
    BRANCH,
    BYTES,
    CODE,
    COUNTER,
    GROUP,
    IMMEDIATE,
    INDIRECT,
    JUMP,
    LD,
    LINK,
    LOAD,
    LW,
    STORE,
)
from sim.cpu.riscv.compiled.loop import compute, power_off_by
from sim.cpu.riscv.compiled.state import POWER_OFF
from sim.cpu.riscv.compiled.values import load
from sim.cpu.riscv.machine import POWER_OFF_ADDRESS, POWER_OFF_VALUE
from sim.cpu.riscv.program import INSTRUCTION_BYTES
from sim.cpu.riscv.registers import F
from sim.jit import njit


@njit(cache=True, inline="always")
def leave(bare: Bare, flight: Any, stage: int) -> None:
    """Stamp the stay in a stage."""
    row, cycle = bare.flights[flight], bare.state[CYCLE]
    if len(bare.stamps):
        stamp = bare.stamps[row[NUMBER], stage]
        stamp[0], stamp[1] = row[ENTERED], cycle
    row[ENTERED] = cycle + 1


@njit(cache=True)
def squash_before(bare: Bare, stage: int, cause: int) -> None:
    """Drop everything younger than what stands in a stage."""
    for younger in range(stage):
        for place in range(bare.stands.shape[1]):
            if bare.stands[younger, place] >= 0:
                leave(bare, bare.stands[younger, place], younger)
                bare.stands[younger, place] = -1
        bare.causes[younger] = cause


@njit(cache=True)
def end(bare: Bare, stage: int) -> None:
    """Squash what follows the program's last instruction, and fetch no more."""
    squash_before(bare, stage, FILL)
    bare.state[ENDED] = 1


@njit(cache=True, inline="always")
def index_of(bare: Bare, address: int) -> int:
    """Return the place of the instruction at an address, -1 where there is none."""
    apart = address - bare.rules[BASE]
    at = apart >> 2
    return int(at) if not apart & 3 and 0 <= at < len(bare.code) else -1


@njit(cache=True, inline="always")
def fetch(bare: Bare) -> None:
    """Fetch, unless the last packet is still here."""
    state, stands = bare.state, bare.stands
    if stands[0, 0] >= 0 or state[ENDED]:
        return
    bare.causes[0] = FILL
    for place in range(stands.shape[1]):
        index = index_of(bare, state[FETCH] + place * INSTRUCTION_BYTES)
        if index < 0:
            break
        number = state[FETCHED]
        state[FETCHED] += 1
        flight = number & (len(bare.flights) - 1)
        row = bare.flights[flight]
        for column in range(VALUES, FLIGHT):
            row[column] = 0
        row[INDEX], row[NUMBER], row[ENTERED] = index, number, state[CYCLE]
        if len(bare.history):
            bare.history[number, 0] = index
        stands[0, place] = flight


@njit(cache=True, inline="always")
def predict(bare: Bare) -> None:
    """Guess what follows what has been fetched; drop what does not."""
    for place in range(bare.stands.shape[1]):
        flight = bare.stands[0, place]
        if flight < 0:
            return
        address = bare.rules[BASE] + bare.flights[flight, INDEX] * INSTRUCTION_BYTES
        guess = predicted(bare.predictor, address, bare.entries, bare.counters, bare.state[HISTORY])
        bare.flights[flight, GUESS] = bare.state[FETCH] = guess
        if guess != address + INSTRUCTION_BYTES:
            for dropped in range(place + 1, bare.stands.shape[1]):
                if bare.stands[0, dropped] >= 0:
                    leave(bare, bare.stands[0, dropped], 0)
                    bare.stands[0, dropped] = -1
            return


@njit(cache=True, inline="always")
def _forwarded(bare: Bare, register: int, value: Any) -> Any:
    """Return the newest value of a register that a path brings, else the one that was read."""
    for stage in range(bare.rules[EXECUTE] + 1, bare.rules[LAST] + 1):
        if bare.forwards[stage]:
            for place in range(bare.stands.shape[1] - 1, -1, -1):
                flight = bare.stands[stage, place]
                if flight >= 0:
                    row = bare.flights[flight]
                    if bare.table[row[INDEX], DEST] == register:
                        return row[WRITTEN if stage > bare.rules[MEMORY] else RESULT]
    return value


@njit(cache=True, error_model="numpy")
def _computed(values: Ints, code: Ints) -> None:
    compute(values, code)


@njit(cache=True, inline="always")
def execute(bare: Bare, row: Ints) -> None:
    """Take what is forwarded, and compute."""
    code, known = bare.code[row[INDEX]], bare.table[row[INDEX]]
    values, mask = row[VALUES : RESULT + 1], bare.rules[MASK]
    for source in range(SOURCES):
        if known[SOURCE + source]:
            values[source] = _forwarded(bare, known[SOURCE + source], values[source])
    group = code[GROUP]
    address = bare.rules[BASE] + row[INDEX] * INSTRUCTION_BYTES
    if group in (LOAD, STORE, ATOMIC):
        base = values[0] if group == LOAD else values[1]
        row[ADDRESS] = (base + code[IMMEDIATE]) & mask
        # A register holds 32 bits sign-extended; a pattern that is no boxed single does not.
        short = mask != -1 and known[DEST] < F
        values[SOURCES] = word(row[ADDRESS]) if short else row[ADDRESS]
    elif group == BRANCH:
        row[TAKEN] = holds(code[CODE], values[0], values[1])
        row[NEXT] = address + (code[IMMEDIATE] if row[TAKEN] else INSTRUCTION_BYTES) & mask
    elif group == JUMP:
        values[SOURCES], row[TAKEN] = code[LINK], 1
        row[NEXT] = address + code[IMMEDIATE] & mask
    elif group == INDIRECT:
        row[NEXT], row[TAKEN] = (values[0] + code[IMMEDIATE]) & mask & ~1, 1
        values[SOURCES] = code[LINK]
    elif group == COUNTER:
        values[SOURCES] = bare.state[PASSED]
    else:
        _computed(values, code)
    row[WRITTEN] = row[RESULT]


@njit(cache=True)
def _loaded(pages: Pages, scratch: Ints, code: Any, address: int, size: int) -> Any:
    """Return what a load leaves in its register."""
    scratch[0] = read(pages, address, size)
    return load(scratch, code, np.int64(0))


@njit(cache=True, inline="always")
def access(bare: Bare, row: Ints, stage: int) -> None:
    """Access memory; a store to the power-off register ends the program."""
    code, address = bare.code[row[INDEX]], row[ADDRESS]
    group, size, value = code[GROUP], code[BYTES], row[VALUES]
    if group == LOAD:
        row[WRITTEN] = _loaded(bare.pages, bare.scratch, code[CODE], address, size)
    elif group == ATOMIC:
        old = _loaded(bare.pages, bare.scratch, LD if size == 8 else LW, address, size)
        operand = value if size == 8 else word(value)
        write(bare.pages, address, size, atomic(code[CODE], old, operand))
        row[WRITTEN] = old
    elif group == STORE:
        row[WRITTEN] = 0
        write(bare.pages, address, size, value)
        if address == POWER_OFF_ADDRESS and (
            power_off_by(value, size, POWER_OFF_VALUE) == POWER_OFF
        ):
            running = bare.state[EXIT] < 0
            bare.state[EXIT] = 0
            if running:
                end(bare, stage)


@njit(cache=True, inline="always")
def write_back(bare: Bare) -> None:
    """Write results in order; count the cycle."""
    state, last = bare.state, bare.rules[LAST]
    for place in range(bare.stands.shape[1]):
        flight = bare.stands[last, place]
        if flight >= 0:
            row = bare.flights[flight]
            known = bare.table[row[INDEX]]
            if known[DEST]:
                bare.registers[known[DEST]] = row[WRITTEN]
            counts = not known[CALL] or state[EXIT] < 0 or bare.rules[COUNTS_EXIT]
            if len(bare.history):
                bare.history[row[NUMBER], 1] = counts
            state[RETIRED] += counts
            state[PASSED] += 1
    if bare.stands[last, 0] >= 0:
        state[BUSY] += 1
    else:
        state[STALLS + bare.causes[last]] += 1


@njit(cache=True)
def resolve(bare: Bare, stage: int) -> None:
    """Hold next addresses against what was guessed; teach the predictor."""
    state = bare.state
    for place in range(bare.stands.shape[1]):
        flight = bare.stands[stage, place]
        if flight < 0:
            continue
        row = bare.flights[flight]
        known = bare.table[row[INDEX]]
        if not known[CONTROL]:
            continue
        event, address = bare.scratch, bare.rules[BASE] + row[INDEX] * INSTRUCTION_BYTES
        target = (address + bare.code[row[INDEX], IMMEDIATE]) & bare.rules[MASK]
        event[0], event[2] = address, row[TAKEN]
        event[1] = target if known[CONDITIONAL] else row[NEXT]
        correct = row[NEXT] == row[GUESS]
        state[HISTORY] = learn(
            bare.predictor, known[CONDITIONAL], event, bare.entries, bare.counters, state[HISTORY]
        )
        state[TOTAL] += 1
        state[HITS] += correct
        if not correct:
            squash_before(bare, stage, WRONG_PATH)
            state[FETCH], state[ENDED] = row[NEXT], 0
