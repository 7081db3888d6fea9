"""The kinds of models, in one table: what a configuration stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any, NamedTuple

from workloads.architectures import (
    decoder,
    encoder,
    encoder_decoder_parameters,
    experts,
    recurrent,
    rewritten,
)
from workloads.architectures.decoder_config import DecoderConfig
from workloads.architectures.encoder_config import EncoderConfig
from workloads.architectures.encoder_decoder_config import EncoderDecoderConfig
from workloads.architectures.parameters import Parameter
from workloads.architectures.recurrent_config import RecurrentConfig
from workloads.architectures.rewritten_config import RewrittenConfig
from workloads.array import Array
from workloads.config import ModelConfig
from workloads.tracer import Tracer


class Architecture(NamedTuple):
    """What the library knows of a kind of model."""

    name: str
    parameter_shapes: Callable[[Any], dict[str, Parameter]]
    """Every weight by name, in the order it lies in memory."""


class Decoder(NamedTuple):
    """How a kind of decoder goes on from a prompt."""

    states: Callable[[Tracer, Any, Array, int], Array]
    """One pass over token numbers [B, T] at positions start..; the last layer's [B, T, C]."""
    logits: Callable[[Array, Any], Array]
    """Of what comes after each state, [..., C] -> [..., V]."""
    cache_shapes: Callable[[Any, int], dict[str, Parameter]]
    """What it remembers of a batch of so many prompts, by name."""


ARCHITECTURES: Mapping[type[ModelConfig], Architecture] = {
    DecoderConfig: Architecture("decoder", decoder.parameter_shapes),
    EncoderConfig: Architecture("encoder", encoder.parameter_shapes),
    EncoderDecoderConfig: Architecture(
        "encoder-decoder", encoder_decoder_parameters.parameter_shapes
    ),
    RecurrentConfig: Architecture("recurrent", recurrent.parameter_shapes),
    RewrittenConfig: Architecture("decoder", rewritten.parameter_shapes),
}

DECODERS: Mapping[type[ModelConfig], Decoder] = {
    DecoderConfig: Decoder(decoder.states, decoder.logits, decoder.cache_shapes),
    RewrittenConfig: Decoder(rewritten.states, decoder.logits, rewritten.cache_shapes),
}


def architecture_of(config: ModelConfig) -> Architecture:
    """Return what a configuration is a shape of."""
    return ARCHITECTURES[type(config)]


def parameter_shapes(config: ModelConfig) -> dict[str, Parameter]:
    """Every weight by name, in the order it lies in memory."""
    return architecture_of(config).parameter_shapes(config)


def parameter_count(config: ModelConfig) -> int:
    """Weights of all layers together; a tied embedding counts once."""
    shapes = parameter_shapes(config).values()
    return sum(prod(p.shape) * len(p.layer_numbers) for p in shapes if p.learned)


def active_parameter_count(config: ModelConfig) -> int:
    """Weights that serve one token: all but those of the experts that it is not given to."""
    idle = experts.idle_parameters(config) if isinstance(config, DecoderConfig) else 0
    return parameter_count(config) - idle
