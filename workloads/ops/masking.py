"""Tokens that may not be chosen.

Letters, costs and rules are those of `workloads.ops`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workloads.array import Array, Values
from workloads.ops.shapes import need
from workloads.trace import Family


def hide(logits: Array, tokens: Sequence[int], *, name: str, buffer: str) -> Array:
    """Make tokens impossible: logits [B, V] with minus infinity in their columns."""
    fits = len(logits.shape) == 2 and all(0 <= token < logits.shape[1] for token in tokens)
    need(fits=fits, op="hide", rule="logits are [B, V], tokens below V", logits=logits)
    columns = list(tokens)

    def compute(logits: Values) -> Values:
        result = logits.copy()
        result[:, columns] = -np.inf
        return result

    return logits.tracer.record(
        kind="hide",
        family=Family.COPY,
        name=name,
        dims={"elements": logits.size},
        flops=0,
        reads=(logits,),
        shape=logits.shape,
        compute=compute,
        buffer=buffer,
    )
