"""The systolic array's schedule: how a matrix product is cut into folds, and what a fold costs.

C[M,N] = A[M,K] x B[K,N]. A weight-stationary array of R rows and C columns holds a tile of R x C
weights (a fold), through which the M rows of A stream; there are ceil(K/R) * ceil(N/C) folds.

One fold: R cycles to shift the weights in from the top, M cycles in which a row of A enters each,
and R - 1 + C - 1 cycles until the last row has crossed the array: M + 2R + C - 2. A partial fold
costs the same, since the array does not know which of its columns matter. `reference` moves the
numbers cycle by cycle and must agree.

With double-buffered weights the next fold's weights move in while the rows of this one stream,
which is the two-stage pipeline (load, stream) with one place between; only the first load and the
last crossing stay visible.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from sim.errors import UnsupportedOpError
from sim.pipeline import Flow, StageSpec


class Dataflow(StrEnum):
    """Which operand stays in the array."""

    WEIGHT_STATIONARY = "ws"
    OUTPUT_STATIONARY = "os"
    INPUT_STATIONARY = "is"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArraySpec:
    """One array of multiply-accumulate elements. Raises ValueError where it has none."""

    rows: int
    cols: int
    dataflow: Dataflow = Dataflow.WEIGHT_STATIONARY

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


def _weight_stationary(gemm: Gemm) -> Placement:
    return Placement(on_rows=gemm.k, on_cols=gemm.n, streamed=gemm.m)


PLACEMENTS: Mapping[Dataflow, Callable[[Gemm], Placement]] = {
    Dataflow.WEIGHT_STATIONARY: _weight_stationary,
}
"""Dataflows with a schedule here and a reference in `sim.tpu.reference`."""


def place(array: ArraySpec, gemm: Gemm) -> Placement:
    """Lay a product on an array; UnsupportedOpError for a dataflow without a schedule."""
    if array.dataflow not in PLACEMENTS:
        known = ", ".join(PLACEMENTS)
        raise UnsupportedOpError(
            f"dataflow '{array.dataflow}' has no schedule yet (known: {known}); "
            "it belongs in sim/tpu/systolic.py, with its reference in sim/tpu/reference.py"
        )
    return PLACEMENTS[array.dataflow](gemm)


class SystolicSchedule:
    """Cycles of one product on one array, in closed form.

    Models: weight load, streaming, skew, partial folds at full cost; folds one after another, or
    overlapped through a second set of weight registers.
    Ignores: the memory that feeds the array (`sim.tpu.machine` adds it), the addition of partial
    sums of different folds, other dataflows than weight stationary.
    Source: Kung, Why Systolic Architectures?, IEEE Computer 15(1), 1982; Samajdar et al.,
    A Systematic Methodology for Characterizing Scalability of DNN Accelerators using SCALE-Sim,
    ISPASS 2020.
    """

    def __init__(self, array: ArraySpec, gemm: Gemm) -> None:
        self.array = array
        self.gemm = gemm
        self.placement = place(array, gemm)
        self.folds = -(-self.placement.on_rows // array.rows) * -(
            -self.placement.on_cols // array.cols
        )
        """Tiles of stationary operands."""

    @property
    def fold_cycles(self) -> int:
        """One fold by itself: load, stream, cross."""
        return self.array.rows + self.placement.streamed + self.array.crossing_cycles

    @property
    def serial_cycles(self) -> int:
        """All folds, each begun when the one before has left the array."""
        return self.folds * self.fold_cycles

    @property
    def overlapped_cycles(self) -> int:
        """All folds, each loaded while the one before streams."""
        slowest = max(self.array.rows, self.placement.streamed)
        return self.fold_cycles + (self.folds - 1) * slowest

    @property
    def mapping_efficiency(self) -> float:
        """Share of the elements that hold an operand, as a mean over folds."""
        used = self.placement.on_rows * self.placement.on_cols
        return used / (self.folds * self.array.elements)

    def utilisation(self, cycles: int) -> float:
        """Share of the elements that do useful work over `cycles`."""
        return self.gemm.macs / (cycles * self.array.elements)

    def overlapped_flow(self) -> tuple[tuple[StageSpec, ...], Flow]:
        """Return stages and uops, one a fold, whose pipeline gives all but the last crossing."""
        cycles = np.tile(
            np.array([[self.array.rows, self.placement.streamed]], dtype=np.int64),
            (self.folds, 1),
        )
        stages = (StageSpec(name="load weights"), StageSpec(name="stream"))
        return stages, Flow(cycles=cycles, fences=np.zeros(self.folds, dtype=np.bool_))
