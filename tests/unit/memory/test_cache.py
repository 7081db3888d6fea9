import pytest

from sim.memory.cache.hierarchy import Cache, MainMemory

LINE = 64


def cache(lines=4, ways=2, below=None):
    return Cache(
        below or MainMemory(100),
        capacity_bytes=lines * LINE,
        line_bytes=LINE,
        ways=ways,
        hit_cycles=1,
    )


def test_the_second_touch_of_a_line_hits():
    l1 = cache()
    assert [l1.access(a, write=False) for a in (0, 4, 60, 64)] == [1, 0, 0, 1]


def test_the_least_recently_used_line_of_a_set_leaves():
    l1 = cache(lines=2, ways=2)
    for line in (0, 1, 0, 2):
        l1.access(line * LINE, write=False)
    assert l1.access(0, write=False) == 0
    assert l1.access(1 * LINE, write=False) == 1


def test_three_lines_of_one_set_of_two_ways_always_miss():
    l1 = cache(lines=4, ways=2)  # two sets: even lines share one
    for _ in range(3):
        for line in (0, 2, 4):
            assert l1.access(line * LINE, write=False) == 1
    assert l1.misses == 9


def test_a_dirty_line_is_written_back_when_it_leaves_and_a_clean_one_is_not():
    memory = MainMemory(100)
    l1 = cache(lines=1, ways=1, below=memory)
    l1.access(0, write=True)
    l1.access(LINE, write=False)
    l1.access(2 * LINE, write=False)
    assert (memory.writes, l1.write_backs) == (1, 1)


def test_a_line_written_back_is_found_one_level_further():
    l2 = cache(lines=8, ways=8)
    l1 = cache(lines=1, ways=1, below=l2)
    assert l1.access(0, write=True) == 2
    assert l1.access(LINE, write=False) == 2
    assert l1.access(0, write=False) == 1


def test_write_backs_do_not_count_as_accesses_of_the_level_below():
    l2 = cache(lines=8, ways=8)
    l1 = cache(lines=1, ways=1, below=l2)
    l1.access(0, write=True)
    l1.access(LINE, write=False)
    assert l2.hits + l2.misses == 2


def test_a_capacity_that_is_no_whole_number_of_sets_is_an_error():
    with pytest.raises(ValueError, match="no whole sets of 2 lines"):
        cache(lines=3, ways=2)
