"""Norms: RMSNorm and LayerNorm.

Letters, costs and rules are those of `workloads.ops`.
"""

from __future__ import annotations

import numpy as np

from workloads.array import Array, Values
from workloads.ops.shapes import need
from workloads.trace import Family


def rmsnorm(
    x: Array,
    weight: Array,
    *,
    eps: float,
    name: str,
    offset: bool = False,
    buffer: str | None = None,
) -> Array:
    """Norm x / sqrt(mean(x^2) + eps) * weight along the last axis; 1 + weight with `offset`."""
    need(fits=weight.shape == x.shape[-1:], op="rmsnorm", rule="weight is [C]", x=x, weight=weight)
    cols = x.shape[-1]
    rows = x.size // cols

    def compute(x: Values, weight: Values) -> Values:
        mean_square = (x * x).mean(axis=-1, keepdims=True)  # [..., C] -> [..., 1]
        weight = 1 + weight if offset else weight
        result: Values = x / np.sqrt(mean_square + eps) * weight  # [..., C]
        return result

    return x.tracer.record(
        kind="rmsnorm",
        family=Family.ROWWISE,
        name=name,
        dims={"rows": rows, "cols": cols, "passes": 2},  # sum of squares; scale
        # square, sum, divide, weight; a row: mean, + eps; once for all rows: 1 + weight
        flops=4 * rows * cols + 2 * rows + cols * offset,
        transcendentals=rows,  # sqrt
        reads=(x, weight),
        shape=x.shape,
        compute=compute,
        buffer=buffer,
    )


def layernorm(
    x: Array, weight: Array, bias: Array, *, eps: float, name: str, buffer: str | None = None
) -> Array:
    """Norm (x - mean) / sqrt(variance + eps) * weight + bias along the last axis."""
    fits = weight.shape == bias.shape == x.shape[-1:]
    need(fits=fits, op="layernorm", rule="weight and bias are [C]", x=x, weight=weight, bias=bias)
    cols = x.shape[-1]
    rows = x.size // cols

    def compute(x: Values, weight: Values, bias: Values) -> Values:
        centred = x - x.mean(axis=-1, keepdims=True)  # [..., C]
        variance = (centred * centred).mean(axis=-1, keepdims=True)  # [..., 1]
        result: Values = centred / np.sqrt(variance + eps) * weight + bias  # [..., C]
        return result

    return x.tracer.record(
        kind="layernorm",
        family=Family.ROWWISE,
        name=name,
        dims={"rows": rows, "cols": cols, "passes": 3},  # sum; squares; scale
        # sum, subtract, square, sum, divide, weight, bias; a row: two means, + eps
        flops=7 * rows * cols + 3 * rows,
        transcendentals=rows,  # sqrt
        reads=(x, weight, bias),
        shape=x.shape,
        compute=compute,
        buffer=buffer,
    )
