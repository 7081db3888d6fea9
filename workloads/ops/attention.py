"""The operations of attention: rotary positions, the cache, scores, softmax and mix.

Letters, costs and rules are those of `workloads.ops`.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from workloads.array import Array, Values
from workloads.ops import attention_gradients as gradients
from workloads.ops.ragged import positions_of
from workloads.ops.shapes import need
from workloads.tape import Rule
from workloads.trace import Family


def rope(
    x: Array,
    *,
    heads: int,
    start: int,
    frequencies: tuple[float, ...],
    interleaved: bool,
    name: str,
    padding: Array | None = None,
) -> Array:
    """Rotate pairs of each head of x [B, T, heads*D] by angles that grow with the position.

    Pair i of position p turns by p * frequencies[i]. The pair is elements (2i, 2i+1) if
    `interleaved`, else (i, i + R/2), where R = 2 len(frequencies) elements of a head are rotated
    and the others stay. `start` is the position of the first token; with `padding` [B], of the
    first place, and each prompt's positions count from after its padding.
    """
    pairs = len(frequencies)
    fits = len(x.shape) == 3 and x.shape[2] % heads == 0 and 2 * pairs * heads <= x.shape[2]
    need(fits=fits, op="rope", rule=f"x is [B, T, {heads} heads of {2 * pairs} or more]", x=x)
    batch, tokens, width = x.shape
    first = slice(0, 2 * pairs, 2) if interleaved else slice(0, pairs)
    second = slice(1, 2 * pairs, 2) if interleaved else slice(pairs, 2 * pairs)

    def turn(x: Values, padding: tuple[Values, ...], direction: int) -> Values:
        if padding:
            positions = direction * positions_of(start, tokens, *padding)  # [B, T]
            cos, sin = _turns(positions, frequencies, x.dtype)  # [B, T, 1, R/2]
        else:
            cos, sin = _turns_from(start, tokens, direction, frequencies, x.dtype)  # [T, 1, R/2]
        x = x.reshape(batch, tokens, heads, -1)  # [B, T, heads, D]
        a, b = x[..., first], x[..., second]  # [B, T, heads, R/2] each
        result = x.copy()
        result[..., first] = a * cos - b * sin
        result[..., second] = a * sin + b * cos
        return result.reshape(batch, tokens, width)

    rotated = 2 * pairs * heads * batch * tokens
    rows = tokens if padding is None else batch * tokens  # of angles
    places = 0 if padding is None else 2 * batch * tokens  # subtract the padding, at least zero
    # a pair: 4 multiplications, 2 additions; the angles
    flops = 3 * rotated + rows * pairs + places
    transcendentals = 2 * rows * pairs  # sin and cos of a position's pairs, for all heads
    back = gradients.turned_back(lambda g: turn(g, (), -1), flops, transcendentals)
    return x.tracer.record(
        kind="rope",
        family=Family.ELEMENTWISE,
        name=name,
        dims={"elements": x.size},
        flops=flops,
        transcendentals=transcendentals,
        reads=(x,) if padding is None else (x, padding),
        shape=x.shape,
        compute=lambda x, *padding: turn(x, padding, 1),
        backward=back if padding is None else None,  # training pads no prompts
    )


def _turns(
    positions: Values, frequencies: tuple[float, ...], dtype: np.dtype[Any]
) -> tuple[Values, Values]:
    """Cosine and sine of each pair's angle at positions [..., T] -> [..., T, 1, R/2]."""
    angles = np.multiply.outer(positions, frequencies)[..., None, :]
    return np.cos(angles).astype(dtype), np.sin(angles).astype(dtype)


@lru_cache(maxsize=4)  # queries and keys of all layers turn by the same angles in a pass
def _turns_from(
    start: int, tokens: int, direction: int, frequencies: tuple[float, ...], dtype: np.dtype[Any]
) -> tuple[Values, Values]:
    """Return the turns of tokens at positions start.., forwards (1) or back (-1)."""
    return _turns(direction * np.arange(start, start + tokens), frequencies, dtype)


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
        backward=Rule(gradients=gradients.taken_back),
    )
    filled = new.tracer.get(cache.name)
    return filled.view((end, *entry), pick=lambda v: v[:end])


