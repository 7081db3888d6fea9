"""The systolic array cycle by cycle: real numbers move through real processing elements.

This is the readable specification. No formula of cycles is used: every register is updated once a
cycle from its neighbours, the controller stops when the last result has come out, and the count of
cycles is what it took. The result is the matrix product. For small arrays; `systolic` has the
closed form, and a property test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from sim.tpu.systolic import ArraySpec, Gemm, place

Matrix = npt.NDArray[np.float64]
Tags = npt.NDArray[np.int64]

BUBBLE = -1
"""Tag of an element that holds no row of A in a cycle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The array at the end of one cycle; copies, so that a lesson may keep them."""

    cycle: int
    """Counted from 1 within the fold."""
    phase: Literal["load", "stream"]
    weights: Matrix
    """[R, C] weight registers."""
    inputs: Matrix
    """[R, C] operands of A, moving right."""
    sums: Matrix
    """[R, C] partial sums, moving down."""
    rows: Tags
    """[R, C] which row of A each element worked on, BUBBLE for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """What came out of the array, and when the last of it did."""

    values: Matrix
    """[M, N]."""
    cycles: int
    """All folds, one after another."""
    folds: int


class ProcessingElements:
    """R x C elements with a weight, an input and a sum register each.

    Models: one multiply-accumulate an element and cycle; weights shift down, inputs move right,
    sums move down, one element a cycle.
    Ignores: number formats (it computes in float64), the memories at the edges.
    Source: Kung, Why Systolic Architectures?, IEEE Computer 15(1), 1982.
    """

    def __init__(self, array: ArraySpec) -> None:
        self.array = array
        shape = (array.rows, array.cols)
        self.weights = np.zeros(shape)
        self.inputs = np.zeros(shape)
        self.sums = np.zeros(shape)
        self.rows = np.full(shape, BUBBLE, dtype=np.int64)

    def shift_weights(self, top: Matrix) -> None:
        """One cycle of loading: every weight moves down a row, `top` [C] enters."""
        self.weights = np.vstack([top, self.weights[:-1]])

    def step(self, left: Matrix, left_rows: Tags) -> None:
        """One cycle of streaming: `left` [R] enters at the left edge, tagged with its rows of A."""
        self.inputs = np.column_stack([left, self.inputs[:, :-1]])
        self.rows = np.column_stack([left_rows, self.rows[:, :-1]])
        from_above = np.vstack([np.zeros(self.array.cols), self.sums[:-1]])
        self.sums = from_above + self.inputs * self.weights


def run_fold(elements: ProcessingElements, a: Matrix, b: Matrix, out: Matrix) -> Iterator[Snapshot]:
    """Load `b` [R, C], stream `a` [M, R] through it, add the results to `out` [M, C].

    Yields the array after each cycle, until every row of A has left from every column.
    """
    m, rows = a.shape
    cycle = 0
    for row in reversed(range(rows)):  # the bottom row's weights go in first
        elements.shift_weights(b[row])
        cycle += 1
        yield _snapshot(elements, cycle, "load")
    missing = out.size
    time = 0
    while missing:
        entering = time - np.arange(rows)  # row r of the array lags by r: the skew
        valid = (entering >= 0) & (entering < m)
        tags = np.where(valid, entering, BUBBLE)
        left = np.where(valid, a[np.clip(entering, 0, m - 1), np.arange(rows)], 0.0)
        elements.step(left, tags)
        leaving = elements.rows[-1]  # [C] rows of A whose sums are complete at the bottom
        columns = np.flatnonzero(leaving != BUBBLE)
        out[leaving[columns], columns] += elements.sums[-1, columns]
        missing -= len(columns)
        time += 1
        cycle += 1
        yield _snapshot(elements, cycle, "stream")


def multiply(
    array: ArraySpec, a: Matrix, b: Matrix, *, watch: Callable[[Snapshot], None] | None = None
) -> Product:
    """Multiply a [M, K] by b [K, N], fold after fold; `watch` sees every cycle.

    Raises UnsupportedOpError for a dataflow other than weight stationary.
    """
    (m, k), n = a.shape, b.shape[1]
    placement = place(array, Gemm(m=m, n=n, k=k))
    out = np.zeros((m, n))
    cycles = folds = 0
    for left in range(0, placement.on_cols, array.cols):
        for top in range(0, placement.on_rows, array.rows):
            a_tile, b_tile = _tiles(array, a, b, top, left)
            results = np.zeros((m, array.cols))
            for snapshot in run_fold(ProcessingElements(array), a_tile, b_tile, results):
                cycles += 1
                if watch is not None:
                    watch(snapshot)
            width = min(array.cols, n - left)
            out[:, left : left + width] += results[:, :width]
            folds += 1
    return Product(values=out, cycles=cycles, folds=folds)


def _tiles(array: ArraySpec, a: Matrix, b: Matrix, top: int, left: int) -> tuple[Matrix, Matrix]:
    """Cut a fold's operands out of A and B, filled up with zeros to the array's size."""
    height = min(array.rows, b.shape[0] - top)
    width = min(array.cols, b.shape[1] - left)
    a_tile = np.zeros((a.shape[0], array.rows))
    a_tile[:, :height] = a[:, top : top + height]
    b_tile = np.zeros((array.rows, array.cols))
    b_tile[:height, :width] = b[top : top + height, left : left + width]
    return a_tile, b_tile


def _snapshot(
    elements: ProcessingElements, cycle: int, phase: Literal["load", "stream"]
) -> Snapshot:
    return Snapshot(
        cycle=cycle,
        phase=phase,
        weights=elements.weights.copy(),
        inputs=elements.inputs.copy(),
        sums=elements.sums.copy(),
        rows=elements.rows.copy(),
    )
