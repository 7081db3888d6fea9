"""Which line fills a run's loads, stores and prefetches make, level by level.

Settled in program order, before the clock starts: what the caches hold does not depend on time
here. Fills are numbered: those of the first level in order, then those of the levels behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sim.cpu.cores.fills_compiled import enter_levels, fills, link_fills, windows
from sim.cpu.cores.prefetcher import Asked, lines_ahead
from sim.cpu.cores.retired import numbered
from sim.cpu.cores.spec import MemoryPathSpec
from sim.memory.cache.compiled import empty_frames, layout
from sim.memory.cache.run import AddressTrace, run_addresses
from sim.memory.cache.spec import CacheLevelSpec, HierarchySpec

Ints = npt.NDArray[np.int64]
NOTHING = np.zeros(0, dtype=np.int64)


class DataLines(NamedTuple):
    """The lines that instructions need, one entry an instruction unless said otherwise."""

    fill: Ints
    """The number of the first level's fill that brings an access's line, -1 without an access."""
    fill_level: Ints
    """[fills of the first level] which level has the line; as many as there are levels: memory."""
    home: Ints
    """[fills] which level it fills."""
    behind: Ints
    """[fills] the next level's fill that it takes the line from, -1 where there is none."""
    row: Ints
    """[fills] the row of main memory that has the line; 0 without rows."""
    asks: Ints
    """[instructions + 1] where each load's prefetches begin; empty without a prefetcher."""
    prefetches: Ints
    """The first level's fills that loads ask for ahead of time, load by load."""
    run: Ints
    """The stream of second-level prefetches that a load follows, -1 for none; may be empty."""
    until: Ints
    """Up to which of `early` a load's stream has asked; may be empty."""
    early: Ints
    """The second level's fills that streams ask for, stream by stream."""
    early_starts: Ints
    """[streams] where each begins in `early`."""


class Touches(NamedTuple):
    """Loads and stores in the order in which the caches see them."""

    number: Ints
    """Of the instruction."""
    address: Ints
    store: npt.NDArray[np.bool_]
    place: Ints
    """Where the instruction itself lies."""


class _Accesses(NamedTuple):
    """Accesses of the caches in order, those that nobody waits for right after their load's."""

    number: Ints
    """Of the instruction."""
    address: Ints
    store: npt.NDArray[np.bool_]
    enters: Ints
    """Which level sees it first."""
    run: Ints
    """Its stream in the second level, -1 without one."""
    ahead: npt.NDArray[np.bool_]
    """Whether it is a prefetch."""


def data_lines(memory: MemoryPathSpec, count: int, touches: Touches) -> DataLines:
    """Return the fills of the loads and stores among `count` instructions."""
    number, loads = touches.number, np.flatnonzero(~touches.store)
    asked = None
    if memory.load_prefetcher is not None:
        asked = lines_ahead(
            memory.load_prefetcher,
            memory.levels[0].line_bytes,
            touches.place[loads],
            touches.address[loads],
        )
    accesses = _with_prefetches(touches, loads, asked)
    found = levels_with(memory.levels, accesses.address, accesses.store, accesses.enters)
    made, home, behind, row = _fills(memory, accesses, found)
    fill = np.full(count, -1, dtype=np.int64)
    fill[accesses.number[~accesses.ahead]] = made[~accesses.ahead]
    starting = accesses.ahead & (found > accesses.enters)
    first, second = starting & (accesses.enters == 0), starting & (accesses.enters == 1)
    run = until = early = early_starts = NOTHING
    if second.any() and asked is not None:
        run = np.full(count, -1, dtype=np.int64)
        run[number[loads]] = asked.run_of
        by_run = np.argsort(accesses.run[second], kind="stable")
        early = made[second][by_run]
        runs = np.arange(int(asked.run_of.max()) + 1)
        early_starts = np.searchsorted(accesses.run[second][by_run], runs).astype(np.int64)
        until = np.zeros(count, dtype=np.int64)
        until[number[loads]] = windows(
            asked.run_of, number[loads], accesses.number[second], accesses.run[second], early_starts
        )
    return DataLines(
        fill=fill,
        fill_level=found[(accesses.enters == 0) & (found > 0)],
        home=home,
        behind=behind,
        row=row,
        asks=_begins(accesses.number[first], count) if first.any() else NOTHING,
        prefetches=made[first][np.argsort(accesses.number[first], kind="stable")],
        run=run,
        until=until,
        early=early,
        early_starts=early_starts,
    )


def levels_with(
    levels: Sequence[CacheLevelSpec], address: Ints, store: npt.NDArray[np.bool_], enters: Ints
) -> Ints:
    """Return which level had each access's line, of caches that are empty at first.

    An access that enters at a level passes by those in front of it.
    """
    trace = AddressTrace.of(address, kinds=store.astype(np.uint8))
    spec = HierarchySpec(levels=tuple(levels))
    if not enters.any():
        return run_addresses(spec, trace, where_found=True).found.astype(np.int64)
    table, state = layout(spec)
    return enter_levels(trace.addresses, trace.kinds, enters, table, state, empty_frames(table))


def _with_prefetches(touches: Touches, loads: Ints, asked: Asked | None) -> _Accesses:
    number = touches.number
    if asked is None:
        asked = Asked(NOTHING, NOTHING, NOTHING, NOTHING, NOTHING)
    after = loads[asked.load] + 1
    nothing = np.zeros(len(number), dtype=np.int64)
    return _Accesses(
        number=np.insert(number, after, number[after - 1]),
        address=np.insert(touches.address, after, asked.address),
        store=np.insert(touches.store, after, False),
        enters=np.insert(nothing, after, asked.level),
        run=np.insert(nothing - 1, after, asked.run),
        ahead=np.insert(nothing, after, 1).astype(np.bool_),
    )


def _fills(
    memory: MemoryPathSpec, accesses: _Accesses, found: Ints
) -> tuple[Ints, Ints, Ints, Ints]:
    """Return each access's fill in the level that it enters, and each fill's home, source, row."""
    levels = memory.levels
    line, lines = numbered(accesses.address // levels[0].line_bytes)
    made = fills(line, np.where(accesses.enters == 0, found, 0), lines)
    missed = np.flatnonzero(found > accesses.enters)
    rows, sizes = [], []
    for level in levels[1:]:
        own, own_lines = numbered(accesses.address[missed] // level.line_bytes)
        rows.append(own)
        sizes.append(own_lines)
    outer = np.stack(rows) if rows else np.zeros((0, len(missed)), dtype=np.int64)
    made[missed], home, behind, maker = link_fills(
        outer, max(sizes, default=0), found[missed], accesses.enters[missed]
    )
    row = np.zeros(len(home), dtype=np.int64)
    if memory.rows is not None:
        row = accesses.address[missed][maker] // memory.rows.row_bytes
    return made, home, behind, row


def _begins(number: Ints, count: int) -> Ints:
    """Return where each instruction's part begins in a list ordered by instruction."""
    return np.searchsorted(np.sort(number), np.arange(count + 1)).astype(np.int64)
