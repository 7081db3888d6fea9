"""The gradient rules of `workloads.ops.attention`, apart for length.

Letters, costs and rules are those of `workloads.ops`; GT = G*T rows of a head.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from workloads.array import Array, Values
from workloads.tape import Call, Gradients, Rule
from workloads.trace import Family


def turned_back(compute: Callable[[Values], Values], flops: int, transcendentals: int) -> Rule:
    """Return the rule of rotary positions: turn back by the same angles, at the same cost."""

    def gradients(call: Call) -> Gradients:
        gradient = call.gradient.tracer.record(
            kind="rope_grad",
            family=Family.ELEMENTWISE,
            dims={"elements": call.gradient.size},
            flops=flops,
            transcendentals=transcendentals,
            reads=(call.gradient,),
            shape=call.gradient.shape,
            compute=compute,
            **call.into(0, "dgrad"),
        )
        return (gradient,)

    return Rule(gradients=gradients)


def taken_back(call: Call) -> Gradients:
    """Copy the gradient of cached positions [T, B, K, D] to where it came from [B, T, K*D]."""
    (new,) = call.inputs
    gradient = call.gradient.tracer.record(
        kind="cache_append_grad",
        family=Family.COPY,
        dims={"elements": new.size},
        flops=0,
        reads=(call.gradient,),
        shape=new.shape,
        compute=lambda gradient: gradient.swapaxes(0, 1).reshape(new.shape),
        **call.into(0, "dgrad"),
    )
    return (gradient,)


def of_scores(call: Call) -> Gradients:
    """Return dQ = dS K and dK = dS^T Q, group by group: S = Q K^T is [B, K, GT, S]."""
    query, keys = call.inputs
    batch, kv_heads, rows, context = call.gradient.shape

    def of_query(gradient: Values, k: Values) -> Values:
        mixed = gradient @ k.transpose(1, 2, 0, 3)  # [B,K,GT,S] @ [B,K,S,D] -> [B,K,GT,D]
        return _tokens_first(mixed, query)

    def of_keys(gradient: Values, q: Values) -> Values:
        heads = _heads_first(q, kv_heads, rows)  # [B, K, GT, D]
        mixed = gradient.swapaxes(2, 3) @ heads  # [B,K,S,GT] @ [B,K,GT,D] -> [B,K,S,D]
        return mixed.transpose(2, 0, 1, 3)  # [S, B, K, D]

    size, groups, kind = keys.shape[3], batch * kv_heads, "attention_scores"
    return (
        _product(call, kind, keys, of_query, dims=(groups, rows, size, context), of=0),
        _product(call, kind, query, of_keys, dims=(groups, context, size, rows), of=1),
    )


def of_mix(call: Call) -> Gradients:
    """Return dW = dY V^T and dV = W^T dY, group by group: Y = W V is [B, K, GT, D]."""
    weights, mixed_values = call.inputs
    batch, kv_heads, rows, context = weights.shape

    def of_weights(gradient: Values, v: Values) -> Values:
        heads = _heads_first(gradient, kv_heads, rows)  # [B, K, GT, D]
        result: Values = heads @ v.transpose(1, 2, 3, 0)  # [B,K,GT,D] @ [B,K,D,S] -> [B,K,GT,S]
        return result

    def of_values(gradient: Values, w: Values) -> Values:
        heads = _heads_first(gradient, kv_heads, rows)  # [B, K, GT, D]
        mixed = w.swapaxes(2, 3) @ heads  # [B,K,S,GT] @ [B,K,GT,D] -> [B,K,S,D]
        return mixed.transpose(2, 0, 1, 3)  # [S, B, K, D]

    size, groups, kind = mixed_values.shape[3], batch * kv_heads, "attention_mix"
    return (
        _product(call, kind, mixed_values, of_weights, dims=(groups, rows, context, size), of=0),
        _product(call, kind, weights, of_values, dims=(groups, context, size, rows), of=1),
    )


def of_softmax(scale: float, softcap: float | None) -> Rule:
    """Return the rule of p = softmax(f(scores)): p * (dp - sum(dp * p)) times the slope of f.

    f scales and, with `softcap`, bends: its slope is the scale, times 1 - tanh^2. What the mask
    hides has p = 0, and so no gradient.
    """

    def compute(gradient: Values, p: Values, *scores: Values) -> Values:
        along = (gradient * p).sum(axis=-1, keepdims=True)  # [B, K, GT, 1]
        result: Values = p * (gradient - along) * p.dtype.type(scale)  # [B, K, GT, S]
        for raw in scores:  # only where they were bent
            tanh = np.tanh(raw * raw.dtype.type(scale) / raw.dtype.type(softcap))
            result = result * (1 - tanh * tanh)
        return result

    def gradients(call: Call) -> Gradients:
        p, bent = call.result, softcap is not None
        gradient = p.tracer.record(
            kind="softmax_grad",
            family=Family.ROWWISE,
            dims={"rows": p.size // p.shape[-1], "cols": p.shape[-1], "passes": 2},
            # product, sum, subtract, product, scale; bent: scale, divide, square, 1 -, product
            flops=(5 + 5 * bent) * p.size,
            transcendentals=p.size * bent,  # tanh
            reads=(call.gradient, p, *call.inputs[:bent]),
            shape=p.shape,
            compute=compute,
            **call.into(0, "dgrad"),
        )
        return (gradient,)

    saves = () if softcap is None else (0,)
    return Rule(gradients=gradients, saves=saves, saves_result=True)


def _product(
    call: Call,
    kind: str,
    other: Array,
    compute: Callable[[Values, Values], Values],
    *,
    dims: tuple[int, int, int, int],
    of: int,
) -> Array:
    """Record the product of the gradient and the other operand."""
    batch, m, n, k = dims
    suffix = "wgrad" if of else "dgrad"
    return other.tracer.record(
        kind=f"{kind}_{suffix}",
        family=Family.MATMUL,
        dims={"batch": batch, "m": m, "n": n, "k": k},
        flops=2 * batch * m * n * k,
        reads=(call.gradient, other),
        shape=call.inputs[of].shape,
        compute=compute,
        **call.into(of, suffix),
    )


def _heads_first(x: Values, kv_heads: int, rows: int) -> Values:
    """[B, T, H*D] -> [B, K, G*T, D]."""
    batch, tokens, width = x.shape
    group = rows // tokens
    heads = x.reshape(batch, tokens, kv_heads, group, width // (kv_heads * group))
    return heads.transpose(0, 2, 3, 1, 4).reshape(batch, kv_heads, rows, -1)


def _tokens_first(x: Values, query: Array) -> Values:
    """[B, K, G*T, D] -> [B, T, H*D], the shape of `query`."""
    batch, kv_heads, _, size = x.shape
    heads = x.reshape(batch, kv_heads, -1, query.shape[1], size)  # [B, K, G, T, D]
    return heads.transpose(0, 3, 1, 2, 4).reshape(query.shape)
