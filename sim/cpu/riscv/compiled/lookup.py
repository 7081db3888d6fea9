"""Accesses of the compiled loop in its caches, and what they cost beyond a hit in the first."""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.cpu.inorder_compiled import MISS, TO_DRAM
from sim.cpu.riscv.compiled.state import Caches, Ints
from sim.jit import njit
from sim.memory.cache.compiled import unowned
from sim.memory.cache.compiled_request import request
from sim.memory.cache.compiled_sets import find, use
from sim.memory.cache.compiled_state import COUNTS, LINES, LOAD_HITS, SHIFT, STORE_HITS

MEMORY_WRITES = 1
"""Of main memory's counters."""


@njit(cache=True)
def _missed(caches: Caches, kind: Any, address: Any, size: Any, row: Ints) -> None:
    """Pass an access through the levels; note in its row what it costs beyond a hit in L1."""
    table, state, frames = unowned(caches.table), unowned(caches.state), unowned(caches.frames)
    counter = table[len(table) - 1, COUNTS] + MEMORY_WRITES
    before = state[counter]
    depth = request(kind, address, address + size - 1, table, state, frames)
    driven_out = state[counter] - before
    row[MISS] = caches.miss_cycles[depth] + driven_out * caches.write_back_cycles
    row[TO_DRAM] = depth == len(caches.miss_cycles) - 1 or driven_out > 0


@njit(cache=True, inline="always")
def look_up(  # noqa: PLR0917 - an access, then what it passes through
    caches: Caches, table: Ints, state: Ints, stored: Any, address: Any, size: Any, row: Ints
) -> None:
    """Find an access in the caches; a hit in the first level costs nothing more."""
    place = find(table, state, 0, address >> table[0, SHIFT])
    if place < 0:
        _missed(caches, np.int64(stored), address, size, row)
        return
    place = use(table, state, 0, place)
    state[table[0, LINES] + place] |= stored
    state[table[0, COUNTS] + (STORE_HITS if stored else LOAD_HITS)] += 1
