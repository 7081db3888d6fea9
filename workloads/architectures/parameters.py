"""Weights by name, whatever the architecture."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from workloads.array import Shape, Values

WeightSource = Callable[[str, int | None], Values]
"""Gives the weight of a name, in one layer (None outside the layers)."""


class Parameter(NamedTuple):
    """Shape of a weight, and how many layers have one of their own (None outside the layers)."""

    shape: Shape
    layers: int | None = None
