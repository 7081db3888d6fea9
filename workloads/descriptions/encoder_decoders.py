"""Encoder-decoder families: how each one's config.json says what `EncoderDecoderConfig` says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import sqrt
from typing import Any

from workloads.architectures.decoder_config import Activation
from workloads.architectures.encoder_decoder_config import (
    EncoderDecoderConfig,
    RelativeBias,
    Stack,
)
from workloads.descriptions.keys import Keys

Read = Callable[[Keys], EncoderDecoderConfig]

UNREAD = (
    "activation_dropout",
    "add_bias_logits",
    "apply_spec_augment",
    "bad_words_ids",
    "begin_suppress_tokens",
    "chunk_size_feed_forward",
    "classif_dropout",
    "classifier_proj_size",
    "decoder_layerdrop",
    "dropout_rate",
    "encoder_layerdrop",
    "forced_decoder_ids",
    "forced_eos_token_id",
    "id2label",
    "initializer_factor",
    "is_decoder",
    "label2id",
    "mask_feature_length",
    "mask_feature_min_masks",
    "mask_feature_prob",
    "mask_time_length",
    "mask_time_min_masks",
    "mask_time_prob",
    "max_length",
    "median_filter_width",
    "num_beams",
    "output_past",
    "problem_type",
    "suppress_tokens",
)
"""Keys of these families that change neither the shape nor the numbers of a pass."""

T5_PROJECTIONS: Mapping[str, tuple[bool, Activation]] = {
    "relu": (False, "relu"),
    "gated-gelu": (True, "gelu_new"),
}
"""feed_forward_proj -> whether it is gated, and the activation."""


def common(keys: Keys) -> dict[str, Any]:
    """Read what every encoder-decoder description has."""
    for name in UNREAD:
        keys.get(name)
    keys.only("is_encoder_decoder", True)
    return {
        "source": keys.need("source"),
        "model_type": keys.need("model_type"),
        "vocab_size": keys.need("vocab_size"),
        "torch_dtype": keys.get("torch_dtype", "dtype", default="float32"),
        "weights": keys.get("weights", default="seeded"),
        "hidden_size": whole(keys, "d_model"),
    }


def transformer(keys: Keys) -> EncoderDecoderConfig:
    """Read the first Transformer (Vaswani et al. 2017), which has no config.json: words of our own.

    Post-norm LayerNorm, interleaved sinusoids, ReLU; biases in the feed-forward part alone, as in
    the paper's equations; one table embeds both sides and is the head.
    """
    width, heads = whole(keys, "d_model"), whole(keys, "num_heads")
    shared = {
        "heads": heads,
        "head_dim": divided(keys, width, heads),
        "intermediate_size": keys.need("d_ff"),
        "positions": "sinusoidal",
    }
    layers = keys.need("num_layers")
    positions = keys.need("max_position_embeddings")
    return EncoderDecoderConfig(
        **common(keys),
        num_hidden_layers=layers,
        encoder=Stack(layers=layers, **shared),
        decoder=Stack(layers=keys.get("num_decoder_layers", default=layers), **shared),
        source_positions=positions,
        max_position_embeddings=positions,
        decoder_start_token_id=keys.get("decoder_start_token_id", default=0),
        activation=keys.get("activation_function", default="relu"),
        mlp_bias=True,
        norm="layernorm",
        norm_eps=keys.get("layer_norm_epsilon", default=1e-6),
        norm_place="post",
        embedding_scale=sqrt(width),
        tie_word_embeddings=keys.get("tie_word_embeddings", default=True),
    )


def t5(keys: Keys) -> EncoderDecoderConfig:
    """T5 (Raffel et al. 2020) and T5 1.1: pre-norm RMSNorm, relative bias, no other bias."""
    layers, heads = keys.need("num_layers"), keys.need("num_heads")
    shared = {
        "heads": heads,
        "head_dim": keys.need("d_kv"),
        "intermediate_size": keys.need("d_ff"),
        "positions": "relative",
    }
    projection = str(keys.get("feed_forward_proj", default="relu"))
    if projection not in T5_PROJECTIONS:
        known = " or ".join(map(repr, T5_PROJECTIONS))
        raise keys.error(f"key 'feed_forward_proj': only {known} is known, got {projection!r}")
    gated, activation = T5_PROJECTIONS[projection]
    keys.only("is_gated_act", gated)
    keys.only("dense_act_fn", activation)
    tied = keys.get("tie_word_embeddings", default=True)
    scaled = keys.get("scale_decoder_outputs", default=tied)
    positions = keys.get("n_positions", default=512)  # the length it was trained on
    return EncoderDecoderConfig(
        **common(keys),
        num_hidden_layers=layers,
        encoder=Stack(layers=layers, **shared),
        decoder=Stack(layers=keys.get("num_decoder_layers", default=layers), **shared),
        source_positions=positions,
        max_position_embeddings=positions,
        decoder_start_token_id=keys.get("decoder_start_token_id", default=0),
        activation=activation,
        gated=gated,
        norm="rmsnorm",
        norm_eps=keys.get("layer_norm_epsilon", default=1e-6),
        norm_place="pre",
        relative_bias=RelativeBias(
            buckets=keys.get("relative_attention_num_buckets", default=32),
            max_distance=keys.get("relative_attention_max_distance", default=128),
        ),
        attention_scale=1.0,
        tie_word_embeddings=tied,
        head_scale=whole(keys, "d_model") ** -0.5 if scaled else None,
    )


def marian(keys: Keys) -> EncoderDecoderConfig:
    """Marian: the first Transformer with a bias everywhere, sines before cosines.

    Its tables of sinusoids are computed here, so they are no parameters.
    """
    for name in ("normalize_before", "normalize_embedding", "add_final_layernorm"):
        keys.only(name, False)
    for name in ("static_position_embeddings", "share_encoder_decoder_embeddings"):
        keys.only(name, True)
    keys.only("tie_word_embeddings", True)
    keys.only("extra_pos_embeddings", 0)
    keys.only("decoder_vocab_size", keys.need("vocab_size"))
    positions = keys.get("max_position_embeddings", default=1024)
    scaled = keys.get("scale_embedding", default=False)
    return EncoderDecoderConfig(
        **common(keys),
        **two_stacks(keys, "sinusoidal", "sinusoidal"),
        source_positions=positions,
        max_position_embeddings=positions,
        decoder_start_token_id=keys.need("decoder_start_token_id"),
        activation=named_activation(keys),
        mlp_bias=True,
        qkv_bias=True,
        key_bias=True,
        attention_output_bias=True,
        norm="layernorm",
        norm_eps=TORCH_NORM_EPS,
        norm_place="post",
        sinusoids_interleaved=False,
        embedding_scale=sqrt(whole(keys, "d_model")) if scaled else None,
        tie_word_embeddings=True,
        head_bias=True,
    )


def whisper(keys: Keys) -> EncoderDecoderConfig:
    """Whisper (Radford et al. 2022): sound through two convolutions, pre-norm LayerNorm, GELU.

    The encoder's sinusoids lie in a table, which the published counts include.
    """
    keys.only("scale_embedding", False)
    keys.only("use_weighted_layer_sum", False)
    keys.only("tie_word_embeddings", True)
    keys.get("num_hidden_layers")  # repeats encoder_layers
    return EncoderDecoderConfig(
        **common(keys),
        **two_stacks(keys, "table", "table"),
        source_positions=keys.get("max_source_positions", default=1500),
        max_position_embeddings=keys.get("max_target_positions", default=448),
        decoder_start_token_id=keys.get("decoder_start_token_id", default=50257),
        activation=named_activation(keys),
        mlp_bias=True,
        qkv_bias=True,
        attention_output_bias=True,
        norm="layernorm",
        norm_eps=TORCH_NORM_EPS,
        norm_place="pre",
        tie_word_embeddings=True,
        mel_bins=keys.get("num_mel_bins", default=80),
    )


TORCH_NORM_EPS = 1e-5  # torch's LayerNorm, which these files do not repeat


def two_stacks(keys: Keys, encoder: str, decoder: str) -> dict[str, Any]:
    """Read the two stacks as BART's descendants spell them, with their kinds of positions."""
    stacks = {
        side: Stack(
            layers=keys.need(f"{side}_layers"),
            heads=keys.need(f"{side}_attention_heads"),
            head_dim=divided(keys, whole(keys, "d_model"), whole(keys, f"{side}_attention_heads")),
            intermediate_size=keys.need(f"{side}_ffn_dim"),
            positions=positions,  # type: ignore[arg-type]
        )
        for side, positions in (("encoder", encoder), ("decoder", decoder))
    }
    return {**stacks, "num_hidden_layers": keys.need("encoder_layers")}


def named_activation(keys: Keys) -> Any:
    """Activation, of which SiLU has two names."""
    name = keys.get("activation_function", default="gelu")
    return "silu" if name == "swish" else name


def whole(keys: Keys, name: str) -> int:
    """Return the value of a key that must hold a whole number above 0."""
    value = keys.need(name)
    if not isinstance(value, int) or value < 1:
        raise keys.error(f"key '{name}': must be a whole number above 0, got {value!r}")
    return value


def divided(keys: Keys, width: int, heads: int) -> int:
    """Return the size of a head."""
    if width % heads:
        raise keys.error("d_model must be a multiple of the number of heads")
    return width // heads


ENCODER_DECODERS: Mapping[str, Read] = {
    "marian": marian,
    "t5": t5,
    "transformer": transformer,
    "whisper": whisper,
}
