"""What the compiled machine without interlock works on: its rules, and instructions on their way.

An instruction on its way is a row, which holds its operands and its result as registers of its own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sim.cpu.pipelines.bare_memory import Pages
from sim.jit import njit
from sim.memory.cache.compiled import unowned

Ints = npt.NDArray[np.int64]

DEST, SOURCE, CONTROL, CONDITIONAL, WRITES, CALL, PAIRS = 0, 1, 4, 5, 6, 7, 8
COLUMNS, SOURCES = 9, 3
"""Columns of the table that is beside the decoded program; sources take three, 0 is none."""

READ, EXECUTE, MEMORY, RESOLVE, CALLS, LAST, WAITS, DRAINS, COUNTS_EXIT, BASE, MASK = range(11)
RULES = 11
"""Places of a machine's rules: stages by role, switches, the text's first address, which bits an
address has."""

INDEX, NUMBER, ENTERED, NEXT, GUESS, TAKEN, ADDRESS, VALUES = range(8)
RESULT = VALUES + SOURCES
"""Of an instruction on its way: place in the program, number in order of fetch, entry into its
stage, where it goes on, what was guessed, data address; then operands, and what EX computed."""
WRITTEN = RESULT + 1
FLIGHT = WRITTEN + 1

(CYCLE, STAGE, FETCH, ENDED, EXIT, FETCHED, RETIRED, PASSED, BUSY, HISTORY, TOTAL, HITS) = range(12)
STALLS = 12
"""In a state: the cycle, which stage works next in it (0: all have), the next fetch's address and
whether nothing more is fetched, the exit code (-1: none), instructions fetched, retired and passed
through write-back, cycles in which one was, the predictor's history and counts; then bubbles by
cause."""
FILL, WRONG_PATH, SYNCHRONISATION = range(3)
STATE = STALLS + 3

DONE, CALLED, FULL, NO_INSTRUCTION, ENDLESS = range(5)
"""Why the loop stopped."""
PAGES_A_CYCLE = 4
"""New ones at most: two stores, each over the edge of a page."""


class Bare(NamedTuple):
    """A machine and a program under way."""

    code: Ints
    """As `codes.decode` has it, registers replaced by places among an instruction's values."""
    table: Ints
    rules: Ints
    forwards: Ints
    """[stages] whether results are forwarded from there."""
    state: Ints
    registers: Ints
    stands: Ints
    """[stages, width] which row of `flights` stands there, -1 for none."""
    causes: Ints
    """[stages] why there is a bubble."""
    flights: Ints
    """[a power of two, FLIGHT] instructions on their way, by number."""
    predictor: Ints
    entries: Ints
    counters: Ints
    scratch: Ints
    """[5] an event for the predictor; a word from memory."""
    pages: Pages
    stamps: Ints
    """[fetched, stages, 2] first and last cycle in each stage, -1 for none; empty unless kept."""
    history: Ints
    """[fetched, 2] place in the program, and whether retired; empty unless kept."""


@njit(cache=True, inline="always")
def without_references(bare: Bare) -> Bare:
    """Return the same arrays, for which no references are counted."""
    pages = bare.pages
    return Bare(
        unowned(bare.code),
        unowned(bare.table),
        unowned(bare.rules),
        unowned(bare.forwards),
        unowned(bare.state),
        unowned(bare.registers),
        unowned(bare.stands),
        unowned(bare.causes),
        unowned(bare.flights),
        unowned(bare.predictor),
        unowned(bare.entries),
        unowned(bare.counters),
        unowned(bare.scratch),
        Pages(
            unowned(pages.keys), unowned(pages.places), unowned(pages.words), unowned(pages.used)
        ),
        unowned(bare.stamps),
        unowned(bare.history),
    )
