"""Weights by name, whatever the architecture."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from workloads.array import Shape, Values

WeightSource = Callable[[str, int | None], Values]
"""Gives the weight of a name, in one layer (None outside the layers)."""


class Parameter(NamedTuple):
    """Shape of a weight or a cache; layers that have one of their own (None outside the layers)."""

    shape: Shape
    layers: int | None = None
    first_layer: int = 0
    """The first of those layers."""
    learned: bool = True
    """False for numbers that a rule sets and no gradient: read like weights, not counted so."""

    @property
    def layer_numbers(self) -> tuple[int | None, ...]:
        """Layers that have one of their own; None alone outside the layers."""
        if self.layers is None:
            return (None,)
        return tuple(range(self.first_layer, self.first_layer + self.layers))

    dtype: str | None = None
    """Element type; the run's by default."""
