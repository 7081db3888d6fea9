"""Store buffers: what a store costs, what a load may pass, and the litmus tests of x86-TSO."""

import pytest

from sim.memory.coherent.cache import PrivateCacheSpec, add, fence, load, store, work
from sim.memory.coherent.snooping import BusSpec
from sim.memory.coherent.system import CoherenceSpec, run_coherent, straight
from sim.memory.network.spec import NetworkSpec
from sim.memory.network.topology import Crossbar, Mesh
from sim.stalls import StallCause

BUS = BusSpec(width_bytes=16, snoop_cycles=4, memory_cycles=60)
FABRICS = pytest.mark.parametrize(
    "fabric",
    [BUS, NetworkSpec(topology=Crossbar(2)), NetworkSpec(topology=Mesh(2, 1), link_cycles=5)],
    ids=["bus", "crossbar", "mesh"],
)
MERGED = pytest.mark.parametrize("merged", [1, 4])
PROTOCOLS = pytest.mark.parametrize("protocol", ["MESI", "MOESI"])
MISS = 1 + 4 + 60 + 4  # lookup, snoop, memory, transfer
LONG = 1000  # work that outlasts every store
X, Y = 64, 192  # words of two lines


def run(fabric, *programs, entries, protocol="MESI", **cache):
    caches = PrivateCacheSpec(store_buffer=entries, **cache)
    spec = CoherenceSpec(fabric=fabric, protocol=protocol, cache=caches)
    return run_coherent(spec, programs)


def alone(*accesses, entries):
    """What one core on a bus does with a long work at its end."""
    return run(BUS, straight([*accesses, work(LONG)]), entries=entries)


def test_without_a_buffer_a_store_that_misses_holds_the_core():
    assert alone(store(X, 1), entries=0).cycles == MISS + LONG


@pytest.mark.parametrize("stores", [1, 2, 3])
def test_a_store_that_misses_costs_one_cycle_while_there_is_a_place(stores):
    result = alone(*[store(64 * n, 1) for n in range(stores)], entries=3)
    assert result.cycles == stores + LONG
    assert result.cores[0].account.stalls == {}


def test_a_store_into_a_full_buffer_waits_until_the_oldest_is_done():
    result = alone(*[store(64 * n, 1) for n in range(3)], entries=2)
    assert result.cycles == MISS + 1 + LONG
    assert result.cores[0].account.stalls == {StallCause.STRUCTURAL: MISS - 2}


def test_stores_drain_one_after_the_other_and_the_run_ends_with_the_last():
    result = run(BUS, straight([store(0, 1), store(64, 1), store(0, 2)]), entries=4)
    assert result.cycles == MISS + MISS + 1
    assert result.cores[0].account.stalls == {StallCause.FILL_DRAIN: 2 * MISS + 1 - 3}


@pytest.mark.parametrize("hit_cycles", [1, 3])
def test_a_load_takes_the_youngest_store_to_its_word_out_of_the_buffer(hit_cycles):
    answers = []

    def program():
        yield store(X, 7)
        yield store(X, 8)
        answers.append((yield load(X)))
        yield work(LONG)

    result = run(BUS, program(), entries=4, hit_cycles=hit_cycles)
    assert answers == [8]
    assert result.cycles == 2 + hit_cycles + LONG
    assert result.cores[0].forwarded == 1
    assert result.cores[0].accesses == 3


def test_a_load_of_another_word_passes_a_store_that_misses():
    assert alone(load(X), store(Y, 1), load(X + 8), entries=1).cycles == MISS + 1 + 1 + LONG


def test_a_load_of_the_stores_line_waits_for_it_but_needs_no_second_miss():
    result = alone(store(X, 1), load(X + 8), entries=1)
    assert result.cycles == MISS + LONG
    assert (result.cores[0].hits, sum(result.misses.values())) == (1, 1)


def test_two_misses_of_one_core_share_a_set_of_one_way():
    result = run(BUS, straight([store(0, 1), load(64), load(0)]), entries=1, sets=1, ways=1)
    assert (result.memory[0], result.cores[0].write_backs) == (1, 1)


def test_a_fence_waits_until_the_store_is_done_and_not_longer():
    fenced = alone(store(X, 1), fence(), entries=1)
    assert fenced.cycles == MISS + LONG
    assert fenced.cores[0].account.stalls == {StallCause.SYNCHRONISATION: MISS - 1}
    assert alone(store(X, 1), work(MISS), fence(), entries=1).cycles == 1 + MISS + LONG
    assert alone(fence(), entries=1).cycles == LONG


def test_an_atomic_waits_for_older_stores_and_then_for_itself():
    assert alone(store(X, 1), add(X, 1), entries=1).cycles == MISS + 1 + LONG


