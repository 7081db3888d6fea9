"""The operations of latent attention: products of each head with its own weight, and joints.

Letters, costs and rules are those of `workloads.ops`.
"""

from __future__ import annotations

from math import prod

import numpy as np

from workloads.array import Array, Values
from workloads.ops.shapes import need
from workloads.trace import Family


def join(x: Array, y: Array, *, name: str) -> Array:
    """Put y behind x along the last axis: [..., n] and [..., p] -> [..., n + p].

    Where another axis of y is 1, y is repeated along it.
    """
    pairs = tuple(zip(x.shape[:-1], y.shape[:-1], strict=False))
    fits = len(x.shape) == len(y.shape) and all(b in (1, a) for a, b in pairs)
    need(fits=fits, op="join", rule="all but the last axes must agree, or y's be 1", x=x, y=y)
    shape = (*x.shape[:-1], x.shape[-1] + y.shape[-1])

    def compute(x: Values, y: Values) -> Values:
        repeated = np.broadcast_to(y, (*x.shape[:-1], y.shape[-1]))
        return np.concatenate([x, repeated], axis=-1)

    return x.tracer.record(
        kind="join",
        family=Family.COPY,
        name=name,
        dims={"elements": prod(shape)},
        flops=0,
        reads=(x, y),
        shape=shape,
        compute=compute,
    )


def each_head(x: Array, weight: Array, *, name: str) -> Array:
    """Multiply each head's part of x [B, T, H*k] by its weight [H, k, n] -> [B, T, H*n]."""
    fits = len(x.shape) == 3 and len(weight.shape) == 3
    fits = fits and x.shape[2] == weight.shape[0] * weight.shape[1]
    need(fits=fits, op="each_head", rule="x is [B, T, H*k], weight [H, k, n]", x=x, weight=weight)
    batch, tokens, _ = x.shape
    heads, k, n = weight.shape

    def compute(x: Values, w: Values) -> Values:
        x = x.reshape(batch * tokens, heads, k).swapaxes(0, 1)  # [H, B*T, k]
        result: Values = (x @ w).swapaxes(0, 1)  # [H, B*T, n] -> [B*T, H, n]
        return result.reshape(batch, tokens, heads * n)

    dims = {"batch": heads, "m": batch * tokens, "n": n, "k": k}
    return x.tracer.record(
        kind="matmul",
        family=Family.MATMUL,
        name=name,
        dims=dims,
        flops=2 * prod(dims.values()),
        reads=(x, weight),
        shape=(batch, tokens, heads * n),
        compute=compute,
    )


def for_every_head(x: Array, weight: Array, *, name: str, transposed: bool = False) -> Array:
    """Multiply what all heads share, x [S, B, 1, k], by each one's weight -> [S, B, H, n].

    The weight is [H, k, n], or [H, n, k] if `transposed`. The heads lie side by side in one
    product, so x is read once.
    """
    fits = len(x.shape) == 4 and len(weight.shape) == 3 and x.shape[2] == 1
    fits = fits and x.shape[3] == weight.shape[2 if transposed else 1]
    rule = "x is [S, B, 1, k], weight [H, k, n]"
    need(fits=fits, op="for_every_head", rule=rule, x=x, weight=weight)
    positions, batch, _, k = x.shape
    heads, n = weight.shape[0], weight.shape[1 if transposed else 2]

    def compute(x: Values, w: Values) -> Values:
        w = w.swapaxes(1, 2) if transposed else w  # [H, k, n]
        wide = w.swapaxes(0, 1).reshape(k, heads * n)
        result: Values = x.reshape(positions * batch, k) @ wide  # [S*B, k] @ [k, H*n]
        return result.reshape(positions, batch, heads, n)

    dims = {"batch": 1, "m": positions * batch, "n": heads * n, "k": k}
    return x.tracer.record(
        kind="matmul",
        family=Family.MATMUL,
        name=name,
        dims=dims,
        flops=2 * prod(dims.values()),
        reads=(x, weight),
        shape=(positions, batch, heads, n),
        compute=compute,
    )
