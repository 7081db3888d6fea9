"""The one step that every part of a model is made of."""

from __future__ import annotations

from workloads import ops
from workloads.array import Array


def product(x: Array, name: str) -> Array:
    """Multiply x by the weight of that name: [..., k] -> [..., n]."""
    return ops.matmul(x, x.tracer.get(f"{name}.weight"), name=name)
