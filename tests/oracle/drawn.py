"""Weights that can be drawn again anywhere, so that a fixture need not hold them.

No torch here: the everyday tests draw the very numbers that the oracle was given.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from zlib import crc32

import numpy as np

from workloads import Model, ModelConfig
from workloads.architectures.parameters import WeightSource
from workloads.architectures.registry import parameter_shapes
from workloads.array import Values

DEVIATION = 0.3
"""Large enough that every part of a model of width 16 moves its logits."""


def drawn(name: str, layer: int | None, shape: tuple[int, ...], *, around: float = 0.0) -> Values:
    """Normal float32 numbers that depend on the weight's name and layer alone."""
    stream = (crc32(name.encode()), 0 if layer is None else layer + 1)
    normal = np.random.default_rng(stream).standard_normal(shape) * DEVIATION + around
    return normal.astype(np.float32)


def drawn_weights(config: ModelConfig, dtype: str = "float32") -> WeightSource:
    """Draw every weight, biases too; norms around one, or around zero where 1 is added to them."""
    shapes = parameter_shapes(config)
    ones = 0.0 if getattr(config, "norm_offset", False) else 1.0

    @cache
    def weight(name: str, layer: int | None) -> Values:
        is_norm = name.endswith(("norm.weight", "norm_after.weight"))
        around = ones if is_norm else 0.0
        return drawn(name, layer, shapes[name].shape, around=around).astype(dtype)

    return weight


def all_weights(config: ModelConfig) -> Mapping[tuple[str, int | None], Values]:
    """(name, layer) -> numbers, of every weight of a model."""
    source = drawn_weights(config)
    return {
        (name, layer): source(name, layer)
        for name, parameter in parameter_shapes(config).items()
        for layer in parameter.layer_numbers
    }


@dataclass(frozen=True, kw_only=True)
class DrawnModel(Model):
    """A model whose weights are drawn as above."""

    def weights(self, config: ModelConfig, dtype: str) -> WeightSource:
        return drawn_weights(config, dtype)


def drawn_model(config: ModelConfig, name: str = "drawn") -> DrawnModel:
    """Return a model of a configuration with such weights."""
    return DrawnModel(name=name, config=config, tokenizer=None, seed=0)


def relative_error(ours: Values, theirs: Values) -> float:
    """Largest difference, in units of the largest number."""
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())
