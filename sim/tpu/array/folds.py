"""Cutting matrices into the folds that an array works through; for `reference`, on real numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.tpu.array.elements import Matrix
from sim.tpu.array.systolic import ArraySpec, Dataflow


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One fold's operands, filled up with zeros to the array's size, and where its results go."""

    left: Matrix
    """[steps, R], one row a cycle at the left edge."""
    top: Matrix
    """[R, C] where it stays, or [steps, C] where it streams."""
    rows: slice
    """Of the product."""
    cols: slice


def cut(array: ArraySpec, a: Matrix, b: Matrix) -> list[Tile]:
    """Cut a [M, K] and b [K, N] into folds, in the order in which they run."""
    (m, k), n = a.shape, b.shape[1]
    tiles = []
    for left in range(0, n, array.cols):
        cols = slice(left, left + array.cols)
        if outputs_stay(array):
            for top in range(0, m, array.rows):
                rows = slice(top, top + array.rows)
                operands = padded(a[rows].T, k, array.rows), padded(b[:, cols], k, array.cols)
                tiles.append(Tile(left=operands[0], top=operands[1], rows=rows, cols=cols))
        else:
            for top in range(0, k, array.rows):
                part = slice(top, top + array.rows)
                streamed = padded(a[:, part], m, array.rows)
                held = padded(b[part, cols], array.rows, array.cols)
                tiles.append(Tile(left=streamed, top=held, rows=slice(0, m), cols=cols))
    return tiles


def outputs_stay(array: ArraySpec) -> bool:
    """Whether sums stay in their elements until they are complete."""
    return array.dataflow is Dataflow.OUTPUT_STATIONARY


def padded(part: Matrix, rows: int, cols: int) -> Matrix:
    """Fill a matrix up with zeros to [rows, cols]."""
    full = np.zeros((rows, cols))
    full[: part.shape[0], : part.shape[1]] = part
    return full
