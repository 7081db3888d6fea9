"""Prefetches in time: timely ones make hits, late ones shorten misses."""

import numpy as np

from sim.memory.cache.run import AddressTrace
from sim.memory.cache.spec import hierarchy
from sim.memory.timed import CoreSpec, TimedHierarchySpec, TimedLevelSpec, run_timed

LINE, HIT, MEMORY = 64, 2, 20
NEXT = {"kind": "next_line"}


def run(count, *, prefetchers=(NEXT,), mshrs=8, loads=1, step=LINE):
    levels = [
        {
            "capacity_bytes": 64 * LINE * (number + 1),
            "ways": 4,
            "hit_cycles": HIT,
            "prefetcher": prefetcher,
        }
        for number, prefetcher in enumerate(prefetchers)
    ]
    timing = TimedLevelSpec(mshrs=mshrs, mshr_targets=8, fill_bytes_per_cycle=4096, write_buffer=8)
    spec = TimedHierarchySpec(
        caches=hierarchy(*levels, memory_cycles=MEMORY),
        timing={f"L{number + 1}": timing for number in range(len(levels))},
        memory_bytes_per_cycle=4096,
        core=CoreSpec(outstanding_loads=loads),
    )
    return run_timed(spec, AddressTrace.of(np.arange(count) * step))


def test_a_prefetch_starts_when_the_access_that_sets_it_off_is_looked_up():
    # Line 1 comes with line 0 at 22, a hit at 24 that sets line 2 off, which comes at 44; the
    # load of it, issued at 24, waits for it and sets line 3 off at 26, which comes at 46.
    timed = run(5)
    assert timed.done.tolist() == [22, 24, 44, 46, 66]
    assert (timed.levels[0].timely_prefetches, timed.levels[0].late_prefetches) == (2, 2)


def test_a_prefetch_waits_for_an_mshr():
    timed = run(2, mshrs=1)
    assert timed.done.tolist() == [22, 42]
    assert timed.levels[0].late_prefetches == 1


def test_a_prefetch_that_is_far_enough_ahead_is_timely():
    far = run(200, prefetchers=[{"kind": "stream", "distance": 16, "degree": 4}])
    near = run(200, prefetchers=[{"kind": "stream", "distance": 2, "degree": 1}])
    assert far.levels[0].late_prefetches < near.levels[0].late_prefetches
    assert far.cycles < near.cycles < run(200, prefetchers=[None]).cycles


def test_a_late_prefetch_is_counted_once():
    # Both loads of line 1 are issued before it comes; only the first finds it unused.
    timed = run(4, loads=4, step=LINE // 2)
    assert timed.done.tolist() == [22, 22, 22, 22]
    assert timed.levels[0].late_prefetches == 1
    assert timed.levels[0].merged_misses == 3


def test_a_prefetch_of_the_second_level_saves_the_first_the_way_to_memory():
    timed = run(2, prefetchers=[None, NEXT])
    # 2 + 2 + 20, then 2 + 2: line 1 came to the second level when line 0 did.
    assert timed.done.tolist() == [24, 28]
    assert (timed.levels[1].timely_prefetches, timed.levels[0].timely_prefetches) == (1, 0)
