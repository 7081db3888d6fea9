"""What a TPU's description file says, beyond what every machine's says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sim.spec import MachineSpec, Strict
from sim.tpu.systolic import ArraySpec, Dataflow
from sim.units import Bytes

Count = Annotated[int, Field(gt=0)]

REGISTER_ELEMENT_BYTES = 4
"""The vector unit computes in 32 bits, whatever the tensor's dtype."""

STREAM_BUFFERS = 2
"""Buffers for what is on its way from memory: one fills while the array works on the other."""


class ArraysSpec(Strict):
    """The matrix units of a core."""

    count: Count
    rows: Count
    cols: Count
    dataflow: Dataflow
    double_buffered_weights: bool
    """Whether a fold's weights load while the rows of the fold before still stream."""
    cycles_per_row: Mapping[str, Count]
    """By dtype of the operands: cycles between two rows that enter an array; 3 where one product
    takes three passes."""

    @property
    def array(self) -> ArraySpec:
        """One of the arrays."""
        return ArraySpec(rows=self.rows, cols=self.cols, dataflow=self.dataflow)


class VectorSpec(Strict):
    """The vector unit: registers of sublanes x lanes, and what a bundle may do with them."""

    lanes: Count
    sublanes: Count
    alus_per_lane: Count
    """Arithmetic operations on whole registers that a cycle may start."""
    loads_per_cycle: Count
    """Registers read from the scratchpad a cycle."""
    stores_per_cycle: Count
    """Registers written to the scratchpad a cycle."""
    latency_cycles: Count
    """From an arithmetic operation's start to the use of its result."""
    transcendental_cycles: Count
    """Between two exponentials, square roots or the like on whole registers."""

    @property
    def register_elements(self) -> int:
        """Elements of one register."""
        return self.lanes * self.sublanes

    @property
    def register_bytes(self) -> int:
        """Bytes of one register."""
        return self.register_elements * REGISTER_ELEMENT_BYTES


class ScratchpadSpec(Strict):
    """The core's software-managed memory (VMEM)."""

    capacity_bytes: Bytes

    @property
    def stream_buffer_bytes(self) -> int:
        """One of the buffers for what streams from memory: together they take half."""
        return self.capacity_bytes // (2 * STREAM_BUFFERS)

    @property
    def activation_bytes(self) -> int:
        """What is left for activations that stay."""
        return self.capacity_bytes - STREAM_BUFFERS * self.stream_buffer_bytes


class TpuSpec(MachineSpec):
    """A TPU core."""

    family: Literal["tpu"]
    arrays: ArraysSpec
    vector: VectorSpec
    scratchpad: ScratchpadSpec

    @model_validator(mode="after")
    def _buffers_hold_a_fold(self) -> Self:
        fold = self.arrays.count * self.arrays.array.elements * REGISTER_ELEMENT_BYTES
        buffer = self.scratchpad.stream_buffer_bytes
        if buffer < fold:
            raise ValueError(
                f"a stream buffer, a quarter of the scratchpad, holds {buffer} bytes, fewer than "
                f"the {fold} of one fold for each array; enlarge scratchpad.capacity_bytes"
            )
        return self

    @property
    def scratchpad_bytes_per_second(self) -> int:
        """All load and store ports together."""
        ports = self.vector.loads_per_cycle + self.vector.stores_per_cycle
        return ports * self.vector.register_bytes * self.clock_hz
