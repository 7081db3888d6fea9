"""The vector unit: how many bundles an elementwise or row-wise operation takes.

A register holds sublanes x lanes elements of 32 bits. The last extent of a tensor is laid along the
lanes and padded to them, its rows along the sublanes and padded to those, so that a narrow or a
one-row tensor wastes most of a register, as it does on the chip.
"""

from __future__ import annotations

from dataclasses import dataclass

from sim.tpu.spec import VectorSpec
from workloads.trace import DTYPE_BYTES, Family, Op, Tensor


def padded_registers(vector: VectorSpec, elements: int, cols: int) -> int:
    """Count the registers of `elements` laid out in rows of `cols`, both extents padded."""
    rows = -(-elements // cols)
    return -(-rows // vector.sublanes) * -(-cols // vector.lanes)


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorWork:
    """One operation's needs of the vector unit, in whole registers."""

    loads: int
    stores: int
    arithmetic: int
    """Operations of the ALU slots; a transcendental takes one too."""
    transcendentals: int
    passes: int
    """Walks over the data of which each needs the result of the one before."""

    def busy_cycles(self, vector: VectorSpec) -> int:
        """Cycles of the slot that is needed most."""
        return max(
            -(-self.loads // vector.loads_per_cycle),
            -(-self.stores // vector.stores_per_cycle),
            -(-self.arithmetic // vector.alus_per_lane),
            self.transcendentals * vector.transcendental_cycles,
        )

    def latency_cycles(self, vector: VectorSpec) -> int:
        """Cycles until the last result of every pass is there."""
        return self.passes * vector.latency_cycles


class VectorUnit:
    """Counts an operation's bundles by slot.

    Models: padding to lanes and sublanes, load, store, ALU and transcendental slots of a VLIW
    bundle, each saturated by the best schedule, and the latency at the end of every pass.
    Ignores: reductions and permutations across lanes, conversion and packing of 16-bit elements,
    register pressure, address arithmetic on the scalar unit.
    Source: Norrie et al., The Design Process for Google's Training Chips: TPUv2 and TPUv3, IEEE
    Micro 41(2), 2021.
    """

    def __init__(self, vector: VectorSpec, tensors: tuple[Tensor, ...]) -> None:
        self.vector = vector
        self._tensors = tensors

    def work(self, op: Op) -> VectorWork:
        """Return the slots that an operation outside the arrays needs."""
        elements, cols = self._extents(op)
        registers = padded_registers(self.vector, elements, cols)
        passes = op.dims["passes"] if op.family is Family.ROWWISE else 1
        loads = 0
        for position, access in enumerate(op.reads):
            tensor = self._tensors[access.tensor]
            held = access.bytes // DTYPE_BYTES[tensor.dtype]
            walks = passes if position == 0 else 1
            loads += walks * padded_registers(self.vector, held, min(cols, max(held, 1)))
        stores = sum(
            padded_registers(self.vector, written, min(cols, max(written, 1)))
            for access in op.writes
            for written in (access.bytes // DTYPE_BYTES[self._tensors[access.tensor].dtype],)
        )
        operations = op.flops + op.transcendentals
        return VectorWork(
            loads=loads,
            stores=stores,
            arithmetic=-(-operations * registers // elements),
            transcendentals=-(-op.transcendentals * registers // elements),
            passes=passes,
        )

    def columns(self, op: Op) -> int:
        """Extent along the lanes: a row's, or the last one of what is written."""
        return self._extents(op)[1]

    def _extents(self, op: Op) -> tuple[int, int]:
        if op.family is Family.ROWWISE:
            return op.dims["rows"] * op.dims["cols"], op.dims["cols"]
        elements = op.dims["elements"]
        shape = self._tensors[op.writes[0].tensor].shape
        return elements, min(shape[-1] if shape else 1, elements)
