"""What a CPU's description says beside what every machine's says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, ValidationError, model_validator

from sim.cpu.inorder_rules import PipelineRules
from sim.cpu.tile_unit import TileUnitSpec
from sim.memory.cache.spec import CacheLevelSpec, HierarchySpec
from sim.memory.port import MemoryPort
from sim.spec import MachineSpec, Strict
from sim.units import Bytes

FLOAT_BITS = 32


class StagesSpec(Strict):
    """The pipeline's stages by role; as many memory stages as the first cache's `hit_cycles`."""

    fetch: int = Field(default=1, ge=1)
    decode: int = Field(default=1, ge=1)
    """The last one reads registers and issues."""
    execute: int = Field(default=1, ge=1)
    """The last one resolves branches."""
    check: int = Field(default=0, ge=0)
    """Between memory and write-back."""


class CoreSpec(Strict):
    """One in-order core, and how many there are."""

    count: int = Field(ge=1)
    lanes: int = Field(ge=1)
    """Elements of float32 in a vector register; 1 is a scalar core."""
    fp_latency_cycles: int = Field(ge=1)
    """From an operand entering EX until the result can; the unit takes one instruction a cycle."""
    forwarding: bool
    """Whether results bypass the register file."""
    shared_memory_port: bool
    """Whether fetches and data share one port: von Neumann; else Harvard."""
    prefetch: bool
    """Whether streams are fetched ahead, so that they cost bandwidth and not latency."""
    stages: StagesSpec = StagesSpec()
    """The classic five-stage pipeline unless given."""
    issue_width: int = Field(default=1, ge=1)
    """Instructions that each stage takes in a cycle, in order."""
    tiles: TileUnitSpec | None = None
    """A unit for products of tiles; without it the vector unit does them."""

    @property
    def vector_bits(self) -> int:
        """Length of a vector register, all of whose elements are computed in a cycle."""
        return FLOAT_BITS * self.lanes


class CacheSpec(Strict):
    """One level of cache."""

    capacity_bytes: Bytes
    line_bytes: Bytes
    ways: int = Field(ge=1)
    hit_cycles: int = Field(ge=1)
    """Added to an access that gets this far; in L1 these are the pipeline's memory stages."""
    bytes_per_cycle: int = Field(ge=1)
    """What one core, or all cores together where it is shared, can take out of it."""
    shared: bool = False
    """One for all cores, instead of one a core."""


class CachedCpuSpec(MachineSpec):
    """What CPUs of any kind of core have in common: caches from the inside out, main memory."""

    family: Literal["cpu"]
    caches: Mapping[str, CacheSpec] = Field(min_length=1)

    @model_validator(mode="after")
    def _caches_fit(self) -> Self:
        levels = list(self.caches.values())
        if len({level.line_bytes for level in levels}) > 1:
            raise ValueError("caches must agree in line_bytes")
        _refuse_broken_sets(self)
        if [level.capacity_bytes for level in levels] != sorted(
            level.capacity_bytes for level in levels
        ):
            raise ValueError("caches must grow from the inside out")
        return self

    @property
    def core_count(self) -> int:
        """Cores that share the last cache."""
        raise NotImplementedError

    @property
    def streams_ahead(self) -> bool:
        """Whether streams are fetched ahead, so that they cost bandwidth and not latency."""
        raise NotImplementedError

    @property
    def levels(self) -> tuple[CacheSpec, ...]:
        """Caches from the inside out."""
        return tuple(self.caches.values())

    @property
    def hierarchy(self) -> HierarchySpec:
        """The caches, line by line, as one core sees them; ValueError where they cannot be."""
        return HierarchySpec(
            levels=tuple(
                CacheLevelSpec(
                    name=name,
                    capacity_bytes=cache.capacity_bytes,
                    line_bytes=cache.line_bytes,
                    ways=cache.ways,
                    hit_cycles=cache.hit_cycles,
                )
                for name, cache in self.caches.items()
            )
        )

    @property
    def line_bytes(self) -> int:
        """Cache line of all levels."""
        return self.levels[0].line_bytes

    @property
    def dram(self) -> MemoryPort:
        """Main memory, in core cycles."""
        return MemoryPort(self.memory, self.clock_hz)


class CpuSpec(CachedCpuSpec):
    """A CPU of in-order cores, whose depth and width are data."""

    core: CoreSpec

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        levels = self.levels
        if levels[0].shared:
            raise ValueError("the first cache must be private: it is the pipeline's memory stages")
        shared = [level.shared for level in levels]
        if self.core.prefetch != shared[-1] or any(shared[:-1]):
            raise ValueError("`prefetch: true` goes with a last cache that is `shared: true`")
        if self.core.count > 1 and not self.core.prefetch:
            raise ValueError("several cores need `prefetch: true` and a shared last cache")
        return self

    @property
    def core_count(self) -> int:
        """Cores that share the last cache."""
        return self.core.count

    @property
    def streams_ahead(self) -> bool:
        """Whether streams are fetched ahead, so that they cost bandwidth and not latency."""
        return self.core.prefetch

    @property
    def rules(self) -> PipelineRules:
        """The pipeline's rules."""
        core = self.core
        return PipelineRules(
            forwarding=core.forwarding,
            shared_port=core.shared_memory_port,
            fetch_stages=core.stages.fetch,
            decode_stages=core.stages.decode,
            execute_stages=core.stages.execute,
            memory_stages=self.levels[0].hit_cycles,
            check_stages=core.stages.check,
            issue_width=core.issue_width,
        )


def _refuse_broken_sets(spec: CachedCpuSpec) -> None:
    try:
        _ = spec.hierarchy
    except ValidationError as error:
        raise ValueError(error.errors()[0]["msg"].removeprefix("Value error, ")) from error
