"""Sharing patterns and recorded traces: who misses and why, and what keeping apart saves."""

import numpy as np
import pytest

from sim.errors import SpecError
from sim.memory.coherent.cache import PrivateCacheSpec, load, store, work
from sim.memory.coherent.description import load_system
from sim.memory.coherent.monitor import MissClass
from sim.memory.coherent.patterns import PATTERNS, Shape, build
from sim.memory.coherent.run import run_shared
from sim.memory.coherent.shared_trace import SharedTrace
from sim.memory.coherent.snooping import BusSpec
from sim.memory.coherent.system import CoherenceSpec, run_coherent, straight

BUS = load_system("bus-mesi-4")
SYSTEMS = pytest.mark.parametrize("name", ["bus-mesi-4", "crossbar-mesi-4", "mesh-moesi-16"])
LATER = 1000


def misses(*programs, **cache):
    """Misses of cores whose accesses come one every LATER cycles, core after core."""
    spec = CoherenceSpec(fabric=BusSpec(), cache=PrivateCacheSpec(**cache))
    result = run_coherent(spec, [straight(program) for program in programs])
    return [dict(core.misses) for core in result.cores]


def turns(*steps):
    """Two cores' programs from (core, access) in order, LATER apart."""
    programs = [[], []]
    for core, access in steps:
        for n in (0, 1):
            programs[n].append(work(LATER))
        programs[core].append(access)
        # the access itself fits into the other's wait many times over
    return programs


def test_the_first_touch_by_each_core_is_cold_even_of_words_that_another_wrote():
    assert misses(*turns((0, store(0, 1)), (1, load(0)))) == [
        {MissClass.COLD: 1},
        {MissClass.COLD: 1},
    ]


def test_a_miss_on_a_word_that_another_wrote_since_is_true_sharing():
    found = misses(*turns((0, load(0)), (1, store(0, 1)), (0, load(0))))
    assert found[0] == {MissClass.COLD: 1, MissClass.TRUE_SHARING: 1}


def test_a_miss_on_a_word_that_nobody_wrote_since_is_false_sharing():
    found = misses(*turns((0, load(0)), (1, store(8, 1)), (0, load(0))))
    assert found[0] == {MissClass.COLD: 1, MissClass.FALSE_SHARING: 1}


def test_the_class_is_that_of_the_access_that_misses_as_torrellas_has_it():
    """Dubois et al. (ISCA 1993) look at a copy's whole life, and call this miss true sharing."""
    steps = (0, load(0)), (1, store(8, 1)), (0, load(0)), (0, load(8))
    found = misses(*turns(*steps))
    assert found[0] == {MissClass.COLD: 1, MissClass.FALSE_SHARING: 1}


def test_a_word_written_before_the_line_was_lost_does_not_count():
    steps = (1, store(0, 1)), (0, load(0)), (1, store(8, 1)), (0, load(0))
    found = misses(*turns(*steps))
    assert found[0] == {MissClass.COLD: 1, MissClass.FALSE_SHARING: 1}


def test_a_second_writer_makes_the_miss_true_though_the_first_wrote_another_word():
    steps = (0, load(0)), (1, store(8, 1)), (1, store(0, 1)), (0, load(0))
    found = misses(*turns(*steps))
    assert found[0] == {MissClass.COLD: 1, MissClass.TRUE_SHARING: 1}


def test_a_line_evicted_and_then_written_by_another_misses_for_its_eviction():
    steps = (0, load(0)), (0, load(64)), (1, store(0, 1)), (0, load(0))
    found = misses(*turns(*steps), sets=1, ways=1)
    assert found[0] == {MissClass.COLD: 2, MissClass.CAPACITY: 1}


def test_a_write_to_a_shared_copy_is_an_upgrade_and_no_miss():
    found = misses(*turns((0, load(0)), (1, load(0)), (0, store(0, 1))))
    assert found[0] == {MissClass.COLD: 1}


@SYSTEMS
def test_private_words_miss_once_and_nothing_is_invalidated(name):
    result = run_shared(load_system(name), "private", accesses=40)
    assert result.misses == {MissClass.COLD: len(result.cores)}
    assert sum(core.invalidations for core in result.cores) == 0


@SYSTEMS
def test_readers_of_one_table_miss_on_each_line_once(name):
    result = run_shared(load_system(name), "shared-read", accesses=150)
    assert result.misses == {MissClass.COLD: 64 * len(result.cores)}


@SYSTEMS
def test_a_shared_counter_counts_all_and_misses_by_true_sharing_alone(name):
    system = load_system(name)
    result = run_shared(system, "true-sharing", accesses=40)
    assert result.memory[0] == 40 * system.cores
    assert set(result.misses) == {MissClass.COLD, MissClass.TRUE_SHARING}
    assert run_shared(system, "true-sharing", accesses=40, apart=True).cycles < result.cycles


