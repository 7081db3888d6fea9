"""What a GPU's description says beyond what every machine's does."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, model_validator

from sim.memory.cache.spec import CacheLevelSpec
from sim.spec import MachineSpec, Strict
from sim.units import Bytes, Ticks

LINE_BYTES = 128
"""NVIDIA, CUDA C++ Best Practices Guide, section on coalesced access: lines of 128 bytes."""


class LaunchSpec(Strict):
    """How work reaches the device: the host hands over one kernel after another."""

    host_interval_ticks: Ticks
    """Least time between two launches by one host thread."""
    device_start_ticks: Ticks
    """From a kernel at the head of its stream to its first thread block at work."""
    queue_depth: int = Field(ge=1)
    """Kernels that wait in a stream before the launch call blocks the host."""


class L2Spec(Strict):
    """The cache that all streaming multiprocessors share."""

    capacity_bytes: Bytes
    bytes_per_cycle: int = Field(ge=1)
    """Peak of all slices together, read."""
    efficiency: float = Field(default=1.0, gt=0, le=1)
    """Share of the peak that long streams reach."""
    latency_cycles: int = Field(ge=0)
    """From a load to its first byte, unloaded, when it hits."""

    @property
    def sustained_bytes_per_cycle(self) -> int:
        """Peak times efficiency."""
        return max(1, int(self.bytes_per_cycle * self.efficiency))


class SmSpec(Strict):
    """One streaming multiprocessor."""

    tensor_flops_per_cycle: Mapping[str, int]
    """Dense matrix arithmetic by dtype of the operands; what is missing is unsupported."""
    vector_flops_per_cycle: Mapping[str, int]
    """Everything else, by dtype of the operands; what is missing is unsupported."""
    special_functions_per_cycle: int = Field(ge=1)
    """Results of exponentials, reciprocal roots, tangents and the like."""
    shared_memory_bytes: Bytes
    """What thread blocks can use."""
    register_bytes: Bytes
    load_bytes_per_cycle: int = Field(ge=1)
    """What the load path takes in, from whichever level."""
    max_threads: int = Field(ge=1)
    max_blocks: int = Field(ge=1)


class TileSpec(Strict):
    """A thread block's share of a matrix product and its ring of operand buffers."""

    m: int = Field(ge=1)
    n: int = Field(ge=1)
    k_bytes: int = Field(ge=1)
    """Extent along k, in bytes of one row, so that it holds for every dtype."""
    stages: int = Field(ge=1)
    """Buffers of the software pipeline along k."""

    def buffer_bytes(self) -> int:
        """Shared memory of one thread block: all stages of both operands."""
        return self.stages * (self.m + self.n) * self.k_bytes


class TilesSpec(Strict):
    """The matrix kernels that the library offers."""

    shapes: tuple[TileSpec, ...] = Field(min_length=1)


class VectorKernelSpec(Strict):
    """The launch shape of kernels without matrix arithmetic."""

    threads_per_block: int = Field(ge=1)
    bytes_per_thread: int = Field(ge=1)
    """Of each operand, in one load instruction."""

    @property
    def chunk_bytes(self) -> int:
        """What a thread block loads of one operand at a time."""
        return self.threads_per_block * self.bytes_per_thread


class GpuSpec(MachineSpec):
    """A GPU: the host's launches, the SMs, the L2 cache, and the kernels' shapes."""

    sm_count: int = Field(ge=1)
    sm: SmSpec
    l2: L2Spec
    launch: LaunchSpec
    tiles: TilesSpec
    vector_kernel: VectorKernelSpec

    @property
    def l2_level(self) -> CacheLevelSpec:
        """The L2, line by line; fully associative, as no document says its ways."""
        lines = self.l2.capacity_bytes // LINE_BYTES
        capacity = lines * LINE_BYTES
        return CacheLevelSpec(name="l2", capacity_bytes=capacity, line_bytes=LINE_BYTES, ways=lines)

    @model_validator(mode="after")
    def _kernels_fit(self) -> GpuSpec:
        if self.vector_kernel.threads_per_block > self.sm.max_threads:
            raise ValueError("vector_kernel.threads_per_block is more than sm.max_threads")
        if not any(resident_blocks(self.sm, tile) for tile in self.tiles.shapes):
            raise ValueError("no tile of tiles.shapes fits sm.shared_memory_bytes and registers")
        return self


ACCUMULATOR_BYTES = 4
"""Matrix products accumulate in 32 bits, whatever the operands."""

ACCUMULATOR_SHARE = 2
"""Accumulators take about half of a thread's registers: CUTLASS documentation, "Efficient GEMM in
CUDA", section on warp-level GEMM."""


def resident_blocks(sm: SmSpec, tile: TileSpec) -> int:
    """Thread blocks of a tile shape that an SM holds at once; 0 where not even one fits."""
    registers = ACCUMULATOR_SHARE * ACCUMULATOR_BYTES * tile.m * tile.n
    by_memory = sm.shared_memory_bytes // tile.buffer_bytes()
    return min(by_memory, sm.register_bytes // registers, sm.max_blocks)
