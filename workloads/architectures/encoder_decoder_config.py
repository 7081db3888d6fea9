"""The shape of an encoder-decoder Transformer, in words that all families share."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveFloat, PositiveInt
from pydantic import model_validator as validated_by

from workloads.architectures.decoder_config import Activation
from workloads.config import ModelConfig


class Stack(BaseModel):
    """Shape of one of the two stacks of layers; they share their width."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layers: PositiveInt
    heads: PositiveInt
    head_dim: PositiveInt
    intermediate_size: PositiveInt
    positions: Literal["sinusoidal", "table", "relative"]
    """`sinusoidal` rows are computed, `table` rows are weights; both are added to the embedding.
    `relative` adds a number to each score, by how far apart the two tokens are."""

    @property
    def attention_size(self) -> int:
        """Width of all heads together."""
        return self.heads * self.head_dim


class RelativeBias(BaseModel):
    """How distances between tokens share the rows of a bias table (T5)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    buckets: PositiveInt
    max_distance: PositiveInt
    """Distances from here on share the last bucket."""

    @validated_by(mode="after")
    def _check(self) -> Self:
        if self.max_distance <= self.buckets // 2:
            raise ValueError("the largest relative distance must exceed half the buckets")
        return self


class EncoderDecoderConfig(ModelConfig):
    """Shape of an encoder-decoder: what tells the first Transformer, T5, Marian and Whisper apart.

    `max_position_embeddings` is the context of the decoder, `source_positions` of the encoder.
    """

    encoder: Stack
    decoder: Stack
    source_positions: PositiveInt
    """The most positions the encoder takes."""
    decoder_start_token_id: NonNegativeInt
    """What the decoder's first pass begins with."""

    activation: Activation
    gated: bool = False
    """Whether a second product of the input multiplies the activation (T5 1.1: GeGLU)."""
    mlp_bias: bool = False
    qkv_bias: bool = False
    key_bias: bool = False
    """Whether keys too have a bias, where queries and values do (not in Whisper)."""
    attention_output_bias: bool = False

    norm: Literal["rmsnorm", "layernorm"]
    norm_eps: PositiveFloat
    norm_place: Literal["pre", "post"]
    """Whether each half of a layer norms what it reads, and the stack its result; or what it has
    added to the residual."""

    sinusoids_interleaved: bool = True
    """Sines and cosines take turns; else all sines come first (Marian)."""
    relative_bias: RelativeBias | None = None
    attention_scale: PositiveFloat | None = None
    """What scores are multiplied by; 1 / sqrt(head_dim) by default."""

    embedding_scale: PositiveFloat | None = None
    """What token rows are multiplied by (the root of the width)."""
    tie_word_embeddings: bool
    head_scale: PositiveFloat | None = None
    """What the last state is multiplied by before the head (T5: 1 / the root of the width)."""
    head_bias: bool = False

    mel_bins: PositiveInt | None = None
    """Rows of the spectrogram that two convolutions read in place of tokens (Whisper)."""

    @validated_by(mode="after")
    def _check(self) -> Self:
        stacks = (self.encoder, self.decoder)
        if self.relative_bias is None and "relative" in {stack.positions for stack in stacks}:
            raise ValueError("relative positions need relative_bias")
        if self.hidden_size % 2 and "sinusoidal" in {stack.positions for stack in stacks}:
            raise ValueError("hidden_size must be even for sinusoidal positions")
        return self

    @property
    def source_frames(self) -> int:
        """The most rows of input: frames of sound, of which a convolution halves the number."""
        return self.source_positions * (1 if self.mel_bins is None else 2)

    def score_scale(self, stack: Stack) -> float:
        """Return what scores are multiplied by before the softmax."""
        return self.attention_scale or stack.head_dim**-0.5
