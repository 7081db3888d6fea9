"""The shape of a decoder-only Transformer, in words that all families share."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import PositiveFloat, PositiveInt
from pydantic import model_validator as validated_by

from workloads.architectures.experts_config import Experts
from workloads.architectures.latent_config import Latent
from workloads.architectures.rotary import RopeScaling
from workloads.config import ModelConfig

Activation = Literal["silu", "gelu", "gelu_new", "relu"]
"""`gelu` is exact (by the error function), `gelu_new` its form by tanh."""


class DecoderConfig(ModelConfig):
    """Shape of a decoder-only Transformer: what tells GPT-2, Llama, Gemma and BLOOM apart.

    Key names are Hugging Face's where one name is common, else words of this library.
    """

    num_attention_heads: PositiveInt
    num_key_value_heads: PositiveInt
    head_dim: PositiveInt
    intermediate_size: PositiveInt
    tie_word_embeddings: bool

    activation: Activation
    gated: bool = False
    """Whether a second product of the input multiplies the activation (SwiGLU, GeGLU)."""
    mlp_bias: bool = False

    norm: Literal["rmsnorm", "layernorm"]
    norm_eps: PositiveFloat
    norm_offset: bool = False
    """Whether norms scale by 1 + weight (Gemma)."""
    norm_after: bool = False
    """Whether what a half of a layer adds is normed too, before it is added (Gemma 2, GLM-4)."""
    parallel: Literal["none", "own_norms", "one_norm"] = "none"
    """Whether attention and feed-forward read the same residual, each through its own norm
    (GPT-NeoX) or both through one (GPT-J)."""
    embedding_norm: bool = False
    """Whether token rows are normed before the first layer (BLOOM)."""
    embedding_scale: PositiveFloat | None = None
    """What token rows are multiplied by (Gemma: the root of the width)."""

    positions: Literal["rotary", "learned", "alibi"]
    position_offset: int = 0
    """Rows of the position table before the first position's (OPT has 2)."""
    rope_theta: PositiveFloat = 10_000.0
    rope_dims: PositiveInt | None = None
    """Elements of a head that are rotated; all by default."""
    rope_scaling: RopeScaling | None = None
    rope_interleaved: bool = False
    """Rotary pairs are neighbours (2i, 2i+1) instead of (i, i + D/2)."""

    qkv_bias: bool = False
    attention_output_bias: bool = False
    head_bias: bool = False
    attention_scale: PositiveFloat | None = None
    """What scores are multiplied by; 1 / sqrt(head_dim) by default."""
    attention_softcap: PositiveFloat | None = None
    """Scores are bent to stay within plus and minus this (Gemma 2)."""
    logit_softcap: PositiveFloat | None = None
    sliding_window: PositiveInt | None = None
    """Positions that a token sees, itself included, in the layers of `sliding_layers`."""
    sliding_layers: Literal["all", "even", "odd"] = "all"
    """Which layers, counted from 0, slide (Gemma 2: even; GPT-Neo: odd)."""

    experts: Experts | None = None
    """What stands in place of the feed-forward, after the first few layers."""
    latent: Latent | None = None
    """What keys and values are made of, where the cache holds something smaller."""

    @validated_by(mode="after")
    def _check(self) -> Self:
        if self.num_attention_heads % self.num_key_value_heads:
            raise ValueError("num_attention_heads must be a multiple of num_key_value_heads")
        if self.positions == "rotary" and self.rotated % 2:
            raise ValueError("the rotated part of a head must be even for rotary positions")
        if self.rotated > self.head_dim:
            raise ValueError("a head has no more elements to rotate than head_dim")
        if self.norm_after and self.parallel != "none":
            raise ValueError("norm_after has no meaning where the halves of a layer are parallel")
        if self.norm_offset and self.norm == "layernorm":
            raise ValueError("norm_offset is of rmsnorm")
        if self.experts is not None and self.experts.first_dense > self.num_hidden_layers:
            raise ValueError("no more layers can be dense than there are")
        if self.experts is not None and (self.parallel != "none" or self.norm_after):
            raise ValueError("experts follow attention, and nothing norms what they add")
        return self

    @property
    def rotated(self) -> int:
        """Elements of a head that rotary positions turn."""
        return self.rope_dims or self.head_dim

    @property
    def query_size(self) -> int:
        """Width of all query heads together."""
        return self.head_dim * self.num_attention_heads

    @property
    def key_value_size(self) -> int:
        """Width of all key (or value) heads together."""
        return self.head_dim * self.num_key_value_heads

    @property
    def score_scale(self) -> float:
        """What scores are multiplied by before the softmax."""
        return self.attention_scale or self.head_dim**-0.5

    @property
    def layer_kinds(self) -> tuple[str, ...]:
        """Kind of each layer; neighbours of one kind repeat each other."""
        return tuple(
            ("local" if self.is_local(n) else "global") + (" sparse" if self.is_sparse(n) else "")
            for n in range(self.num_hidden_layers)
        )

    def with_routing(self, routing: Literal["data", "balanced"]) -> Self:
        """Return the same model with experts chosen by the numbers, or by the rule `balanced`."""
        if self.experts is None:
            return self
        experts = self.experts.model_copy(update={"routing": routing})
        return self.model_copy(update={"experts": experts})

    @property
    def dense_layers(self) -> int:
        """Layers with a feed-forward that serves every token; they come first."""
        return self.num_hidden_layers if self.experts is None else self.experts.first_dense

    def is_sparse(self, layer: int) -> bool:
        """Whether a layer has experts in place of the feed-forward."""
        return layer >= self.dense_layers

    def is_local(self, layer: int) -> bool:
        """Whether a layer sees only the sliding window."""
        if self.sliding_window is None:
            return False
        return self.sliding_layers in {"all", "odd" if layer % 2 else "even"}
