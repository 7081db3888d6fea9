"""Caches in time, gate by gate: not there at cycle c-1, there at c."""

import pytest
import simpy

from sim.clock import Clock, DeadlockError
from sim.memory.cache.run import AddressTrace
from sim.memory.cache.spec import hierarchy
from sim.memory.timed import (
    CoreSpec,
    FlatServer,
    TimedHierarchySpec,
    TimedLevelSpec,
    run_timed,
)

LINE = 64
HIT, MEMORY = 2, 20
WIDE = 4096
ROOMY = {"mshrs": 64, "mshr_targets": 64, "fill_bytes_per_cycle": WIDE, "write_buffer": 64}
EAGER = {"issue_per_cycle": 1, "outstanding_loads": 64, "store_buffer": 64}


def one_level(core=EAGER, lines=64, ways=4, memory_bytes=WIDE, cache=None, **timing):
    level = {"capacity_bytes": lines * LINE, "ways": ways, "hit_cycles": HIT, **(cache or {})}
    return TimedHierarchySpec(
        caches=hierarchy(level, memory_cycles=MEMORY),
        timing={"L1": TimedLevelSpec(**{**ROOMY, **timing})},
        memory_bytes_per_cycle=memory_bytes,
        core=CoreSpec(**core),
    )


def two_levels(first=None, second=None, core=EAGER, memory_bytes=WIDE, inner=8):
    caches = hierarchy(
        {"capacity_bytes": inner * LINE, "ways": min(inner, 2), "hit_cycles": HIT},
        {"capacity_bytes": 64 * LINE, "ways": 4, "hit_cycles": 10},
        memory_cycles=MEMORY,
    )
    timings = {"L1": first or {}, "L2": second or {}}
    return TimedHierarchySpec(
        caches=caches,
        timing={name: TimedLevelSpec(**{**ROOMY, **own}) for name, own in timings.items()},
        memory_bytes_per_cycle=memory_bytes,
        core=CoreSpec(**core),
    )


def lines(*numbers, kinds=0, sizes=1):
    return AddressTrace.of([number * LINE for number in numbers], kinds=kinds, sizes=sizes)


def done(spec, trace, **options):
    return run_timed(spec, trace, **options).done.tolist()


BLOCKING = {"issue_per_cycle": 1, "outstanding_loads": 1, "store_buffer": 1}


def test_a_hit_is_there_after_the_hit_time_and_a_miss_after_lookup_and_memory():
    assert done(one_level(BLOCKING), lines(0, 0)) == [HIT + MEMORY, HIT + MEMORY + HIT]


def test_a_miss_known_early_goes_on_early():
    assert done(one_level(BLOCKING, miss_cycles=0), lines(0, 0)) == [MEMORY, MEMORY + HIT]


def test_a_second_level_adds_its_own_time():
    # Line 0 leaves the first level when lines 4 and 8 come to its set.
    assert done(two_levels(core=BLOCKING), lines(0, 4, 8, 0)) == [32, 64, 96, 96 + HIT + 10]


def test_a_transfer_is_there_with_its_last_byte():
    assert done(one_level(fill_bytes_per_cycle=8), lines(0, sizes=8)) == [22]
    assert done(one_level(fill_bytes_per_cycle=4), lines(0, sizes=8)) == [23]
    assert done(one_level(memory_bytes=16), lines(0)) == [22 + 3]
    assert done(two_levels(second={"fill_bytes_per_cycle": 16}), lines(0)) == [32 + 3]


@pytest.mark.parametrize("cycle", [20, 23])
def test_a_flat_memory_reads_after_its_latency_and_takes_writes_with_their_last_byte(cycle):
    env = simpy.Environment()
    clock = Clock(env, 10**9)
    server = FlatServer(clock, latency_cycles=20, bytes_per_cycle=16)
    write = cycle == 23
    event = server.request(0, 64, False) if not write else None
    if write:
        event = [server.request(0, 64, True) for _ in range(6)][-1]
    env.run(until=23 * clock.period_ticks)
    assert not event.processed
    env.run(until=23 * clock.period_ticks + 1)
    assert event.processed


