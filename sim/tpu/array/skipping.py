"""What a systolic array can leave out of a product whose operands have zeros.

The array runs in lockstep: in a cycle all elements of a row share an input, and all elements of a
fold share its steps. So a zero is skipped where a whole line of them stands in the way:

- a stationary row (a k in ws and is) whose elements are zero in all columns of the fold, or whose
  input is always zero: the rows below move up, and folds become fewer;
- a column that is zero altogether: its results are zero;
- a step (a row of A in ws, a column of B in is) that is zero in all rows of the fold;
- where outputs stay, a k at which all of the fold's A or all of its B is zero.

A zero among others that are none costs what any number costs. Who wants that too needs elements
with queues and indices of their own, which is another machine (SCNN, EIE), not this one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sim.tpu.array.sparsity import Indices, ZeroPattern
from sim.tpu.array.systolic import FULL_RATE, ArraySpec, Dataflow, Gemm, Rate, sequence_cycles


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedFold:
    """What is left of one fold, as indices into the product's extents."""

    on_rows: Indices
    on_cols: Indices
    streamed: Indices


class ZeroSkipping:
    """Cycles of a product of which whole lines of zeros are skipped, and the rest is not.

    Models: lines that are known, from the operands' patterns, before the fold begins, and are
    gathered around by the memories that feed the array.
    Ignores: what finding and gathering them costs; reordering or combining rows and columns so
    that zeros meet; zeros within a line, which are multiplied; sparse results.
    Source: derived from the array's lockstep (Kung, Why Systolic Architectures?, IEEE Computer
    15(1), 1982); what finer machines skip: Gondimalla et al., SparTen, MICRO 2019; combining
    columns: Kung, McDanel and Zhang, Packing Sparse Convolutional Neural Networks, ASPLOS 2019.
    """

    def __init__(
        self, array: ArraySpec, a: ZeroPattern, b: ZeroPattern, rate: Rate = FULL_RATE
    ) -> None:
        if a.cols != b.rows:
            raise ValueError(f"{a.rows}x{a.cols} times {b.rows}x{b.cols} is no product")
        self.array = array
        self.a = a
        self.b = b
        self.rate = rate
        self.gemm = Gemm(m=a.rows, n=b.cols, k=a.cols)

    def folds(self) -> Iterator[SkippedFold]:
        """Yield what is left of each fold that has anything left, in order."""
        if self.array.dataflow is Dataflow.OUTPUT_STATIONARY:
            yield from _outputs_stay(self.array, self.a, self.b)
        elif self.array.dataflow is Dataflow.WEIGHT_STATIONARY:
            yield from _operand_stays(self.array, self.a, self.b)
        else:  # the transposed product
            yield from _operand_stays(self.array, self.b.transposed, self.a.transposed)

    @cached_property
    def _sizes(self) -> list[tuple[int, int, int]]:
        """Extents of what is left of each fold."""
        return [(len(f.on_rows), len(f.on_cols), len(f.streamed)) for f in self.folds()]

    @property
    def fold_count(self) -> int:
        """Folds that have anything left."""
        return len(self._sizes)

    def _cycles(self, *, overlapped: bool) -> int:
        streams = [self.rate.cycles(steps) for _, _, steps in self._sizes]
        return sequence_cycles(self.array, streams, overlapped=overlapped)

    @property
    def serial_cycles(self) -> int:
        """As `SystolicSchedule.serial_cycles`; 0 where nothing is left."""
        return self._cycles(overlapped=False)

    @property
    def overlapped_cycles(self) -> int:
        """As `SystolicSchedule.overlapped_cycles`; 0 where nothing is left."""
        return self._cycles(overlapped=True)

    @property
    def issued_macs(self) -> int:
        """Multiply-accumulates that are left, zeros among others included."""
        return sum(rows * cols * steps for rows, cols, steps in self._sizes)

    @property
    def useful_macs(self) -> int:
        """Those of which neither operand is in a block of zeros: what finer skipping could reach.

        Divided by the array's elements, this is the bound of a machine whose elements each skip
        their own zeros and never wait.
        """
        return int(self.a.transposed.row_values() @ self.b.row_values())


def _operand_stays(array: ArraySpec, a: ZeroPattern, b: ZeroPattern) -> Iterator[SkippedFold]:
    """Let rows of A stream past B, which stays."""
    inputs = a.transposed.rows_used()
    columns = np.flatnonzero(b.transposed.rows_used())
    for left in range(0, len(columns), array.cols):
        on_cols = columns[left : left + array.cols]
        kept = np.flatnonzero(b.rows_used(on_cols) & inputs)
        for top in range(0, len(kept), array.rows):
            on_rows = kept[top : top + array.rows]
            streamed = np.flatnonzero(a.rows_used(on_rows))
            yield SkippedFold(on_rows=on_rows, on_cols=on_cols, streamed=streamed)


def _outputs_stay(array: ArraySpec, a: ZeroPattern, b: ZeroPattern) -> Iterator[SkippedFold]:
    """Let both operands stream along k, to sums that stay."""
    across = a.transposed
    rows = np.flatnonzero(a.rows_used())
    columns = np.flatnonzero(b.transposed.rows_used())
    strips = [rows[top : top + array.rows] for top in range(0, len(rows), array.rows)]
    used = [across.rows_used(strip) for strip in strips]
    for left in range(0, len(columns), array.cols):
        on_cols = columns[left : left + array.cols]
        weights = b.rows_used(on_cols)
        for strip, inputs in zip(strips, used, strict=True):
            streamed = np.flatnonzero(inputs & weights)
            if len(streamed):
                yield SkippedFold(on_rows=strip, on_cols=on_cols, streamed=streamed)
