"""Decoders of the GPT kind: LayerNorm and an ungated feed-forward with biases.

How each family's config.json says what `DecoderConfig` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workloads.architectures.decoder_config import DecoderConfig
from workloads.descriptions.decoders import Read, activation, common, rotary
from workloads.descriptions.keys import Keys


def gpt_like(
    keys: Keys,
    *,
    act: str = "gelu_new",
    tied: bool = True,
    context: int | None = None,
    widening: int | None = 4,
) -> dict[str, Any]:
    """Read what all of this kind share."""
    return {
        **common(keys, context=context, widening=widening),
        "activation": activation(keys, act),
        "mlp_bias": True,
        "norm": "layernorm",
        "norm_eps": keys.get("layer_norm_epsilon", "layer_norm_eps", default=1e-5),
        "tie_word_embeddings": keys.get("tie_word_embeddings", default=tied),
    }


def gpt2(keys: Keys) -> DecoderConfig:
    """GPT-2 and GPT-3: learned positions, GELU by tanh, a bias with every product."""
    keys.only("scale_attn_weights", True)
    keys.only("scale_attn_by_inverse_layer_idx", False)
    keys.only("add_cross_attention", False)
    keys.get("reorder_and_upcast_attn")  # the same numbers, rounded later
    return DecoderConfig(
        **gpt_like(keys), positions="learned", qkv_bias=True, attention_output_bias=True
    )


def gpt_neo(keys: Keys) -> DecoderConfig:
    """GPT-Neo: GPT-2 with unscaled scores, every other layer local, no bias on q, k and v."""
    patterns = keys.listed("attention_types") or []
    keys.get("attention_layers")  # the same, written out
    if any(not isinstance(p, list) or p[:1] != [["global", "local"]] for p in patterns):
        raise keys.error("key 'attention_types': only ['global', 'local'] in turn is known here")
    return DecoderConfig(
        **gpt_like(keys),
        positions="learned",
        attention_output_bias=True,
        attention_scale=1.0,
        sliding_window=keys.get("window_size", default=256),
        sliding_layers="odd",
    )


def gptj(keys: Keys) -> DecoderConfig:
    """GPT-J: both halves of a layer at once through one norm; biases only there and in the head."""
    keys.only("rotary", True)
    keys.only("scale_attn_weights", True)
    shape = gpt_like(keys, tied=False)
    return DecoderConfig(
        **shape,
        positions="rotary",
        rope_dims=keys.need("rotary_dim"),
        rope_interleaved=True,
        parallel="one_norm",
        head_bias=True,
    )


def gpt_neox(keys: Keys) -> DecoderConfig:
    """GPT-NeoX and Pythia: both halves at once, a norm each; a quarter of each head rotated."""
    keys.get("is_decoder")  # causal either way
    bias = keys.get("attention_bias", default=True)
    shape = gpt_like(keys, act="gelu", tied=False, widening=None)
    return DecoderConfig(
        **shape,
        **rotary(keys, shape["head_dim"], part=0.25),
        parallel="own_norms" if keys.get("use_parallel_residual", default=True) else "none",
        qkv_bias=bias,
        attention_output_bias=bias,
    )


def opt(keys: Keys) -> DecoderConfig:
    """OPT: GPT-2 with ReLU, and two rows of the position table before the first position's."""
    keys.only("do_layer_norm_before", True)  # the 350M norms after each half instead
    keys.only("_remove_final_layer_norm", False)
    keys.only("layer_norm_elementwise_affine", True)
    keys.only("enable_bias", True)
    shape = gpt_like(keys, act="relu", widening=None)
    keys.only("word_embed_proj_dim", shape["hidden_size"])
    return DecoderConfig(
        **shape,
        positions="learned",
        position_offset=2,
        qkv_bias=True,
        attention_output_bias=True,
    )


def bloom(keys: Keys) -> DecoderConfig:
    """BLOOM: ALiBi instead of positions, token rows normed, a bias with every product."""
    keys.only("apply_residual_connection_post_layernorm", False)
    keys.only("alibi", True)
    for rounding in ROUNDING_OF_BLOOM:
        keys.get(rounding)
    shape = gpt_like(keys, context=2048)
    if shape["intermediate_size"] != 4 * shape["hidden_size"]:
        raise keys.error("key 'n_inner': BLOOM's feed-forward is four times as wide; leave it out")
    return DecoderConfig(
        **shape,
        positions="alibi",
        embedding_norm=True,
        qkv_bias=True,
        attention_output_bias=True,
    )


ROUNDING_OF_BLOOM = (
    "attention_softmax_in_fp32",
    "bias_dropout_fusion",
    "masked_softmax_fusion",
    "offset_alibi",
    "skip_bias_add",
    "skip_bias_add_qkv",
    "slow_but_exact",
)
"""Keys of BLOOM's file that say how its training fused or rounded, not what is computed."""

GPTS: Mapping[str, Read] = {
    "bloom": bloom,
    "gpt2": gpt2,
    "gpt_neo": gpt_neo,
    "gpt_neox": gpt_neox,
    "gptj": gptj,
    "opt": opt,
}