def test_a_port_takes_one_access_a_cycle():
    both = {**EAGER, "issue_per_cycle": 2}
    run = run_timed(one_level(both, ports=1, banks=2), lines(0, 1))
    assert (run.done.tolist(), run.levels[0].port_wait_cycles) == ([22, 23], 1)
    run = run_timed(one_level(both, ports=2, banks=2), lines(0, 1))
    assert (run.done.tolist(), run.levels[0].port_wait_cycles) == ([22, 22], 0)


def test_a_bank_conflict_costs_exactly_the_time_that_the_bank_is_busy():
    both = {**EAGER, "issue_per_cycle": 2}
    spec = one_level(both, ports=2, banks=2, bank_busy_cycles=5)
    run = run_timed(spec, lines(0, 2))
    assert (run.done.tolist(), run.levels[0].bank_conflicts) == ([22, 27], 1)
    run = run_timed(spec, lines(0, 1))
    assert (run.done.tolist(), run.levels[0].bank_conflicts) == ([22, 22], 0)


def test_a_hit_passes_a_miss_that_is_under_way():
    core = {**EAGER, "outstanding_loads": 2}
    run = run_timed(one_level(core), lines(0, 1, 2, 0))
    assert run.issued.tolist() == [0, 1, 22, 23]
    assert run.done.tolist() == [22, 23, 44, 25]


def test_a_second_access_to_a_line_under_way_is_answered_with_it():
    trace = AddressTrace.of([0, 8, 16])
    run = run_timed(one_level(), trace)
    assert run.done.tolist() == [22, 22, 22]
    assert run.levels[0].merged_misses == 2
    assert (run.counts.memory.reads, run.counts.levels[0].hits) == (1, 2)


def test_as_many_misses_are_under_way_as_there_are_mshrs_and_the_next_waits_for_the_first():
    run = run_timed(one_level(mshrs=2), lines(0, 1, 2, 3))
    assert run.done.tolist() == [22, 23, 42, 43]
    assert run.levels[0].most_mshrs == 2
    # Taken from 2, 3 until 42, 43; both from 3 to 42.
    assert run.levels[0].mshr_full_cycles == 39
    assert run.levels[0].mean_mshrs * run.cycles == 80
    assert done(one_level(mshrs=4), lines(0, 1, 2, 3)) == [22, 23, 24, 25]


def test_a_level_without_mshr_takes_in_not_even_a_hit():
    core = {**EAGER, "outstanding_loads": 3}
    trace = lines(0, 1, 2, 0, 0, 0)
    run = run_timed(one_level(core, mshrs=1), trace)
    # Line 2 is found missing at 4 and gets the MSHR at 42; until then nothing is taken in.
    assert run.issued.tolist() == [0, 1, 2, 22, 42, 44]
    assert run.done.tolist() == [22, 42, 62, 44, 45, 46]


def test_an_access_beyond_the_targets_of_a_miss_blocks_the_level_until_its_line_is_there():
    trace = AddressTrace.of([0, 8, 16, LINE, 2 * LINE])
    run = run_timed(one_level(mshr_targets=2), trace)
    assert (run.done.tolist(), run.levels[0].merged_misses) == ([22, 22, 22, 25, 44], 1)
    run = run_timed(one_level(mshr_targets=3), trace)
    assert (run.done.tolist(), run.levels[0].merged_misses) == ([22, 22, 22, 25, 26], 2)


def test_a_line_fetched_again_comes_again_after_it_came():
    # Line 1 drives line 0 out of the only way; each comes twice.
    run = run_timed(one_level(lines=1, ways=1), lines(0, 1, 0))
    assert run.done.tolist() == [22, 23, 42]
    assert run.counts.memory.reads == 3


