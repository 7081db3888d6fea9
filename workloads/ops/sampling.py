"""Which tokens may be drawn, and the drawing: top-k, top-p, min-p; probabilities; draws.

A filter sets the logits of what may not be drawn to minus infinity, so filters follow one another.
Letters, costs and rules are those of `workloads.ops`.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, log, log2

import numpy as np

from workloads.array import Array, Values
from workloads.ops.shapes import TOKEN_DTYPE, ShapeError, kept, need
from workloads.trace import Family


def top_k(logits: Array, k: int, *, name: str) -> Array:
    """Keep the k likeliest tokens of each row, and what ties with the last of them (Fan 2018)."""
    rows, cols = _rows_of(logits, "top_k")
    if not 1 <= k <= cols:
        raise ShapeError(f"top_k: k is {k}; give 1 to {cols}")

    def compute(logits: Values) -> Values:
        least = np.partition(logits, cols - k, axis=-1)[:, cols - k, None]  # [B, 1]
        return _only(logits >= least, logits)

    return logits.tracer.record(
        kind="top_k",
        family=Family.ROWWISE,
        name=name,
        dims={"rows": rows, "cols": cols, "passes": 2},  # selection; comparison
        flops=rows * (selection_comparisons(cols, k) + cols),
        reads=(logits,),
        shape=logits.shape,
        compute=compute,
    )


def top_p(logits: Array, p: float, *, name: str) -> Array:
    """Keep the fewest tokens of each row whose probabilities reach p (Holtzman et al. 2020).

    A token stays where those likelier than it sum to less than p: the likeliest always does. Of
    tokens that are equally likely the one with the lower number comes first.
    """
    rows, cols = _rows_of(logits, "top_p")
    _check_share("top_p", p)

    def compute(logits: Values) -> Values:
        order = np.argsort(-logits, axis=-1, kind="stable")  # [B, V], the likeliest first
        sorted_probabilities = np.take_along_axis(_softmax(logits), order, axis=-1)
        before = sorted_probabilities.cumsum(axis=-1) - sorted_probabilities  # [B, V]
        kept = np.empty_like(before, bool)
        np.put_along_axis(kept, order, before < p, axis=-1)
        kept[np.arange(rows), order[:, 0]] = True  # whatever rounding says
        return _only(kept, logits)

    merges = ceil(log2(cols)) if cols > 1 else 0  # walks of a merge sort
    return logits.tracer.record(
        kind="top_p",
        family=Family.ROWWISE,
        name=name,
        # maximum; exp and sum; merges; running sum and comparison
        dims={"rows": rows, "cols": cols, "passes": 3 + merges},
        # maximum, subtract, sum, divide; a comparison each merge; sum, subtract, compare
        flops=rows * cols * (7 + merges),
        transcendentals=rows * cols,  # exp
        reads=(logits,),
        shape=logits.shape,
        compute=compute,
    )


def min_p(logits: Array, p: float, *, name: str) -> Array:
    """Keep tokens at least p times as likely as the likeliest (Nguyen et al. 2024)."""
    rows, cols = _rows_of(logits, "min_p")
    _check_share("min_p", p)

    def compute(logits: Values) -> Values:
        least = logits.max(axis=-1, keepdims=True) + logits.dtype.type(log(p))  # [B, 1]
        return _only(logits >= least, logits)

    return logits.tracer.record(
        kind="min_p",
        family=Family.ROWWISE,
        name=name,
        dims={"rows": rows, "cols": cols, "passes": 2},  # maximum; comparison
        flops=rows * (2 * cols + 1),  # maximum, compare; a row: the threshold
        reads=(logits,),
        shape=logits.shape,
        compute=compute,
    )


def probabilities(logits: Array, *, name: str, into: Array | None = None) -> Array:
    """Softmax of each row, logits [B, V] -> [B, V], `into` a part of a declared tensor or not."""
    rows, cols = _rows_of(logits, "probabilities")
    return logits.tracer.record(
        kind="probabilities",
        family=Family.ROWWISE,
        name=name,
        dims={"rows": rows, "cols": cols, "passes": 3},  # maximum; exp and sum; divide
        flops=4 * rows * cols,  # maximum, subtract, sum, divide
        transcendentals=rows * cols,  # exp
        reads=(logits,),
        shape=logits.shape,
        compute=lambda logits, *slot: kept(_softmax(logits).astype(logits.dtype), *slot),
        updates=into,
    )


def draw(
    chances: Array, *, random: np.random.Generator, name: str, into: Array | None = None
) -> Array:
    """Draw a token of each row with its probability: chances [B, V] -> token numbers [B, 1]."""
    rows, cols = _rows_of(chances, "draw")

    def compute(chances: Values, *slot: Values) -> Values:
        return kept(drawn(chances, random)[:, None].astype(TOKEN_DTYPE), *slot)

    return chances.tracer.record(
        kind="draw",
        family=Family.ROWWISE,
        name=name,
        dims={"rows": rows, "cols": cols, "passes": 2},  # running sum; search
        flops=rows * (3 * cols + 1),  # running sum, compare, count; the draw times the sum
        reads=(chances,),
        shape=(rows, 1),
        dtype=TOKEN_DTYPE,
        compute=compute,
        updates=into,
    )


def drawn(chances: Values, random: np.random.Generator) -> Values:
    """Draw an index of each row [n, V] in proportion to its numbers, which need not sum to one."""
    sums = chances.cumsum(axis=-1, dtype=np.float64)
    marks = random.random((len(chances), 1)) * sums[:, -1:]  # [n, 1]
    chosen = (sums <= marks).sum(axis=-1)
    # the product may round up to the whole sum: then the last that has a chance
    last = chances.shape[-1] - 1 - (chances[:, ::-1] > 0).argmax(axis=-1)
    result: Values = np.minimum(chosen, last)
    return result


@lru_cache
def selection_comparisons(n: int, k: int) -> int:
    """Comparisons that finding the k-th largest of n takes Hoare's quickselect on average.

    Source: Knuth, Mathematical Analysis of Algorithms, IFIP 1971.
    """
    terms = 1.0 / np.arange(1, n + 1)
    last, low, high = terms.sum(), terms[:k].sum(), terms[: n + 1 - k].sum()
    mean = 2 * ((n + 1) * last - (n + 3 - k) * high - (k + 2) * low + n + 3)
    return round(float(mean))


def _softmax(logits: Values) -> Values:
    exact = logits.astype(np.float64)
    exps = np.exp(exact - exact.max(axis=-1, keepdims=True))
    result: Values = exps / exps.sum(axis=-1, keepdims=True)
    return result


def _only(kept: Values, logits: Values) -> Values:
    return np.where(kept, logits, np.asarray(-np.inf, logits.dtype))


def _rows_of(values: Array, op: str) -> tuple[int, int]:
    need(fits=len(values.shape) == 2, op=op, rule="rows are [B, V]", given=values)
    rows, cols = values.shape
    return rows, cols


def _check_share(op: str, p: float) -> None:
    if not 0 < p <= 1:
        raise ShapeError(f"{op}: p is {p}; give more than 0 and at most 1")
