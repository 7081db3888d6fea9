"""Zeros that an array need not multiply: structured ones by compression, others by skipping.

Structured (N of M, 2:4 above all): of each group of M weights along K at most N are kept, each with
its place in the group. The array works on N / M as many rows of weights, and each element picks the
one of M inputs that its weight belongs to: the same schedule, shorter.

Unstructured and block sparsity: `ZeroPattern` says which elements or blocks are there and what it
takes to store them; `sim.tpu.array.skipping` what an array can leave out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sim.tpu.array.systolic import FULL_RATE, ArraySpec, Gemm, Rate, SystolicSchedule

Matrix = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compressed:
    """Weights of which each group keeps the same number."""

    values: Matrix
    """[K', N]."""
    places: Indices
    """[K', N], each value's place in its group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StructuredSparsity:
    """At most `kept` of each `group` weights along K are not zero. Raises ValueError if none can.

    Models: compressed weights and their places in bits; in ws and os each row of the array is
    reached by a whole group of inputs, in is each element holds one: the element picks.
    Ignores: the area and energy of the selectors; that the inputs' memory must deliver
    group / kept times as many values a cycle.
    Source: Mishra et al., Accelerating Sparse Deep Neural Networks, arXiv:2104.08378, 2021, for
    2:4 and its two bits a value; Jeong et al., VEGETA, HPCA 2023, for N:M in a systolic array.
    """

    kept: int = 2
    group: int = 4

    def __post_init__(self) -> None:
        if not 1 <= self.kept <= self.group:
            raise ValueError(f"{self.kept} of {self.group} weights cannot be kept")

    def rows(self, k: int) -> int:
        """Rows of compressed weights that stand for k; a last, smaller group keeps what it can."""
        groups, rest = divmod(k, self.group)
        return groups * self.kept + min(self.kept, rest)

    def index_bytes(self, gemm: Gemm) -> int:
        """Bytes of all kept weights' places in their groups, packed."""
        place_bits = (self.group - 1).bit_length()
        return -(-self.rows(gemm.k) * gemm.n * place_bits // 8)

    def weight_bytes(self, gemm: Gemm, element_bytes: int) -> int:
        """Bytes of the kept weights, places included."""
        return self.rows(gemm.k) * gemm.n * element_bytes + self.index_bytes(gemm)

    def schedule(self, array: ArraySpec, gemm: Gemm, rate: Rate = FULL_RATE) -> SystolicSchedule:
        """Return the schedule of the compressed product."""
        return SystolicSchedule(array, replace(gemm, k=self.rows(gemm.k)), rate)

    def compress(self, b: Matrix) -> Compressed:
        """Compress [K, N]; ValueError naming the first group that has too many weights."""
        values = np.zeros((self.rows(len(b)), b.shape[1]))
        places = np.zeros(values.shape, dtype=np.int64)
        for first, top in zip(
            range(0, len(b), self.group), range(0, len(values), self.kept), strict=True
        ):
            part = b[first : first + self.group]
            full = np.flatnonzero((part != 0).sum(axis=0) > self.kept)
            if len(full):
                raise ValueError(
                    f"column {full[0]} has more than {self.kept} weights in rows "
                    f"{first} to {first + len(part) - 1}"
                )
            # weights first, in order; zeros fill up what is left
            order = np.argsort(part == 0, axis=0, kind="stable")[: self.kept]
            values[top : top + len(order)] = np.take_along_axis(part, order, axis=0)
            places[top : top + len(order)] = order
        return Compressed(values=values, places=places)


class ZeroPattern:
    """Which blocks of a matrix hold anything but zeros; blocks of one element by default.

    Raises ValueError where the blocks do not cover the matrix.
    """

    def __init__(
        self, present: Mask, *, rows: int, cols: int, block_rows: int = 1, block_cols: int = 1
    ) -> None:
        needed = (-(-rows // block_rows), -(-cols // block_cols))
        if present.shape != needed:
            raise ValueError(
                f"{rows}x{cols} takes {needed[0]}x{needed[1]} blocks of "
                f"{block_rows}x{block_cols}, not {present.shape[0]}x{present.shape[1]}"
            )
        self.present = present
        self.rows = rows
        self.cols = cols
        self.block_rows = block_rows
        self.block_cols = block_cols

    @classmethod
    def of(cls, matrix: Matrix, block_rows: int = 1, block_cols: int = 1) -> ZeroPattern:
        """Read the pattern of a matrix."""
        rows, cols = matrix.shape
        down = np.arange(0, rows, block_rows)
        across = np.arange(0, cols, block_cols)
        present = np.logical_or.reduceat(
            np.logical_or.reduceat(matrix != 0, down, axis=0), across, axis=1
        )
        return cls(present, rows=rows, cols=cols, block_rows=block_rows, block_cols=block_cols)

    @classmethod
    def dense(cls, rows: int, cols: int) -> ZeroPattern:
        """Return the pattern of a matrix in which nothing is known to be zero."""
        whole = np.ones((1, 1), dtype=np.bool_)
        return cls(whole, rows=rows, cols=cols, block_rows=rows, block_cols=cols)

    @property
    def transposed(self) -> ZeroPattern:
        """The transposed matrix's pattern."""
        return ZeroPattern(
            self.present.T,
            rows=self.cols,
            cols=self.rows,
            block_rows=self.block_cols,
            block_cols=self.block_rows,
        )

    def rows_used(self, cols: Indices | None = None) -> Mask:
        """[rows]: which have anything in these columns, or in any."""
        part = self.present if cols is None else self.present[:, np.unique(cols // self.block_cols)]
        return np.repeat(part.any(axis=1), self.block_rows)[: self.rows]

    def row_values(self) -> Indices:
        """[rows]: elements of each row that lie in present blocks."""
        left = np.arange(self.present.shape[1], dtype=np.int64) * self.block_cols
        widths = np.minimum(self.block_cols, self.cols - left)
        values = np.where(self.present, widths, 0).sum(axis=1)
        return np.repeat(values, self.block_rows)[: self.rows]

    @property
    def index_bytes(self) -> int:
        """Bytes of the pattern itself, one bit a block."""
        return -(-self.present.size // 8)

    def compressed_bytes(self, element_bytes: int) -> int:
        """Bytes of the present blocks, and of the pattern."""
        return int(self.row_values().sum()) * element_bytes + self.index_bytes
