"""The systolic array's schedule: how a matrix product is cut into folds, and what a fold costs.

C[M,N] = A[M,K] x B[K,N] on R rows and C columns. Two extents lie along the array, the third streams
through it; what does not fit is cut into folds. A partial fold costs the same as a full one, since
the array does not know which of its elements matter.

| dataflow | on rows | on columns | streams | one fold |
| --- | --- | --- | --- | --- |
| weight stationary (ws) | K | N | M | R + M + R - 1 + C - 1 |
| input stationary (is) | K | M | N | R + N + R - 1 + C - 1 |
| output stationary (os) | M | N | K | K + R - 1 + C - 1, and the drain |

ws and is shift the operand that stays in from the top (R cycles), let the other enter row by row,
and wait until its last row has crossed the array. os lets both operands stream, from the left and
from the top; sums stay where they grow, and leave as `Drain` says.

Serial folds begin when the fold before has left. Overlapped folds follow as closely as registers
allow: ws and is load the next operand into a second set of registers while this one is used, which
is the two-stage pipeline (load, stream) with one place between; os lets the next fold's operands
enter right behind. `reference` moves the numbers cycle by cycle and must agree with all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from sim.pipeline import Flow, StageSpec
from sim.stalls import CycleStack, StallCause


class Dataflow(StrEnum):
    """Which operand stays in the array."""

    WEIGHT_STATIONARY = "ws"
    OUTPUT_STATIONARY = "os"
    INPUT_STATIONARY = "is"


class Drain(StrEnum):
    """How results leave an output-stationary array; elsewhere they leave as they are made."""

    DIRECT = "direct"
    """Each from its element in the cycle that completes it: no cycles, but a wire an element."""
    OVERLAPPED = "overlapped"
    """Down the columns through registers of their own, while the next fold computes."""
    SERIAL = "serial"
    """Down the columns through the sum registers, for which the next fold must wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArraySpec:
    """One array of multiply-accumulate elements. Raises ValueError where it has none."""

    rows: int
    cols: int
    dataflow: Dataflow = Dataflow.WEIGHT_STATIONARY
    drain: Drain = Drain.DIRECT
    """Of an output-stationary array; the others have none."""

    def __post_init__(self) -> None:
        if self.rows < 1 or self.cols < 1:
            raise ValueError(f"an array needs rows and columns, not {self.rows}x{self.cols}")

    @property
    def elements(self) -> int:
        """Multiply-accumulates a cycle."""
        return self.rows * self.cols

    @property
    def crossing_cycles(self) -> int:
        """From a row's entry at the top left until its last result leaves at the bottom right."""
        return self.rows - 1 + self.cols - 1

    @property
    def load_cycles(self) -> int:
        """To shift one fold's stationary operand in; none where outputs stay."""
        return 0 if self.dataflow is Dataflow.OUTPUT_STATIONARY else self.rows

    @property
    def drain_cycles(self) -> int:
        """From the last sum's completion until the last has reached the bottom row."""
        drains = self.dataflow is Dataflow.OUTPUT_STATIONARY and self.drain is not Drain.DIRECT
        return self.rows - 1 if drains else 0

    def interval_cycles(self, stream_cycles: int) -> int:
        """Least cycles between the entries of two overlapped folds that stream for so long."""
        if self.dataflow is not Dataflow.OUTPUT_STATIONARY:
            return max(self.rows, stream_cycles)  # the next operand has to be in place
        if self.drain is Drain.OVERLAPPED:
            return max(self.rows, stream_cycles)  # a column's port lets one result out a cycle
        return stream_cycles + self.drain_cycles


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How fast operands of one precision stream. Raises ValueError unless one part is 1.

    An element that multiplies one bf16 pair a cycle takes float32 in `cycles_per_step` passes, or
    may take int8 at `steps_per_cycle` pairs a cycle.
    """

    cycles_per_step: int = 1
    steps_per_cycle: int = 1

    def __post_init__(self) -> None:
        if min(self.cycles_per_step, self.steps_per_cycle) != 1:
            raise ValueError(
                "a rate is a whole number of cycles a step or of steps a cycle, not "
                f"{self.steps_per_cycle} steps in {self.cycles_per_step} cycles"
            )

    def cycles(self, steps: int) -> int:
        """Cycles in which so many steps of the streamed extent enter."""
        return -(-steps // self.steps_per_cycle) * self.cycles_per_step


FULL_RATE = Rate()
"""One step a cycle: one multiply-accumulate an element and cycle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gemm:
    """Extents of one matrix product. Raises ValueError where one is not positive."""

    m: int
    n: int
    k: int

    def __post_init__(self) -> None:
        if min(self.m, self.n, self.k) < 1:
            raise ValueError(f"a product needs positive extents, not {self.m}x{self.n}x{self.k}")

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return self.m * self.n * self.k


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Which extents of a product lie along the array's rows and columns, and which streams."""

    on_rows: int
    on_cols: int
    streamed: int


PLACEMENTS: Mapping[Dataflow, Callable[[Gemm], Placement]] = {
    Dataflow.WEIGHT_STATIONARY: lambda g: Placement(on_rows=g.k, on_cols=g.n, streamed=g.m),
    Dataflow.OUTPUT_STATIONARY: lambda g: Placement(on_rows=g.m, on_cols=g.n, streamed=g.k),
    Dataflow.INPUT_STATIONARY: lambda g: Placement(on_rows=g.k, on_cols=g.m, streamed=g.n),
}
"""Dataflows with a schedule here and a reference in `sim.tpu.array.reference`."""


