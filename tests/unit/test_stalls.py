"""The vocabulary of cycles."""

import pytest

from sim.stalls import CycleStack, StallCause


def test_parts_sum_to_the_span():
    stack = CycleStack(busy=5, idle=2, stalls={StallCause.DRAM: 3, StallCause.CACHE: 0})
    assert (stack.total, stack.stalled) == (10, 3)
    assert StallCause.CACHE not in stack.stalls


def test_stacks_add_and_scale_part_by_part():
    one = CycleStack(busy=1, stalls={StallCause.DRAM: 2})
    other = CycleStack(idle=4, stalls={StallCause.DRAM: 1, StallCause.LAUNCH: 1})
    both = one + other
    assert both == CycleStack(busy=1, idle=4, stalls={StallCause.DRAM: 3, StallCause.LAUNCH: 1})
    assert both.scaled(3).total == 3 * both.total


@pytest.mark.parametrize(
    "parts", [{"busy": -1}, {"idle": -1}, {"busy": 9, "stalls": {StallCause.DRAM: -1}}]
)
def test_a_negative_part_is_impossible(parts):
    with pytest.raises(ValueError, match="negative cycles"):
        CycleStack(**parts)
