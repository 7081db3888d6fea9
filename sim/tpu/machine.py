"""A TPU core: systolic arrays and a vector unit behind a scratchpad that DMA fills."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, ClassVar

from sim.lowering import DRAM, LoweredOp, MachineModel, MemoryLevel, Peaks
from sim.pipeline import StageSpec
from sim.stalls import StallCause
from sim.tpu.lowering import CORE_STAGE, SCRATCHPAD, lower_gather, lower_matmul, lower_vector
from sim.tpu.operands import Movement, Scratchpad
from sim.tpu.spec import TpuSpec
from sim.tpu.systolic import Gemm, place
from sim.tpu.vector import VectorUnit
from workloads.trace import Family, Op, Trace

MATMUL_OPERANDS = 2


class TpuMachine(MachineModel):
    """A TPU core running one compiled program a step.

    Models: matrix products on weight-stationary arrays, everything else on the vector unit, one
    unit at a time; DMA that brings the next chunk's weights while this chunk is computed, across
    the borders of operations; activations that stay in the scratchpad.
    Ignores: fusion, the scalar unit, the overlap of vector unit and arrays, the host (a step's
    launch costs nothing), weights kept in the scratchpad from step to step.
    Source: Norrie et al., The Design Process for Google's Training Chips: TPUv2 and TPUv3, IEEE
    Micro 41(2), 2021.
    """

    LOWERED_IN: ClassVar[str] = "sim/tpu/lowering.py"

    def __init__(self, spec: TpuSpec) -> None:
        self.spec: TpuSpec = spec
        self.stages = (
            StageSpec(name="dma"),
            StageSpec(name="core", places=1, starved_as=StallCause.BANDWIDTH),
        )
        self.main_stage = CORE_STAGE
        self._forget(())

    def _forget(self, tensors: tuple[Any, ...]) -> None:
        self._scratchpad = Scratchpad(self.spec.scratchpad.activation_bytes, tensors)
        self._unit = VectorUnit(self.spec.vector, tensors)
        self._lowered: dict[Hashable, LoweredOp] = {}

    def peaks(self) -> Peaks:
        """Best rates, from the description alone."""
        arrays, vector, hertz = self.spec.arrays, self.spec.vector, self.spec.clock_hz
        macs = arrays.count * arrays.array.elements * hertz
        return Peaks(
            matmul_flops_per_second={
                dtype: 2 * macs // cycles for dtype, cycles in arrays.cycles_per_row.items()
            },
            vector_flops_per_second=vector.register_elements * vector.alus_per_lane * hertz,
            memory_bytes_per_second=self.spec.memory.bandwidth_bytes_per_second,
            on_chip_bytes=0,  # weights and cache pass through in every step; see `operands`
        )

    def memory_levels(self) -> tuple[MemoryLevel, ...]:
        """Scratchpad and main memory."""
        memory = self.spec.memory
        return (
            MemoryLevel(
                name=SCRATCHPAD,
                capacity_bytes=self.spec.scratchpad.capacity_bytes,
                bandwidth_bytes_per_second=self.spec.scratchpad_bytes_per_second,
            ),
            MemoryLevel(
                name=DRAM,
                capacity_bytes=memory.capacity_bytes,
                bandwidth_bytes_per_second=memory.bandwidth_bytes_per_second,
            ),
        )

    def start(self, trace: Trace) -> None:
        """Empty the scratchpad; UnsupportedOpError for what this core cannot compute."""
        self._forget(trace.tensors)
        arrays = self.spec.arrays
        place(arrays.array, Gemm(m=1, n=1, k=1))
        for block in trace.blocks:
            for op in block.ops:
                self._require_supported(op)

    def _require_supported(self, op: Op) -> None:
        if op.family in (Family.GATHER, Family.COPY):
            return
        known = self.spec.arrays.cycles_per_row
        if op.dtype not in known:
            raise self.unsupported(op, f"it computes in {', '.join(known)}, not in {op.dtype}")
        if op.family is Family.MATMUL and len(op.reads) < MATMUL_OPERANDS:
            raise self.unsupported(op, "a product needs two operands")
        if not op.writes:
            raise self.unsupported(op, "it writes nothing")

    def lower(self, op: Op, layer: int | None) -> LoweredOp:
        """Lower the next operation; equal shapes with equal movement give one object."""
        movement = self._scratchpad.move(op, layer)
        cols = None if op.family in (Family.MATMUL, Family.GATHER) else self._unit.columns(op)
        case = (op.shape_key, cols, movement)
        if case not in self._lowered:
            self._lowered[case] = self._lower(op, movement)
        return self._lowered[case]

    def _lower(self, op: Op, movement: Movement) -> LoweredOp:
        if op.family is Family.MATMUL:
            return lower_matmul(self.spec, op, movement)
        if op.family is Family.GATHER:
            return lower_gather(self.spec, op, movement)
        return lower_vector(self.spec, op, movement, self._unit)

    def state_key(self, layer: int) -> Hashable:
        """Return the activations in the scratchpad, with layers counted from `layer`."""
        return self._scratchpad.residency.key(layer)

    def skip_layers(self, count: int) -> None:
        """Move on by `count` layers that were proved to repeat."""
        self._scratchpad.residency.skip_layers(count)
