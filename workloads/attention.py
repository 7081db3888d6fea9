"""The operations of attention: rotary positions, the cache, scores, softmax and mix.

Letters, costs and rules are those of `workloads.ops`.
"""

from __future__ import annotations

from math import prod, sqrt

import numpy as np

from workloads.array import Array, Values
from workloads.ops import need
from workloads.trace import Family


def rope(x: Array, *, heads: int, start: int, theta: float, interleaved: bool, name: str) -> Array:
    """Rotate each head's pairs of x [B, T, heads*D] by angles that grow with the position.

    Pair i of position p turns by p * theta^(-2i/D). The pair is elements (2i, 2i+1) if
    `interleaved`, else (i, i + D/2). `start` is the position of the first token.
    """
    fits = len(x.shape) == 3 and x.shape[2] % (2 * heads) == 0
    need(fits=fits, op="rope", rule=f"x is [B, T, {heads} heads of even size]", x=x)
    batch, tokens, width = x.shape
    pairs = width // heads // 2
    first = slice(0, None, 2) if interleaved else slice(0, pairs)
    second = slice(1, None, 2) if interleaved else slice(pairs, None)

    def compute(x: Values) -> Values:
        frequencies = theta ** (-np.arange(pairs) / pairs)  # [D/2]
        angles = np.outer(np.arange(start, start + tokens), frequencies)[:, None]  # [T, 1, D/2]
        cos, sin = np.cos(angles).astype(x.dtype), np.sin(angles).astype(x.dtype)
        x = x.reshape(batch, tokens, heads, 2 * pairs)  # [B, T, heads, D]
        a, b = x[..., first], x[..., second]  # [B, T, heads, D/2] each
        result = np.empty_like(x)
        result[..., first] = a * cos - b * sin
        result[..., second] = a * sin + b * cos
        return result.reshape(batch, tokens, width)

    return x.tracer.record(
        kind="rope",
        family=Family.ELEMENTWISE,
        name=name,
        dims={"elements": x.size},
        flops=3 * x.size + tokens * pairs,  # a pair: 4 multiplications, 2 additions; the angles
        transcendentals=2 * tokens * pairs,  # sin and cos of a position's pairs, for all heads
        reads=(x,),
        shape=x.shape,
        compute=compute,
    )


def cache_append(cache: Array, new: Array, *, start: int, name: str) -> Array:
    """Write new keys or values [B, T, K*D] at positions start.. of the cache [capacity, B, K, D].

    Returns the filled prefix [start + T, B, K, D]. Positions lead, so that what is appended and
    what is filled are each one contiguous range.
    """
    batch, tokens, width = new.shape if len(new.shape) == 3 else (0, 0, 0)
    capacity, *entry = cache.shape
    end = start + tokens
    fits = tokens > 0 and end <= capacity and prod(entry) == batch * width and entry[0] == batch
    rule = f"[B, T, K*D] must fit [capacity, B, K, D] at position {start}"
    need(fits=fits, op="cache_append", rule=rule, cache=cache, new=new)

    def compute(new: Values, slot: Values) -> Values:
        slot[...] = new.reshape(batch, tokens, *entry[1:]).swapaxes(0, 1)  # -> [T, B, K, D]
        return slot

    slot = cache.view(
        (tokens, *entry), offset_elements=start * batch * width, pick=lambda v: v[start:end]
    )
    new.tracer.record(
        kind="cache_append",
        family=Family.COPY,
        name=name,
        dims={"elements": new.size},
        flops=0,
        reads=(new,),
        updates=slot,
        shape=slot.shape,
        compute=compute,
    )
    filled = new.tracer.get(cache.name)
    return filled.view((end, *entry), pick=lambda v: v[:end])


