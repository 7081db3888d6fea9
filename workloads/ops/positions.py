"""Positions that are computed: sinusoids added to tokens, and bias rows added to scores.

Letters, costs and rules are those of `workloads.ops`.
"""

from __future__ import annotations

from math import log

import numpy as np

from workloads.array import Array, Values
from workloads.ops.shapes import need
from workloads.trace import DTYPE_BYTES, Family

WAVELENGTH_BASE = 10_000.0  # Vaswani et al. 2017, section 3.5


def add_sinusoids(x: Array, *, start: int, interleaved: bool, name: str, buffer: str) -> Array:
    """Add sin and cos of position * 10000^(-2i/C), i < C/2, to x [B, T, C].

    They are elements 2i and 2i+1 if `interleaved` (Vaswani et al. 2017), else i and i + C/2.
    `start` is the position of the first token.
    """
    fits = len(x.shape) == 3 and x.shape[2] % 2 == 0
    need(fits=fits, op="add_sinusoids", rule="x is [B, T, C] with C even", x=x)
    _, tokens, width = x.shape

    def compute(x: Values) -> Values:
        rows = sinusoids(tokens, width, start=start, interleaved=interleaved)  # [T, C]
        result: Values = x + rows.astype(x.dtype)
        return result

    return x.tracer.record(
        kind="add_sinusoids",
        family=Family.ELEMENTWISE,
        name=name,
        dims={"elements": x.size},
        flops=x.size + tokens * width // 2,  # the sum; the angles, once for the batch
        transcendentals=tokens * width,  # sin and cos
        reads=(x,),
        shape=x.shape,
        compute=compute,
        buffer=buffer,
    )


def sinusoids(tokens: int, width: int, *, start: int = 0, interleaved: bool) -> Values:
    """Rows of the sinusoidal table from position `start` on: [T, C] in float64."""
    frequencies = WAVELENGTH_BASE ** (-np.arange(0, width, 2) / width)  # [C/2]
    angles = np.outer(np.arange(start, start + tokens), frequencies)  # [T, C/2]
    waves = [np.sin(angles), np.cos(angles)]
    joined = np.stack(waves, axis=-1) if interleaved else np.concatenate(waves, axis=-1)
    result: Values = joined.reshape(tokens, width)
    return result


def relative_bias(
    table: Array, *, queries: int, keys: int, both_ways: bool, max_distance: int, name: str
) -> Array:
    """Gather what to add to each score: a table [buckets, H] -> [H, T, S].

    The queries are the last T of S positions. The row is that of the distance's bucket, which is
    known before the run: only the rows that occur are read.
    """
    need(fits=len(table.shape) == 2, op="relative_bias", rule="table is [buckets, H]", table=table)
    buckets, heads = table.shape
    distances = np.arange(1 - keys, queries)  # key - query position, nearest keys last
    rows = distance_buckets(distances, buckets, both_ways=both_ways, max_distance=max_distance)

    def compute(table: Values) -> Values:
        query = np.arange(keys - queries, keys)[:, None]  # [T, 1]
        distance = np.arange(keys) - query  # [T, S]
        result: Values = table[rows[distance + keys - 1]]  # [buckets, H] -> [T, S, H]
        return result.transpose(2, 0, 1)

    touched = np.unique(rows).size * heads * DTYPE_BYTES[table.dtype]
    return table.tracer.record(
        kind="relative_bias",
        family=Family.GATHER,
        name=name,
        dims={"rows": queries * keys, "cols": heads},
        flops=0,
        reads=((table, touched, 0),),
        shape=(heads, queries, keys),
        compute=compute,
    )


def distance_buckets(
    distances: Values, buckets: int, *, both_ways: bool, max_distance: int
) -> Values:
    """Bucket of each distance (key minus query), as in T5 (Raffel et al. 2020, section 2.1).

    Half of the buckets hold one distance each, the others ever more, in logarithmic steps up to
    `max_distance`. Keys behind and keys ahead have half of the buckets each if `both_ways`; else
    keys ahead, which a causal mask hides, share the bucket of distance 0.
    """
    if both_ways:
        buckets //= 2
        ahead = np.where(distances > 0, buckets, 0)
        back = np.abs(distances)
    else:
        ahead = np.zeros_like(distances)
        back = np.maximum(-distances, 0)
    single = max(buckets // 2, 1)
    # float32, as published: a distance on a step's edge falls on the side it was trained on
    steps = np.log(np.maximum(back, 1).astype(np.float32) / np.float32(single))
    steps = steps / np.float32(log(max_distance / single)) * np.float32(buckets - single)
    far = np.minimum(single + steps.astype(np.int64), buckets - 1)
    result: Values = ahead + np.where(back < single, back, far)
    return result
