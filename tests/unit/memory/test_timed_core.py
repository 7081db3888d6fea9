"""The core in front of timed caches, textbook bandwidths and latencies, and bad descriptions."""

from fractions import Fraction

import numpy as np
import pytest

from sim.memory.cache.hierarchy import CacheHierarchy
from sim.memory.cache.run import AddressTrace
from sim.memory.cache.spec import hierarchy
from sim.memory.timed import CoreSpec, TimedHierarchySpec, TimedLevelSpec, run_timed
from sim.stalls import StallCause

LINE, WIDE = 64, 4096
ROOMY = {"mshrs": 64, "mshr_targets": 64, "fill_bytes_per_cycle": WIDE, "write_buffer": 64}
BASE = {
    "caches": {
        "levels": [
            {"name": "L1", "capacity_bytes": 1024, "ways": 2, "hit_cycles": 2},
            {"name": "L2", "capacity_bytes": 8192, "ways": 4, "hit_cycles": 10},
        ],
        "memory_cycles": 50,
    },
    "timing": {"L1": ROOMY, "L2": ROOMY},
    "memory_bytes_per_cycle": WIDE,
    "core": {"issue_per_cycle": 1, "outstanding_loads": 64, "store_buffer": 64},
}


def spec(*, first=None, second=None, core=None, **top):
    return TimedHierarchySpec.model_validate({
        **BASE,
        **top,
        "timing": {"L1": {**ROOMY, **(first or {})}, "L2": {**ROOMY, **(second or {})}},
        "core": {**BASE["core"], **(core or {})},
    })  # fmt: skip


def stream(count):
    return AddressTrace.of(np.arange(count) * LINE, sizes=8)


def mixed(count, *, stores=False, seed=1, lines=300):
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, 2, count) if stores else 0
    return AddressTrace.of(rng.integers(0, lines * 8, count) * 8, kinds=kinds, sizes=8)


def cycles_per_line(run):
    """In the steady state, over the last hundred lines."""
    return Fraction(int(run.done[-1] - run.done[-101]), 100)


def test_a_blocking_core_takes_the_average_access_time_for_each_access():
    trace = mixed(1000)
    untimed = CacheHierarchy(spec().caches)
    for address, size in zip(trace.addresses.tolist(), trace.sizes.tolist(), strict=True):
        untimed.access(address, write=False, size_bytes=size)
    # The average of the second level is over its own accesses, all of them demand: no stores.
    average = untimed.levels[0].average_cycles
    run = run_timed(spec(core={"outstanding_loads": 1}), trace)
    assert run.cycles == 1000 * average
    assert run.average_latency_cycles == average


@pytest.mark.parametrize("mshrs", [1, 2, 4, 8])
def test_misses_under_way_are_throughput_times_latency(mshrs):
    # From the MSHR of the first level to the line: ten cycles of the second, fifty of memory.
    run = run_timed(spec(first={"mshrs": mshrs}), stream(400))
    assert cycles_per_line(run) == Fraction(10 + 50, mshrs) or mshrs == 8
    steps = run.done[200 + mshrs :] - run.done[200:-mshrs]
    assert set(steps.tolist()) == {10 + 50}