def attention_scores(query: Array, keys: Array, *, name: str) -> Array:
    """Dot each query [B, T, H*D] with each key [S, B, K, D] of its group -> [B, K, G*T, S].

    The G query heads that share a key head are rows of one product, so keys are read once.
    """
    batch, tokens, group = _grouped(query, keys, "attention_scores")
    context, _, kv_heads, size = keys.shape

    def compute(q: Values, k: Values) -> Values:
        q = q.reshape(batch, tokens, kv_heads, group, size)
        q = q.transpose(0, 2, 3, 1, 4).reshape(batch, kv_heads, group * tokens, size)
        result: Values = q @ k.transpose(1, 2, 3, 0)  # [B,K,GT,D] @ [B,K,D,S] -> [B,K,GT,S]
        return result

    dims = {"batch": batch * kv_heads, "m": group * tokens, "n": context, "k": size}
    return query.tracer.record(
        kind="attention_scores",
        family=Family.MATMUL,
        name=name,
        dims=dims,
        flops=2 * prod(dims.values()),
        reads=(query, keys),
        shape=(batch, kv_heads, group * tokens, context),
        compute=compute,
    )


def softmax(scores: Array, *, tokens: int, head_size: int, name: str) -> Array:
    """Softmax of scores [B, K, G*T, S] / sqrt(head size) over S, without a look ahead.

    The rows of a head are its T tokens, the last T of S positions: token t sees the first
    S - T + t + 1.
    """
    *_, head_rows, context = scores.shape
    fits = len(scores.shape) == 4 and head_rows % tokens == 0 and tokens <= context
    need(fits=fits, op="softmax", rule=f"rows hold {tokens} tokens a head", scores=scores)
    rows = scores.size // context
    scale = 1 / sqrt(head_size)

    def compute(scores: Values) -> Values:
        query = np.arange(context - tokens, context)[:, None]  # [T, 1]
        hidden = np.arange(context) > query  # [T, S]
        hidden = np.tile(hidden, (head_rows // tokens, 1))  # [G*T, S]
        scores = np.where(hidden, np.asarray(-np.inf, scores.dtype), scores * scale)
        exps = np.exp(scores - scores.max(axis=-1, keepdims=True))  # [B, K, G*T, S]
        result: Values = exps / exps.sum(axis=-1, keepdims=True)
        return result

    return scores.tracer.record(
        kind="softmax",
        family=Family.ROWWISE,
        name=name,
        dims={"rows": rows, "cols": context, "passes": 3},  # maximum; exp and sum; divide
        # scale, maximum, subtract, sum, divide; the mask's comparisons, once for all heads
        flops=5 * scores.size + tokens * context,
        transcendentals=scores.size,  # exp
        reads=(scores,),
        shape=scores.shape,
        compute=compute,
    )


def attention_mix(weights: Array, mixed_values: Array, query: Array, *, name: str) -> Array:
    """Mix values [S, B, K, D] by weights [B, K, G*T, S] -> [B, T, H*D], the shape of `query`."""
    batch, tokens, group = _grouped(query, mixed_values, "attention_mix")
    context, _, kv_heads, size = mixed_values.shape
    fits = weights.shape == (batch, kv_heads, group * tokens, context)
    rule = "weights are [B, K, G*T, S]"
    need(fits=fits, op="attention_mix", rule=rule, weights=weights, values=mixed_values)

    def compute(weights: Values, v: Values) -> Values:
        mix = weights @ v.transpose(1, 2, 0, 3)  # [B,K,GT,S] @ [B,K,S,D] -> [B,K,GT,D]
        mix = mix.reshape(batch, kv_heads, group, tokens, size)
        return mix.transpose(0, 3, 1, 2, 4).reshape(query.shape)  # [B, T, H*D]

    dims = {"batch": batch * kv_heads, "m": group * tokens, "n": size, "k": context}
    return weights.tracer.record(
        kind="attention_mix",
        family=Family.MATMUL,
        name=name,
        dims=dims,
        flops=2 * prod(dims.values()),
        reads=(weights, mixed_values),
        shape=query.shape,
        compute=compute,
    )


def _grouped(query: Array, cached: Array, op: str) -> tuple[int, int, int]:
    """Batch, tokens, and query heads per cached head."""
    fits = len(query.shape) == 3 and len(cached.shape) == 4
    fits = fits and query.shape[0] == cached.shape[1]
    fits = fits and query.shape[2] % (cached.shape[2] * cached.shape[3]) == 0
    rule = "query is [B, T, H*D], cache [S, B, K, D], with H a multiple of K"
    need(fits=fits, op=op, rule=rule, query=query, cache=cached)
    batch, tokens, width = query.shape
    return batch, tokens, width // (cached.shape[2] * cached.shape[3])
