"""Main memory's first form: bandwidth and latency in the caller's cycles."""

import pytest

from sim.memory.flat import FlatMemory
from sim.spec import MemorySpec

SPEC = MemorySpec(
    kind="test",
    capacity_bytes="1 GiB",
    bandwidth_bytes_per_second="20 GB/s",
    efficiency=0.8,
    latency_ticks="50 ns",
)


@pytest.mark.parametrize(("moved", "cycles"), [(0, 0), (1, 1), (16, 1), (17, 2), (16_000, 1000)])
def test_sixteen_sustained_bytes_a_cycle_at_one_gigahertz(moved, cycles):
    assert FlatMemory(SPEC, 10**9).transfer_cycles(moved) == cycles


def test_a_part_is_rounded_up_by_itself():
    assert FlatMemory(SPEC, 10**9).transfer_cycles(64, parts=3) == 2


def test_latency_is_a_time_so_its_cycles_follow_the_clock():
    assert FlatMemory(SPEC, 10**9).latency_cycles == 50
    assert FlatMemory(SPEC, 3 * 10**9).latency_cycles == 151  # a period of 333,333 fs, rounded up
