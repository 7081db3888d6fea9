import pytest

from sim.memory.cache.run import AddressTrace, run_addresses
from sim.memory.cache.spec import HierarchySpec, hierarchy

LINE = 64


def run(spec: HierarchySpec, lines, kinds=0, sizes=1):
    trace = AddressTrace.of([line * LINE for line in lines], kinds=kinds, sizes=sizes)
    return run_addresses(spec, trace).counts


def one(ways=2, **rules):
    return hierarchy({"capacity_bytes": ways * LINE, "ways": ways, **rules})


@pytest.mark.parametrize(
    ("replacement", "lines", "hits"),
    [
        ("lru", [0, 1, 0, 2, 0], 2),
        ("fifo", [0, 1, 0, 2, 0], 1),
        ("mru", [0, 1, 0, 2, 1], 2),
        ("srrip", [0, 1, 0, 2, 0], 2),
        ("plru", [0, 1, 0, 2, 0], 2),
    ],
)
def test_each_policy_gives_up_its_own_line(replacement, lines, hits):
    assert run(one(replacement=replacement), lines).levels[0].hits == hits


def test_random_replacement_repeats_with_its_seed():
    lines = [i * i % 7 for i in range(100)]
    first, again = (run(one(replacement="random", seed=5), lines) for _ in range(2))
    assert first == again


def test_a_tree_of_four_ways_gives_up_where_its_turns_point():
    lines = [0, 1, 2, 3, 0, 2, 4, 1]
    tree = run(one(4, replacement="plru"), [*lines, 3])
    assert (tree.levels[0].hits, tree.levels[0].misses) == (2, 7)


def test_a_write_through_store_reaches_memory_and_leaves_nothing_dirty():
    counts = run(one(write_back=False), [0, 0, 1, 2], kinds=[1, 1, 0, 0], sizes=8)
    assert (counts.memory.writes, counts.memory.written_bytes) == (2, 16)
    assert counts.levels[0].write_backs == 0


def test_without_allocation_a_missing_store_leaves_the_cache_as_it_was():
    counts = run(one(write_allocate=False), [0, 0], kinds=[1, 0])
    assert (counts.levels[0].store_misses, counts.levels[0].load_misses) == (1, 1)


def test_an_inclusive_level_takes_its_lines_from_the_level_in_front():
    inner, outer = {"capacity_bytes": 2 * LINE, "ways": 2}, {"capacity_bytes": LINE, "ways": 1}
    counts = run(hierarchy(inner, {**outer, "inclusion": "inclusive"}), [0, 1, 0], [1, 0, 0])
    assert counts.levels[0].back_invalidations == 2
    assert (counts.levels[0].misses, counts.memory.writes) == (3, 1)


def test_two_exclusive_levels_hold_as_many_lines_as_both_together():
    level = {"capacity_bytes": LINE, "ways": 1}
    counts = run(hierarchy(level, {**level, "inclusion": "exclusive"}), [0, 1, 0, 1, 0])
    assert counts.memory.reads == 2
    assert counts.levels[1].hits == 3


def test_a_sectored_line_fetches_only_what_was_touched():
    counts = run(one(sectors=4), [0, 0], sizes=[16, 32])
    assert (counts.levels[0].misses, counts.memory.read_bytes) == (2, 32)


def test_an_access_across_two_lines_touches_both():
    counts = run_addresses(one(), AddressTrace.of([60], sizes=8)).counts
    assert counts.levels[0].misses == 2


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ([{"capacity_bytes": 192, "ways": 2}], "no whole sets"),
        ([{"capacity_bytes": 192, "ways": 3, "replacement": "plru"}], "power of two of ways"),
        ([{"capacity_bytes": "32 Kb", "ways": 8}], "its unit must be one of"),
        ([{"capacity_bytes": 128, "ways": 2, "inclusion": "inclusive"}], "none in front"),
    ],
)
def test_what_is_no_hierarchy_is_an_error(levels, message):
    with pytest.raises(ValueError, match=message):
        hierarchy(*levels)
