"""Parts of the compiled core: its numbers as one table, operands, and the first cache's fills."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from sim.cpu.cores.memory import NEVER
from sim.cpu.cores.spec import CoreSpec

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
    MISSES,
    LEVELS,
) = range(20)
"""Places in the table of a core's numbers."""


def core_numbers(spec: CoreSpec) -> Ints:
    """Return a core's numbers, each at its place."""
    front, units, memory = spec.front_end, spec.units, spec.memory
    numbers = np.zeros(LEVELS + 1, dtype=np.int64)
    for place, value in (
        (WIDTH, spec.width),
        (IN_ORDER, spec.order == "in-order"),
        (REORDER, spec.reorder_buffer),
        (QUEUE, spec.issue_queue),
        (LOADS, spec.load_queue),
        (STORES, spec.store_buffer),
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
    ):
        numbers[place] = value
    return numbers


@njit(cache=True, inline="always")
def least(values: Ints) -> int:
    """Return the place of the least value, the first of equals."""
    best = 0
    for place in range(1, len(values)):
        if values[place] < values[best]:
            best = place
    return best


@njit(cache=True, inline="always")
def ready(producers: Ints, done: Ints, number: int, now: int) -> bool:
    """Whether all results that an instruction needs are there."""
    for place in range(producers.shape[1]):
        producer = producers[number, place]
        if producer >= 0 and done[producer] > now:
            return False
    return True


@njit(cache=True)
def data_at(  # noqa: PLR0917 - the state of the first cache's fills
    fill: int,
    now: int,
    numbers: Ints,
    upto: Ints,
    level: Ints,
    arrives: Ints,
    busy_until: Ints,
    memory_free: Ints,
) -> int:
    """Return when an access that reaches the cache now has its line; starts the fill it needs."""
    if arrives[fill] == NEVER:
        depth = level[fill]
        at = now + upto[min(depth, numbers[LEVELS] - 1)]
        if depth == numbers[LEVELS]:
            at = max(at, memory_free[0])
            memory_free[0] = at + numbers[LINE]
            at += numbers[MEMORY]
        at += numbers[FILL]
        busy_until[least(busy_until)] = at
        arrives[fill] = at
    return int(max(now + numbers[HIT], arrives[fill]))
