"""The systolic array cycle by cycle: real numbers move through real processing elements.

This is the readable specification. No formula of cycles is used: every register of `elements` is
updated once a cycle from its neighbours, the controller at the array's corner lets folds in as soon
as it sees that it may, and the count of cycles is what it took until the last result had come out.
The result is the matrix product. For small arrays; `systolic` has the closed form, and a property
test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, pairwise
from typing import Literal

import numpy as np

from sim.tpu.array.elements import (
    BUBBLE,
    BufferedElements,
    CollisionError,
    Matrix,
    OutputElements,
    ProcessingElements,
    Tags,
)
from sim.tpu.array.folds import Tile, cut, outputs_stay
from sim.tpu.array.systolic import ArraySpec, Dataflow

Phase = Literal["load", "stream", "drain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The array at the end of one cycle; copies, so that a lesson may keep them.

    An input-stationary array computes the transposed product: what is said of A here holds for the
    transpose of B there, and of B for the transpose of A.
    """

    cycle: int
    """Counted from 1 within the fold; where folds overlap, or outputs stay, from the first."""
    phase: Phase
    weights: Matrix
    """[R, C] operands of B: those in use where they stay, or moving down where outputs stay."""
    inputs: Matrix
    """[R, C] operands of A, moving right."""
    sums: Matrix
    """[R, C] partial sums: moving down, or growing in their place where outputs stay."""
    rows: Tags
    """[R, C] which step (a row of A; a k where outputs stay) each element worked on, BUBBLE for
    none."""
    folds: Tags
    """[R, C] the fold of that step, counted from the first that `cycle` counts."""
    leaving: Tags
    """[R, C] the row whose result waits or moves down in each element, where outputs stay and
    drain; BUBBLE elsewhere, and at the bottom, where it has left."""
    leaving_folds: Tags
    """[R, C] the fold of that result, counted as in `folds`."""