def test_a_fill_waits_for_room_in_the_write_buffer():
    trace = lines(0, 1, 2, kinds=[1, 1, 0])
    slow = {"lines": 1, "ways": 1, "write_back_cycles": 50}
    run = run_timed(one_level(**slow, write_buffer=1), trace)
    assert run.done.tolist() == [22, 23, 73]
    assert run.levels[0].write_buffer_full_cycles == 50
    assert done(one_level(**slow, write_buffer=2), trace) == [22, 23, 24]
    assert done(one_level(lines=1, ways=1, write_buffer=1), trace) == [22, 23, 24]


def test_a_write_buffer_drains_at_the_bandwidth_of_the_level_behind():
    # Lines 0, 4, 8, 12 share a set of two ways; 0 and 4 are written and leave for 8 and 12.
    trace = lines(0, 4, 8, 12, kinds=[1, 1, 0, 0])
    first = {"write_buffer": 1, "write_back_cycles": 10}
    run = run_timed(two_levels(first, {"fill_bytes_per_cycle": 4}), trace)
    # Line 0 is in the buffer from 79 for 15 cycles of transfer after the first, and 10 more.
    assert run.done.tolist() == [47, 63, 79, 79 + 15 + 10]
    run = run_timed(two_levels(first), trace)
    assert run.done.tolist() == [32, 33, 34, 34 + 10]


def test_a_dirty_line_leaves_only_after_it_has_come():
    # The first level has one line. Line 8 would be there from the second level at 46, but line
    # 5, written and to be driven out by it, comes from memory at 65.
    core = {**EAGER, "store_buffer": 1}
    run = run_timed(two_levels(core=core, inner=1), lines(8, 20, 5, 8, kinds=[0, 1, 1, 0]))
    assert run.issued.tolist() == [0, 1, 33, 34]
    assert run.done.tolist() == [32, 33, 65, 65]


def test_a_store_that_passes_waits_for_room_in_the_write_buffer():
    through = {"write_back": False, "write_allocate": False}
    spec = one_level(cache=through, write_buffer=1, write_back_cycles=7)
    assert done(spec, lines(0, 1, kinds=1)) == [HIT, HIT + 7]


def test_sectors_of_a_line_come_apart():
    spec = one_level(cache={"sectors": 4}, mshrs=2)
    run = run_timed(spec, AddressTrace.of([0, 16, 1]))
    assert (run.done.tolist(), run.levels[0].merged_misses) == ([22, 23, 22], 1)


def test_an_access_to_two_lines_is_done_with_the_later_one():
    run = run_timed(one_level(), AddressTrace.of([60], sizes=8))
    assert run.done.tolist() == [23]


class Odd:
    """Answers after a time that is no whole number of the caches' cycles."""

    def __init__(self, env):
        self.env = env

    def request(self, address, size_bytes, write):
        return self.env.timeout(20_250_000)


def test_an_answer_between_two_cycles_is_there_at_the_next():
    assert done(one_level(), lines(0), clock_hz=10**9, memory=Odd) == [HIT + 21]
    assert done(one_level(), lines(0), clock_hz=2 * 10**9, memory=Odd) == [HIT + 41]


class Silent:
    """Never answers."""

    def __init__(self, env):
        self.env = env

    def request(self, address, size_bytes, write):
        return self.env.event()


def test_a_hang_says_who_waits_for_what():
    with pytest.raises(DeadlockError) as error:
        run_timed(two_levels(core=BLOCKING), lines(3, 4), memory=Silent)
    assert "core waits for room for load 1 of 0x100" in str(error.value)
    assert "L1 waits for a fill of L2 (requests: 1)" in str(error.value)
    assert "L2 waits for a fill of main memory (requests: 1)" in str(error.value)
    assert "main memory waits for its server: 0xc0" in str(error.value)