def last_positions(filled: Array, window: int | None, *, tokens: int) -> Array:
    """Return what of a filled cache [S, B, K, D] the last `tokens` positions see of it: a view."""
    positions, *entry = filled.shape
    seen = positions if window is None else min(positions, window + tokens - 1)
    return filled.view(
        (seen, *entry),
        offset_elements=(positions - seen) * prod(entry),
        pick=lambda v: v[positions - seen :],
    )


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
        backward=Rule(gradients=gradients.of_scores, saves=(0, 1)),
    )


def softmax(
    scores: Array,
    *,
    tokens: int,
    scale: float,
    name: str,
    causal: bool = True,
    window: int | None = None,
    softcap: float | None = None,
    alibi: bool = False,
    padding: Array | None = None,
    skipped: int = 0,
) -> Array:
    """Softmax of scaled scores [B, K, G*T, S] over S.

    The rows of a head are its T tokens, the last T of S positions: where `causal`, token t sees
    the first S - T + t + 1, and of those the last `window`. `softcap` bends the scores before the
    mask; `alibi` adds each head's slope times the distance to the position (Press et al. 2022).
    No token sees the first `padding` [B] positions of its prompt, but for those that stand there;
    `skipped` positions lie before the S.
    """
    batch, kv_heads, head_rows, context = scores.shape if len(scores.shape) == 4 else (0, 0, 1, 0)
    fits = len(scores.shape) == 4 and head_rows % tokens == 0 and (tokens <= context or not causal)
    need(fits=fits, op="softmax", rule=f"rows hold {tokens} tokens a head", scores=scores)
    rows, group = scores.size // context, head_rows // tokens
    # the last token by itself sees all positions but those before its window
    masked = causal and (tokens > 1 or (window is not None and window < context))

    def compute(scores: Values, *padding: Values) -> Values:
        query = np.arange(context - tokens, context)[:, None]  # [T, 1]
        key = np.arange(context)  # [S]
        scores = scores * scores.dtype.type(scale)
        if softcap is not None:
            scores = softcap * np.tanh(scores / softcap)
        if alibi:
            slopes = alibi_slopes(kv_heads * group).reshape(kv_heads, group, 1, 1)
            bias = (slopes * (key - query)).reshape(kv_heads, head_rows, context)
            scores = scores + bias.astype(scores.dtype)
        if masked:
            hidden = key > query  # [T, S]
            if window is not None:
                hidden |= key <= query - window
            hidden = np.tile(hidden, (group, 1))  # [G*T, S]
            scores = np.where(hidden, np.asarray(-np.inf, scores.dtype), scores)
        if padding:
            before = padding[0][:, None, None] - skipped  # [B, 1, 1]
            hidden = (key < before) & (query >= before)  # [B, T, S]
            hidden = np.tile(hidden, (1, group, 1))[:, None]  # [B, 1, G*T, S]
            scores = np.where(hidden, np.asarray(-np.inf, scores.dtype), scores)
        exps = np.exp(scores - scores.max(axis=-1, keepdims=True))  # [B, K, G*T, S]
        result: Values = exps / exps.sum(axis=-1, keepdims=True)
        return result

    # scale, maximum, subtract, sum, divide; softcap: divide, multiply; alibi: add
    each = 5 + 2 * (softcap is not None) + alibi
    masks = causal + (window is not None)  # comparisons, once for all heads
    slopes = kv_heads * head_rows * context * alibi  # a product each, once for the batch
    padded = 0 if padding is None else batch * (context + tokens)  # a comparison each
    return scores.tracer.record(
        kind="softmax",
        family=Family.ROWWISE,
        name=name,
        dims={"rows": rows, "cols": context, "passes": 3},  # maximum; exp and sum; divide
        flops=each * scores.size + masks * tokens * context + slopes + padded,
        transcendentals=scores.size * (1 + (softcap is not None)),  # exp; tanh
        reads=(scores,) if padding is None else (scores, padding),
        shape=scores.shape,
        compute=compute,
        backward=gradients.of_softmax(scale, softcap),
    )


def alibi_slopes(heads: int) -> Values:
    """Slope of each head: powers of 2^(-8/n), n the power of two at or below the heads.

    What heads are left over take every other power of the next finer row, as published.
    """
    whole = 1 << (heads.bit_length() - 1)
    slopes = 2.0 ** (-8.0 * np.arange(1, whole + 1) / whole)
    finer = 2.0 ** (-4.0 * np.arange(1, 2 * (heads - whole), 2) / whole)
    return np.concatenate([slopes, finer])[:heads]


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
        backward=Rule(gradients=gradients.of_mix, saves=(0, 1)),
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
