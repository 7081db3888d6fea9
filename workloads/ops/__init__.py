"""The op set: each operation's numpy formula and its cost rule side by side.

Letters in shapes: B batch, T tokens of this pass, C width, S positions seen so far, H query heads,
K key/value heads, G = H / K query heads per key/value head, D head size, V vocabulary.

Costs count what the formula does: additions, multiplications, divisions and comparisons as
`flops`; exp, sqrt, tanh, sin and cos as `transcendentals`. A reduction of n elements counts n (its
accumulator starts at zero, as in a matrix product). Changing a sign, choosing by a mask, and
constants known before the run (such as rotary frequencies) cost nothing.

Beside each operation stands its gradient rule: operations of its own, each with its cost.
"""

from workloads.ops.activations import activate, gated, softcap
from workloads.ops.basic import add, embedding, last_token, matmul, scale
from workloads.ops.choose import argmax, sample
from workloads.ops.losses import cross_entropy, squared_error
from workloads.ops.norms import layernorm, rmsnorm
from workloads.ops.shapes import TOKEN_DTYPE, ShapeError, need

__all__ = [
    "TOKEN_DTYPE",
    "ShapeError",
    "activate",
    "add",
    "argmax",
    "cross_entropy",
    "embedding",
    "gated",
    "last_token",
    "layernorm",
    "matmul",
    "need",
    "rmsnorm",
    "sample",
    "scale",
    "softcap",
    "squared_error",
]
