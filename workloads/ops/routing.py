"""The operations of a mixture of experts: score, choose, weigh, gather, scatter.

Letters, costs and rules are those of `workloads.ops`; besides, E experts, k of them for each of
N = B*T tokens, m tokens of one expert.

Which tokens an expert has is known from the choice; making the list is not charged. What is
touched of a table by such a list counts as bytes from its beginning, since rows are scattered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from workloads.array import Array, Values
from workloads.ops.shapes import TOKEN_DTYPE, need
from workloads.trace import DTYPE_BYTES, Family


def expert_scores(logits: Array, *, scoring: str, name: str) -> Array:
    """Score every expert for every token, logits [B, T, E]: a softmax over E, or a sigmoid each."""
    rows, cols = logits.size // logits.shape[-1], logits.shape[-1]
    if scoring == "sigmoid":
        return logits.tracer.record(
            kind="sigmoid",
            family=Family.ELEMENTWISE,
            name=name,
            dims={"elements": logits.size},
            flops=2 * logits.size,  # 1 +, divide
            transcendentals=logits.size,  # exp
            reads=(logits,),
            shape=logits.shape,
            compute=_sigmoid,
        )
    return logits.tracer.record(
        kind="softmax",
        family=Family.ROWWISE,
        name=name,
        dims={"rows": rows, "cols": cols, "passes": 3},  # maximum; exp and sum; divide
        flops=4 * logits.size,  # maximum, subtract, sum, divide
        transcendentals=logits.size,  # exp
        reads=(logits,),
        shape=logits.shape,
        compute=_softmax,
    )


def _sigmoid(x: Values) -> Values:
    with np.errstate(over="ignore"):  # exp of a large -x is infinite, and 1 / inf rightly 0
        result: Values = 1 / (1 + np.exp(-x))
    return result


def _softmax(x: Values) -> Values:
    exps = np.exp(x - x.max(axis=-1, keepdims=True))
    result: Values = exps / exps.sum(axis=-1, keepdims=True)
    return result


def choose_experts(
    scores: Array,
    bias: Array | None,
    *,
    count: int,
    groups: int,
    groups_chosen: int,
    name: str,
    instead: Values | None = None,
) -> Array:
    """Choose the `count` best experts of each token: scores [B, T, E] -> numbers [N, k].

    With a `bias` [E], scores plus bias are compared. Of more than one group of neighbouring
    experts only the `groups_chosen` are left whose two best have the greatest sums. Where
    `instead` [N, k] is given, it is the result: the work is done, and not heeded.
    """
    fits = bias is None or bias.shape == scores.shape[-1:]
    need(fits=fits, op="choose_experts", rule="bias is [E]", scores=scores, bias=bias or scores)
    cols = scores.shape[-1]
    rows = scores.size // cols
    limited = groups_chosen < groups

    def compute(scores: Values, bias: Values | None = None) -> Values:
        if instead is not None:
            return instead
        merit = scores.reshape(rows, cols) if bias is None else scores.reshape(rows, cols) + bias
        if limited:
            merit = _limited(merit, groups, groups_chosen)
        best: Values = np.argsort(-merit, axis=-1, kind="stable")[:, :count]  # [N, k]
        return best.astype(TOKEN_DTYPE)

    each = count * cols  # a scan of all for each one chosen
    each += cols if bias is not None else 0
    # two scans of every group, the sum of the two; a scan of the groups for each one chosen
    each += 2 * cols + groups + groups_chosen * groups if limited else 0
    return scores.tracer.record(
        kind="choose_experts",
        family=Family.ROWWISE,
        name=name,
        dims={"rows": rows, "cols": cols, "passes": count},
        flops=each * rows,
        reads=(scores,) if bias is None else (scores, bias),
        shape=(rows, count),
        dtype=TOKEN_DTYPE,
        compute=compute,
    )


def _limited(merit: Values, groups: int, groups_chosen: int) -> Values:
    """Leave only experts of the best groups, merit [N, E]; the others' becomes minus infinity."""
    rows = len(merit)
    grouped = merit.reshape(rows, groups, -1)  # [N, G, E/G]
    sums = np.partition(grouped, -2, axis=-1)[..., -2:].sum(axis=-1)  # [N, G]
    best = np.argsort(-sums, axis=-1, kind="stable")[:, :groups_chosen]
    kept = np.zeros((rows, groups), np.bool_)
    np.put_along_axis(kept, best, values=True, axis=-1)
    low = np.asarray(-np.inf, merit.dtype)
    return np.where(kept[..., None], grouped, low).reshape(merit.shape)


