"""Products and attention over whole numbers: weights, activations or the cache in few bits.

A weight in few bits times activations in floating point (`matmul`) is one operation, as in the
kernels that serve such models: it reads the narrow weight, widens it in registers, and its
arithmetic stays in the activations' element type. Taking packed numbers apart costs nothing here.
Letters, costs and rules are those of `workloads.ops`.
"""

from __future__ import annotations

from math import prod

import numpy as np

from workloads.array import Array, Values, numpy_type
from workloads.ops.shapes import need
from workloads.trace import Family


def most(bits: int) -> int:
    """Return the largest whole number of so many bits that has a negative of its own."""
    return int(2 ** (bits - 1)) - 1


def by_row(scale: Values, k: int) -> Values:
    """Repeat a group's scale [groups, n] for each of its rows: [k, n], or [1, n] for one group.

    Groups are equal but for the last: ceil(k / groups) rows each.
    """
    groups = len(scale)
    return scale if groups == 1 else np.repeat(scale, -(-k // groups), axis=0)[:k]


def matmul(x: Array, weight: Array, scale: Array, zero: Array | None, *, name: str) -> Array:
    """Multiply rows of x by (weight - zero) * scale; the weight [k, n] is in few bits.

    `scale` and `zero` are [1, 1], [1, n], or [groups, n] along k. One group's scale multiplies the
    sums; several groups' weights are widened one by one. The weight may be float8, without `zero`.
    """
    k = x.shape[-1]
    fits = len(weight.shape) == 2 and weight.shape[0] == k and len(scale.shape) == 2
    fits = fits and scale.shape[1] in {1, weight.shape[1]} and scale.shape[0] <= k
    fits = fits and (zero is None or zero.shape == scale.shape)
    rule = "weight is [k, n], scale [groups, n]"
    need(fits=fits, op="quantised matmul", rule=rule, x=x, weight=weight, scale=scale)
    m, n, groups = x.size // k, weight.shape[1], scale.shape[0]
    shape = (*x.shape[:-1], n)

    def compute(x: Values, weight: Values, scale: Values, zero: Values | None = None) -> Values:
        x = x.reshape(m, k)
        wide = weight.astype(x.dtype)  # [k, n]
        if groups > 1:
            wide = wide if zero is None else wide - by_row(zero.astype(x.dtype), k)
            result: Values = x @ (wide * by_row(scale, k))  # [m, k] @ [k, n] -> [m, n]
            return result.reshape(shape)
        result = x @ wide  # [m, k] @ [k, n] -> [m, n]
        if zero is not None:
            result = result - x.sum(axis=1, keepdims=True) * zero.astype(x.dtype)
        scaled: Values = result * scale
        return scaled.reshape(shape)

    if groups > 1:
        around = k * n * (1 if zero is None else 2)  # each weight: times scale; less zero
    else:
        around = m * n if zero is None else 3 * m * n + m * k  # times scale; sums times zero, less
    return x.tracer.record(
        kind=f"matmul_{weight.dtype}",
        family=Family.MATMUL,
        name=name,
        dims={"batch": 1, "m": m, "n": n, "k": k},
        flops=2 * m * n * k + around,
        reads=(x, weight, scale) if zero is None else (x, weight, scale, zero),
        shape=shape,
        compute=compute,
    )


def row_scale(x: Array, *, cols: int, limit: int, name: str) -> Array:
    """Largest magnitude of each `cols` neighbours, over `limit`: x [..., n] -> [..., n / cols].

    Where all are zero the scale is one.
    """
    need(fits=x.shape[-1] % cols == 0, op="row_scale", rule=f"rows of {cols}", x=x)
    rows = x.size // cols
    shape = (*x.shape[:-1], x.shape[-1] // cols)

    def compute(x: Values) -> Values:
        largest = np.abs(x.reshape(*shape, cols)).max(axis=-1)  # [..., n / cols]
        scale = largest / x.dtype.type(limit)
        result: Values = np.where(scale == 0, x.dtype.type(1), scale)
        return result

    return x.tracer.record(
        kind="row_scale",
        family=Family.ROWWISE,
        name=name,
        dims={"rows": rows, "cols": cols, "passes": 1},
        flops=x.size + 2 * rows,  # maximum; a row: divide, compare with zero
        reads=(x,),
        shape=shape,
        compute=compute,
    )


def to_whole(x: Array, scale: Array, *, bits: int, name: str) -> Array:
    """Round x / scale to whole numbers of so many bits; a scale serves neighbours of the last axis.

    x [..., n], scale [..., n / cols] -> [..., n]; nothing is beyond `most(bits)`.
    """
    fits = x.shape[:-1] == scale.shape[:-1] and x.shape[-1] % scale.shape[-1] == 0
    rule = "scale is [..., n / cols]"
    need(fits=fits, op="to_whole", rule=rule, x=x, scale=scale)
    limit, dtype = most(bits), f"int{bits}"

    def compute(x: Values, scale: Values) -> Values:
        steps = x.reshape(*scale.shape, -1) / scale[..., None]  # [..., n / cols, cols]
        whole = np.clip(np.rint(steps), -limit, limit)
        return whole.astype(numpy_type(dtype)).reshape(x.shape)

    return x.tracer.record(
        kind="quantise",
        family=Family.ELEMENTWISE,
        name=name,
        dims={"elements": x.size},
        flops=4 * x.size,  # divide, round, two comparisons
        reads=(x, scale),
        shape=x.shape,
        dtype=dtype,
        compute=compute,
    )


def whole_matmul(x: Array, weight: Array, rows: Array, columns: Array, *, name: str) -> Array:
    """Multiply int8 rows of x by an int8 weight [k, n], then by the scales of both.

    Sums are int32 and stay in registers; what is written has the element type of the scales,
    `rows` [..., 1] and `columns` [1, n] or [1, 1].
    """
    k = x.shape[-1]
    fits = x.dtype == weight.dtype == "int8" and weight.shape[0] == k
    fits = fits and rows.shape == (*x.shape[:-1], 1) and columns.shape[0] == 1
    rule = "int8 by int8 [k, n], a scale a row and a column"
    need(fits=fits, op="whole_matmul", rule=rule, x=x, weight=weight, rows=rows, columns=columns)
    m, n = x.size // k, weight.shape[1]
    shape = (*x.shape[:-1], n)

    def compute(x: Values, weight: Values, rows: Values, columns: Values) -> Values:
        # float64 holds sums of int8 products exactly, and is multiplied by a fast library
        sums = x.reshape(m, k).astype(np.float64) @ weight.astype(np.float64)  # [m, n]
        result: Values = sums.astype(np.int32) * rows.reshape(m, 1) * columns
        return np.asarray(result, rows.dtype).reshape(shape)

    return x.tracer.record(
        kind="matmul_int8_int8",
        family=Family.MATMUL,
        name=name,
        dims={"batch": 1, "m": m, "n": n, "k": k},
        flops=2 * m * n * k + 2 * m * n,  # times both scales
        reads=(x, weight, rows, columns),
        shape=shape,
        dtype=rows.dtype,
        compute=compute,
    )


def attention_scores(query: Array, keys: Array, scale: Array, *, name: str) -> Array:
    """Dot queries [B, T, H*D] with whole keys [S, B, K, D] times scale [S, B, K, 1].

    -> [B, K, G*T, S]. A position's scale multiplies its finished scores.
    """
    batch, tokens, group = _grouped(query, keys, scale, "quantised attention_scores")
    context, _, kv_heads, size = keys.shape

    def compute(q: Values, k: Values, scale: Values) -> Values:
        q = q.reshape(batch, tokens, kv_heads, group, size)
        q = q.transpose(0, 2, 3, 1, 4).reshape(batch, kv_heads, group * tokens, size)
        scores = q @ k.transpose(1, 2, 3, 0).astype(q.dtype)  # [B, K, GT, S]
        result: Values = scores * scale.transpose(1, 2, 3, 0)  # [B, K, 1, S]
        return result

    dims = {"batch": batch * kv_heads, "m": group * tokens, "n": context, "k": size}
    return query.tracer.record(
        kind="attention_scores",
        family=Family.MATMUL,
        name=name,
        dims=dims,
        flops=2 * prod(dims.values()) + batch * kv_heads * group * tokens * context,  # times scale
        reads=(query, keys, scale),
        shape=(batch, kv_heads, group * tokens, context),
        compute=compute,
    )


def attention_mix(weights: Array, cached: Array, scale: Array, query: Array, *, name: str) -> Array:
    """Mix whole values [S, B, K, D] times scale [S, B, K, 1] by weights [B, K, G*T, S].

    -> [B, T, H*D], the shape of `query`. A position's scale multiplies its weights.
    """
    batch, tokens, group = _grouped(query, cached, scale, "quantised attention_mix")
    context, _, kv_heads, size = cached.shape

    def compute(weights: Values, v: Values, scale: Values) -> Values:
        weights = weights * scale.transpose(1, 2, 3, 0)  # [B, K, GT, S]
        mix = weights @ v.transpose(1, 2, 0, 3).astype(weights.dtype)  # [B, K, GT, D]
        mix = mix.reshape(batch, kv_heads, group, tokens, size)
        result: Values = mix.transpose(0, 3, 1, 2, 4).reshape(query.shape)  # [B, T, H*D]
        return result

    dims = {"batch": batch * kv_heads, "m": group * tokens, "n": size, "k": context}
    return weights.tracer.record(
        kind="attention_mix",
        family=Family.MATMUL,
        name=name,
        dims=dims,
        flops=2 * prod(dims.values()) + weights.size,  # times scale
        reads=(weights, cached, scale),
        shape=query.shape,
        compute=compute,
    )


def _grouped(query: Array, cached: Array, scale: Array, op: str) -> tuple[int, int, int]:
    """Batch, tokens, and query heads per cached head."""
    fits = len(query.shape) == 3 and len(cached.shape) == 4
    fits = fits and query.shape[2] % prod(cached.shape[2:]) == 0
    fits = fits and scale.shape == (*cached.shape[:3], 1)
    rule = "query is [B, T, H*D], cache [S, B, K, D], scale [S, B, K, 1]"
    need(fits=fits, op=op, rule=rule, query=query, cache=cached, scale=scale)
    batch, tokens, width = query.shape
    return batch, tokens, width // prod(cached.shape[2:])
