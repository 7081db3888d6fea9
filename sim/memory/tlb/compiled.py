"""The compiled twin of `walker`: whole address traces, the same counters.

Every array of a TLB and every walk cache is a level of `sim.memory.cache.compiled` whose lines are
one byte long. This pass counts, and notes how many loads each access's walk took; `physical` then
puts those loads before the accesses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.jit import njit
from sim.memory.cache.compiled import layout, unowned
from sim.memory.cache.compiled_sets import look_up, take_in
from sim.memory.cache.compiled_state import (
    COUNTS,
    EVICTIONS,
    LOAD_HITS,
    LOAD_MISSES,
    POLICY,
    SRRIP,
)
from sim.memory.cache.spec import HierarchySpec
from sim.memory.tlb.counts import LookupCounts, TlbCounts
from sim.memory.tlb.frames import HEIGHT, segment_row
from sim.memory.tlb.spec import ArraySpec, TranslationSpec

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

WALKS, WALK_LOADS, SAVED_LOADS = range(3)
KEY_SPACE = 1 << 52
"""Page numbers of one size lie below it; one array keeps several sizes this far apart."""
MOST_SHIFT = 62
"""Of which nothing is left of any address."""


@dataclass(slots=True)
class Pass:
    """Everything that one pass over addresses reads and writes."""

    table: Ints
    """Of arrays and walk caches, as the caches' `layout` makes it."""
    state: Ints
    holders: Ints
    """[levels, heights] the array that holds translations of a height, or -1."""
    key_offsets: Ints
    """[levels, heights] added to page numbers in that array."""
    walk_rows: Ints
    """[heights] the walk cache of entries of a height, or -1."""
    shifts: Ints
    """[heights + 1] log2 of the bytes that an entry leads to."""
    unheld: Ints
    """[levels] searches for pages that no array holds."""
    totals: Ints

    @classmethod
    def of(cls, spec: TranslationSpec) -> Pass:
        """Build the pass through empty TLBs."""
        parts: list[ArraySpec] = [array for level in spec.levels for array in level.arrays]
        parts += spec.walk_caches
        named = tuple(part.as_cache(str(row)) for row, part in enumerate(parts))
        table, state = layout(HierarchySpec(levels=named))
        heights = spec.table_levels
        holders = np.full((len(spec.levels), heights), -1, dtype=np.int64)
        offsets, walk_rows = np.zeros_like(holders), np.full(heights, -1, dtype=np.int64)
        row = 0
        for number, level in enumerate(spec.levels):
            for array in level.arrays:
                apart = -(-KEY_SPACE // array.sets) * array.sets
                for nth, page_bytes in enumerate(array.page_bytes):
                    holders[number, spec.height(page_bytes)] = row
                    offsets[number, spec.height(page_bytes)] = nth * apart
                row += 1
        for nth, cache in enumerate(spec.walk_caches):
            walk_rows[spec.height(cache.span_bytes)] = row + nth
        shifts = [min(spec.shift(height), MOST_SHIFT) for height in range(heights + 1)]
        return cls(
            table=table,
            state=state,
            holders=holders,
            key_offsets=offsets,
            walk_rows=walk_rows,
            shifts=np.array(shifts, dtype=np.int64),
            unheld=np.zeros(len(spec.levels), dtype=np.int64),
            totals=np.zeros(3, dtype=np.int64),
        )

    def count(self, addresses: Ints, segments: Ints, loads: Bytes) -> None:
        """Pass addresses through; `loads`, unless empty, receives the loads of each one's walk."""
        count_translations(
            addresses,
            segments,
            self.holders,
            self.key_offsets,
            self.walk_rows,
            self.shifts,
            self.table,
            self.state,
            self.unheld,
            self.totals,
            loads,
        )

    def counts(self, spec: TranslationSpec) -> TlbCounts:
        """Return the counters as the readable translation does."""
        levels, row = [], 0
        for level, unheld in zip(spec.levels, self.unheld, strict=True):
            counts = self._sum(row, row + len(level.arrays))
            counts.misses += int(unheld)
            levels.append(counts)
            row += len(level.arrays)
        return TlbCounts(
            levels=tuple(levels),
            walk_caches=tuple(
                self._sum(row + nth, row + nth + 1) for nth in range(len(spec.walk_caches))
            ),
            walks=int(self.totals[WALKS]),
            walk_loads=int(self.totals[WALK_LOADS]),
            saved_loads=int(self.totals[SAVED_LOADS]),
        )

    def _sum(self, first: int, end: int) -> LookupCounts:
        at = self.table[first:end, COUNTS]
        return LookupCounts(
            hits=int(self.state[at + LOAD_HITS].sum()),
            misses=int(self.state[at + LOAD_MISSES].sum()),
            evictions=int(self.state[at + EVICTIONS].sum()),
        )


@njit(cache=True, inline="always")
def _walk(  # noqa: PLR0917 - an address, then what its walk passes through
    address: int, leaf: int, walk_rows: Ints, shifts: Ints, table: Ints, state: Ints
) -> int:
    """Walk to a page; return how many entries had to be loaded."""
    top = len(walk_rows) - 1
    start = top
    for height in range(leaf + 1, top + 1):
        row = walk_rows[height]
        if row >= 0 and look_up(table, state, row, address >> shifts[height]):
            start = height - 1
            break
    for height in range(start, leaf, -1):
        if walk_rows[height] >= 0:
            take_in(table, state, walk_rows[height], address >> shifts[height])
    return start - leaf + 1


@njit(cache=True, inline="always")
def _missed(  # noqa: PLR0917 - a page, then what its translation passes through
    number: int,
    height: int,
    holders: Ints,
    offsets: Ints,
    table: Ints,
    state: Ints,
    unheld: Ints,
) -> bool:
    """Search the levels, and fill those that missed; return whether all did."""
    level = 0
    while level < len(holders):
        row = holders[level, height]
        if row < 0:
            unheld[level] += 1
        elif look_up(table, state, row, number + offsets[level, height]):
            break
        level += 1
    for inner in range(level):
        if holders[inner, height] >= 0:
            take_in(table, state, holders[inner, height], number + offsets[inner, height])
    return level == len(holders)


@njit(cache=True)
def count_translations(  # noqa: PLR0917 - the fields of a pass
    addresses: Ints,
    segments: Ints,
    owned_holders: Ints,
    owned_offsets: Ints,
    owned_walk_rows: Ints,
    owned_shifts: Ints,
    owned_table: Ints,
    owned_state: Ints,
    unheld: Ints,
    totals: Ints,
    loads: Bytes,
) -> None:
    """Count; see `Pass` for the columns.

    A repeated touch of one page changes nothing but a counter, and is not looked up again.
    """
    table, state, shifts = unowned(owned_table), unowned(owned_state), unowned(owned_shifts)
    holders, offsets = unowned(owned_holders), unowned(owned_offsets)
    walk_rows = unowned(owned_walk_rows)
    known_first, known_end, known_hits, repeats = 0, 0, 0, 0
    for i in range(len(addresses)):
        address = int(addresses[i])
        if known_first <= address < known_end:
            repeats += 1
            continue
        state[known_hits] += repeats
        repeats = 0
        height = segments[segment_row(segments, address), HEIGHT]
        number = address >> shifts[height]
        if _missed(number, height, holders, offsets, table, state, unheld):
            walk_loads = _walk(address, height, walk_rows, shifts, table, state)
            totals[WALKS] += 1
            totals[WALK_LOADS] += walk_loads
            totals[SAVED_LOADS] += len(walk_rows) - height - walk_loads
            if len(loads):
                loads[i] = walk_loads
        row = holders[0, height]
        known_first = known_end = 0
        if row >= 0 and table[row, POLICY] != SRRIP:
            known_first = number << shifts[height]
            known_end = known_first + (1 << shifts[height])
            known_hits = table[row, COUNTS] + LOAD_HITS
    state[known_hits] += repeats


@njit(cache=True)
def survey(addresses: Ints, sizes: Bytes, smallest_shift: int) -> tuple[int, int, bool]:
    """Return the lowest and the highest byte, and whether any access crosses a smallest page."""
    lowest, highest, crosses = addresses[0] if len(addresses) else np.int64(0), np.int64(0), False
    for i in range(len(addresses)):
        last = addresses[i] + int(sizes[i]) - 1
        lowest, highest = min(lowest, addresses[i]), max(highest, last)
        crosses |= (last ^ addresses[i]) >> smallest_shift != 0
    return int(lowest), int(highest), crosses
