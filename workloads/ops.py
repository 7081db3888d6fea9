"""The op set: each operation's numpy formula and its cost rule side by side.

Letters in shapes: B batch, T tokens of this pass, C width, S positions seen so far, H query heads,
K key/value heads, G = H / K query heads per key/value head, D head size, V vocabulary.

Costs count what the formula does: additions, multiplications, divisions and comparisons as
`flops`; exp, sqrt, tanh, sin and cos as `transcendentals`. A reduction of n elements counts n (its
accumulator starts at zero, as in a matrix product). Changing a sign, choosing by a mask, and
constants known before the run (such as rotary frequencies) cost nothing.
"""

from __future__ import annotations

from math import pi, sqrt

import numpy as np

from workloads.array import Array, Values
from workloads.trace import DTYPE_BYTES, Family

TOKEN_DTYPE = "int64"  # noqa: S105 (a type, no password)


class ShapeError(ValueError):
    """An operation was given arrays whose shapes do not fit; the message names both."""


def need(*, fits: bool, op: str, rule: str, **arrays: Array) -> None:
    """Raise ShapeError unless the arrays fit; the message names the operation and the shapes."""
    if not fits:
        shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in arrays.items())
        raise ShapeError(f"{op}: {rule}, got {shapes}")


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


def matmul(x: Array, weight: Array, *, name: str, transposed: bool = False) -> Array:
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


def rmsnorm(x: Array, weight: Array, *, eps: float, name: str) -> Array:
    """Norm x / sqrt(mean(x^2) + eps) * weight along the last axis."""
    need(fits=weight.shape == x.shape[-1:], op="rmsnorm", rule="weight is [C]", x=x, weight=weight)
    cols = x.shape[-1]
    rows = x.size // cols

    def compute(x: Values, weight: Values) -> Values:
        mean_square = (x * x).mean(axis=-1, keepdims=True)  # [..., C] -> [..., 1]
        result: Values = x / np.sqrt(mean_square + eps) * weight  # [..., C]
        return result

    return x.tracer.record(
        kind="rmsnorm",
        family=Family.ROWWISE,
        name=name,
        dims={"rows": rows, "cols": cols, "passes": 2},  # sum of squares; scale
        flops=4 * rows * cols + 2 * rows,  # square, sum, divide, weight; a row: mean, + eps
        transcendentals=rows,  # sqrt
        reads=(x, weight),
        shape=x.shape,
        compute=compute,
    )


def layernorm(x: Array, weight: Array, bias: Array, *, eps: float, name: str) -> Array:
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
    )


def swiglu(gate: Array, up: Array, *, name: str) -> Array:
    """silu(gate) * up, with silu(x) = x / (1 + exp(-x))."""
    need(fits=gate.shape == up.shape, op="swiglu", rule="shapes must agree", gate=gate, up=up)

    def compute(gate: Values, up: Values) -> Values:
        with np.errstate(over="ignore"):  # exp of a large -x is infinite, and x / inf rightly 0
            result: Values = gate / (1 + np.exp(-gate)) * up
        return result

    return gate.tracer.record(
        kind="swiglu",
        family=Family.ELEMENTWISE,
        name=name,
        dims={"elements": gate.size},
        flops=3 * gate.size,  # 1 +, divide, times up
        transcendentals=gate.size,  # exp
        reads=(gate, up),
        shape=gate.shape,
        compute=compute,
    )


def gelu(x: Array, *, name: str) -> Array:
    """x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))), GPT-2's form of GELU."""
    slope = sqrt(2 / pi)

    def compute(x: Values) -> Values:
        result: Values = 0.5 * x * (1 + np.tanh(slope * (x + 0.044715 * (x * x * x))))
        return result

    return x.tracer.record(
        kind="gelu",
        family=Family.ELEMENTWISE,
        name=name,
        dims={"elements": x.size},
        flops=8 * x.size,  # cube 2, * 0.044715, + x, * slope, 1 +, 0.5 *, the product
        transcendentals=x.size,  # tanh
        reads=(x,),
        shape=x.shape,
        compute=compute,
    )


def last_token(x: Array) -> Array:
    """Take the last token's row of each prompt, x [B, T, C] -> [B, C]: a view, not an operation.

    Under a batch those rows are T*C apart; the view counts their bytes and where they begin.
    """
    need(fits=len(x.shape) == 3, op="last_token", rule="x is [B, T, C]", x=x)
    batch, tokens, width = x.shape
    return x.view((batch, width), offset_elements=(tokens - 1) * width, pick=lambda v: v[:, -1])


def argmax(logits: Array, *, name: str, buffer: str) -> Array:
    """Choose the likeliest token of each row: logits [B, V] -> token numbers [B, 1]."""
    rows, cols = _rows_of(logits, "argmax")

    def compute(logits: Values) -> Values:
        chosen: Values = logits.argmax(axis=-1)  # [B, V] -> [B]
        return chosen.astype(TOKEN_DTYPE)[:, None]

    return logits.tracer.record(
        kind="argmax",
        family=Family.ROWWISE,
        name=name,
        dims={"rows": rows, "cols": cols, "passes": 1},
        flops=rows * cols,  # comparisons
        reads=(logits,),
        shape=(rows, 1),
        dtype=TOKEN_DTYPE,
        compute=compute,
        buffer=buffer,
    )


def sample(
    logits: Array, *, temperature: float, random: np.random.Generator, name: str, buffer: str
) -> Array:
    """Draw a token of each row with probability softmax(logits / temperature): [B, V] -> [B, 1]."""
    rows, cols = _rows_of(logits, "sample")

    def compute(logits: Values) -> Values:
        scaled = logits.astype(np.float64) / temperature  # [B, V]
        exps = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
        sums = exps.cumsum(axis=-1)  # [B, V]
        drawn = random.random((rows, 1)) * sums[:, -1:]  # [B, 1]
        chosen = (sums <= drawn).sum(axis=-1, keepdims=True)  # [B, 1]
        result: Values = np.minimum(chosen, cols - 1)  # the product may round up to the sum
        return result.astype(TOKEN_DTYPE)

    return logits.tracer.record(
        kind="sample",
        family=Family.ROWWISE,
        name=name,
        dims={"rows": rows, "cols": cols, "passes": 3},  # maximum; running sum; search
        # divide, maximum, subtract, running sum, compare, count; a row: the draw times the sum
        flops=6 * rows * cols + rows,
        transcendentals=rows * cols,  # exp
        reads=(logits,),
        shape=(rows, 1),
        dtype=TOKEN_DTYPE,
        compute=compute,
        buffer=buffer,
    )


def _rows_of(logits: Array, op: str) -> tuple[int, int]:
    need(fits=len(logits.shape) == 2, op=op, rule="logits are [B, V]", logits=logits)
    rows, cols = logits.shape
    return rows, cols
