"""What caches see of a translated trace: physical accesses, and the loads of the walker."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sim.jit import njit
from sim.memory.tlb.frames import HEIGHT, page_frame, segment_row

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

HASH_FACTOR = 0x1E3779B97F4A7C15
"""Odd, with bits all over: Knuth, The Art of Computer Programming, volume 3, 6.4."""


@njit(cache=True)
def crossing(addresses: Ints, sizes: Bytes, segments: Ints, shifts: Ints) -> Bytes:
    """Return by access how many of its bytes lie in a second page."""
    beyond = np.zeros(len(addresses), dtype=np.uint8)
    for i in range(len(addresses)):
        shift = shifts[segments[segment_row(segments, addresses[i]), HEIGHT]]
        end = ((addresses[i] >> shift) + 1) << shift
        beyond[i] = max(0, addresses[i] + int(sizes[i]) - end)
    return beyond


@njit(cache=True)
def _table_number(keys: Ints, numbers: Ints, used: int, key: int) -> int:
    """Return a table's number, `used` where it is new; `keys` is a hash table, -1 is free."""
    mask = len(keys) - 1
    slot = ((key * HASH_FACTOR) >> 20) & mask
    while keys[slot] not in (-1, key):
        slot = (slot + 1) & mask
    if keys[slot] < 0:
        keys[slot], numbers[slot] = key, used
    return int(numbers[slot])


@njit(cache=True)
def expand(  # noqa: PLR0917 - columns of a trace, how it is translated, and columns of the result
    addresses: Ints,
    kinds: Bytes,
    sizes: Bytes,
    loads: Bytes,
    segments: Ints,
    shifts: Ints,
    form: tuple[int, int, int, int],
    keys: Ints,
    out_addresses: Ints,
    out_kinds: Bytes,
    out_sizes: Bytes,
    is_walk: npt.NDArray[np.bool_],
) -> None:
    """Write each access at its physical address, behind the loads of its walk.

    `form` is where tables begin, log2 of a table's bytes, an entry's bytes, and the scatter seed,
    0 for none.
    """
    tables_at, table_shift, entry_bytes, seed = form
    numbers, used, at = np.zeros_like(keys), 0, 0
    index_mask = (1 << table_shift) // entry_bytes - 1
    known_first, known_end, distance, leaf = 0, 0, 0, 0
    for i in range(len(addresses)):
        address = addresses[i]
        if not known_first <= address < known_end:
            leaf = segments[segment_row(segments, address), HEIGHT]
            known_first = (address >> shifts[leaf]) << shifts[leaf]
            known_end = known_first + (1 << shifts[leaf])
            if seed:
                distance = page_frame(segments, shifts, address, seed) - known_first
        for height in range(leaf + int(loads[i]) - 1, leaf - 1, -1):
            key = ((address >> shifts[height + 1]) << 4) + height
            number = _table_number(keys, numbers, used, key)
            used = max(used, number + 1)
            index = (address >> shifts[height]) & index_mask
            out_addresses[at] = tables_at + (number << table_shift) + index * entry_bytes
            out_sizes[at], is_walk[at] = entry_bytes, True
            at += 1
        out_addresses[at] = address + distance
        out_kinds[at], out_sizes[at] = kinds[i], sizes[i]
        at += 1
