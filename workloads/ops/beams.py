"""The operations of beam search: totals of all continuations, the best of them, their caches.

Here B is the number of beams, the sequences that are kept. Letters, costs and rules are those of
`workloads.ops`.
"""

from __future__ import annotations

from math import ceil, log2, prod

import numpy as np

from workloads.array import Array, Values
from workloads.ops.sampling import selection_comparisons
from workloads.ops.shapes import TOKEN_DTYPE, need
from workloads.trace import DTYPE_BYTES, Family


def beam_totals(logits: Array, scores: Array) -> Array:
    """Log-probability of every continuation: log softmax of logits [B, V] plus scores [B, 1]."""
    fits = len(logits.shape) == 2 and scores.shape == (logits.shape[0], 1)
    need(fits=fits, op="beam_totals", rule="[B, V] and [B, 1]", logits=logits, scores=scores)
    rows, cols = logits.shape

    def compute(logits: Values, scores: Values) -> Values:
        centred = logits - logits.max(axis=-1, keepdims=True)  # [B, V]
        whole = np.log(np.exp(centred).sum(axis=-1, keepdims=True))  # [B, 1]
        result: Values = centred + (scores - whole)
        return result

    return logits.tracer.record(
        kind="beam_totals",
        family=Family.ROWWISE,
        name="beam.totals",
        dims={"rows": rows, "cols": cols, "passes": 3},  # maximum; exp and sum; add
        flops=4 * rows * cols + rows,  # maximum, subtract, sum, add; a row: subtract
        transcendentals=rows * cols + rows,  # exp; a row: log
        reads=(logits, scores),
        shape=logits.shape,
        compute=compute,
    )


def best_beams(totals: Array) -> Array:
    """Find the B best of all totals [B, V], the best first; of equals the first.

    Returns [2, B]: which beam each goes on from, and with which token.
    """
    need(fits=len(totals.shape) == 2, op="best_beams", rule="totals are [B, V]", totals=totals)
    beams, vocabulary = totals.shape

    def compute(totals: Values) -> Values:
        order = np.argsort(-totals.ravel(), kind="stable")[:beams]  # [B]
        return np.stack([order // vocabulary, order % vocabulary]).astype(TOKEN_DTYPE)

    sort = beams * ceil(log2(beams)) if beams > 1 else 0
    return totals.tracer.record(
        kind="best_beams",
        family=Family.ROWWISE,
        name="beam.best",
        dims={"rows": 1, "cols": totals.size, "passes": 2},  # selection; collection
        # select, collect, sort, divide a place by V for both of its parts
        flops=selection_comparisons(totals.size, beams) + totals.size + sort + 2 * beams,
        reads=(totals,),
        shape=(2, beams),
        dtype=TOKEN_DTYPE,
        compute=compute,
    )


def parents_and_tokens(best: Array) -> tuple[Array, Array]:
    """Split the best [2, B] into parents [B] and tokens [B, 1]: views, not operations."""
    beams = best.shape[1]
    tokens = best.view((beams, 1), offset_elements=beams, pick=lambda v: v[1][:, None])
    return best.view((beams,), pick=lambda v: v[0]), tokens


def beam_scores(totals: Array, best: Array) -> Array:
    """Gather the total of each of the best [2, B]: [B, 1]."""
    beams = best.shape[1]
    return totals.tracer.record(
        kind="beam_scores",
        family=Family.GATHER,
        name="beam.scores",
        dims={"rows": beams, "cols": 1},
        flops=0,
        reads=((totals, beams * DTYPE_BYTES[totals.dtype], 0), best),
        shape=(beams, 1),
        compute=lambda totals, best: totals[best[0], best[1]][:, None],
    )


def reorder_cache(cache: Array, parents: Array, *, positions: int, name: str) -> Array:
    """Give each beam its parent's cache: the first positions of [capacity, B, K, D], in place.

    All filled positions are read and written, whoever the parents are: what they are is known
    only to the machine. The copy that keeps a parent until all have read it is not counted.
    """
    capacity, beams, *entry = cache.shape
    fits = positions <= capacity and parents.shape == (beams,)
    need(fits=fits, op="reorder_cache", rule="parents are [B]", cache=cache, parents=parents)
    filled = cache.view((positions, beams, *entry), pick=lambda v: v[:positions])

    def compute(filled: Values, parents: Values, slot: Values) -> Values:
        slot[...] = filled[:, parents]  # the right side is a copy
        return slot

    return cache.tracer.record(
        kind="cache_reorder",
        family=Family.GATHER,
        name=name,
        dims={"rows": positions * beams, "cols": prod(entry)},
        flops=0,
        reads=(filled, parents),
        updates=filled,
        shape=filled.shape,
        compute=compute,
    )
