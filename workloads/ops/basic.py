"""Rows of a table, products, sums: what every model is made of.

Letters, costs and rules are those of `workloads.ops`.
"""

from __future__ import annotations

from math import prod

import numpy as np

from workloads.array import Array, Values
from workloads.ops.shapes import need
from workloads.tape import Call, Gradients, Rule
from workloads.trace import DTYPE_BYTES, Family


def embedding(ids: Array, table: Array, *, name: str, buffer: str) -> Array:
    """Look up each token's row.

    Reads one row per token: a token that occurs twice is counted twice, but never more than the
    whole table.
    """
    need(fits=len(table.shape) == 2, op="embedding", rule="table is [V, C]", table=table)
    rows, cols = ids.size, table.shape[1]
    row_bytes = cols * DTYPE_BYTES[table.dtype]

    def compute(table: Values, ids: Values) -> Values:
        result: Values = table[ids]  # [V, C], [B, T] -> [B, T, C]
        return result

    return ids.tracer.record(
        kind="embedding",
        family=Family.GATHER,
        name=name,
        dims={"rows": rows, "cols": cols},
        flops=0,
        reads=((table, min(rows, table.shape[0]) * row_bytes, 0), ids),
        shape=(*ids.shape, cols),
        compute=compute,
        buffer=buffer,
        backward=Rule(gradients=_embedding_gradients, saves=(1,)),
    )


def _embedding_gradients(call: Call) -> Gradients:
    """Add each token's gradient to the row it came from; rows that no token named are zero."""
    table, ids = call.inputs
    gradient = call.gradient  # [B, T, C]

    def compute(gradient: Values, ids: Values) -> Values:
        result = np.zeros(table.shape, gradient.dtype)  # [V, C]
        np.add.at(result, ids, gradient)
        return result

    added = gradient.tracer.record(
        kind="embedding_grad",
        family=Family.GATHER,
        dims={"rows": ids.size, "cols": table.shape[1]},
        flops=gradient.size,  # additions
        reads=(gradient, ids),
        shape=table.shape,
        compute=compute,
        **call.into(0, "scatter"),
    )
    return added, None


def matmul(
    x: Array, weight: Array, *, name: str, transposed: bool = False, buffer: str | None = None
) -> Array:
    """Multiply every row of x by a weight [k, n], or [n, k] if `transposed` (a tied embedding)."""
    fits = len(weight.shape) == 2 and x.shape[-1] == weight.shape[1 if transposed else 0]
    need(fits=fits, op="matmul", rule="the inner extents must agree", x=x, weight=weight)
    n, k = weight.shape if transposed else weight.shape[::-1]
    m = x.size // k
    shape = (*x.shape[:-1], n)

    def compute(x: Values, w: Values) -> Values:
        w = w.T if transposed else w  # [k, n]
        result: Values = x.reshape(m, k) @ w  # [m, k] @ [k, n] -> [m, n]
        return result.reshape(shape)

    return x.tracer.record(
        kind="matmul",
        family=Family.MATMUL,
        name=name,
        dims={"batch": 1, "m": m, "n": n, "k": k},
        flops=2 * m * n * k,  # a multiplication and an addition each
        reads=(x, weight),
        shape=shape,
        compute=compute,
        backward=Rule(gradients=lambda call: _product_gradients(call, transposed), saves=(0, 1)),
        buffer=buffer,
    )


