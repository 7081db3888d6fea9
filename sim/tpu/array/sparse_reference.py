"""Sparse products with real numbers moving through the array of `reference`.

They show that what the schedules leave out does not change the product, and what it costs to move
the rest.
"""

from __future__ import annotations

import numpy as np

from sim.tpu.array.elements import Matrix
from sim.tpu.array.folds import Tile, outputs_stay, padded
from sim.tpu.array.reference import Product, multiply, run_tiles
from sim.tpu.array.skipping import SkippedFold, ZeroSkipping
from sim.tpu.array.sparsity import StructuredSparsity, ZeroPattern
from sim.tpu.array.systolic import ArraySpec, Dataflow


def multiply_structured(
    array: ArraySpec,
    a: Matrix,
    b: Matrix,
    sparsity: StructuredSparsity,
    *,
    overlapped: bool = False,
) -> Product:
    """Multiply a [M, K] by the compressed b [K, N]; ValueError where b is not so sparse.

    The group of inputs that reaches a row of the array moves through it on `group` planes of
    wires side by side; each weight multiplies the plane of its place, and adds nothing in others.
    """
    compressed = sparsity.compress(b)
    firsts = np.arange(len(compressed.values)) // sparsity.kept * sparsity.group
    reach = np.pad(a, ((0, 0), (0, sparsity.group)))  # a last group that is smaller
    planes = [
        multiply(
            array,
            reach[:, firsts + place],
            np.where(compressed.places == place, compressed.values, 0.0),
            overlapped=overlapped,
        )
        for place in range(sparsity.group)
    ]
    (cycles,) = {plane.cycles for plane in planes}  # in lockstep
    values = np.sum([plane.values for plane in planes], axis=0)
    return Product(values=values, cycles=cycles, folds=planes[0].folds)


def multiply_skipping(
    array: ArraySpec, a: Matrix, b: Matrix, *, overlapped: bool = False
) -> Product:
    """Multiply a [M, K] by b [K, N], leaving out the lines of zeros that can be skipped."""
    skipping = ZeroSkipping(array, ZeroPattern.of(a), ZeroPattern.of(b))
    folds = list(skipping.folds())
    values = np.zeros((a.shape[0], b.shape[1]))
    if not folds:
        return Product(values=values, cycles=0, folds=0)
    if array.dataflow is Dataflow.INPUT_STATIONARY:
        left, top, target = b.T, a.T, values.T
    else:
        left, top, target = a, b, values
    tiles = [_gathered(array, fold, left, top) for fold in folds]
    results, cycles = run_tiles(array, tiles, overlapped=overlapped)
    for fold, result in zip(folds, results, strict=True):
        down = fold.on_rows if outputs_stay(array) else fold.streamed
        target[np.ix_(down, fold.on_cols)] += result[: len(down), : len(fold.on_cols)]
    return Product(values=values, cycles=cycles, folds=len(folds))


def _gathered(array: ArraySpec, fold: SkippedFold, a: Matrix, b: Matrix) -> Tile:
    """Gather one fold's operands out of A and B."""
    steps = len(fold.streamed)
    if outputs_stay(array):
        left, top = a[np.ix_(fold.on_rows, fold.streamed)].T, b[np.ix_(fold.streamed, fold.on_cols)]
        depth = steps
    else:
        left, top = a[np.ix_(fold.streamed, fold.on_rows)], b[np.ix_(fold.on_rows, fold.on_cols)]
        depth = array.rows
    return Tile(
        left=padded(left, steps, array.rows),
        top=padded(top, depth, array.cols),
        rows=slice(0, 0),
        cols=slice(0, 0),
    )
