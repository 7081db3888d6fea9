"""The operations of speculative decoding: gather the draft's tokens, and judge them.

Letters, costs and rules are those of `workloads.ops`; N is the number of drafted tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workloads.array import Array, Values
from workloads.ops.sampling import drawn
from workloads.ops.shapes import TOKEN_DTYPE, need
from workloads.trace import Family


def join_tokens(parts: Sequence[Array], *, name: str) -> Array:
    """Copy token numbers [1, t] of several buffers side by side."""
    count = sum(part.size for part in parts)
    return parts[0].tracer.record(
        kind="join_tokens",
        family=Family.COPY,
        name=name,
        dims={"elements": count},
        flops=0,
        reads=tuple(parts),
        shape=(1, count),
        compute=lambda *parts: np.concatenate(parts, axis=1),
    )


def accept_equal(logits: Array, drafted: Sequence[Array]) -> Array:
    """Accept the draft's tokens up to the first that is not the target's likeliest.

    `logits` [N + 1, V] are the target's; the drafted tokens are [1, 1] each. Returns [1, 2]: how
    many are accepted, and the target's token after those.
    """
    fits = len(logits.shape) == 2 and logits.shape[0] == len(drafted) + 1
    need(fits=fits, op="accept_equal", rule="one row more than drafted", logits=logits)
    rows, cols = logits.shape

    def compute(logits: Values, *drafted: Values) -> Values:
        choices = logits.argmax(axis=-1)  # [N + 1]
        equal = [int(choices[i]) == int(token[0, 0]) for i, token in enumerate(drafted)]
        accepted = equal.index(False) if False in equal else len(equal)
        return np.array([[accepted, choices[accepted]]], TOKEN_DTYPE)

    return logits.tracer.record(
        kind="accept_equal",
        family=Family.ROWWISE,
        name="accept",
        dims={"rows": rows, "cols": cols, "passes": 1},
        flops=rows * cols + len(drafted),  # comparisons
        reads=(logits, *drafted),
        shape=(1, 2),
        dtype=TOKEN_DTYPE,
        compute=compute,
    )


def accept_likely(
    target: Array, draft: Sequence[Array], drafted: Sequence[Array], *, random: np.random.Generator
) -> Array:
    """Accept drafted tokens x with probability min(1, p(x) / q(x)), up to the first refusal.

    `target` [N + 1, V] are probabilities p, `draft` N rows [1, V] of q. Where a token is refused,
    the next is drawn from max(0, p - q), else from the last row of p: what comes out is
    distributed as p is. Returns [1, 2] as `accept_equal`. The residuals of all rows are counted,
    as machines compute them, side by side, before it is known which one is drawn from.

    Source: Leviathan et al. 2023, Fast Inference from Transformers via Speculative Decoding.
    """
    count, cols = len(drafted), target.shape[-1]
    fits = target.shape == (count + 1, cols) and len(draft) == count
    need(fits=fits, op="accept_likely", rule="one row more than drafted", target=target)

    def compute(p: Values, *others: Values) -> Values:
        q, tokens = np.concatenate(others[:count]), np.concatenate(others[count:])[:, 0]
        each = np.arange(count)
        ratios = p[each, tokens] / q[each, tokens]  # [N]; what was drawn has q > 0
        refused = random.random(count) >= ratios  # [N]
        accepted = int(refused.argmax()) if refused.any() else count
        left = np.concatenate([np.maximum(p[:count] - q, 0), p[count:]])  # [N + 1, V]
        token = drawn(left[accepted : accepted + 1], random)[0]
        return np.array([[accepted, token]], TOKEN_DTYPE)

    return target.tracer.record(
        kind="accept_likely",
        family=Family.ROWWISE,
        name="accept",
        dims={"rows": count + 1, "cols": cols, "passes": 2},  # residuals; running sum and search
        # a token: divide, compare; a row: subtract, maximum; the drawn row: sum, compare, count
        flops=2 * count + 2 * count * cols + 3 * cols + 1,
        reads=(target, *draft, *drafted),
        shape=(1, 2),
        dtype=TOKEN_DTYPE,
        compute=compute,
    )
