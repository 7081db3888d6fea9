"""Decoder-only families: how each one's config.json says what `DecoderConfig` says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from workloads.architectures.decoder_config import DecoderConfig
from workloads.descriptions.keys import Keys

Read = Callable[[Keys], DecoderConfig]


def common(keys: Keys) -> dict[str, Any]:
    """Read what every decoder-only description has, under whichever name."""
    width = keys.need("hidden_size", "n_embd", "d_model")
    heads = keys.need("num_attention_heads", "n_head")
    head_dim = keys.get("head_dim")
    if head_dim is None:
        if width % heads:
            raise keys.error("hidden_size must be a multiple of num_attention_heads")
        head_dim = width // heads
    return {
        "source": keys.need("source"),
        "model_type": keys.need("model_type"),
        "vocab_size": keys.need("vocab_size"),
        "max_position_embeddings": keys.need("max_position_embeddings", "n_positions", "n_ctx"),
        "torch_dtype": keys.get("torch_dtype", "dtype", default="float32"),
        "weights": keys.get("weights", default="seeded"),
        "hidden_size": width,
        "num_hidden_layers": keys.need("num_hidden_layers", "n_layer"),
        "num_attention_heads": heads,
        "num_key_value_heads": keys.get("num_key_value_heads", default=heads),
        "head_dim": head_dim,
        "intermediate_size": keys.get("intermediate_size", "n_inner", default=4 * width),
    }


def gpt2(keys: Keys) -> DecoderConfig:
    """GPT-2 and GPT-3: LayerNorm, learned positions, GELU by tanh, a bias with every product."""
    return DecoderConfig(
        **common(keys),
        activation=keys.get("hidden_act", "activation_function", default="gelu_new"),
        norm="layernorm",
        norm_eps=keys.get("layer_norm_epsilon", default=1e-5),
        positions="learned",
        qkv_bias=True,
        attention_output_bias=True,
        mlp_bias=True,
        tie_word_embeddings=keys.get("tie_word_embeddings", default=True),
    )


def llama(keys: Keys) -> DecoderConfig:
    """LLaMA 1 to 3, TinyLlama, SmolLM2: RMSNorm, rotary positions, SwiGLU, no biases."""
    bias = keys.get("attention_bias", default=False)
    return DecoderConfig(
        **common(keys),
        activation=keys.get("hidden_act", default="silu"),
        gated=True,
        mlp_bias=keys.get("mlp_bias", default=False),
        norm="rmsnorm",
        norm_eps=keys.need("rms_norm_eps"),
        positions="rotary",
        rope_theta=keys.get("rope_theta", default=10_000.0),
        rope_interleaved=keys.get("rope_interleaved", default=False),
        qkv_bias=bias,
        attention_output_bias=bias,
        tie_word_embeddings=keys.get("tie_word_embeddings", default=False),
    )


DECODERS: Mapping[str, Read] = {
    "gpt2": gpt2,
    "llama": llama,
}