Watch = Callable[[Snapshot], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """What came out of the array, and when the last of it did."""

    values: Matrix
    """[M, N]."""
    cycles: int
    folds: int


def multiply(
    array: ArraySpec, a: Matrix, b: Matrix, *, overlapped: bool = False, watch: Watch | None = None
) -> Product:
    """Multiply a [M, K] by b [K, N], fold after fold; `watch` sees every cycle."""
    if array.dataflow is Dataflow.INPUT_STATIONARY:
        # A stays where B would: it is the transposed product, in the same array
        swapped = replace(array, dataflow=Dataflow.WEIGHT_STATIONARY)
        product = multiply(swapped, b.T, a.T, overlapped=overlapped, watch=watch)
        return replace(product, values=product.values.T)
    tiles = cut(array, a, b)
    results, cycles = run_tiles(array, tiles, overlapped=overlapped, watch=watch)
    values = np.zeros((a.shape[0], b.shape[1]))
    for tile, result in zip(tiles, results, strict=True):
        target = values[tile.rows, tile.cols]
        target += result[: target.shape[0], : target.shape[1]]
    return Product(values=values, cycles=cycles, folds=len(tiles))


def run_tiles(
    array: ArraySpec, tiles: Sequence[Tile], *, overlapped: bool, watch: Watch | None = None
) -> tuple[list[Matrix], int]:
    """Run folds in order; their results, [steps, C] each or [R, C] where outputs stay; cycles."""
    stay = outputs_stay(array)
    results = [np.zeros((array.rows if stay else len(tile.left), array.cols)) for tile in tiles]
    cycles = 0
    for snapshot in _run(array, tiles, results, overlapped=overlapped):
        cycles += 1
        if watch is not None:
            watch(snapshot)
    return results, cycles


def run_fold(elements: ProcessingElements, a: Matrix, b: Matrix, out: Matrix) -> Iterator[Snapshot]:
    """Load `b` [R, C], stream `a` [M, R] through it, add the results to `out` [M, C].

    Yields the array after each cycle, until every row of A has left from every column.
    """
    m, rows = a.shape
    cycle = 0
    for row in reversed(range(rows)):  # the bottom row's weights go in first
        elements.shift_weights(b[row])
        cycle += 1
        yield _snapshot(elements, cycle, "load", elements.rows, m)
    missing = out.size
    time = 0
    while missing:
        tags = _entering([0], [a], m, time - np.arange(rows))  # row r lags by r: the skew
        elements.step(_operands([a], m, tags), tags)
        missing -= _collect(elements, [out], m)
        time += 1
        cycle += 1
        yield _snapshot(elements, cycle, "stream", elements.rows, m)


def run_buffered(
    array: ArraySpec, tiles: Sequence[Tile], results: Sequence[Matrix]
) -> Iterator[Snapshot]:
    """Run folds whose operands load while the fold before streams; adds to `results` [M, C] each.

    The controller looks at the corner only: it lets a fold's rows in when those of the fold before
    have entered and the fold's first weight waits there, and with them the next fold's weights.
    Everything else follows on the diagonal, a cycle later for each row and column.
    """
    lefts, tops = [tile.left for tile in tiles], [tile.top[::-1] for tile in tiles]
    stride = max(map(len, lefts))
    elements = BufferedElements(array, stride)
    loads, streams = [0], list[int]()
    missing = sum(result.size for result in results)
    for time in count():
        entered = not streams or time >= streams[-1] + len(lefts[len(streams) - 1])
        if len(streams) < len(tiles) and entered and elements.holds(len(streams)):
            streams.append(time)
            if len(loads) < len(tiles):
                loads.append(time)
        rows = _entering(streams, lefts, stride, time - np.arange(array.rows))
        weights = _entering(loads, tops, array.rows, time - np.arange(array.cols))
        homes = np.where(weights == BUBBLE, BUBBLE, _mirrored(weights, array.rows))
        left, top = _operands(lefts, stride, rows), _operands(tops, array.rows, weights)
        elements.load_and_step(left, rows, top, homes)
        missing -= _collect(elements, results, stride)
        yield _snapshot(elements, time + 1, "stream" if streams else "load", elements.rows, stride)
        if not missing:
            return


def run_outputs(
    array: ArraySpec,
    tiles: Sequence[Tile],
    results: Sequence[Matrix],
    starts: Sequence[int] | None = None,
) -> Iterator[Snapshot]:
    """Run folds whose outputs stay; writes `results` [R, C] each.

    Folds enter in the cycles `starts`, counted from 0; without it, each when the elements are done
    with the one before. Raises CollisionError where a fold comes too early.
    """
    lefts, tops = [tile.left for tile in tiles], [tile.top for tile in tiles]
    stride = max(map(len, lefts))
    elements = OutputElements(array, [len(left) for left in lefts])
    streams = [0]
    missing = sum(result.size for result in results)
    for time in count():
        if len(streams) < len(tiles):
            done = elements.complete == len(streams) * array.elements and not elements.blocked
            if done if starts is None else time == starts[len(streams)]:
                streams.append(time)
        pairs = _entering(streams, lefts, stride, time - np.arange(array.rows))
        top = _entering(streams, tops, stride, time - np.arange(array.cols))
        elements.step(_operands(lefts, stride, pairs), pairs, _operands(tops, stride, top))
        for tag, col, value in elements.left:
            results[tag // array.rows][tag % array.rows, col] = value
        missing -= len(elements.left)
        phase: Phase = "stream" if elements.working else "drain"
        yield _snapshot(elements, time + 1, phase, elements.pairs, stride)
        if not missing:
            return


def least_starts(array: ArraySpec, tiles: Sequence[Tile]) -> list[int]:
    """Cycles in which folds whose outputs stay enter: each the first at which nothing collides.

    Found by trying each fold with the one before it, as a compiler may: nothing in the array could
    hold a fold back.
    """
    starts = [0]
    for before, tile in pairwise(tiles):
        for interval in count(len(before.left)):
            scratch = [np.zeros((array.rows, array.cols)) for _ in range(2)]
            try:
                for _ in run_outputs(array, (before, tile), scratch, (0, interval)):
                    pass
            except CollisionError:
                continue
            starts.append(starts[-1] + interval)
            break
    return starts


def _run(
    array: ArraySpec, tiles: Sequence[Tile], results: Sequence[Matrix], *, overlapped: bool
) -> Iterator[Snapshot]:
    if outputs_stay(array):
        starts = least_starts(array, tiles) if overlapped else None
        yield from run_outputs(array, tiles, results, starts)
    elif overlapped:
        yield from run_buffered(array, tiles, results)
    else:
        for tile, result in zip(tiles, results, strict=True):
            yield from run_fold(ProcessingElements(array), tile.left, tile.top, result)


def _entering(starts: Sequence[int], matrices: Sequence[Matrix], stride: int, times: Tags) -> Tags:
    """Tags (fold * stride + step) of what enters at each place of an edge, by the place's time."""
    tags = np.full(len(times), BUBBLE, dtype=np.int64)
    for fold, (start, matrix) in enumerate(zip(starts, matrices, strict=False)):
        inside = (times >= start) & (times < start + len(matrix))
        tags[inside] = fold * stride + times[inside] - start
    return tags


def _mirrored(tags: Tags, rows: int) -> Tags:
    """Return tags of what enters last row first, as tags of the rows they belong to."""
    return tags // rows * rows + rows - 1 - tags % rows


def _operands(matrices: Sequence[Matrix], stride: int, tags: Tags) -> Matrix:
    """Return at each place the operand [step, place] of its fold's matrix, 0 for a bubble."""
    return np.array(
        [
            0.0 if tag == BUBBLE else matrices[tag // stride][tag % stride, place]
            for place, tag in enumerate(tags.tolist())
        ]
    )


def _collect(elements: ProcessingElements, results: Sequence[Matrix], stride: int) -> int:
    """Add the sums that are complete at the bottom row to their folds' results; how many."""
    leaving = elements.rows[-1]  # [C]
    columns = np.flatnonzero(leaving != BUBBLE)
    for col in columns.tolist():
        fold, row = divmod(int(leaving[col]), stride)
        results[fold][row, col] += elements.sums[-1, col]
    return len(columns)


def _snapshot(
    elements: ProcessingElements | OutputElements, cycle: int, phase: Phase, tags: Tags, stride: int
) -> Snapshot:
    bubble = tags == BUBBLE
    results, result_folds = np.full_like(tags, BUBBLE), np.full_like(tags, BUBBLE)
    if isinstance(elements, OutputElements):
        waiting = elements.result_rows
        results = np.where(waiting == BUBBLE, BUBBLE, waiting % elements.array.rows)
        result_folds = np.where(waiting == BUBBLE, BUBBLE, waiting // elements.array.rows)
    return Snapshot(
        cycle=cycle,
        phase=phase,
        weights=elements.weights.copy(),
        inputs=elements.inputs.copy(),
        sums=elements.sums.copy(),
        rows=np.where(bubble, BUBBLE, tags % stride),
        folds=np.where(bubble, BUBBLE, tags // stride),
        leaving=results,
        leaving_folds=result_folds,
    )
