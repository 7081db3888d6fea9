"""The compiled twin of `stages` and `control` for machines without interlock, cycle by cycle.

What such a machine computes depends on when it reads, so values travel with the instruction here
too: an instruction on its way is a row, which holds its operands and its result as registers of
its own. A cycle is as in the engine: fetch works, then the stages from the last to the first, then
all hand on. The loop stops for what needs Python, and goes on with the next stage.
"""

from __future__ import annotations

import numpy as np

from sim.cpu.pipelines.bare_stages import (
    access,
    execute,
    fetch,
    index_of,
    leave,
    predict,
    resolve,
    write_back,
)
from sim.cpu.pipelines.bare_state import (
    CALL,
    CALLED,
    CALLS,
    CONTROL,
    CYCLE,
    DONE,
    DRAINS,
    ENDED,
    ENDLESS,
    EXECUTE,
    EXIT,
    FETCH,
    FETCHED,
    FILL,
    FULL,
    INDEX,
    LAST,
    MEMORY,
    NO_INSTRUCTION,
    PAGES_A_CYCLE,
    PAIRS,
    READ,
    RESOLVE,
    SOURCE,
    SOURCES,
    STAGE,
    SYNCHRONISATION,
    VALUES,
    WAITS,
    WRITES,
    Bare,
    without_references,
)
from sim.jit import njit


@njit(cache=True, inline="always")
def _holds(bare: Bare) -> bool:
    """Whether a call in EX waits for older instructions that may still write a register."""
    rules, stands = bare.rules, bare.stands
    flight = stands[rules[EXECUTE], 0]
    if not rules[WAITS] or flight < 0 or not bare.table[bare.flights[flight, INDEX], CALL]:
        return False
    for stage in range(rules[EXECUTE] + 1, rules[LAST] + 1):
        for place in range(stands.shape[1]):
            older = stands[stage, place]
            if older >= 0 and bare.table[bare.flights[older, INDEX], WRITES]:
                return True
    return False


@njit(cache=True, inline="always")
def _work(bare: Bare, stage: int) -> bool:
    """Do a stage's work of one cycle; return whether it is to make an environment call."""
    rules, called, transfers = bare.rules, False, False
    if stage == rules[LAST]:
        write_back(bare)
    for place in range(bare.stands.shape[1]):
        flight = bare.stands[stage, place]
        if flight < 0:
            break
        row = bare.flights[flight]
        known = bare.table[row[INDEX]]
        if stage == rules[READ]:
            for source in range(SOURCES):
                row[VALUES + source] = bare.registers[known[SOURCE + source]]
        elif stage == rules[EXECUTE]:
            execute(bare, row)
        elif stage == rules[MEMORY]:
            access(bare, row, stage)
        called = called or known[CALL] > 0
        transfers = transfers or known[CONTROL] > 0
    if transfers and stage == rules[RESOLVE]:
        resolve(bare, stage)
    if stage != rules[CALLS] or not called or bare.state[EXIT] >= 0:
        return False
    return stage != rules[EXECUTE] or not _holds(bare)


@njit(cache=True, inline="always")
def _clear(bare: Bare, stage: int, cause: int) -> None:
    """Leave a bubble in a stage."""
    for place in range(bare.stands.shape[1]):
        bare.stands[stage, place] = -1
    bare.causes[stage] = cause


@njit(cache=True, inline="always")
def _hand_on(bare: Bare) -> None:
    """Hand on, from the last stage to the first; a held stage holds all before it."""
    stands, last, width = bare.stands, bare.rules[LAST], bare.stands.shape[1]
    for place in range(width):
        if stands[last, place] >= 0:
            leave(bare, stands[last, place], last)
    held = bare.rules[EXECUTE] if _holds(bare) else -1
    for stage in range(last - 1, -1, -1):
        if stage == held:
            _clear(bare, stage + 1, SYNCHRONISATION)
            return
        if stage == 0:
            predict(bare)
        going = width
        if stage == 1 and width > 1 and stands[1, 1] >= 0:
            first = bare.flights[stands[1, 0], INDEX]
            going = 1 + bare.table[first, PAIRS]
        for place in range(width):
            flight = stands[stage, place] if place < going else np.int64(-1)
            stands[stage + 1, place] = flight
            if flight >= 0:
                leave(bare, flight, stage)
        bare.causes[stage + 1] = bare.causes[stage]
        if going < width:
            stands[1, 0], stands[1, 1] = stands[1, 1], -1
            return
    _clear(bare, 0, FILL)


@njit(cache=True, inline="always")
def _over(bare: Bare, limit: int) -> int:
    """Return why no further cycle begins, -1 if one does."""
    state, running = bare.state, bare.state[EXIT] < 0
    if not running and not bare.rules[DRAINS]:
        return DONE
    empty = True
    for stage in range(len(bare.stands)):
        empty = empty and bare.stands[stage, 0] < 0
    if empty:
        if not running:
            return DONE
        if state[ENDED] or index_of(bare, state[FETCH]) < 0:
            return NO_INSTRUCTION
    if state[CYCLE] > limit:
        return ENDLESS
    width = bare.stands.shape[1]
    no_stamps = len(bare.stamps) and state[FETCHED] + width > len(bare.stamps)
    if no_stamps or bare.pages.used[0] + PAGES_A_CYCLE > len(bare.pages.words):
        return FULL
    return -1


@njit(cache=True, error_model="numpy")
def run_bare_cycles(owned: Bare, limit: int) -> int:
    """Run until the program is over or something needs Python; return why."""
    bare = without_references(owned)
    state = bare.state
    while True:
        if not state[STAGE]:
            why = _over(bare, limit)
            if why >= 0:
                return why
            fetch(bare)
            state[STAGE] = bare.rules[LAST]
        while state[STAGE]:
            stage = state[STAGE]
            state[STAGE] -= 1
            if _work(bare, stage):
                return CALLED
        _hand_on(bare)
        state[CYCLE] += 1
