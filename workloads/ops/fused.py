"""Several operations in one: fewer trips to memory for the same arithmetic.

Letters, costs and rules are those of `workloads.ops`.
"""

from __future__ import annotations

from math import prod

import numpy as np

from workloads.array import Array, Values
from workloads.ops.activations import ACTIVATIONS
from workloads.ops.shapes import need
from workloads.trace import Family


def bias_activate(x: Array, bias: Array, *, activation: str, name: str) -> Array:
    """Apply an activation to x + bias, of which the sum is never written."""
    fits = bias.shape == x.shape[-1:]
    need(fits=fits, op="bias_activate", rule="bias is [F]", x=x, bias=bias)
    chosen = ACTIVATIONS[activation]
    return x.tracer.record(
        kind=chosen.kind,
        family=Family.ELEMENTWISE,
        name=name,
        dims={"elements": x.size},
        flops=(1 + chosen.flops) * x.size,
        transcendentals=chosen.transcendentals * x.size,
        reads=(x, bias),
        shape=x.shape,
        compute=lambda x, bias: chosen.compute(x + bias),
    )


def add_norm(
    x: Array,
    y: Array,
    weight: Array,
    bias: Array | None,
    *,
    eps: float,
    offset: bool,
    name: str,
    buffer: str,
) -> tuple[Array, Array]:
    """Return x + y and its norm: LayerNorm with a bias, RMSNorm without (1 + weight by `offset`).

    The two lie one after the other in the buffer, of shape [2, ...].
    """
    fits = x.shape == y.shape and weight.shape == x.shape[-1:]
    need(fits=fits, op="add_norm", rule="x is like y, weight is [C]", x=x, y=y, weight=weight)
    cols = x.shape[-1]
    rows = x.size // cols

    def compute(x: Values, y: Values, weight: Values, bias: Values | None = None) -> Values:
        total = x + y  # [..., C]
        if bias is None:
            weight = 1 + weight if offset else weight
            mean_square = (total * total).mean(axis=-1, keepdims=True)  # [..., 1]
            return np.stack((total, total / np.sqrt(mean_square + eps) * weight))
        centred = total - total.mean(axis=-1, keepdims=True)  # [..., C]
        variance = (centred * centred).mean(axis=-1, keepdims=True)  # [..., 1]
        return np.stack((total, centred / np.sqrt(variance + eps) * weight + bias))

    # an addition, and what `norms` says of each
    flops = 5 * x.size + 2 * rows + cols * offset if bias is None else 8 * x.size + 3 * rows
    both = x.tracer.record(
        kind="rmsnorm" if bias is None else "layernorm",
        family=Family.ROWWISE,
        name=name,
        dims={"rows": rows, "cols": cols, "passes": 2 if bias is None else 3},
        flops=flops,
        transcendentals=rows,  # sqrt
        reads=(x, y, weight) if bias is None else (x, y, weight, bias),
        shape=(2, *x.shape),
        compute=compute,
        buffer=buffer,
        parts=2,
    )
    normed = both.view(x.shape, offset_elements=x.size, pick=lambda v: v[1])
    return both.view(x.shape, pick=lambda v: v[0]), normed


def attention(
    query: Array,
    keys: Array,
    values: Array,
    *,
    scale: float,
    tile: int,
    name: str,
    window: int | None = None,
    softcap: float | None = None,
) -> Array:
    """Causal attention of queries [B, T, H*D] over keys and values [S, B, K, D] -> [B, T, H*D].

    Walks the positions a tile at a time and keeps, for each row, the largest score so far, the sum
    of exponentials and the mix: when a larger score comes, both are scaled down to it. Neither
    scores nor weights are written (FlashAttention, Dao et al. 2022, arXiv:2205.14135, algorithm 1).
    Hidden tiles are computed as others are, as the unfused operations do.
    """
    fits = len(query.shape) == 3 and len(keys.shape) == 4 and keys.shape == values.shape
    fits = fits and query.shape[2] % prod(keys.shape[2:]) == 0 and tile > 0
    rule = "query is [B, T, H*D], keys and values [S, B, K, D]"
    need(fits=fits, op="attention", rule=rule, query=query, keys=keys, values=values)
    batch, tokens, width = query.shape
    context, _, kv_heads, size = keys.shape
    group = width // (kv_heads * size)
    row_shape = (batch, kv_heads, group * tokens)
    rows, tiles = prod(row_shape), -(-context // tile)

    def compute(q: Values, k: Values, v: Values) -> Values:
        q = q.reshape(batch, tokens, kv_heads, group, size)
        q = q.transpose(0, 2, 3, 1, 4).reshape(*row_shape, size)  # [B, K, GT, D]
        largest = np.full((*row_shape, 1), -np.inf, q.dtype)
        total, mix = np.zeros_like(largest), np.zeros_like(q)
        for first in range(0, context, tile):
            part = slice(first, min(first + tile, context))
            scores = q @ k[part].transpose(1, 2, 3, 0) * q.dtype.type(scale)  # [B, K, GT, tile]
            if softcap is not None:
                scores = softcap * np.tanh(scores / softcap)
            hidden = _hidden(part, context, tokens, window)  # [T, tile]
            scores[np.broadcast_to(np.tile(hidden, (group, 1)), scores.shape)] = -np.inf
            grown = np.maximum(largest, scores.max(axis=-1, keepdims=True))
            level = np.where(np.isneginf(grown), q.dtype.type(0), grown)  # nothing seen yet
            down = np.exp(largest - level)
            exps = np.exp(scores - level)
            total = total * down + exps.sum(axis=-1, keepdims=True)
            mix = mix * down + exps @ v[part].transpose(1, 2, 0, 3)  # [B, K, GT, D]
            largest = grown
        mix = (mix / total).reshape(batch, kv_heads, group, tokens, size)
        return mix.transpose(0, 3, 1, 2, 4).reshape(query.shape)

    capped = softcap is not None
    scores, masks = rows * context, 1 + (window is not None)
    return query.tracer.record(
        kind="fused_attention",
        family=Family.ATTENTION,
        name=name,
        dims={
            "batch": batch * kv_heads,
            "rows": group * tokens,
            "positions": context,
            "size": size,
            "tile": min(tile, context),
        },
        flops=4 * scores * size  # both products
        + (4 + 2 * capped) * scores  # scale, maximum, subtract, sum; softcap: divide, multiply
        + masks * tokens * context  # comparisons, once for all heads
        # a row and tile: maximum, subtract; the sum and the mix scaled down and added to
        + (4 + 2 * size) * rows * tiles
        + rows * size,  # divide
        transcendentals=scores * (1 + capped) + rows * tiles,  # exp, tanh; exp of a tile's step
        reads=(query, keys, values),
        shape=query.shape,
        compute=compute,
    )


def _hidden(part: slice, context: int, tokens: int, window: int | None) -> Values:
    """Which of a tile's positions each token does not see: [T, tile]."""
    query = np.arange(context - tokens, context)[:, None]
    key = np.arange(part.start, part.stop)
    hidden: Values = key > query
    if window is not None:
        hidden |= key <= query - window
    return hidden
