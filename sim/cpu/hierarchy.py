"""The memory side of an operation: where its operands lie, and what a line costs from there."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace

from sim.cpu.spec import CachedCpuSpec
from sim.cpu.steady import LineCost
from sim.memory.residency import Residency
from sim.stalls import StallCause
from workloads.trace import Access, Family, Op, Role, Tensor, Trace

L1 = 0
"""Index of the innermost cache; main memory's index is the number of caches."""


@dataclass(frozen=True, slots=True)
class Operand:
    """What one access of an operation finds."""

    bytes: int
    """Distinct bytes touched."""
    level: int
    """Innermost level that holds all of them."""
    from_dram_bytes: int
    """How many no cache holds."""
    spilled_bytes: int = 0
    """Written bytes that are too many to stay in the last cache."""
    in_l1_bytes: int = 0
    """How many the innermost cache holds, where it keeps anything between operations."""


class Hierarchy:
    """The caches between operations: who still holds what.

    Several cores' private caches keep nothing between operations, since the next one may split
    its work differently; what all cores share does.

    Models: reuse between operations at tensor granularity, write-allocate, line costs by level; of
    a result what the operation's own streams leave.
    Ignores: conflict misses; an operand that a level holds in part is walked at the cost of the
    next level that holds all of it (its traffic counts the missing bytes only).
    Source: Hennessy and Patterson, Computer Architecture, appendix B (average access time).
    """

    def __init__(self, spec: CachedCpuSpec) -> None:
        self.spec = spec
        self.dram = len(spec.levels)
        """Main memory's level index."""
        self._kept: list[tuple[int, Residency]] = []
        self._capacities = [level.capacity_bytes for level in spec.levels]
        self._line_costs: dict[tuple[int, bool], LineCost] = {}
        self.clear()

    def clear(self) -> None:
        """Empty all caches."""
        spec = self.spec
        self._kept = [
            (index, Residency(level.capacity_bytes))
            for index, level in enumerate(spec.levels)
            if spec.core_count == 1 or level.shared
        ]

    @property
    def kept_bytes(self) -> int:
        """All that can stay on chip between operations; outer caches include inner ones."""
        return max(residency.capacity_bytes for _, residency in self._kept)

    def read(self, trace: Trace, access: Access, layer: int | None, op: Op) -> Operand:
        """Look an operand up in every cache, and leave it there as the last one used."""
        scattered = op.family is Family.GATHER and access == op.reads[0]
        return self._look(trace, access, layer, scattered=scattered)

    def write(self, trace: Trace, access: Access, layer: int | None, op: Op) -> Operand:
        """Write a result: its lines are fetched first where no cache holds them."""
        tensor = trace.tensors[access.tensor]
        appended = op.family is Family.COPY and tensor.role is Role.KV_CACHE
        if appended:  # positions that nobody has touched yet
            found = Operand(access.bytes, self.dram, access.bytes)
        else:
            found = self._look(trace, access, layer, scattered=False)
        for _, residency in self._kept:
            stays = _stays(op, access.bytes, residency.capacity_bytes)
            if stays < access.bytes:
                residency.forget(tensor, layer)
            residency.write(tensor, layer, stays, appended=appended)
        spilled = access.bytes if access.bytes > self.kept_bytes else 0
        return replace(found, spilled_bytes=spilled)

    def data(self, name: str, count: int) -> Operand:
        """Look up what a kernel has of its own, `count` bytes, and leave it there."""
        tensor = Tensor(name=name, role=Role.ACTIVATION, shape=(count,), dtype="int8", address=0)
        return self._of_tensor(tensor, None, count)

    def _look(self, trace: Trace, access: Access, layer: int | None, *, scattered: bool) -> Operand:
        return self._of_tensor(
            trace.tensors[access.tensor], layer, access.bytes, scattered=scattered
        )

    def _of_tensor(
        self, tensor: Tensor, layer: int | None, count: int, *, scattered: bool = False
    ) -> Operand:
        level, most, innermost = self.dram, 0, 0
        for index, residency in reversed(self._kept):
            held = residency.read(tensor, layer, count, scattered=scattered)
            most = max(most, held)
            innermost = held if index == L1 else 0
            if held == count:
                level = index
        return Operand(count, level, count - most, in_l1_bytes=innermost)

    def walked_again(self, trace: Trace, access: Access, layer: int | None, level: int) -> None:
        """Make an operand the last one used in the caches from a level outwards."""
        tensor = trace.tensors[access.tensor]
        for index, residency in self._kept:
            if index >= level:
                residency.read(tensor, layer, access.bytes, scattered=False)

    def reuse_level(self, footprint_bytes: int) -> int:
        """Return the innermost level from which a loop that touches so much can read again."""
        for index, capacity in enumerate(self._capacities):
            if footprint_bytes <= capacity:
                return index
        return self.dram

    def first_cost(self, found: Operand) -> LineCost:
        """Return the cost of a line's first touch, on the average over what L1 holds of it."""
        line = self.line_cost(found.level, spilled=found.spilled_bytes > 0)
        missing = found.bytes - found.in_l1_bytes
        return replace(line, cycles=-(-line.cycles * missing // max(found.bytes, 1)))

    def line_cost(self, level: int, *, spilled: bool = False) -> LineCost:
        """Return the cost of a line's first touch, beyond a hit in L1.

        Without prefetch that is the whole latency of the levels passed, and the line's transfer;
        `spilled` adds the write-back of a line that cannot stay. With prefetch a private cache
        costs its bandwidth, and what lies behind is paid where the cores contend for it.
        """
        key = level, spilled
        if key not in self._line_costs:
            self._line_costs[key] = self._line_cost(level, spilled=spilled)
        return self._line_costs[key]

    def _line_cost(self, level: int, *, spilled: bool) -> LineCost:
        spec = self.spec
        line = spec.line_bytes
        if level == L1:
            return LineCost()
        if spec.streams_ahead:
            if level == self.dram or spec.levels[level].shared:
                return LineCost()
            return LineCost(-(-line // spec.levels[level].bytes_per_cycle))
        passed = spec.levels[1 : level + 1]
        cycles = sum(cache.hit_cycles for cache in passed)
        if level < self.dram:
            return LineCost(cycles)
        moved = spec.dram.transfer_cycles(line, line if spilled else 0)
        return LineCost(cycles + spec.dram.latency_cycles + moved, StallCause.DRAM)

    def key(self, layer: int) -> Hashable:
        """Return everything that the next operation can depend on."""
        return tuple(residency.key(layer) for _, residency in self._kept)

    def skip_layers(self, count: int) -> None:
        """Move on by layers that were proved to repeat."""
        for _, residency in self._kept:
            residency.skip_layers(count)


def _stays(op: Op, written: int, capacity_bytes: int) -> int:
    """Return how much of a result is still there when its operation ends.

    Results are written evenly along the operation's other streams, which drive the oldest out.
    """
    streamed = op.bytes_read + op.bytes_written
    return written if streamed <= capacity_bytes else written * capacity_bytes // streamed
