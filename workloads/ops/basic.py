"""Rows of a table, products, sums: what every model is made of.

Letters, costs and rules are those of `workloads.ops`.
"""

from __future__ import annotations

from workloads.array import Array, Values
from workloads.ops.shapes import need
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
    )


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
        buffer=buffer,
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
    )
