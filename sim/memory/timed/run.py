"""Address traces through caches in time: the one call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import simpy

from sim.clock import Clock, run_to_completion
from sim.errors import LawViolationError
from sim.memory.cache.counts import LevelCounts
from sim.memory.cache.run import AddressTrace
from sim.memory.timed.core import NOT_YET, Core
from sim.memory.timed.level import TimedLevel
from sim.memory.timed.memory import FlatServer, MemoryServer, MemorySide
from sim.memory.timed.recording import RecordedHierarchy
from sim.memory.timed.result import LevelTiming, TimedRun
from sim.memory.timed.spec import TimedHierarchySpec

ANY_HZ = 10**9
"""Cycles are the same at any frequency where memory counts the same cycles."""


def run_timed(
    spec: TimedHierarchySpec,
    trace: AddressTrace,
    *,
    dependent: bool = False,
    clock_hz: int = ANY_HZ,
    memory: Callable[[simpy.Environment], MemoryServer] | None = None,
) -> TimedRun:
    """Pass a trace through empty caches in time; they count what they count untimed.

    `dependent`: each load waits for the one before, as in a pointer chase. `memory` builds what
    stands behind the last level, in place of the spec's latency and bandwidth; its time is
    rounded up to cycles of `clock_hz`, and what it takes beyond the spec's `memory_cycles` counts
    as bandwidth in the stack.

    Raises DeadlockError, which says who waits for what, where an access can never be done.
    """
    env = simpy.Environment()
    clock = Clock(env, clock_hz)
    server = memory(env) if memory is not None else _flat(clock, spec)
    behind = MemorySide(clock, server, spec.caches.memory_cycles)
    levels = _levels(clock, spec, behind)
    caches = RecordedHierarchy(spec.caches)
    core = Core(clock, spec.core, caches, levels[0])
    issued, done = (np.full(len(trace), NOT_YET, dtype=np.int64) for _ in range(2))
    steps = core.run(trace, issued, done, dependent=dependent)
    run_to_completion(env, [steps], _waiting([core, *levels, behind]))
    if core.stack.total != core.cycles:
        raise LawViolationError(f"core: {core.stack} is not {core.cycles} cycles")
    return TimedRun(
        cycles=core.cycles,
        counts=caches.counts,
        levels=tuple(
            _timing(*each, core.cycles) for each in zip(levels, caches.counts.levels, strict=True)
        ),
        issued=issued,
        done=done,
        stack=core.stack,
    )


def _flat(clock: Clock, spec: TimedHierarchySpec) -> MemoryServer:
    return FlatServer(
        clock,
        latency_cycles=spec.caches.memory_cycles,
        bytes_per_cycle=spec.memory_bytes_per_cycle,
    )


def _levels(clock: Clock, spec: TimedHierarchySpec, behind: MemorySide) -> list[TimedLevel]:
    levels: list[TimedLevel] = []
    for cache in reversed(spec.caches.levels):
        below = levels[0] if levels else behind
        levels.insert(0, TimedLevel(clock, cache, spec.timing[cache.name], below))
    return levels


def _timing(level: TimedLevel, counts: LevelCounts, cycles: int) -> LevelTiming:
    level.settle()
    return LevelTiming(
        name=level.name,
        merged_misses=level.merged_misses,
        mshr_full_cycles=level.mshrs.full_cycles,
        mean_mshrs=Fraction(level.mshrs.entry_cycles, cycles) if cycles else Fraction(0),
        most_mshrs=level.mshrs.most,
        timely_prefetches=counts.useful - level.late_prefetches,
        late_prefetches=level.late_prefetches,
        bank_conflicts=level.gate.bank_conflicts,
        port_wait_cycles=level.gate.port_wait_cycles,
        write_buffer_full_cycles=level.write_buffer.full_cycles,
    )


@dataclass(slots=True)
class _Waiting:
    name: str
    waiting_for: str


def _waiting(units: list[Core | TimedLevel | MemorySide]) -> Iterator[_Waiting]:
    """Yield who waits for what when asked, which is when nothing moves any more."""
    for unit in units:
        yield _Waiting(unit.name, unit.waiting_for)