def _product_gradients(call: Call, transposed: bool) -> Gradients:
    """Return dX = dY W^T and dW = X^T dY; the other way round for a weight stored [n, k]."""
    x, weight = call.inputs
    n, k = weight.shape if transposed else weight.shape[::-1]
    m = x.size // k

    def of_x(gradient: Values, w: Values) -> Values:
        result: Values = gradient.reshape(m, n) @ (w if transposed else w.T)  # [m, n] @ [n, k]
        return result.reshape(x.shape)

    def of_weight(gradient: Values, x: Values) -> Values:
        result: Values = x.reshape(m, k).T @ gradient.reshape(m, n)  # [k, m] @ [m, n] -> [k, n]
        return result.T if transposed else result

    record = x.tracer.record
    return (
        record(
            kind="matmul_dgrad",
            family=Family.MATMUL,
            dims={"batch": 1, "m": m, "n": k, "k": n},
            flops=2 * m * n * k,
            reads=(call.gradient, weight),
            shape=x.shape,
            compute=of_x,
            **call.into(0, "dgrad"),
        ),
        record(
            kind="matmul_wgrad",
            family=Family.MATMUL,
            dims={"batch": 1, "m": k, "n": n, "k": m},
            flops=2 * m * n * k,
            reads=(call.gradient, x),
            shape=weight.shape,
            compute=of_weight,
            **call.into(1, "wgrad"),
        ),
    )


def add(x: Array, y: Array, *, name: str, buffer: str) -> Array:
    """Add y to x, repeated over leading axes it lacks (a bias, or positions under a batch)."""
    fits = len(y.shape) <= len(x.shape) and x.shape[len(x.shape) - len(y.shape) :] == y.shape
    need(fits=fits, op="add", rule="y must end like x", x=x, y=y)
    return x.tracer.record(
        kind="add",
        family=Family.ELEMENTWISE,
        name=name,
        dims={"elements": x.size},
        flops=x.size,  # 1 per element
        reads=(x, y),
        shape=x.shape,
        compute=lambda x, y: x + y,
        buffer=buffer,
        backward=Rule(gradients=_sum_gradients),
    )


def _sum_gradients(call: Call) -> Gradients:
    """Hand the gradient on; what was repeated over leading axes gets the sum over them."""
    gradient, y = call.gradient, call.inputs[1]
    if y.shape == gradient.shape:
        return gradient, gradient
    return gradient, column_sums(gradient, call, 1)


def column_sums(gradient: Array, call: Call, of: int) -> Array:
    """Sum a gradient [..., *shape] over its leading axes, for the call's input of that shape.

    One walk over the rows, each added to the same sums.
    """
    shape = call.inputs[of].shape
    return gradient.tracer.record(
        kind="column_sums",
        family=Family.ROWWISE,
        dims={"rows": gradient.size // prod(shape), "cols": prod(shape), "passes": 1},
        flops=gradient.size,
        reads=(gradient,),
        shape=shape,
        compute=lambda gradient: gradient.reshape(-1, *shape).sum(axis=0),
        **call.into(of, "column_sums"),
    )


def last_token(x: Array) -> Array:
    """Take the last token's row of each prompt, x [B, T, C] -> [B, C]: a view, not an operation.

    Under a batch those rows are T*C apart; the view counts their bytes and where they begin.
    """
    need(fits=len(x.shape) == 3, op="last_token", rule="x is [B, T, C]", x=x)
    batch, tokens, width = x.shape
    return x.view((batch, width), offset_elements=(tokens - 1) * width, pick=lambda v: v[:, -1])


def scale(x: Array, factor: float, *, name: str, buffer: str | None = None) -> Array:
    """Multiply every element by a number known before the run."""
    return x.tracer.record(
        kind="scale",
        family=Family.ELEMENTWISE,
        name=name,
        dims={"elements": x.size},
        flops=x.size,
        reads=(x,),
        shape=x.shape,
        compute=lambda x: x * x.dtype.type(factor),
        buffer=buffer,
        backward=Rule(gradients=lambda call: _scale_gradients(call, factor)),
    )


def _scale_gradients(call: Call, factor: float) -> Gradients:
    gradient = call.gradient
    scaled = gradient.tracer.record(
        kind="scale_grad",
        family=Family.ELEMENTWISE,
        dims={"elements": gradient.size},
        flops=gradient.size,
        reads=(gradient,),
        shape=gradient.shape,
        compute=lambda gradient: gradient * gradient.dtype.type(factor),
        **call.into(0, "scale"),
    )
    return (scaled,)
