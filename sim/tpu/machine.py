"""A TPU core: systolic arrays and a vector unit behind a scratchpad that DMA fills.

Names of the machines: a chip whose cores have memories of their own (v2, v3) is described core by
core, `tpu-v3-core`, with its share of the memory. Where two cores share the memory and programs are
compiled for both as one ("megacore": v4, v5p), or where there is one core (v1, v5e, v6e), the
machine is the chip, `tpu-v4`, and its units are those of all cores together.

What this model can and cannot say of other machines without caches:

- Groq's TSP (Abts et al., Think Fast, ISCA 2020) holds all weights in 220 MiB of SRAM and has no
  DRAM. A description of one chip can be made (arrays of 320 lanes, memory at the SRAM's bandwidth),
  and says when an operation is bound by its arrays or its SRAM. It says nothing of what makes the
  chip: instructions that meet their operands on a schedule known to the cycle, across chips; a
  language model needs hundreds of them, and their links are not here.
- Cerebras' WSE (Lie, Hot Chips 2022) gives each of 850,000 small cores its own 48 KiB and moves
  activations over a mesh, waking a core only for nonzero data. One systolic array of the same peak
  would have the wrong fill and drain times (the mesh is no array with one edge), the wrong memory
  (weights stream in from outside the wafer) and none of the sparsity. It is best left undescribed:
  an upper bound on arithmetic is all that could be read from it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, ClassVar

from sim.lowering import DRAM, LoweredOp, MachineModel, MemoryLevel, Peaks
from sim.pipeline import StageSpec
from sim.stalls import StallCause
from sim.tpu.array.systolic import Dataflow, Gemm, SystolicSchedule
from sim.tpu.lowering import CORE_STAGE, SCRATCHPAD, lower_gather, lower_matmul, lower_vector
from sim.tpu.operands import Movement, Scratchpad
from sim.tpu.overlap import VectorOverlap
from sim.tpu.spec import TpuSpec
from sim.tpu.tiling import AttentionTiling
from sim.tpu.vector import VectorUnit
from workloads.trace import DTYPE_BYTES, Family, Op, Trace

MATMUL_OPERANDS = 2


class TpuMachine(MachineModel):
    """A TPU core running one compiled program a step.

    Models: matrix products on the arrays, everything else on the vector unit, beside the arrays
    where the program's dependences allow; DMA that brings the next chunk's weights while this chunk
    is computed, across the borders of operations; activations that stay in the scratchpad;
    attention in blocks of rows where its scores would not; a generation loop compiled into one
    program, so that no step is launched by the host.
    Ignores: fusion of vector operations with each other, the scalar unit, weights kept in the
    scratchpad from step to step.
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
        self._tensors = tensors
        self._scratchpad = Scratchpad(self.spec.scratchpad.activation_bytes, tensors)
        self._unit = VectorUnit(self.spec.vector, tensors)
        self._overlap = VectorOverlap()
        self._tiling: AttentionTiling | None = None
        self._lowered: dict[Hashable, LoweredOp] = {}

    def peaks(self) -> Peaks:
        """Best rates, from the description alone."""
        arrays, vector, hertz = self.spec.arrays, self.spec.vector, self.spec.clock_hz
        return Peaks(
            matmul_flops_per_second={
                dtype: int(2 * arrays.macs_per_cycle(dtype) * hertz) for dtype in arrays.computes
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
        for block in trace.blocks:
            for op in block.ops:
                self._require_supported(op)
        self._tiling = AttentionTiling(trace, self.spec.scratchpad.activation_bytes)

    def _require_supported(self, op: Op) -> None:
        if op.family is Family.ATTENTION:
            raise self.unsupported(op, f"no lowering for the family '{op.family}'")
        if op.family is not Family.MATMUL:
            self._require_whole_bytes(op)
        if op.family in (Family.GATHER, Family.COPY):
            return
        known = self.spec.arrays.computes
        if op.dtype not in known:
            raise self.unsupported(op, f"it computes in {_dtypes(known)}, not in {op.dtype}")
        if op.family is Family.MATMUL and len(op.reads) < MATMUL_OPERANDS:
            raise self.unsupported(op, "a product needs two operands")
        if not op.writes:
            raise self.unsupported(op, "it writes nothing")
        if op.family is not Family.MATMUL and (lacking := self._unit.lacks(op)):
            raise self.unsupported(op, lacking)

    def _require_whole_bytes(self, op: Op) -> None:
        """Refuse elements that share a byte where the vector unit would have to take them apart."""
        for access in (*op.reads, *op.writes):
            dtype = self._tensors[access.tensor].dtype
            if dtype not in DTYPE_BYTES:
                raise self.unsupported(op, f"its vector unit has no {dtype}")

    def lower(self, op: Op, layer: int | None) -> LoweredOp:
        """Lower the next operation; equal shapes with equal movement give one object."""
        tile = self._tiling.of(op) if self._tiling else None
        movement = self._scratchpad.move(op, layer, tile.inner if tile else frozenset())
        if op.family is Family.MATMUL:
            return self._lower_matmul(op, movement, tile.blocks if tile else 1)
        if op.family is Family.GATHER:
            self._overlap.passed()
            return self._remember((op.shape_key, movement), lambda: self._gather(op, movement))
        return self._lower_vector(op, movement)

    def _lower_matmul(self, op: Op, movement: Movement, blocks: int) -> LoweredOp:
        lowered = self._remember(
            (op.shape_key, movement, blocks),
            lambda: lower_matmul(self.spec, op, movement, least_rounds=blocks),
        )
        pieces, products = self._finished_apart(op)
        self._overlap.multiplied(lowered.main_cycles, pieces, products)
        return lowered

    def _finished_apart(self, op: Op) -> tuple[int, int]:
        """Count the parts of a product that are finished one after another, and whole products."""
        arrays, dims = self.spec.arrays, op.dims
        gemm = Gemm(m=dims["m"], n=dims["n"], k=dims["k"])
        schedule = SystolicSchedule(arrays.array, gemm)
        # where the reduction lies along the rows, a column of folds adds up to one finished part
        reduced = arrays.dataflow is not Dataflow.OUTPUT_STATIONARY
        parts = schedule.folds_across if reduced else schedule.folds
        return dims["batch"] * parts // arrays.count, dims["batch"] // arrays.count

    def _lower_vector(self, op: Op, movement: Movement) -> LoweredOp:
        hidden = 0
        if op.family is not Family.COPY and not movement.waits:
            hidden = self._overlap.hide(op, self._unit.work(op).busy_cycles(self.spec.vector))
        else:
            self._overlap.passed()
        return self._remember(
            (op.shape_key, self._unit.columns(op), movement, hidden),
            lambda: lower_vector(self.spec, op, movement, self._unit, hidden_cycles=hidden),
        )

    def _gather(self, op: Op, movement: Movement) -> LoweredOp:
        return lower_gather(self.spec, op, movement)

    def _remember(self, case: Hashable, lower: Callable[[], LoweredOp]) -> LoweredOp:
        """Lower a case that is new, and give a known one's result again."""
        if case not in self._lowered:
            self._lowered[case] = lower()
        return self._lowered[case]

    def state_key(self, layer: int) -> Hashable:
        """Return the activations in the scratchpad, with layers counted from `layer`."""
        return self._scratchpad.residency.key(layer), self._overlap.key()

    def skip_layers(self, count: int) -> None:
        """Move on by `count` layers that were proved to repeat."""
        self._scratchpad.residency.skip_layers(count)


def _dtypes(known: tuple[str, ...]) -> str:
    """List dtypes; where all are whole numbers, say what that asks of a model."""
    words = ", ".join(known)
    if any("float" in dtype for dtype in known):
        return words
    return f"{words} alone (a model must be quantised throughout)"