@pytest.mark.parametrize(
    ("fill", "memory", "slowest"), [(64, 16, 16), (8, 16, 8), (16, 8, 8), (24, 48, 24)]
)
def test_a_stream_gets_the_least_bandwidth_on_its_way(fill, memory, slowest):
    run = run_timed(
        spec(second={"fill_bytes_per_cycle": fill}, memory_bytes_per_cycle=memory), stream(400)
    )
    moved = 300 * LINE
    cycles = int(run.done[-1] - run.done[-301])
    assert cycles in {moved // slowest, -(-moved // slowest)}


def test_a_bandwidth_that_binds_is_what_the_stack_shows():
    stalls = run_timed(spec(memory_bytes_per_cycle=4), stream(400)).stack.stalls
    assert stalls[StallCause.BANDWIDTH] > 9 * (sum(stalls.values()) // 10)


def test_the_stack_of_a_blocking_load_is_its_way_through_the_levels():
    run = run_timed(spec(core={"outstanding_loads": 1}), stream(1))
    assert run.stack.busy == 1
    assert run.stack.stalls == {StallCause.CACHE: 2 - 1 + 10, StallCause.DRAM: 50}


def test_waiting_for_an_mshr_is_structural():
    core = {"outstanding_loads": 2}
    run = run_timed(spec(first={"mshrs": 1}, core=core), stream(2))
    # The second is found missing at 3, waits until 62, and takes as long as the first.
    assert run.done.tolist() == [62, 122]
    assert run.stack.stalls[StallCause.STRUCTURAL] == 62 - 3


def test_a_merged_access_waits_for_what_the_first_one_waits_for():
    run = run_timed(spec(), AddressTrace.of([0, 8]))
    assert run.stack.stalls == {StallCause.CACHE: 10, StallCause.DRAM: 50}


def test_a_dependent_load_is_issued_when_the_one_before_is_there():
    run = run_timed(spec(), stream(3), dependent=True)
    assert run.issued.tolist() == [0, 62, 124]
    assert run_timed(spec(), stream(3)).issued.tolist() == [0, 1, 2]


def test_loads_beyond_those_that_may_be_outstanding_wait_for_one_to_end():
    run = run_timed(spec(core={"outstanding_loads": 2}), stream(3))
    assert run.issued.tolist() == [0, 1, 62]


def test_a_store_waits_for_room_in_the_store_buffer_and_a_load_does_not():
    trace = AddressTrace.of(np.arange(3) * LINE, kinds=[1, 1, 0])
    assert run_timed(spec(core={"store_buffer": 1}), trace).issued.tolist() == [0, 62, 63]
    trace = AddressTrace.of(np.arange(3) * LINE, kinds=[1, 0, 1])
    assert run_timed(spec(core={"store_buffer": 1}), trace).issued.tolist() == [0, 1, 62]


def test_so_many_accesses_are_issued_in_a_cycle():
    run = run_timed(spec(core={"issue_per_cycle": 2}), stream(5))
    assert run.issued.tolist() == [0, 0, 1, 1, 2]


def test_nothing_takes_no_time():
    run = run_timed(spec(), AddressTrace.of([]))
    assert (run.cycles, run.average_latency_cycles, run.stack.total) == (0, 0, 0)


def test_the_same_input_gives_the_same_cycles():
    one, other = (run_timed(spec(), mixed(300, stores=True)) for _ in range(2))
    assert (one.done == other.done).all()
    assert (one.stack, one.levels, one.counts) == (other.stack, other.levels, other.counts)


TIGHT = {
    "ports": 2, "banks": 2, "bank_busy_cycles": 3, "miss_cycles": 1, "mshrs": 2,
    "mshr_targets": 1, "fill_bytes_per_cycle": 16, "write_buffer": 1, "write_back_cycles": 30,
}  # fmt: skip
OTHER = {
    "ports": 1, "banks": 4, "bank_busy_cycles": 6, "miss_cycles": 2, "mshrs": 3,
    "mshr_targets": 3, "fill_bytes_per_cycle": 4, "write_buffer": 2, "write_back_cycles": 3,
}  # fmt: skip


LONG_LINES = {
    "levels": [BASE["caches"]["levels"][0], {**BASE["caches"]["levels"][1], "line_bytes": 256}],
    "memory_cycles": 50,
}


def times(own, level):
    """When each access of two traces, one that mostly hits, is done."""
    traces = [mixed(300, stores=True), mixed(300, stores=True, lines=12)]
    timed = spec(**{level: own}, core={"issue_per_cycle": 2}, caches=LONG_LINES)
    return [run_timed(timed, trace).done.tolist() for trace in traces]


@pytest.mark.parametrize("level", ["first", "second"])
@pytest.mark.parametrize("field", sorted(TimedLevelSpec.model_fields))
def test_every_field_of_a_levels_timing_moves_the_time_of_an_access(level, field):
    assert times({**TIGHT, field: OTHER[field]}, level) != times(TIGHT, level)


@pytest.mark.parametrize("field", sorted(CoreSpec.model_fields))
def test_every_field_of_the_core_moves_the_time_of_an_access(field):
    core = {"issue_per_cycle": 2, "outstanding_loads": 4, "store_buffer": 2}
    trace = mixed(300, stores=True, lines=40)
    before, after = (
        run_timed(spec(core=own, first={"ports": 2, "banks": 2}), trace).done.tolist()
        for own in (core, {**core, field: 1})
    )
    assert before != after


def test_main_memorys_latency_and_bandwidth_move_the_cycles():
    before = run_timed(spec(), stream(50)).cycles
    later = {**BASE["caches"], "memory_cycles": 51}
    assert run_timed(spec(caches=later), stream(50)).cycles == before + 1
    assert run_timed(spec(memory_bytes_per_cycle=4), stream(50)).cycles > before


def test_a_larger_write_buffer_can_make_a_load_later_because_a_write_gets_in_front_of_it():
    # Memory's port, a byte a cycle, is first come first served.
    level = {"name": "L1", "capacity_bytes": 8, "ways": 1, "line_bytes": 8, "hit_cycles": 0}
    through = {**level, "write_back": False, "write_allocate": False}
    trace = AddressTrace.of([0, 0, 0], kinds=[1, 1, 0], sizes=[4, 1, 1])

    def cycles(write_buffer):
        timing = {"mshrs": 1, "mshr_targets": 1, "fill_bytes_per_cycle": 1}
        return run_timed(
            TimedHierarchySpec.model_validate({
                "caches": {"levels": [through], "memory_cycles": 0},
                "timing": {"L1": {**timing, "write_buffer": write_buffer}},
                "memory_bytes_per_cycle": 1,
            }),
            trace,
        ).cycles  # fmt: skip

    assert (cycles(1), cycles(2)) == (11, 12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"timing": {"L1": ROOMY}}, "level 'L2' has no timing; add it"),
        ({"timing": {"L1": ROOMY, "L2": ROOMY, "L3": ROOMY}}, "timing of 'L3': no such level"),
        ({"timing": {"L1": {**ROOMY, "miss_cycles": 3}, "L2": ROOMY}}, "cannot be above hit_cyc"),
        ({"timing": {"L1": {**ROOMY, "mshrs": 0}, "L2": ROOMY}}, "mshrs"),
        ({"timing": {"L1": {**ROOMY, "mhsrs": 1}, "L2": ROOMY}}, "mhsrs"),
        ({"memory_bytes_per_cycle": 0}, "memory_bytes_per_cycle"),
        ({"core": {"outstanding_loads": 0}}, "outstanding_loads"),
    ],
)
def test_what_is_no_timed_hierarchy_is_an_error(change, message):
    with pytest.raises(ValueError, match=message):
        TimedHierarchySpec.model_validate({**BASE, **change})


def test_a_hierarchy_built_by_its_short_form_can_be_timed():
    caches = hierarchy({"capacity_bytes": 1024, "ways": 2, "hit_cycles": 3}, memory_cycles=7)
    timing = {"L1": TimedLevelSpec(**ROOMY)}
    short = TimedHierarchySpec(caches=caches, timing=timing, memory_bytes_per_cycle=64)
    assert run_timed(short, stream(1)).cycles == 10
