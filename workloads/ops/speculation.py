"""The operations of speculative decoding that judge the draft's tokens.

Letters, costs and rules are those of `workloads.ops`; N is the number of drafted tokens.
"""

from __future__ import annotations

import numpy as np

from workloads.array import Array, Values
from workloads.ops.sampling import drawn
from workloads.ops.shapes import TOKEN_DTYPE, kept, need
from workloads.trace import Family


def accept_equal(logits: Array, drafted: Array, *, into: Array) -> Array:
    """Accept the draft's tokens up to the first that is not the target's likeliest.

    `logits` [N + 1, V] are the target's, `drafted` [1, N]. Writes [1, 2] into a part of a declared
    tensor: how many are accepted, and the target's token after those.
    """
    fits = len(logits.shape) == 2 and logits.shape[0] == drafted.size + 1
    need(fits=fits, op="accept_equal", rule="one row more than drafted", logits=logits)
    rows, cols = logits.shape

    def compute(logits: Values, drafted: Values, slot: Values) -> Values:
        choices = logits.argmax(axis=-1)  # [N + 1]
        refused = choices[:-1] != drafted[0]  # [N]
        accepted = int(refused.argmax()) if refused.any() else refused.size
        return kept(np.array([[accepted, choices[accepted]]], TOKEN_DTYPE), slot)

    return logits.tracer.record(
        kind="accept_equal",
        family=Family.ROWWISE,
        name="accept",
        dims={"rows": rows, "cols": cols, "passes": 1},
        flops=rows * cols + drafted.size,  # comparisons
        reads=(logits, drafted),
        updates=into,
        shape=(1, 2),
        dtype=TOKEN_DTYPE,
        compute=compute,
    )


def accept_likely(
    target: Array, draft: Array, drafted: Array, *, random: np.random.Generator, into: Array
) -> Array:
    """Accept drafted tokens x with probability min(1, p(x) / q(x)), up to the first refusal.

    `target` [N + 1, V] are probabilities p, `draft` [N, V] are q. Where a token is refused, the
    next is drawn from max(0, p - q), else from the last row of p: what comes out is distributed
    as p is. Writes [1, 2] as `accept_equal` does. The residuals of all rows are counted, as
    machines compute them: side by side, before it is known which one is drawn from.

    Source: Leviathan et al. 2023, Fast Inference from Transformers via Speculative Decoding.
    """
    count, cols = drafted.size, target.shape[-1]
    fits = target.shape == (count + 1, cols) and draft.shape == (count, cols)
    need(fits=fits, op="accept_likely", rule="one row more than drafted", target=target)

    def compute(p: Values, q: Values, drafted: Values, slot: Values) -> Values:
        each = np.arange(count), drafted[0]
        ratios = p[each] / q[each]  # [N]; what was drawn has q > 0
        refused = random.random(count) >= ratios  # [N]
        accepted = int(refused.argmax()) if refused.any() else count
        left = np.concatenate([np.maximum(p[:count] - q, 0), p[count:]])  # [N + 1, V]
        token = drawn(left[accepted : accepted + 1], random)[0]
        return kept(np.array([[accepted, token]], TOKEN_DTYPE), slot)

    return target.tracer.record(
        kind="accept_likely",
        family=Family.ROWWISE,
        name="accept",
        dims={"rows": count + 1, "cols": cols, "passes": 2},  # residuals; running sum and search
        # a token: divide, compare; a row: subtract, maximum; the drawn row: sum, compare, count
        flops=2 * count + 2 * count * cols + 3 * cols + 1,
        reads=(target, draft, drafted),
        updates=into,
        shape=(1, 2),
        dtype=TOKEN_DTYPE,
        compute=compute,
    )
