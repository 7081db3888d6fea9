"""What a TPU's description file says, beyond what every machine's says."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sim.energy import EnergySpec
from sim.errors import did_you_mean
from sim.spec import MachineSpec, Strict
from sim.tpu.array.systolic import ArraySpec, Dataflow, Drain, Rate
from sim.units import Bytes
from workloads.trace import DTYPE_BYTES

Count = Annotated[int, Field(gt=0)]

REGISTER_ELEMENT_BYTES = 4
"""The vector unit computes in 32 bits, whatever the tensor's dtype."""

Function = Literal["exp", "tanh", "sqrt", "sin"]
"""What the trace counts as transcendental, told apart by cost; `sin` stands for cosine too."""

STREAM_BUFFERS = 2
"""Buffers for what is on its way from memory: one fills while the array works on the other."""


class ArraysSpec(Strict):
    """The matrix units of a core."""

    count: Count
    rows: Count
    cols: Count
    dataflow: Dataflow
    double_buffered_weights: bool
    """Whether the operand that stays has a second set of registers, so that a fold enters while the
    fold before is still in the array; where outputs stay, whether the next fold's operands enter
    right behind, as closely as `drain` allows."""
    drain: Drain = Drain.DIRECT
    """How results leave where outputs stay; the other dataflows have none."""
    cycles_per_row: Mapping[str, Count]
    """By dtype of the operands: cycles between two rows, or steps of what streams, that enter an
    array; 3 where one product takes three passes."""
    rows_per_cycle: Mapping[str, Count] = {}
    """By dtype, where it is more than one: rows that enter an array together."""

    @model_validator(mode="after")
    def _only_known_dtypes(self) -> Self:
        for dtype in (*self.cycles_per_row, *self.rows_per_cycle):
            if dtype not in DTYPE_BYTES:
                raise ValueError(f"no dtype is named '{dtype}'{did_you_mean(dtype, DTYPE_BYTES)}")
        for dtype in self.rows_per_cycle:
            if dtype not in self.cycles_per_row:
                raise ValueError(f"rows_per_cycle of '{dtype}', for which cycles_per_row has none")
            self.rate(dtype)
        return self

    def rate(self, dtype: str) -> Rate:
        """Rows a cycle, or cycles a row; KeyError for a dtype that the arrays do not compute."""
        return Rate(
            cycles_per_step=self.cycles_per_row[dtype],
            steps_per_cycle=self.rows_per_cycle.get(dtype, 1),
        )

    @property
    def computes(self) -> tuple[str, ...]:
        """Dtypes of operands."""
        return tuple(self.cycles_per_row)

    def macs_per_cycle(self, dtype: str) -> Fraction:
        """Peak of all arrays together."""
        rate = self.rate(dtype)
        steps = Fraction(rate.steps_per_cycle, rate.cycles_per_step)
        return self.count * self.array.elements * steps

    @property
    def array(self) -> ArraySpec:
        """One of the arrays."""
        return ArraySpec(rows=self.rows, cols=self.cols, dataflow=self.dataflow, drain=self.drain)

    @property
    def overlapped(self) -> bool:
        """Whether folds overlap, in any dataflow."""
        return self.double_buffered_weights


class SpecialSpec(Strict):
    """The unit for powers, logarithms, roots and hyperbolic tangents."""

    count: Count
    """Units that work side by side."""
    interval_cycles: Count
    """Between two operations on whole registers."""
    latency_cycles: Count
    """From an operation's start to the use of its result."""


class FunctionSpec(Strict):
    """What one function that the arithmetic units do not have costs on a whole register."""

    operations: Count
    """Operations of the arithmetic slots: scaling, range reduction, refinement."""
    special: Annotated[int, Field(ge=0)]
    """Operations of the special unit; 0 for a polynomial."""


class CrossLaneSpec(Strict):
    """The unit that moves data from lane to lane."""

    count: Count
    """Units that work side by side."""
    interval_cycles: Count
    """Between two registers that enter one unit."""
    latency_cycles: Count
    """From a register's entry to the use of its result."""
    reduces: bool
    """Whether one operation adds or compares all lanes of a row; otherwise a reduction takes
    log2(lanes) rotations, each followed by an arithmetic operation."""


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
    special: SpecialSpec
    functions: Mapping[Function, FunctionSpec]
    """Functions that it can compute, and their cost."""
    cross_lane: CrossLaneSpec | None = None
    """None where nothing moves between lanes: such a unit cannot reduce along rows."""

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
    energy: EnergySpec | None = None
    """None where no document says enough of the chip's power."""

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
