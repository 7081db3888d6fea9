"""The compiled twin of `engine.SuperscalarCore`: the same cycle of every stage, on flat arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sim.cpu.cores.compiled_front import fetch, rename
from sim.cpu.cores.compiled_issue import issue
from sim.cpu.cores.compiled_parts import DONE, FETCHED, ISSUED, RENAMED, RETIRED, make_core
from sim.cpu.cores.compiled_retire import BUSY, drain, retire
from sim.cpu.cores.spec import CoreSpec
from sim.cpu.cores.stream import Stream
from sim.cpu.cores.timing import Timing
from sim.jit import njit
from sim.memory.cache.compiled import unowned
from sim.stalls import CycleStack, StallCause

Ints = npt.NDArray[np.int64]
CAUSES = (
    StallCause.DATA_DEPENDENCY,
    StallCause.STRUCTURAL,
    StallCause.CONTROL,
    StallCause.CACHE,
    StallCause.DRAM,
    StallCause.FILL_DRAIN,
    StallCause.SYNCHRONISATION,
)
"""In the order of the columns of the table of cycles."""


def run_compiled(spec: CoreSpec, stream: Stream) -> Timing:
    """Time a stream on a core; as SuperscalarCore.run."""
    core = make_core(spec, stream, BUSY + 1)
    _clock(*core)
    return Timing(
        fetched=core.times[FETCHED],
        renamed=core.times[RENAMED],
        issued=core.times[ISSUED],
        done=core.times[DONE],
        retired=core.times[RETIRED],
        stacks=tuple(
            CycleStack(busy=row[BUSY], stalls=dict(zip(CAUSES, row[:BUSY], strict=True)))
            for row in core.cycles.tolist()
        ),
    )


@njit(cache=True)
def _clock(  # noqa: PLR0917 - tables of a core
    numbers: Ints,
    pool: Ints,
    lookup: Ints,
    unit: Ints,
    alone: Ints,
    producers: Ints,
    guess: Ints,
    groups: Ints,
    fetch_stall: Ints,
    fill: Ints,
    fill_level: Ints,
    home: Ints,
    behind: Ints,
    row: Ints,
    asks: Ints,
    prefetches: Ints,
    run: Ints,
    until: Ints,
    early: Ints,
    owner: Ints,
    times: Ints,
    threads: Ints,
    shared: Ints,
    cycles: Ints,
    arrives: Ints,
    busy_until: Ints,
    banks: Ints,
    next_early: Ints,
    unit_free: Ints,
    ports: Ints,
    queue: Ints,
    unready: Ints,
    left: Ints,
    retired_stores: Ints,
) -> None:
    """Clock a core, as its fields come, until everything has retired.

    On views that own nothing: counting references to arrays costs more than the stages do.
    """
    numbers = unowned(numbers)
    pool = unowned(pool)
    lookup = unowned(lookup)
    unit = unowned(unit)
    alone = unowned(alone)
    producers = unowned(producers)
    guess = unowned(guess)
    groups = unowned(groups)
    fetch_stall = unowned(fetch_stall)
    fill = unowned(fill)
    fill_level = unowned(fill_level)
    home = unowned(home)
    behind = unowned(behind)
    row = unowned(row)
    asks = unowned(asks)
    prefetches = unowned(prefetches)
    run = unowned(run)
    until = unowned(until)
    early = unowned(early)
    owner = unowned(owner)
    times = unowned(times)
    threads = unowned(threads)
    shared = unowned(shared)
    cycles = unowned(cycles)
    arrives = unowned(arrives)
    busy_until = unowned(busy_until)
    banks = unowned(banks)
    next_early = unowned(next_early)
    unit_free = unowned(unit_free)
    ports = unowned(ports)
    queue = unowned(queue)
    unready = unowned(unready)
    left = unowned(left)
    retired_stores = unowned(retired_stores)
    now, prefetching = 0, len(asks) + len(run) > 0
    while True:
        if not retire(
            now,
            numbers,
            unit,
            alone,
            producers,
            guess,
            fetch_stall,
            fill,
            fill_level,
            times,
            threads,
            shared,
            cycles,
            unready,
            retired_stores,
        ):
            break
        drain(
            now,
            numbers,
            lookup,
            fill,
            home,
            behind,
            row,
            owner,
            threads,
            shared,
            arrives,
            busy_until,
            banks,
            left,
            retired_stores,
        )
        issue(
            now,
            prefetching,
            numbers,
            pool,
            lookup,
            unit,
            producers,
            guess,
            fill,
            home,
            behind,
            row,
            asks,
            prefetches,
            run,
            until,
            early,
            owner,
            times,
            threads,
            shared,
            arrives,
            busy_until,
            banks,
            next_early,
            unit_free,
            ports,
            queue,
            unready,
            left,
        )
        rename(
            now,
            numbers,
            unit,
            alone,
            times,
            threads,
            shared,
            queue,
        )
        fetch(
            now,
            numbers,
            guess,
            groups,
            fetch_stall,
            times,
            threads,
        )
        now += 1