def litmus(fabric, protocol, entries, *bodies, warm=(X, Y), merged=1):
    """All outcomes of bodies that start at nearly the same time, each core's copies warm."""
    warmed = run(
        fabric, *[straight(map(load, warm)) for _ in bodies], entries=entries, protocol=protocol
    )
    outcomes = set()
    for delay in range(-12, 13, 2):
        answers = {}

        def program(core, body, wait, answers=answers):
            for address in warm:
                yield load(address)
            yield work(wait)
            answers[core] = yield from body()

        starts = [
            LONG - core.finished + late for core, late in zip(warmed.cores, (0, delay), strict=True)
        ]
        programs = [program(n, *each) for n, each in enumerate(zip(bodies, starts, strict=True))]
        run(fabric, *programs, entries=entries, protocol=protocol, merged_stores=merged)
        outcomes.add((answers[0], answers[1]))
    return outcomes


def store_then_load(mine, other, *between):
    def body():
        yield store(1024 + mine, 1)  # a miss that keeps the next store in the buffer
        yield store(mine, 1)
        for access in between:
            _answer = yield access
        return (yield load(other))

    return body


@MERGED
@FABRICS
@PROTOCOLS
def test_both_of_two_cores_read_the_old_value_only_with_a_buffer_and_no_fence(
    fabric, protocol, merged
):
    bare = store_then_load(X, Y), store_then_load(Y, X)
    fenced = store_then_load(X, Y, fence()), store_then_load(Y, X, fence())
    assert (0, 0) in litmus(fabric, protocol, 4, *bare, merged=merged)
    assert (0, 0) not in litmus(fabric, protocol, 0, *bare, merged=merged)
    assert (0, 0) not in litmus(fabric, protocol, 4, *fenced, merged=merged)


@MERGED
@FABRICS
def test_an_atomic_between_store_and_load_is_a_fence_too(fabric, merged):
    bodies = store_then_load(X, Y, add(320, 1)), store_then_load(Y, X, add(384, 1))
    assert (0, 0) not in litmus(fabric, "MESI", 4, *bodies, merged=merged)


@MERGED
@FABRICS
@PROTOCOLS
@pytest.mark.parametrize("entries", [0, 1, 4])
def test_who_sees_the_flag_sees_the_message(fabric, protocol, entries, merged):
    def producer():
        yield store(X, 1)
        yield store(Y, 1)
        return 0

    def consumer():
        while not (yield load(Y)):
            yield work(1)
        return (yield load(X))

    assert litmus(fabric, protocol, entries, producer, consumer, merged=merged) == {(0, 1)}


@MERGED
@FABRICS
def test_loads_are_not_delayed_past_younger_stores(fabric, merged):
    def load_then_store(first, second):
        def body():
            answer = yield load(first)
            yield store(second, 1)
            return answer

        return body

    seen = litmus(fabric, "MESI", 4, load_then_store(X, Y), load_then_store(Y, X), merged=merged)
    assert (1, 1) not in seen


@MERGED
@FABRICS
def test_a_core_sees_its_own_store_before_the_other_does(fabric, merged):
    def body(mine, other):
        def steps():
            yield store(1024 + mine, 1)  # a miss that keeps the next store in the buffer
            yield store(mine, 1)
            own = yield load(mine)
            return own, (yield load(other))

        return steps

    assert ((1, 0), (1, 0)) in litmus(fabric, "MESI", 4, body(X, Y), body(Y, X), merged=merged)


def test_a_negative_store_buffer_is_an_error():
    with pytest.raises(ValueError, match="store_buffer is -1"):
        PrivateCacheSpec(store_buffer=-1)


def test_stores_right_behind_the_oldest_are_done_with_it_where_they_are_to_its_line():
    stores = [store(0, 1), store(8, 2), store(16, 3)]
    one_by_one = run(BUS, straight(stores), entries=4)
    merged = run(BUS, straight(stores), entries=4, merged_stores=4)
    assert (one_by_one.cycles, merged.cycles) == (MISS + 2, MISS)
    assert merged.memory == one_by_one.memory == {0: 1, 8: 2, 16: 3}
    assert run(BUS, straight(stores), entries=4, merged_stores=2).cycles == MISS + 1


def test_a_store_never_passes_one_to_another_line():
    stores = [store(0, 1), store(64, 2), store(8, 3)]
    assert run(BUS, straight(stores), entries=4, merged_stores=4).cycles == 2 * MISS + 1


def test_a_message_passes_the_private_levels_behind_the_first_on_either_way():
    fabric = NetworkSpec(topology=Crossbar(2))
    near, far = (run(fabric, straight([load(X)]), entries=0, outer_cycles=n) for n in (0, 10))
    assert far.cycles == near.cycles + 10 + 10


def test_private_levels_go_with_a_network_and_merging_is_of_one_store_at_least():
    with pytest.raises(ValueError, match="outer_cycles go with a network"):
        run(BUS, straight([load(X)]), entries=0, outer_cycles=1)
    with pytest.raises(ValueError, match="outer_cycles is -1"):
        PrivateCacheSpec(outer_cycles=-1)
    with pytest.raises(ValueError, match="merged_stores is 0"):
        PrivateCacheSpec(merged_stores=0)