@SYSTEMS
def test_words_of_one_line_miss_by_false_sharing_alone_and_private_ones_never(name):
    system = load_system(name)
    result = run_shared(system, "false-sharing", accesses=40)
    apart = run_shared(system, "false-sharing", accesses=40, apart=True)
    assert set(result.misses) == {MissClass.COLD, MissClass.FALSE_SHARING}
    assert apart == run_shared(system, "private", accesses=40)
    assert result.cycles > 2 * apart.cycles


@SYSTEMS
def test_items_reach_the_consumer_in_order_through_a_buffered_store(name):
    result = run_shared(load_system(name), "producer-consumer", accesses=60)
    head = 1 << 24
    assert result.memory[head] == result.memory[head + 8] == 20


@SYSTEMS
def test_every_turn_of_ping_pong_is_a_miss_by_true_sharing(name):
    result = run_shared(load_system(name), "ping-pong", cores=2, accesses=40)
    assert result.memory[1 << 24] == 40
    assert result.misses[MissClass.TRUE_SHARING] == pytest.approx(40, abs=2)
    assert MissClass.FALSE_SHARING not in result.misses


@SYSTEMS
def test_a_products_sums_are_all_there_and_padding_removes_false_sharing(name):
    system = load_system(name)
    side, apart = (
        run_shared(system, "parallel-matmul", cores=4, accesses=100, apart=apart)
        for apart in (False, True)
    )
    for result, stride in ((side, 16), (apart, 64)):
        sums = [
            result.memory[(3 << 24) + core * stride + word] for core in range(4) for word in (0, 8)
        ]
        assert sums == [8] * 8
    assert side.misses[MissClass.FALSE_SHARING] > 0
    assert MissClass.FALSE_SHARING not in apart.misses


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_makes_its_accesses_up_to_a_whole_step(name):
    result = run_shared(BUS, name, cores=2, accesses=100)
    counts = [core.accesses for core in result.cores]
    assert min(counts) >= 100
    if not PATTERNS[name].in_pairs:
        assert max(counts) < 100 + 56


@pytest.mark.parametrize("name", PATTERNS)
def test_more_accesses_take_more_cycles(name):
    short, long = (run_shared(BUS, name, cores=2, accesses=n).cycles for n in (60, 240))
    assert short < long


def test_a_trace_runs_word_by_word_in_each_cores_order(tmp_path):
    path = tmp_path / "t.npz"
    np.savez(
        path,
        addr=np.array([0, 128, 4, 128]),
        kind=np.array([1, 0, 0, 0], np.uint8),
        size=np.array([16, 8, 8, 1], np.uint8),
        core=np.array([0, 2, 0, 2]),
    )
    trace = SharedTrace.read(path)
    programs = [list(program) for program in trace.programs()]
    assert programs == [
        [store(0, 1), store(8, 1), load(0), load(8)],  # bytes 4 to 11 are of two words
        [],
        [load(128), load(128)],
    ]
    result = run_shared(BUS, trace)
    assert [core.accesses for core in result.cores] == [4, 0, 2]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({}, "has `core` beside"),
        ({"core": np.array([0])}, "as many cores as addresses"),
        ({"core": np.array([0, -1])}, "counted from 0"),
    ],
)
def test_a_file_without_fitting_cores_is_an_error_that_names_it(tmp_path, columns, said):
    path = tmp_path / "t.npz"
    np.savez(path, addr=np.arange(2), kind=np.zeros(2), size=np.ones(2), **columns)
    with pytest.raises(SpecError, match=said) as caught:
        SharedTrace.read(path)
    assert "t.npz" in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"trace": "false-shering"}, "did you mean 'false-sharing'"),
        ({"trace": "private", "cores": 5}, "has 4 cores, not 5"),
        ({"trace": "private", "cores": 0}, "each at least 1"),
        ({"trace": "private", "accesses": 0}, "each at least 1"),
        ({"trace": "ping-pong", "cores": 3}, "two by two"),
        ({"trace": SharedTrace.of([0], cores=[7])}, "has 4 cores, not 8"),
    ],
)
def test_what_a_system_cannot_run_is_an_error(asked, said):
    with pytest.raises(SpecError, match=said):
        run_shared(BUS, **asked)


def test_a_shape_keeps_words_apart_by_a_whole_line():
    near, apart = (Shape(cores=2, accesses=1, line_bytes=64, apart=a) for a in (False, True))
    assert (near.own(1), apart.own(1)) == (8, 64)
    assert len(build("private", near)) == 2
