"""Losses: how far a model's answers are from what they should be, as one number.

Letters, costs and rules are those of `workloads.ops`; N rows, one for each target.
"""

from __future__ import annotations

import numpy as np

from workloads.array import Array, Values
from workloads.ops.shapes import need
from workloads.tape import Call, Gradients, Rule
from workloads.trace import Family

IGNORED = -100
"""A target that counts for nothing: what a masked language model was not asked."""

LOSS_DTYPE = "float32"
"""Of the loss of 16-bit logits: a mean over many rows needs more digits than theirs."""


def cross_entropy(logits: Array, targets: Array, *, name: str) -> Array:
    """Mean of -log softmax(logits)[target] over the rows whose target is not IGNORED -> [1].

    Logits [..., V], targets [...]. One fused operation: the log of the sum of exponentials, less
    the target's logit; the probabilities are never written. With most targets ignored it is the
    loss of a masked language model (Devlin et al. 2019). Not a number where all are.
    """
    fits = len(logits.shape) > 1 and logits.shape[:-1] == targets.shape
    need(fits=fits, op="cross_entropy", rule="one target a row", logits=logits, targets=targets)
    cols = logits.shape[-1]
    rows = targets.size
    dtype = loss_dtype(logits)

    def compute(logits: Values, targets: Values) -> Values:
        z, chosen, counts = _rows_of(logits, targets, dtype)  # [N, V], [N], [N]
        z = z - z.max(axis=-1, keepdims=True)
        losses = np.log(np.exp(z).sum(axis=-1)) - z[np.arange(rows), chosen]  # [N]
        return _mean(losses, counts)

    return logits.tracer.record(
        kind="cross_entropy",
        family=Family.ROWWISE,
        name=name,
        dims={"rows": rows, "cols": cols, "passes": 2},  # maximum; exp and sum
        # maximum, subtract, sum; a row: subtract, compare with IGNORED, sum, count; the mean
        flops=3 * rows * cols + 4 * rows + 1,
        transcendentals=rows * cols + rows,  # exp; log
        reads=(logits, targets),
        shape=(1,),
        dtype=dtype,
        compute=compute,
        backward=Rule(gradients=_cross_entropy_gradients, saves=(0, 1)),
    )


def _cross_entropy_gradients(call: Call) -> Gradients:
    """(softmax(logits) - 1 at the target) times the loss's gradient over the rows that count."""
    logits, targets = call.inputs
    cols = logits.shape[-1]
    rows = targets.size

    def compute(logits: Values, targets: Values, seed: Values) -> Values:
        z, chosen, counts = _rows_of(logits, targets, seed.dtype)  # [N, V], [N], [N]
        exps = np.exp(z - z.max(axis=-1, keepdims=True))
        result = exps / exps.sum(axis=-1, keepdims=True)
        result[np.arange(rows), chosen] -= 1
        result *= (counts * (seed / counts.sum()))[:, None]
        gradient: Values = result.astype(logits.dtype).reshape(logits.shape)
        return gradient

    recorded = logits.tracer.record(
        kind="cross_entropy_grad",
        family=Family.ROWWISE,
        dims={"rows": rows, "cols": cols, "passes": 3},  # maximum; exp and sum; the map
        # maximum, subtract, sum, divide, scale; a row: less 1, compare, count; divide by the count
        flops=5 * rows * cols + 3 * rows + 1,
        transcendentals=rows * cols,  # exp
        reads=(logits, targets, call.gradient),
        shape=logits.shape,
        dtype=logits.dtype,
        compute=compute,
        **call.into(0, "dgrad"),
    )
    return recorded, None


def squared_error(answers: Array, targets: Array, *, name: str) -> Array:
    """Mean of (answer - target)^2 over all elements -> [1]."""
    fits = answers.shape == targets.shape
    need(fits=fits, op="squared_error", rule="shapes must agree", answers=answers, targets=targets)
    size, dtype = answers.size, loss_dtype(answers)

    def compute(answers: Values, targets: Values) -> Values:
        away = answers.astype(dtype) - targets
        return np.asarray([(away * away).mean()], dtype)

    return answers.tracer.record(
        kind="squared_error",
        family=Family.ROWWISE,
        name=name,
        dims={"rows": 1, "cols": size, "passes": 1},
        flops=3 * size + 1,  # subtract, square, sum; the mean
        reads=(answers, targets),
        shape=(1,),
        dtype=dtype,
        compute=compute,
        backward=Rule(gradients=_squared_error_gradients, saves=(0, 1)),
    )


def _squared_error_gradients(call: Call) -> Gradients:
    """2 (answer - target) / elements, times the loss's gradient; the targets are given."""
    answers, targets = call.inputs

    def compute(answers: Values, targets: Values, seed: Values) -> Values:
        result: Values = (answers.astype(seed.dtype) - targets) * (seed * 2 / answers.size)
        return result.astype(answers.dtype)

    gradient = answers.tracer.record(
        kind="squared_error_grad",
        family=Family.ELEMENTWISE,
        dims={"elements": answers.size},
        flops=2 * answers.size + 1,  # subtract, scale; the scale itself
        reads=(answers, targets, call.gradient),
        shape=answers.shape,
        compute=compute,
        **call.into(0, "dgrad"),
    )
    return gradient, None


def loss_dtype(answers: Array) -> str:
    """Return the element type of a loss."""
    return LOSS_DTYPE if answers.dtype in {"float16", "bfloat16"} else answers.dtype


def _rows_of(
    logits: Values, targets: Values, dtype: str | np.dtype[np.generic]
) -> tuple[Values, Values, Values]:
    """Logits [N, V], a valid target for each row [N], and 1 for each row that counts, else 0."""
    chosen = targets.reshape(-1)
    counts = chosen != IGNORED
    return (
        logits.astype(dtype).reshape(chosen.size, -1),
        np.where(counts, chosen, 0),
        counts.astype(dtype),
    )


def _mean(losses: Values, counts: Values) -> Values:
    with np.errstate(invalid="ignore"):  # no row counts: not a number, as the docstring says
        result: Values = ((losses * counts).sum(keepdims=True) / counts.sum()).astype(losses.dtype)
    return result