def place(array: ArraySpec, gemm: Gemm) -> Placement:
    """Lay a product on an array."""
    return PLACEMENTS[array.dataflow](gemm)


class SystolicSchedule:
    """Cycles of one product on one array, in closed form.

    Models: the three dataflows; load, streaming, skew, drain, partial folds at full cost; folds
    one after another, or overlapped through a second set of registers; precisions that take
    several passes or several pairs a cycle.
    Ignores: the memory that feeds the array, the addition of partial sums of different folds,
    which must keep up with the results as they leave.
    Source: Kung, Why Systolic Architectures?, IEEE Computer 15(1), 1982; Samajdar et al.,
    A Systematic Methodology for Characterizing Scalability of DNN Accelerators using SCALE-Sim,
    ISPASS 2020.
    """

    def __init__(self, array: ArraySpec, gemm: Gemm, rate: Rate = FULL_RATE) -> None:
        self.array = array
        self.gemm = gemm
        self.rate = rate
        self.placement = place(array, gemm)
        self.folds_down = -(-self.placement.on_rows // array.rows)
        """Folds along the array's rows."""
        self.folds_across = -(-self.placement.on_cols // array.cols)
        """Folds along the array's columns."""
        self.folds = self.folds_down * self.folds_across
        """Tiles of what stays in the array."""
        self.stream_cycles = rate.cycles(self.placement.streamed)
        """In which one fold's streamed operands enter."""

    @property
    def fold_cycles(self) -> int:
        """One fold by itself: load, stream, cross, drain."""
        array = self.array
        return array.load_cycles + self.stream_cycles + array.crossing_cycles + array.drain_cycles

    @property
    def interval_cycles(self) -> int:
        """Between the entries of two overlapped folds."""
        return self.array.interval_cycles(self.stream_cycles)

    @property
    def serial_cycles(self) -> int:
        """All folds, each begun when the one before has left the array's elements."""
        beside = self.array.drain_cycles if self.array.drain is Drain.OVERLAPPED else 0
        return self.folds * (self.fold_cycles - beside) + beside

    @property
    def overlapped_cycles(self) -> int:
        """All folds, each entering as closely behind the one before as registers allow."""
        return self.fold_cycles + (self.folds - 1) * self.interval_cycles

    @property
    def least_cycles(self) -> int:
        """What no schedule can beat: every element multiplying in every cycle."""
        work = self.gemm.macs * self.rate.cycles_per_step
        return -(-work // (self.array.elements * self.rate.steps_per_cycle))

    @property
    def mapping_efficiency(self) -> float:
        """Share of the elements that hold an operand, as a mean over folds."""
        used = self.placement.on_rows * self.placement.on_cols
        return used / (self.folds * self.array.elements)

    def utilisation(self, cycles: int) -> float:
        """Share of the elements' rate at this precision that is useful work over `cycles`."""
        work = self.gemm.macs * self.rate.cycles_per_step
        return work / (cycles * self.array.elements * self.rate.steps_per_cycle)

    def stack(self, *, overlapped: bool) -> CycleStack:
        """Account of all cycles: operands streaming, waits for a port, fill and drain."""
        total = self.overlapped_cycles if overlapped else self.serial_cycles
        streaming = self.folds * self.stream_cycles
        waits = (self.folds - 1) * (self.interval_cycles - self.stream_cycles) if overlapped else 0
        stalls = {StallCause.FILL_DRAIN: total - streaming - waits, StallCause.STRUCTURAL: waits}
        return CycleStack(busy=streaming, stalls=stalls)

    def overlapped_flow(self) -> tuple[tuple[StageSpec, ...], Flow]:
        """Return stages and uops, one a fold, whose pipeline makes the overlapped folds.

        Its total is `overlapped_cycles` but for the crossing of the last; a drain beside the next
        fold starts with the crossing's last cycle, and is counted as R cycles.
        """
        array, stream = self.array, self.stream_cycles
        if array.dataflow is not Dataflow.OUTPUT_STATIONARY:
            work = {"load": array.load_cycles, "stream": stream}
        elif array.drain is Drain.OVERLAPPED:
            work = {"stream": stream, "drain": array.rows}
        else:
            work = {"stream": stream + array.drain_cycles}
        cycles = np.tile(np.array([list(work.values())], dtype=np.int64), (self.folds, 1))
        stages = tuple(StageSpec(name=name) for name in work)
        return stages, Flow(cycles=cycles, fences=np.zeros(self.folds, dtype=np.bool_))


def sequence_cycles(array: ArraySpec, streams: Sequence[int], *, overlapped: bool) -> int:
    """Cycles of folds that stream for `streams` cycles each, in order; 0 without folds.

    The same rules as `SystolicSchedule`, for folds of unequal length.
    """
    if not streams:
        return 0
    edges = array.load_cycles + array.crossing_cycles + array.drain_cycles
    if not overlapped:
        beside = array.drain_cycles if array.drain is Drain.OVERLAPPED else 0
        return sum(streams) + len(streams) * (edges - beside) + beside
    if array.dataflow is Dataflow.OUTPUT_STATIONARY and array.drain is Drain.OVERLAPPED:
        # the next fold may enter early if it streams long enough for the port to be free again
        return edges + streams[0] + sum(array.interval_cycles(stream) for stream in streams[1:])
    return edges + sum(array.interval_cycles(stream) for stream in streams[:-1]) + streams[-1]
