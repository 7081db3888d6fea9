"""From logits to tokens: the likeliest, or drawn.

Letters, costs and rules are those of `workloads.ops`.
"""

from __future__ import annotations

import numpy as np

from workloads.array import Array, Values
from workloads.ops.shapes import TOKEN_DTYPE, kept, need
from workloads.trace import Family


def argmax(
    logits: Array, *, name: str, buffer: str | None = None, into: Array | None = None
) -> Array:
    """Choose the likeliest token of each row: logits [B, V] -> token numbers [B, 1].

    They go to a buffer, or `into` a part of a declared tensor.
    """
    rows, cols = _rows_of(logits, "argmax")

    def compute(logits: Values, *slot: Values) -> Values:
        chosen: Values = logits.argmax(axis=-1)  # [B, V] -> [B]
        return kept(chosen.astype(TOKEN_DTYPE)[:, None], *slot)

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
        updates=into,
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