def expert_weights(
    scores: Array, chosen: Array, *, normalised: bool, scale: float, name: str
) -> Array:
    """Weigh each token's experts by their scores: [B, T, E] and numbers [N, k] -> [N, k].

    `normalised` divides a token's weights by their sum; then all are multiplied by `scale`.
    """
    rows, cols = chosen.shape
    fits = rows * scores.shape[-1] == scores.size
    rule = "chosen is [tokens of the scores, k]"
    need(fits=fits, op="expert_weights", rule=rule, scores=scores, chosen=chosen)

    def compute(scores: Values, chosen: Values) -> Values:
        weights: Values = np.take_along_axis(scores.reshape(rows, -1), chosen, axis=-1)  # [N, k]
        if normalised:
            weights = weights / weights.sum(axis=-1, keepdims=True)
        scaled: Values = weights * weights.dtype.type(scale)
        return scaled

    each = 2 * normalised + (scale != 1)  # sum and divide; scale
    return scores.tracer.record(
        kind="expert_weights",
        family=Family.ROWWISE,
        name=name,
        dims={"rows": rows, "cols": cols, "passes": 1 + normalised},
        flops=each * chosen.size,
        reads=((scores, chosen.size * DTYPE_BYTES[scores.dtype], 0), chosen),
        shape=chosen.shape,
        compute=compute,
    )


def gather_tokens(x: Array, chosen: Array, *, rows: Sequence[int], name: str, buffer: str) -> Array:
    """Take an expert's tokens, `rows` of x [B, T, C] counted through the batch -> [m, C]."""
    cols, count = x.shape[-1], len(rows)
    fits = bool(count) and max(rows) * cols < x.size
    need(fits=fits, op="gather_tokens", rule="rows must lie in x", x=x)

    def compute(x: Values, _: Values) -> Values:
        result: Values = x.reshape(-1, cols)[list(rows)]  # [N, C] -> [m, C]
        return result

    return x.tracer.record(
        kind="gather_tokens",
        family=Family.GATHER,
        name=name,
        dims={"rows": count, "cols": cols},
        flops=0,
        reads=((x, count * cols * DTYPE_BYTES[x.dtype], 0), _listed(chosen, count)),
        shape=(count, cols),
        compute=compute,
        buffer=buffer,
    )


def scatter_add(
    x: Array,
    made: Array,
    weights: Array,
    chosen: Array,
    *,
    rows: Sequence[int],
    places: Sequence[int],
    name: str,
) -> Array:
    """Add what an expert made of its tokens, weighed: x[rows] += weights[rows, places] * made.

    x [B, T, C] is changed where it lies, and returned; made is [m, C], weights are [N, k]. An
    expert has a token once, so no row occurs twice.
    """
    cols, count = x.shape[-1], len(rows)
    fits = made.shape == (count, cols) and weights.shape[0] * cols == x.size
    rule = f"made is [{count}, C], weights [tokens of x, k]"
    need(fits=fits, op="scatter_add", rule=rule, x=x, made=made, weights=weights)
    size = DTYPE_BYTES[x.dtype]
    total: Any = None if x.values is None else x.values.reshape(-1, cols)  # [N, C]

    def compute(made: Values, _: Values, weights: Values, *__: Values) -> Values:
        result: Values = total
        result[list(rows)] += weights[list(rows), list(places)][:, None] * made
        return result

    touched = x.view((count, cols), pick=lambda v: v)
    added = x.tracer.record(
        kind="scatter_add",
        family=Family.ROWWISE,
        name=name,
        dims={"rows": count, "cols": cols, "passes": 1},
        flops=2 * made.size,  # multiply, add
        reads=(made, touched, (weights, count * size, 0), _listed(chosen, count)),
        updates=touched,
        shape=(count, cols),
        compute=compute,
    )
    values = None if total is None else total.reshape(x.shape)
    return replace(x, numbers=values, written=added.written)


def _listed(chosen: Array, count: int) -> tuple[Array, int, int]:
    """Return the part of the choice that concerns an expert with `count` tokens."""
    return chosen, count * DTYPE_BYTES[chosen.dtype], 0
