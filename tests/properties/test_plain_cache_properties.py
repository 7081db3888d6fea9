"""Plain hierarchies by their own compiled path count what the other two ways of counting do."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sim.errors import SpecError
from sim.memory.cache.compiled import counts_of, empty_frames, layout, walk
from sim.memory.cache.plain import BLOCK, count_plain, is_plain
from sim.memory.cache.run import AddressTrace, run_addresses
from sim.memory.cache.sets import WIDEST, width_of
from sim.memory.cache.spec import Inclusion, Replacement, hierarchy

FAR = 2**62
"""An address whose line number needs a long word."""


def by_plain(spec, trace):
    found = np.zeros(len(trace), dtype=np.int8)
    return count_plain(spec, trace.addresses, trace.kinds, trace.sizes, found), found


def by_walk(spec, trace):
    found = np.zeros(len(trace), dtype=np.int8)
    table, state = layout(spec)
    walk(trace.addresses, trace.kinds, trace.sizes, table, state, empty_frames(table), found)
    return counts_of(table, state), found


def by_reference(spec, trace):
    ran = run_addresses(spec, trace, engine="readable", where_found=True)
    return ran.counts, ran.found


def assert_same(left, right):
    assert left[0] == right[0]
    assert np.array_equal(left[1], right[1])


@st.composite
def plain_hierarchies(draw, most_sets=5):
    levels, line = [], draw(st.sampled_from([4, 8, 16]))
    for _ in range(draw(st.integers(1, 4))):
        ways = draw(st.sampled_from([1, 2, 3, 4, 6, 8]))
        line *= draw(st.sampled_from([1, 1, 2, 4]))
        levels.append({
            "capacity_bytes": ways * line * draw(st.integers(1, most_sets)),
            "ways": ways,
            "line_bytes": line,
            "replacement": draw(st.sampled_from(["lru", "fifo", "mru"])),
        })  # fmt: skip
    return hierarchy(*levels)


@st.composite
def traces(draw):
    base = draw(st.sampled_from([0, FAR]))
    access = st.tuples(
        st.integers(base, base + 400), st.integers(0, 1), st.sampled_from([1, 4, 8, 40, 255])
    )
    accesses = draw(st.lists(access, max_size=150))
    addresses, kinds, sizes = zip(*accesses, strict=True) if accesses else ((), (), ())
    return AddressTrace.of(addresses, kinds=kinds, sizes=sizes)


@given(plain_hierarchies(), traces())
@settings(deadline=None, max_examples=300)
@example(hierarchy({"capacity_bytes": 64, "ways": 1}), AddressTrace.of([]))
def test_the_plain_path_counts_what_the_readable_caches_and_the_general_path_count(spec, trace):
    assert is_plain(spec)
    plain = by_plain(spec, trace)
    assert_same(plain, by_reference(spec, trace))
    assert_same(plain, by_walk(spec, trace))


@given(plain_hierarchies(most_sets=40), st.integers(0, 2**32), st.sampled_from([0, FAR]))
@settings(deadline=None, max_examples=40)
def test_the_plain_path_counts_what_the_general_one_counts_over_several_blocks(spec, seed, base):
    generator = np.random.default_rng(seed)
    length = 3 * BLOCK
    walk_of_steps = np.cumsum(generator.integers(-40, 60, length)) % 2**14
    trace = AddressTrace.of(
        base + np.where(generator.random(length) < 0.1, walk_of_steps // 3, walk_of_steps),
        kinds=generator.integers(0, 2, length),
        sizes=generator.integers(1, 24, length),
    )
    assert_same(by_plain(spec, trace), by_walk(spec, trace))


def test_a_quiet_block_leaves_room_for_a_busy_one():
    front = {"capacity_bytes": 512, "ways": 2}
    quiet, busy = np.arange(2 * BLOCK) % 2, np.arange(2 * BLOCK)
    trace = AddressTrace.of(64 * np.concatenate((quiet, busy)), kinds=1)
    plain = by_plain(hierarchy(front, front), trace)
    assert_same(plain, by_walk(hierarchy(front, front), trace))
    assert plain[0].levels[1].store_misses == 0
    assert plain[0].levels[1].load_misses == 2 * BLOCK


@pytest.mark.parametrize("ways", [1, 5, 12, 16, 20, 33, WIDEST])
@pytest.mark.parametrize("replacement", ["lru", "fifo", "mru"])
def test_sets_of_any_width_are_searched_to_their_last_way(ways, replacement):
    spec = hierarchy({"capacity_bytes": 128 * ways, "ways": ways, "replacement": replacement})
    generator = np.random.default_rng(ways)
    lines = generator.integers(0, 3 * ways, 4000)
    trace = AddressTrace.of(64 * lines, kinds=generator.integers(0, 2, len(lines)))
    assert_same(by_plain(spec, trace), by_walk(spec, trace))


@pytest.mark.parametrize(
    "change",
    [
        {"replacement": Replacement.PLRU},
        {"write_back": False},
        {"write_allocate": False},
        {"sectors": 2},
        {"inclusion": Inclusion.INCLUSIVE},
        {"ways": 2 * WIDEST},
    ],
)
def test_what_the_plain_path_cannot_count_takes_the_general_one(change):
    front = {"capacity_bytes": "8 KiB", "ways": 2}
    spec = hierarchy(front, front | change)
    assert is_plain(hierarchy(front, front))
    assert not is_plain(spec)
    trace = AddressTrace.of(np.arange(400) * 60 % 9000, kinds=np.arange(400) % 2, sizes=9)
    ran = run_addresses(spec, trace, where_found=True)
    assert_same((ran.counts, ran.found), by_reference(spec, trace))


def test_lines_shorter_than_the_mark_of_a_request_take_the_general_path():
    assert not is_plain(hierarchy({"capacity_bytes": 64, "ways": 2, "line_bytes": 2}))


def test_a_set_is_held_by_the_next_power_of_two():
    assert [width_of(ways) for ways in (1, 4, 5, 8, 9, 64)] == [4, 4, 8, 8, 16, 64]


def test_an_access_that_ends_beyond_63_bits_is_refused():
    AddressTrace.of([2**63 - 9], sizes=8)
    with pytest.raises(SpecError, match="more than 63 bits"):
        AddressTrace.of([2**63 - 8], sizes=8)
