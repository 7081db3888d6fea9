import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.memory.cache.run import AddressTrace, run_addresses
from sim.memory.cache.spec import hierarchy
from sim.memory.cache.stack_distance import FIRST_TOUCH, miss_ratio_curve, stack_distances


def test_a_distance_counts_the_distinct_lines_in_between():
    assert stack_distances([7, 8, 8, 9, 7, 7]).tolist() == [-1, -1, 0, -1, 2, 0]


def test_a_loop_over_more_lines_than_fit_always_misses():
    sizes, ratios = miss_ratio_curve(list(range(10)) * 3)
    assert sizes.tolist() == list(range(11))
    assert ratios.tolist() == [1] * 10 + [pytest.approx(1 / 3)]


def test_a_curve_of_nothing_is_one_point():
    sizes, ratios = miss_ratio_curve([])
    assert (sizes.tolist(), ratios.tolist()) == ([0], [1])


@given(st.lists(st.integers(0, 2**40), max_size=200))
def test_distances_are_positions_in_an_lru_stack(lines):
    stack, expected = [], []
    for line in lines:
        expected.append(stack.index(line) if line in stack else FIRST_TOUCH)
        if line in stack:
            stack.remove(line)
        stack.insert(0, line)
    assert stack_distances(lines).tolist() == expected


def test_the_curve_is_the_miss_ratio_of_fully_associative_caches_also_when_times_run_out():
    lines = np.random.default_rng(3).integers(0, 5_000, 100_000)
    _, ratios = miss_ratio_curve(lines)
    for size in (1, 64, 3_000):
        spec = hierarchy({"capacity_bytes": size * 64, "ways": size})
        level = run_addresses(spec, AddressTrace.of(lines * 64)).counts.levels[0]
        assert ratios[size] == pytest.approx(float(level.miss_rate))


@pytest.mark.parametrize("lines", [[-1], [[1, 2]]])
def test_what_is_no_row_of_line_numbers_is_an_error(lines):
    with pytest.raises(ValueError, match="one row of line numbers from 0"):
        stack_distances(lines)
