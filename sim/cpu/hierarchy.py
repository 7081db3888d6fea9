"""The memory side of an operation: where its operands lie, and what a line costs from there."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from sim.cpu.spec import CachedCpuSpec
from sim.cpu.steady import LineCost
from sim.memory.residency import Residency
from sim.stalls import StallCause
from workloads.trace import Access, Family, Op, Role, Trace

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


class Hierarchy:
    """The caches between operations: who still holds what.

    Several cores' private caches keep nothing between operations, since the next one may split
    its work differently; what all cores share does.

    Models: reuse between operations at tensor granularity, write-allocate, line costs by level.
    Ignores: conflict misses; an operand that a level holds in part is walked at the cost of the
    next level that holds all of it (its traffic counts the missing bytes only).
    Source: Hennessy and Patterson, Computer Architecture, appendix B (average access time).
    """

    def __init__(self, spec: CachedCpuSpec) -> None:
        self.spec = spec
        self.dram = len(spec.levels)
        """Main memory's level index."""
        self._kept: list[tuple[int, Residency]] = []
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
            residency.write(tensor, layer, access.bytes, appended=appended)
        spilled = access.bytes if access.bytes > self.kept_bytes else 0
        return Operand(found.bytes, found.level, found.from_dram_bytes, spilled)

    def _look(self, trace: Trace, access: Access, layer: int | None, *, scattered: bool) -> Operand:
        tensor = trace.tensors[access.tensor]
        level, most = self.dram, 0
        for index, residency in reversed(self._kept):
            held = residency.read(tensor, layer, access.bytes, scattered=scattered)
            most = max(most, held)
            if held == access.bytes:
                level = index
        return Operand(access.bytes, level, access.bytes - most)

    def reuse_level(self, footprint_bytes: int) -> int:
        """Return the innermost level from which a loop that touches so much can read again."""
        for index, level in enumerate(self.spec.levels):
            if footprint_bytes <= level.capacity_bytes:
                return index
        return self.dram

    def line_cost(self, level: int, *, spilled: bool = False) -> LineCost:
        """Return the cost of a line's first touch, beyond a hit in L1.

        Without prefetch that is the whole latency of the levels passed, and the line's transfer;
        `spilled` adds the write-back of a line that cannot stay. With prefetch a private cache
        costs its bandwidth, and what lies behind is paid where the cores contend for it.
        """
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
