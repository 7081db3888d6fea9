"""The compiled twin of `hierarchy`: whole address traces, the same counters.

`compiled_state` says what it keeps, `compiled_request` how one request passes through.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import carray, types  # type: ignore[attr-defined] # numba is untyped
from numba.extending import intrinsic

from sim.jit import njit
from sim.memory.cache.compiled_request import request
from sim.memory.cache.compiled_sets import find, use
from sim.memory.cache.compiled_state import (
    ALLOCATE,
    BACK,
    COUNTS,
    DIRTY,
    LINES,
    LOAD,
    LOAD_HITS,
    POLICY,
    PREFETCHER,
    SHIFT,
    SRRIP,
    STORE,
    STORE_HITS,
    VALID,
    Ints,
    counts_of,
    empty_frames,
    layout,
)

__all__ = ["counts_of", "empty_frames", "layout", "request", "unowned", "walk"]


@intrinsic
def _pointer(_: Any, address: Any) -> Any:  # noqa: ARG001 - numba asks for the argument's type
    """Make a pointer to whole numbers of an address."""
    signature = types.CPointer(types.int64)(types.intp)  # type: ignore[no-untyped-call] # as above

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    return signature, generate


_view: Any = _pointer


@njit(cache=True, inline="always")
def _plain_hit(table: Ints, state: Ints, kind: int, line: int) -> bool:
    """Settle an access that hits in an unsectored first level; True where that was possible."""
    if kind == STORE and not table[0, BACK]:
        return False
    place = find(table, state, 0, line)
    if place < 0:
        return False
    place = use(table, state, 0, place)
    if kind == STORE:
        state[table[0, LINES] + place] |= 1
    return True


@njit(cache=True)
def walk(  # noqa: PLR0917 - columns of a trace, then what they pass through
    addresses: Ints,
    kinds: npt.NDArray[np.uint8],
    sizes: npt.NDArray[np.uint8],
    owned_table: Ints,
    owned_state: Ints,
    owned_frames: Ints,
    found: npt.NDArray[np.int8],
) -> None:
    """Pass a trace through; `found`, unless empty, receives the level that had each access.

    A repeated touch of one line changes nothing but a counter, and is not looked up again.
    """
    # Views that own nothing: counting references at every call took five times the work itself.
    table = carray(_view(owned_table.ctypes.data), owned_table.shape)
    state = carray(_view(owned_state.ctypes.data), owned_state.shape)
    frames = carray(_view(owned_frames.ctypes.data), owned_frames.shape)
    shift, counts = table[0, SHIFT], table[0, COUNTS]
    prefetching = table[len(table) - 1, PREFETCHER] > 0
    plain = table[0, DIRTY] == table[0, VALID] and table[0, PREFETCHER] == 0
    simple = plain and table[0, POLICY] != SRRIP
    wet = table[0, BACK] == 1 and table[0, ALLOCATE] == 1
    known, known_dirty = np.int64(-1), False
    load_hits, store_hits = 0, 0
    for i in range(len(addresses)):
        first = int(addresses[i])
        line, kind = first >> shift, int(kinds[i])
        last = first + int(sizes[i]) - 1
        within = last >> shift == line
        if line == known and within and (kind == LOAD or known_dirty):
            hit = True
        else:
            hit = bool(plain and within and _plain_hit(table, state, kind, line))
            known = last >> shift if simple and (kind == LOAD or wet) else np.int64(-1)
            known_dirty = bool(kind == STORE and known >= 0)
        if hit:
            load_hits += kind == LOAD
            store_hits += kind == STORE
            continue
        depth = request(kind, first, last, table, state, frames)
        if prefetching:
            known = np.int64(-1)  # what it fetched may have taken the line's place
        if len(found):
            found[i] = depth
    state[counts + LOAD_HITS] += load_hits
    state[counts + STORE_HITS] += store_hits


@njit(cache=True, inline="always")
def unowned(owned: Ints) -> Ints:
    """Return a view that owns nothing, for which no references are counted."""
    return carray(_view(owned.ctypes.data), owned.shape)
