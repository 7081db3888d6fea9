"""Products with a weight of which two in four are kept (Mishra et al. 2021, arXiv:2104.08378).

Letters, costs and rules are those of `workloads.ops`.
"""

from __future__ import annotations

import numpy as np

from workloads.array import Array, Values
from workloads.ops.shapes import need
from workloads.trace import Family

BLOCK, KEPT = 4, 2


def spread(values: Values, indices: Values, k: int) -> Values:
    """Return the weight [k, n] with zeros between the kept values [2 * blocks, n]."""
    blocks, n = len(values) // KEPT, values.shape[1]
    dense = np.zeros((blocks, BLOCK, n), values.dtype)
    places = indices.reshape(blocks, KEPT, n).astype(np.int64)
    np.put_along_axis(dense, places, values.reshape(blocks, KEPT, n), axis=1)
    return dense.reshape(-1, n)[:k]


def two_of_four(x: Array, values: Array, indices: Array, *, name: str) -> Array:
    """Multiply rows of x by a weight [k, n] whose every four along k keep two values.

    `flops` counts kept values only, half of the dense product's; `dims` say the dense extents,
    which is what a machine without sparse units has to work through.
    """
    k = x.shape[-1]
    blocks = -(-k // BLOCK)
    fits = values.shape == indices.shape and values.shape[0] == KEPT * blocks
    rule = "values and their places are [2 ceil(k/4), n]"
    need(fits=fits, op="two_of_four", rule=rule, x=x, values=values, indices=indices)
    kept, n = values.shape
    m = x.size // k
    shape = (*x.shape[:-1], n)

    def compute(x: Values, values: Values, indices: Values) -> Values:
        result: Values = x.reshape(m, k) @ spread(values, indices, k)  # [m, k] @ [k, n] -> [m, n]
        return result.reshape(shape)

    return x.tracer.record(
        kind="matmul_two_of_four",
        family=Family.MATMUL,
        name=name,
        dims={"batch": 1, "m": m, "n": n, "k": k},
        flops=2 * m * n * kept,
        reads=(x, values, indices),
        shape=shape,
        compute=compute,
    )
