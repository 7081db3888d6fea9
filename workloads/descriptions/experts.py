"""Mixtures of experts: how each family's config.json says what `Experts` and `Latent` say.

Besides their keys, `routing: balanced` makes a run with numbers follow the rule of one without.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Any

from workloads.architectures.decoder_config import DecoderConfig
from workloads.architectures.experts_config import Experts
from workloads.architectures.latent_config import Latent
from workloads.architectures.yarn import Yarn
from workloads.descriptions.decoders import Read, common
from workloads.descriptions.keys import Keys

UNUSED = (
    "aux_loss_alpha",
    "ep_size",
    "output_router_logits",
    "router_aux_loss_coef",
    "router_jitter_noise",
    "seq_aux",
)
"""Keys of training and of servers."""

MIXTRAL_COUNTS = ("num_experts_per_tok", "num_local_experts")
DEEPSEEK_COUNTS = (
    "n_group",
    "n_routed_experts",
    "n_shared_experts",
    "num_experts_per_tok",
    "topk_group",
)
"""Keys so alike that one which is there must not be taken for another one misspelt."""


def mixtral(keys: Keys) -> DecoderConfig:
    """Mixtral: Mistral with eight experts in every layer, two for a token."""
    take_note(keys, MIXTRAL_COUNTS)
    shape, turning = common(keys), rope(keys, default=1e6)
    if yarn(turning) is not None:
        raise keys.error("rotary positions are not slowed here; leave rope_type out")
    return DecoderConfig(
        **shape,
        **llama_style(keys),
        rope_theta=turning.need("rope_theta"),
        sliding_window=keys.get("sliding_window"),
        experts=Experts(
            count=keys.need("num_local_experts"),
            chosen=keys.need("num_experts_per_tok"),
            intermediate_size=shape["intermediate_size"],
            scoring="softmax",
            routing=keys.get("routing", default="data"),
        ),
    )


def deepseek_v3(keys: Keys) -> DecoderConfig:
    """DeepSeek-V3: latent attention; experts in groups, one shared, after a few dense layers.

    The module that predicts a second token is left out. Published weights are stored in 8 bits;
    here they are what `torch_dtype` says.
    """
    take_note(keys, DEEPSEEK_COUNTS)
    take_note(keys, ("num_nextn_predict_layers", "num_mtp_layers", "quantization_config"))
    take_note(keys, ("qk_head_dim",))  # the sum of its parts, which are given
    keys.only("moe_layer_freq", 1)
    keys.only("scoring_func", "sigmoid")
    keys.only("topk_method", "noaux_tc")
    keys.only("attention_bias", False)
    turning = rope(keys, default=10_000.0)
    latent = Latent(
        query_rank=keys.get("q_lora_rank"),
        rank=keys.need("kv_lora_rank"),
        content_size=keys.need("qk_nope_head_dim"),
        rotary_size=keys.need("qk_rope_head_dim"),
        value_size=keys.need("v_head_dim"),
        yarn=yarn(turning),
        form=keys.get("latent_form", default="fewest_flops"),
    )
    shape = common(keys) | {"head_dim": latent.content_size + latent.rotary_size}
    if shape["num_key_value_heads"] != shape["num_attention_heads"]:
        raise keys.error("key 'num_key_value_heads': must equal num_attention_heads here")
    return DecoderConfig(
        **shape,
        **llama_style(keys),
        rope_theta=turning.need("rope_theta"),
        rope_dims=latent.rotary_size,
        rope_interleaved=keys.get("rope_interleave", default=True),
        attention_scale=scale(latent),
        latent=latent,
        experts=deepseek_experts(keys),
    )


def deepseek_experts(keys: Keys) -> Experts:
    """Read experts in groups, and the shared one."""
    return Experts(
        count=keys.need("n_routed_experts", "num_local_experts"),
        chosen=keys.need("num_experts_per_tok"),
        intermediate_size=keys.need("moe_intermediate_size"),
        scoring="sigmoid",
        normalised=keys.get("norm_topk_prob", default=True),
        scale=keys.need("routed_scaling_factor"),
        corrected=True,
        groups=keys.need("n_group"),
        groups_chosen=keys.need("topk_group"),
        shared=keys.need("n_shared_experts"),
        first_dense=keys.need("first_k_dense_replace"),
        routing=keys.get("routing", default="data"),
    )


def scale(latent: Latent) -> float:
    """Return what scores are multiplied by."""
    grown = 1.0 if latent.yarn is None else latent.yarn.score_factor
    return grown / sqrt(latent.content_size + latent.rotary_size)


def llama_style(keys: Keys) -> dict[str, Any]:
    """Read what both have of LLaMA's."""
    take_note(keys, UNUSED)
    return {
        "activation": keys.get("hidden_act", default="silu"),
        "gated": True,
        "norm": "rmsnorm",
        "norm_eps": keys.need("rms_norm_eps"),
        "positions": "rotary",
        "tie_word_embeddings": keys.get("tie_word_embeddings", default=False),
    }


def take_note(keys: Keys, names: tuple[str, ...]) -> None:
    """Let keys be known, whether they are used or not."""
    for name in names:
        keys.get(name)


def rope(keys: Keys, *, default: float) -> Keys:
    """Return rotary positions: keys of their own, or all in `rope_parameters` (transformers 5)."""
    old, new = keys.get("rope_scaling"), keys.get("rope_parameters")
    if old is not None and new is not None:
        raise keys.error("keys 'rope_scaling' and 'rope_parameters' mean the same; keep one")
    name = "rope_scaling" if new is None else "rope_parameters"
    given = new if old is None else old
    if not isinstance(given, Mapping | None):
        raise keys.error(f"key '{name}': must hold keys of its own, got {given!r}")
    theta = keys.get("rope_theta", default=default)
    return Keys(f"{keys.where}: key '{name}'", {"rope_theta": theta} | dict(given or {}))


def yarn(keys: Keys) -> Yarn | None:
    """Read how rotary positions are slowed; None where they are not."""
    kind = keys.get("rope_type", "type", default="default")
    keys.get("rope_theta")
    if kind == "default":
        keys.close()
        return None
    if kind != "yarn":
        raise keys.error(f"key 'rope_type': only 'default' or 'yarn' is known here, got {kind!r}")
    result = Yarn(
        factor=keys.need("factor"),
        original_context=keys.need("original_max_position_embeddings"),
        fast_turns=keys.get("beta_fast", default=32.0),
        slow_turns=keys.get("beta_slow", default=1.0),
        rotary_strength=keys.get("mscale", default=0.0),
        score_strength=keys.get("mscale_all_dim", default=0.0),
    )
    keys.close()
    return result


MIXTURES: Mapping[str, Read] = {
    "deepseek_v3": deepseek_v3,
    "mixtral": mixtral,
}
