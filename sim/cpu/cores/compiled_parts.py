"""Parts of the compiled core: its numbers as one table, its state, and operands."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sim.cpu.cores.main_memory import NONE_OPEN
from sim.cpu.cores.memory import NEVER
from sim.cpu.cores.spec import MAX_UNITS, CoreSpec
from sim.cpu.cores.stream import Stream
from sim.jit import njit

Ints = npt.NDArray[np.int64]

(
    WIDTH,
    IN_ORDER,
    REORDER,
    QUEUE,
    LOADS,
    STORES,
    FRONT,
    REDIRECT,
    SQUASH,
    LATE_FETCH,
    LOAD_PORTS,
    STORE_PORTS,
    ADDRESSES,
    ADDRESS,
    HIT,
    FILL,
    MEMORY,
    LINE,
    LEVELS,
    PARTITIONED,
    ICOUNT,
    BANKS,
    ACTIVATE,
    PRECHARGE,
    REFRESH_EVERY,
    REFRESH,
) = range(26)
"""Places in the table of a core's numbers; of parted buffers, one thread's part."""
(
    BEGIN,
    END,
    GROUP,
    LAST_GROUP,
    NEXT_FETCH,
    NEXT_RENAME,
    NEXT_RETIRE,
    FETCH_AT,
    RENAME_AT,
    QUEUED,
    OWN_LOADS,
    OWN_STORES,
    STOPPED,
) = range(13)
"""Columns of the table of threads; see thread.Thread. The last: the cycle of no more issue."""
ALL_QUEUED, SENT, FREED, STORED, MEMORY_FREE, ALL_HELD, ALL_LOADS, ALL_STORES = range(8)
"""Places among what threads share: counts, and retired stores sent, gone and all."""
LOAD, STORE = 7, 8
"""As Unit."""
CONTROL_UNIT = 6
RIGHT, LATE, WRONG = 0, 1, 2
"""As Guess."""


class Core(NamedTuple):
    """All that the stages of a compiled core read and write.

    They get the arrays one by one: taking them out of a tuple again and again costs more than the
    stages do.
    """

    numbers: Ints
    pool: Ints
    """[classes, 3] count, latency and whether pipelined."""
    lookup: Ints
    """Cycles of a lookup in each level."""
    unit: Ints
    alone: Ints
    producers: Ints
    guess: Ints
    groups: Ints
    fetch_stall: Ints
    fill: Ints
    fill_level: Ints
    home: Ints
    behind: Ints
    row: Ints
    asks: Ints
    prefetches: Ints
    run: Ints
    until: Ints
    early: Ints
    owner: Ints
    """Of each instruction, its thread; one thread: empty."""
    times: Ints
    """[5, instructions] as Timing."""
    threads: Ints
    """[threads, columns]."""
    shared: Ints
    cycles: Ints
    """[threads, causes and busy]."""
    arrives: Ints
    busy_until: Ints
    """[levels, places]; places that a level does not have are never free."""
    banks: Ints
    """[banks, 2] the row that is open and from when on it can be read."""
    next_early: Ints
    """Of each stream of prefetches, the first that has not started."""
    unit_free: Ints
    ports: Ints
    queue: Ints
    unready: Ints
    """Of each instruction, the first of its producers that may not have finished."""
    left: Ints
    retired_stores: Ints


FETCHED, RENAMED, ISSUED, DONE, RETIRED = range(5)
"""Rows of the table of times."""


def core_numbers(spec: CoreSpec) -> Ints:
    """Return a core's numbers, each at its place."""
    front, units, memory = spec.front_end, spec.units, spec.memory
    numbers = np.zeros(REFRESH + 1, dtype=np.int64)
    for place, value in (
        (WIDTH, spec.width),
        (IN_ORDER, spec.order == "in-order"),
        (REORDER, spec.part(spec.reorder_buffer)),
        (QUEUE, spec.part(spec.issue_queue)),
        (LOADS, spec.part(spec.load_queue)),
        (STORES, spec.part(spec.store_buffer)),
        (FRONT, front.cycles),
        (REDIRECT, front.redirect_cycles),
        (SQUASH, front.squash_per_cycle or 0),
        (LATE_FETCH, spec.branches.target_miss_cycles),
        (LOAD_PORTS, units.loads_per_cycle),
        (STORE_PORTS, units.stores_per_cycle),
        (ADDRESSES, units.address.count),
        (ADDRESS, units.address.latency_cycles),
        (HIT, memory.levels[0].hit_cycles),
        (FILL, memory.fill_cycles),
        (MEMORY, memory.memory_cycles),
        (LINE, memory.memory_line_cycles),
        (LEVELS, len(memory.levels)),
        (PARTITIONED, spec.partitioned),
        (ICOUNT, spec.fetch_policy == "icount"),
    ):
        numbers[place] = value
    if (rows := memory.rows) is not None:
        numbers[BANKS] = rows.banks
        numbers[ACTIVATE], numbers[PRECHARGE] = rows.activate_cycles, rows.precharge_cycles
        numbers[REFRESH_EVERY] = rows.refresh_every_cycles
        numbers[REFRESH] = rows.refresh_cycles
    return numbers


