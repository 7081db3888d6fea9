"""Processing elements: registers that are updated once a cycle from their neighbours.

The array has no addresses and no counters. What an element does in a cycle follows from the tags
that travel with the operands, so the cycles of `reference` come out of movement alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from sim.tpu.array.systolic import ArraySpec, Drain

Matrix = npt.NDArray[np.float64]
Tags = npt.NDArray[np.int64]

Scalar = TypeVar("Scalar", bound=np.generic)

BUBBLE = -1
"""Tag of a register that holds nothing in a cycle."""


class CollisionError(RuntimeError):
    """Two folds need one register in the same cycle: the second came too early."""


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
        self.weights = from_above(top, self.weights)

    def step(self, left: Matrix, left_rows: Tags) -> None:
        """One cycle of streaming: `left` [R] enters at the left edge, tagged with its rows of A."""
        self.inputs = from_left(left, self.inputs)
        self.rows = from_left(left_rows, self.rows)
        above = from_above(np.zeros(self.array.cols), self.sums)
        self.sums = above + self.inputs * self.weights


class BufferedElements(ProcessingElements):
    """Elements with a second weight register, filled while the first is in use.

    A weight is tagged with its fold and row, and moves down until it has come to its row; the first
    row of a fold's inputs makes each element it meets take over the weight that waits there.

    Models: as ProcessingElements, and the exchange of weights on the diagonal.
    Ignores: as ProcessingElements.
    Source: Jouppi et al., In-Datacenter Performance Analysis of a Tensor Processing Unit, ISCA
    2017, section 2: the matrix unit holds one tile of weights plus one for double buffering.
    """

    def __init__(self, array: ArraySpec, stride: int) -> None:
        super().__init__(array)
        self.stride = stride
        """At least the rows of A in a fold; `rows` is tagged fold * stride + row."""
        self.waiting = np.zeros((array.rows, array.cols))
        self.waiting_rows = np.full((array.rows, array.cols), BUBBLE, dtype=np.int64)
        """Tagged fold * R + row of the array to which the weight goes."""

    def holds(self, fold: int) -> bool:
        """Whether the weight for that fold has come to the corner where its inputs enter."""
        return bool(self.waiting_rows[0, 0] == fold * self.array.rows)

    def load_and_step(self, left: Matrix, left_rows: Tags, top: Matrix, top_rows: Tags) -> None:
        """One cycle in which inputs enter at the left and weights at the top.

        Raises CollisionError where an input finds its weight missing, or a weight its place taken.
        """
        entering = from_left(left_rows, self.rows)
        first = (entering != BUBBLE) & (entering % self.stride == 0)
        home = np.arange(self.array.rows)[:, None]
        if (first & (self.waiting_rows != entering // self.stride * self.array.rows + home)).any():
            raise CollisionError("an input has come before the weight it is to be multiplied with")
        self.weights = np.where(first, self.waiting, self.weights)
        self.waiting_rows = np.where(first, BUBBLE, self.waiting_rows)
        self._move_waiting(top, top_rows, home)
        self.step(left, left_rows)

    def _move_waiting(self, top: Matrix, top_rows: Tags, home: Tags) -> None:
        at_home = (self.waiting_rows != BUBBLE) & (self.waiting_rows % self.array.rows == home)
        moving = np.where(at_home, BUBBLE, self.waiting_rows)
        arriving = from_above(top_rows, moving)
        if (at_home & (arriving != BUBBLE)).any():
            raise CollisionError("a weight has come before the one in its place was used")
        self.waiting = np.where(at_home, self.waiting, from_above(top, self.waiting))
        self.waiting_rows = np.where(at_home, self.waiting_rows, arriving)


class OutputElements:
    """R x C elements with an input, a weight and a sum register each; sums stay where they grow.

    Models: one multiply-accumulate an element and cycle; inputs move right, weights down; results
    leave from the element itself, or move down their column once its bottom element is done,
    through registers of their own or through the sums'.
    Ignores: as ProcessingElements.
    Source: as ProcessingElements; Genc et al., Gemmini, DAC 2021, in whose elements two registers
    take turns at summing and at moving results out.
    """

    def __init__(self, array: ArraySpec, lengths: Sequence[int]) -> None:
        self.array = array
        self.lengths = np.array(lengths, dtype=np.int64)
        """Pairs that make one result, by fold."""
        self.stride = int(self.lengths.max())
        """`pairs` is tagged fold * stride + k."""
        shape = (array.rows, array.cols)
        self.inputs = np.zeros(shape)
        self.weights = np.zeros(shape)
        self.sums = np.zeros(shape)
        self.pairs = np.full(shape, BUBBLE, dtype=np.int64)
        self.results = np.zeros(shape)
        self.result_rows = np.full(shape, BUBBLE, dtype=np.int64)
        """Results on their way, tagged fold * R + row."""
        self.left: list[tuple[int, int, float]] = []
        """What left the array in this cycle: (fold * R + row, column, value)."""
        self.complete = 0
        """Sums completed so far."""
        self._draining = np.full(array.cols, BUBBLE, dtype=np.int64)

    def step(self, left: Matrix, left_pairs: Tags, top: Matrix) -> None:
        """One cycle: `left` [R] and `top` [C] enter; `left` is tagged with its pairs.

        Raises CollisionError where a sum finds its register taken by an older result.
        """
        self.left = []
        self._drain()
        self.inputs = from_left(left, self.inputs)
        self.pairs = from_left(left_pairs, self.pairs)
        self.weights = from_above(top, self.weights)
        works = self.pairs != BUBBLE
        taken = self.result_rows != BUBBLE
        if self.array.drain is Drain.SERIAL and (works & taken).any():
            raise CollisionError("a sum begins where an older result has not left")
        before = np.where(self.pairs % self.stride == 0, 0.0, self.sums)
        self.sums = np.where(works, before + self.inputs * self.weights, self.sums)
        last = self.lengths[self.pairs // self.stride] - 1
        done = works & (self.pairs % self.stride == last)
        if (done & taken).any():
            raise CollisionError("a result is complete before the one before has left")
        self.complete += int(done.sum())
        self._keep(done)

    @property
    def working(self) -> bool:
        """Whether any element multiplied in this cycle."""
        return bool((self.pairs != BUBBLE).any())

    @property
    def blocked(self) -> bool:
        """Whether results hold registers that the next fold's sums need."""
        return self.array.drain is Drain.SERIAL and bool((self.result_rows != BUBBLE).any())

    def _keep(self, done: npt.NDArray[np.bool_]) -> None:
        """Hand complete sums on: out of the array, or to the column's way down."""
        for row, col in np.argwhere(done).tolist():
            tag = int(self.pairs[row, col]) // self.stride * self.array.rows + row
            if self.array.drain is Drain.DIRECT:
                self.left.append((tag, col, float(self.sums[row, col])))
                continue
            self.results[row, col] = self.sums[row, col]
            self.result_rows[row, col] = tag
            if row == self.array.rows - 1:
                self._draining[col] = tag // self.array.rows
                self._leave(col)

    def _drain(self) -> None:
        """Move the results of the fold that each column is draining down by one element."""
        folds = np.where(self.result_rows == BUBBLE, BUBBLE, self.result_rows // self.array.rows)
        moving = (folds == self._draining) & (folds != BUBBLE)
        nothing = np.full(self.array.cols, BUBBLE, dtype=np.int64)
        arriving = from_above(nothing, np.where(moving, self.result_rows, BUBBLE))
        arrives = arriving != BUBBLE
        if (arrives & (folds != BUBBLE) & ~moving).any():
            raise CollisionError("a result moves down onto the next fold's")
        values = from_above(np.zeros(self.array.cols), self.results)
        self.results = np.where(arrives, values, self.results)
        self.result_rows = np.where(arrives, arriving, np.where(moving, BUBBLE, self.result_rows))
        for col in np.flatnonzero(arrives[-1]).tolist():
            self._leave(col)

    def _leave(self, col: int) -> None:
        """Let the result in a column's bottom register out, and the register be free."""
        self.left.append((int(self.result_rows[-1, col]), col, float(self.results[-1, col])))
        self.result_rows[-1, col] = BUBBLE


def from_left(edge: npt.NDArray[Scalar], registers: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """Return [R, C] registers moved right by one, with `edge` [R] in the first column."""
    return np.column_stack([edge, registers[:, :-1]])


def from_above(edge: npt.NDArray[Scalar], registers: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """Return [R, C] registers moved down by one, with `edge` [C] in the first row."""
    return np.vstack([edge, registers[:-1]])
