"""Parts of the compiled core: its numbers as one table, its state, operands, and line fills."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sim.cpu.cores.memory import NEVER
from sim.cpu.cores.spec import MAX_UNITS, CoreSpec
from sim.cpu.cores.stream import Stream
from sim.jit import njit

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

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
    MISSES,
    LEVELS,
    PARTITIONED,
    ICOUNT,
) = range(22)
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
    upto: Ints
    """Cycles of a lookup down to each level."""
    unit: Ints
    alone: Flags
    producers: Ints
    guess: Ints
    groups: Ints
    fetch_stall: Ints
    fill: Ints
    fill_level: Ints
    asks: Ints
    prefetches: Ints
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
    numbers = np.zeros(ICOUNT + 1, dtype=np.int64)
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
        (MISSES, memory.outstanding_misses),
        (LEVELS, len(memory.levels)),
        (PARTITIONED, spec.partitioned),
        (ICOUNT, spec.fetch_policy == "icount"),
    ):
        numbers[place] = value
    return numbers


def make_core(spec: CoreSpec, stream: Stream, causes: int) -> Core:
    """Return a core before its first cycle."""
    units, count, threads = spec.units, len(stream), stream.threads
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
        upto=np.cumsum([level.hit_cycles for level in spec.memory.levels], dtype=np.int64),
        unit=stream.unit,
        alone=stream.alone,
        producers=stream.producers,
        guess=stream.guess,
        groups=stream.groups,
        fetch_stall=stream.fetch_stall,
        fill=stream.fill,
        fill_level=stream.fill_level,
        asks=stream.asks,
        prefetches=stream.prefetches,
        owner=np.repeat(np.arange(threads), np.diff(stream.starts))[: count * (threads > 1)],
        times=np.full((5, count), NEVER, dtype=np.int64),
        threads=table,
        shared=np.zeros(ALL_STORES + 1, dtype=np.int64),
        cycles=np.zeros((threads, causes), dtype=np.int64),
        arrives=np.full(len(stream.fill_level), NEVER, dtype=np.int64),
        busy_until=np.zeros(spec.memory.outstanding_misses, dtype=np.int64),
        unit_free=np.zeros((len(own), MAX_UNITS), dtype=np.int64),
        ports=np.zeros(STORE + 1, dtype=np.int64),
        queue=np.zeros(spec.issue_queue, dtype=np.int64),
        unready=np.zeros(count, dtype=np.int64),
        left=np.full(count, NEVER, dtype=np.int64),
        retired_stores=np.zeros(count + 1, dtype=np.int64),
    )


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


@njit(cache=True, inline="always")
def can_take(arrives: Ints, busy_until: Ints, fill: int, now: int) -> bool:
    """Whether an access joins its fill, or finds a place for it."""
    return bool(arrives[fill] < NEVER or busy_until[least(busy_until)] <= now)


@njit(cache=True, inline="always")
def places(busy_until: Ints, now: int) -> int:
    """Return how many fills could start now."""
    free = 0
    for busy in busy_until:
        free += busy <= now
    return free


@njit(cache=True)
def data_at(  # noqa: PLR0917 - the state of the first cache's fills
    fill: int,
    now: int,
    numbers: Ints,
    upto: Ints,
    level: Ints,
    arrives: Ints,
    busy_until: Ints,
    shared: Ints,
) -> int:
    """Return when an access that reaches the cache now has its line; starts the fill it needs."""
    if arrives[fill] == NEVER:
        depth = level[fill]
        at = now + upto[min(depth, numbers[LEVELS] - 1)]
        if depth == numbers[LEVELS]:
            at = max(at, shared[MEMORY_FREE])
            shared[MEMORY_FREE] = at + numbers[LINE]
            at += numbers[MEMORY]
        at += numbers[FILL]
        busy_until[least(busy_until)] = at
        arrives[fill] = at
    return int(max(now + numbers[HIT], arrives[fill]))
