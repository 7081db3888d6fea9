"""Norms: RMSNorm and LayerNorm.

Letters, costs and rules are those of `workloads.ops`.
"""

from __future__ import annotations

import numpy as np

from workloads.array import Array, Values
from workloads.ops.basic import column_sums
from workloads.ops.shapes import need
from workloads.tape import Call, Gradients, Rule
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
        backward=Rule(
            gradients=lambda call: _rmsnorm_gradients(call, eps, offset=offset), saves=(0, 1)
        ),
    )


def _rmsnorm_gradients(call: Call, eps: float, *, offset: bool) -> Gradients:
    """Of y = x / r * w, r = sqrt(mean(x^2) + eps), and v = dy * w: (v - x mean(v x) / r^2) / r."""
    x, weight = call.inputs
    cols = x.shape[-1]
    rows = x.size // cols

    def of_x(gradient: Values, x: Values, weight: Values) -> Values:
        square = (x * x).mean(axis=-1, keepdims=True) + eps  # r^2, [..., 1]
        v = gradient * (1 + weight if offset else weight)  # [..., C]
        along = (v * x).mean(axis=-1, keepdims=True) / square  # [..., 1]
        result: Values = (v - x * along) / np.sqrt(square)  # [..., C]
        return result

    def of_weight(gradient: Values, x: Values) -> Values:
        root = np.sqrt((x * x).mean(axis=-1, keepdims=True) + eps)  # [..., 1]
        result: Values = (gradient * (x / root)).reshape(rows, cols).sum(axis=0)  # [C]
        return result

    record = x.tracer.record
    return (
        record(
            kind="rmsnorm_grad",
            family=Family.ROWWISE,
            dims={"rows": rows, "cols": cols, "passes": 2},  # both sums; the map
            # square, sum, weight, the product with x, sum, x *, subtract, divide; a row: two
            # means, + eps, divide; once for all rows: 1 + weight
            flops=8 * x.size + 4 * rows + cols * offset,
            transcendentals=rows,  # sqrt
            reads=(call.gradient, x, weight),
            shape=x.shape,
            compute=of_x,
            **call.into(0, "dgrad"),
        ),
        record(
            kind="rmsnorm_weight_grad",
            family=Family.ROWWISE,
            dims={"rows": rows, "cols": cols, "passes": 2},  # sum of squares; added to the sums
            flops=5 * x.size + 2 * rows,  # square, sum, divide, product, sum; a row: mean, + eps
            transcendentals=rows,  # sqrt
            reads=(call.gradient, x),
            shape=weight.shape,
            compute=of_weight,
            **call.into(1, "wgrad"),
        ),
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
        backward=Rule(gradients=lambda call: _layernorm_gradients(call, eps), saves=(0, 1)),
    )


def _layernorm_gradients(call: Call, eps: float) -> Gradients:
    """Of y = n w + b, n = (x - mean) / s, and v = dy w: (v - mean(v) - n mean(v n)) / s.

    Source: Ba et al., Layer Normalization, arXiv:1607.06450, differentiated.
    """
    x, weight, _ = call.inputs
    cols = x.shape[-1]
    rows = x.size // cols

    def normed(x: Values) -> tuple[Values, Values]:
        centred = x - x.mean(axis=-1, keepdims=True)  # [..., C]
        spread = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + eps)  # [..., 1]
        return centred / spread, spread

    def of_x(gradient: Values, x: Values, weight: Values) -> Values:
        n, spread = normed(x)
        v = gradient * weight  # [..., C]
        along = (v * n).mean(axis=-1, keepdims=True)  # [..., 1]
        result: Values = (v - v.mean(axis=-1, keepdims=True) - n * along) / spread  # [..., C]
        return result

    def of_weight(gradient: Values, x: Values) -> Values:
        result: Values = (gradient * normed(x)[0]).reshape(rows, cols).sum(axis=0)  # [C]
        return result

    record = x.tracer.record
    of_inputs = record(
        kind="layernorm_grad",
        family=Family.ROWWISE,
        dims={"rows": rows, "cols": cols, "passes": 4},  # sum; squares; both sums; the map
        # the norm: sum, subtract, square, sum, divide; weight, sum, product with n, sum, n *, two
        # subtractions, divide; a row: four means, + eps
        flops=13 * x.size + 5 * rows,
        transcendentals=rows,  # sqrt
        reads=(call.gradient, x, weight),
        shape=x.shape,
        compute=of_x,
        **call.into(0, "dgrad"),
    )
    of_weights = record(
        kind="layernorm_weight_grad",
        family=Family.ROWWISE,
        dims={"rows": rows, "cols": cols, "passes": 3},  # sum; squares; added to the sums
        flops=7 * x.size + 3 * rows,  # the norm, product, sum; a row: two means, + eps
        transcendentals=rows,  # sqrt
        reads=(call.gradient, x),
        shape=weight.shape,
        compute=of_weight,
        **call.into(1, "wgrad"),
    )
    return of_inputs, of_weights, column_sums(call.gradient, call, 2)
