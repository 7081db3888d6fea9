"""What stays between operations, tensor by tensor, against caches that look at every line."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.memory.cache.run import AddressTrace, run_addresses
from sim.memory.cache.spec import hierarchy
from sim.memory.cache.stack_distance import FIRST_TOUCH, stack_distances
from sim.memory.layout import trace_lines
from sim.memory.residency import Residency
from workloads import generate, load_model
from workloads.trace import Family, Role, Tensor

LINE_BYTES = 64
CAPACITIES = [2**power for power in range(14, 25)]
WORKING_SET = 2**22
"""What a decode step of the trace needs: neither far below nor above what it touches in all."""


@cache
def trace():
    """A prefill of 64 tokens and three decode steps of a whole small model."""
    run = generate(
        load_model("glassllm-en"),
        None,
        prompt_tokens=64,
        new_tokens=4,
        dtype="float32",
        max_context=68,
        execute=False,
    )
    return run.trace


@cache
def stream():
    pieces = list(trace_lines(trace(), LINE_BYTES))
    lines = np.concatenate([piece.lines for piece in pieces])
    return lines, np.concatenate([piece.writes for piece in pieces]), stack_distances(lines)


def fetched_by_tensor(capacity):
    level, missed = Residency(capacity), 0
    for at in trace().placed_ops():
        for number, access in enumerate(at.op.reads):
            tensor = trace().tensors[access.tensor]
            gathered = at.op.family is Family.GATHER and number == 0
            found = level.read(tensor, at.layer, access.bytes, scattered=gathered)
            missed += access.bytes - found
        for access in at.op.writes:
            tensor = trace().tensors[access.tensor]
            appended = at.op.family is Family.COPY and tensor.role is Role.KV_CACHE
            if appended:
                missed += access.bytes
            else:
                missed += access.bytes - level.read(tensor, at.layer, access.bytes, scattered=False)
            level.write(tensor, at.layer, access.bytes, appended=appended)
    return missed


def fetched_by_line(capacity):
    distances = stream()[2]
    missed = (distances == FIRST_TOUCH) | (distances >= capacity // LINE_BYTES)
    return int(np.count_nonzero(missed)) * LINE_BYTES


def fetched_by_sets(capacity, ways):
    lines, writes, _ = stream()
    caches = hierarchy({"capacity_bytes": capacity, "ways": ways})
    ran = run_addresses(caches, AddressTrace.of(lines * LINE_BYTES, kinds=writes))
    return ran.counts.memory.read_bytes


@pytest.mark.parametrize("capacity", CAPACITIES)
def test_tensors_are_fetched_as_often_as_their_lines_within_a_hundredth(capacity):
    assert fetched_by_tensor(capacity) == pytest.approx(fetched_by_line(capacity), rel=0.01)


@pytest.mark.parametrize("capacity", CAPACITIES)
def test_sets_of_eight_ways_matter_only_next_to_the_working_set(capacity):
    error = fetched_by_tensor(capacity) / fetched_by_sets(capacity, 8) - 1
    assert abs(error) < (0.5 if capacity == WORKING_SET else 0.01)


def test_next_to_the_working_set_sets_keep_what_one_lru_order_would_lose():
    error = fetched_by_tensor(WORKING_SET) / fetched_by_sets(WORKING_SET, 8) - 1
    assert 0.4 < error < 0.5


class _Lines:
    """A fully associative LRU cache of bytes: the reference on a few tensors."""

    def __init__(self, capacity):
        self.capacity = capacity
        self.order = []

    def stream(self, tensor, touched):
        found = 0
        for at in range(touched):
            line = (tensor, at)
            if line in self.order:
                self.order.remove(line)
                found += 1
            self.order.append(line)
            del self.order[: -self.capacity]
        return found


TENSORS = {
    name: Tensor(name=name, role=Role.WEIGHT, shape=(size,), dtype="int8", address=0)
    for name, size in (("a", 5), ("b", 8), ("c", 13))
}


@given(
    capacity=st.integers(1, 40),
    names=st.lists(st.sampled_from(sorted(TENSORS)), min_size=1, max_size=12),
)
@settings(deadline=None)
def test_whole_tensors_are_found_exactly_as_a_cache_of_lines_finds_them(capacity, names):
    level, lines = Residency(capacity), _Lines(capacity)
    for name in names:
        tensor = TENSORS[name]
        found = level.read(tensor, None, tensor.bytes, scattered=False)
        assert found == lines.stream(name, tensor.bytes)
