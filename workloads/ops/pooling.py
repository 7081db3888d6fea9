"""What encoders add: padding that nobody sees, and one vector for a whole text.

Letters, costs and rules are those of `workloads.ops`.
"""

from __future__ import annotations

import numpy as np

from workloads.array import Array, Values
from workloads.ops.shapes import need
from workloads.trace import Family

SHORTEST = 1e-12  # as torch.nn.functional.normalize has it


def hide_padding(scores: Array, padding: Array, *, name: str) -> Array:
    """Add padding [B, S], 0 or minus infinity, to scores [B, K, G*T, S], in place.

    Minus infinity becomes weight 0 in the softmax; each text has at least one key that is seen.
    """
    batch, context = padding.shape if len(padding.shape) == 2 else (0, 0)
    fits = len(scores.shape) == 4 and (scores.shape[0], scores.shape[3]) == (batch, context)
    rule = "scores are [B, K, G*T, S], padding [B, S]"
    need(fits=fits, op="hide_padding", rule=rule, scores=scores, padding=padding)

    def compute(scores: Values, padding: Values) -> Values:
        result: Values = scores + padding[:, None, None, :]  # [B, K, GT, S] + [B, 1, 1, S]
        return result

    return scores.tracer.record(
        kind="hide_padding",
        family=Family.ELEMENTWISE,
        name=name,
        dims={"elements": scores.size},
        flops=scores.size,  # 1 per element
        reads=(scores, padding),
        shape=scores.shape,
        compute=compute,
        buffer=scores.name,
    )


def first_token(x: Array) -> Array:
    """Take the first token's row of each text, x [B, T, C] -> [B, C]: a view, not an operation.

    Under a batch those rows are T*C apart; the view counts their bytes and where they begin.
    """
    need(fits=len(x.shape) == 3, op="first_token", rule="x is [B, T, C]", x=x)
    batch, _, width = x.shape
    return x.view((batch, width), pick=lambda v: v[:, 0])


def mean_of_tokens(x: Array, *, lengths: tuple[int, ...], name: str) -> Array:
    """Mean over each text's tokens, padding left out: x [B, T, C] -> [B, C].

    `lengths` are known before the run, as shapes are; only rows of tokens are read. The bytes are
    those of the tokens, counted from where x begins.
    """
    batch, tokens, width = x.shape if len(x.shape) == 3 else (0, 0, 0)
    fits = len(lengths) == batch and all(0 < length <= tokens for length in lengths)
    need(fits=fits, op="mean_of_tokens", rule=f"x is [B, T, C] of lengths {list(lengths)}", x=x)

    def compute(x: Values) -> Values:
        means = [row[:length].mean(axis=0) for row, length in zip(x, lengths, strict=True)]
        return np.stack(means)  # [B, C]

    summed = sum(lengths) * width
    return x.tracer.record(
        kind="mean_of_tokens",
        family=Family.ROWWISE,
        name=name,
        dims={"rows": batch * width, "cols": max(lengths), "passes": 1},
        flops=summed + batch * width,  # the sum; a division each
        reads=((x, summed * x.bytes // x.size, 0),),
        shape=(batch, width),
        compute=compute,
    )


def unit_length(x: Array, *, name: str) -> Array:
    """Divide each row of x [B, C] by its Euclidean length; a row of zeros stays as it is."""
    need(fits=len(x.shape) == 2, op="unit_length", rule="x is [B, C]", x=x)
    rows, cols = x.shape

    def compute(x: Values) -> Values:
        lengths = np.sqrt((x * x).sum(axis=-1, keepdims=True))  # [B, 1]
        result: Values = x / np.maximum(lengths, SHORTEST)  # [B, C]
        return result

    return x.tracer.record(
        kind="unit_length",
        family=Family.ROWWISE,
        name=name,
        dims={"rows": rows, "cols": cols, "passes": 2},  # sum of squares; divide
        flops=3 * rows * cols + rows,  # square, sum, divide; a row: the comparison
        transcendentals=rows,  # sqrt
        reads=(x,),
        shape=x.shape,
        compute=compute,
    )
