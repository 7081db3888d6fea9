"""Weights by name, whatever the architecture."""

from __future__ import annotations

from typing import NamedTuple

from workloads.array import Shape


class Parameter(NamedTuple):
    """Shape of a weight or a cache; layers that have one of their own (None outside the layers)."""

    shape: Shape
    layers: int | None = None
    dtype: str | None = None
    """Element type; the run's by default."""