def make_core(spec: CoreSpec, stream: Stream, causes: int) -> Core:
    """Return a core before its first cycle."""
    units, count, threads, lines = spec.units, len(stream), stream.threads, stream.data
    own = (
        units.alu,
        units.multiply,
        units.divide,
        units.float_add,
        units.float_multiply,
        units.float_divide,
        units.branch,
    )
    table = np.zeros((threads, STOPPED + 1), dtype=np.int64)
    for column in (BEGIN, NEXT_FETCH, NEXT_RENAME, NEXT_RETIRE):
        table[:, column] = stream.starts[:-1]
    table[:, END], table[:, STOPPED] = stream.starts[1:], -1
    table[:, GROUP], table[:, LAST_GROUP] = stream.group_starts[:-1], stream.group_starts[1:]
    return Core(
        numbers=core_numbers(spec),
        pool=np.array([[u.count, u.latency_cycles, u.pipelined] for u in own], dtype=np.int64),
        lookup=np.array([level.hit_cycles for level in spec.memory.levels], dtype=np.int64),
        unit=stream.unit,
        alone=stream.alone.astype(np.int64),
        producers=stream.producers,
        guess=stream.guess,
        groups=stream.groups,
        fetch_stall=stream.fetch_stall,
        fill=lines.fill,
        fill_level=lines.fill_level,
        home=lines.home,
        behind=lines.behind,
        row=lines.row,
        asks=lines.asks,
        prefetches=lines.prefetches,
        run=lines.run,
        until=lines.until,
        early=lines.early,
        owner=np.repeat(np.arange(threads), np.diff(stream.starts))[: count * (threads > 1)],
        times=np.full((5, count), NEVER, dtype=np.int64),
        threads=table,
        shared=np.zeros(ALL_STORES + 1, dtype=np.int64),
        cycles=np.zeros((threads, causes), dtype=np.int64),
        arrives=np.full(len(lines.home), NEVER, dtype=np.int64),
        busy_until=_no_fills([level.miss_places for level in spec.memory.levels]),
        banks=np.tile(np.array([NONE_OPEN, 0], dtype=np.int64), (_banks(spec), 1)),
        next_early=lines.early_starts.copy(),
        unit_free=np.zeros((len(own), MAX_UNITS), dtype=np.int64),
        ports=np.zeros(STORE + 1, dtype=np.int64),
        queue=np.zeros(spec.issue_queue, dtype=np.int64),
        unready=np.zeros(count, dtype=np.int64),
        left=np.full(count, NEVER, dtype=np.int64),
        retired_stores=np.zeros(count + 1, dtype=np.int64),
    )


def _banks(spec: CoreSpec) -> int:
    return spec.memory.rows.banks if spec.memory.rows is not None else 0


def _no_fills(places: list[int]) -> Ints:
    busy_until = np.full((len(places), max(places)), NEVER, dtype=np.int64)
    for level, own in enumerate(places):
        busy_until[level, :own] = 0
    return busy_until


@njit(cache=True, inline="always")
def least(values: Ints) -> int:
    """Return the place of the least value, the first of equals."""
    best = 0
    for place in range(1, len(values)):
        if values[place] < values[best]:
            best = place
    return best


@njit(cache=True, inline="always")
def ready(producers: Ints, unready: Ints, times: Ints, number: int, now: int) -> bool:
    """Whether all results that an instruction needs are there; remembers the first that is not."""
    for place in range(unready[number], producers.shape[1]):
        producer = producers[number, place]
        if producer >= 0 and times[DONE, producer] > now:
            unready[number] = place
            return False
    unready[number] = producers.shape[1]
    return True


@njit(cache=True, inline="always")
def owner_of(owner: Ints, number: int) -> int:
    """Return an instruction's thread."""
    return owner[number] if len(owner) else 0
