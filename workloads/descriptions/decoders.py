"""Decoders of the LLaMA kind: how each family's config.json says what `DecoderConfig` says.

All have RMSNorm, rotary positions and a gated feed-forward; `gpts` has the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from workloads.architectures.decoder_config import DecoderConfig
from workloads.architectures.rotary import RopeScaling
from workloads.descriptions.keys import Keys

Read = Callable[[Keys], DecoderConfig]

ACTIVATION_NAMES: Mapping[str, str] = {
    "gelu_pytorch_tanh": "gelu_new",
    "gelu_fast": "gelu_new",
    "swish": "silu",
}
"""Other names of an activation -> the one used here."""


def common(
    keys: Keys, *, context: int | None = None, widening: int | None = None
) -> dict[str, Any]:
    """Read what every decoder-only description has, under whichever name.

    `context` is the default of a family whose positions set no limit, `widening` that of the
    feed-forward's width as a multiple of the layer's; without them the keys must be there.
    """
    width = keys.whole("hidden_size", "n_embd", "d_model", "n_embed")
    heads = keys.whole("num_attention_heads", "n_head", "num_heads")
    if keys.get("head_dim") is not None:
        head_dim = keys.whole("head_dim")
    elif width % heads:
        raise keys.error("hidden_size must be a multiple of num_attention_heads")
    else:
        head_dim = width // heads
    contexts = ("max_position_embeddings", "n_positions", "n_ctx", "seq_length")
    wide = ("intermediate_size", "n_inner", "ffn_dim")
    wide_default = None if widening is None else widening * width
    return {
        "source": keys.need("source"),
        "model_type": keys.need("model_type"),
        "vocab_size": keys.need("vocab_size"),
        "max_position_embeddings": keys.get(*contexts, default=context) or keys.need(*contexts),
        "torch_dtype": keys.get("torch_dtype", "dtype", default="float32"),
        "weights": keys.get("weights", default="seeded"),
        "hidden_size": width,
        "num_hidden_layers": keys.need("num_hidden_layers", "n_layer", "num_layers"),
        "num_attention_heads": heads,
        "num_key_value_heads": keys.get("num_key_value_heads", default=heads),
        "head_dim": head_dim,
        "intermediate_size": keys.get(*wide, default=wide_default) or keys.need(*wide),
    }


def activation(keys: Keys, default: str) -> str:
    """Read the activation, under whichever name."""
    name = keys.get("hidden_act", "activation_function", "hidden_activation", default=default)
    return ACTIVATION_NAMES.get(name, name) if isinstance(name, str) else name


def rotary(keys: Keys, head_dim: int, *, part: float = 1.0) -> dict[str, Any]:
    """Read rotary positions: keys of their own, or all in `rope_parameters` (transformers 5).

    `part` is the family's default of the share of a head that is rotated.
    """
    old, new = keys.get("rope_scaling"), keys.get("rope_parameters")
    name = "rope_scaling" if new is None else "rope_parameters"
    if old is not None and new is not None:
        raise keys.error("keys 'rope_scaling' and 'rope_parameters' mean the same; keep one")
    inner = keys.inside(name)
    theta = _either(keys, inner, "rope_theta", "rotary_emb_base", default=10_000.0)
    part = _either(keys, inner, "partial_rotary_factor", "rotary_pct", default=part)
    scaling = rope_scaling(inner)
    inner.close()
    if not isinstance(part, int | float) or not 0 < part <= 1:
        raise keys.error(f"key 'partial_rotary_factor': must be above 0, at most 1, got {part!r}")
    return {
        "positions": "rotary",
        "rope_theta": theta,
        "rope_dims": int(head_dim * part),
        "rope_scaling": scaling,
    }


def _either(keys: Keys, inner: Keys, *names: str, default: float) -> Any:
    """Return a value that may stand outside or inside the rotary keys."""
    outside, inside = keys.get(*names), inner.get(names[0])
    if outside is not None and inside is not None and inside != outside:
        raise inner.error(f"key '{names[0]}' is {inside!r}, but outside {outside!r}; keep one")
    found = inside if outside is None else outside
    return default if found is None else found


def rope_scaling(keys: Keys) -> RopeScaling | None:
    """Read how rotary positions are slowed; None where they are not."""
    keys.only("rope_type", "default", "linear", "llama3", aliases=("type",))
    kind = keys.get("rope_type", "type", default="default")
    if kind == "default":
        return None
    if kind == "linear":
        return RopeScaling(kind=kind, factor=keys.need("factor"))
    return RopeScaling(
        kind=kind,
        factor=keys.need("factor"),
        low_freq_factor=keys.need("low_freq_factor"),
        high_freq_factor=keys.need("high_freq_factor"),
        original_context=keys.need("original_max_position_embeddings"),
    )


def sliding(keys: Keys, default: str = "all") -> dict[str, Any]:
    """Read the sliding window, and which layers have it."""
    window, kinds = keys.get("sliding_window"), keys.listed("layer_types")
    if window is None or kinds is None:
        return {"sliding_window": window, "sliding_layers": default}
    slides = [kind == "sliding_attention" for kind in kinds]
    if not any(slides):
        return {"sliding_window": None}
    for layers, rule in (("all", (True, True)), ("even", (True, False)), ("odd", (False, True))):
        if slides == [rule[layer % 2] for layer in range(len(slides))]:
            return {"sliding_window": window, "sliding_layers": layers}
    raise keys.error(
        "key 'layer_types': only 'sliding_attention' in all, none, or every other layer "
        "is known here"
    )


def llama_like(
    keys: Keys, *, act: str = "silu", tied: bool = False, part: float = 1.0
) -> dict[str, Any]:
    """Read what all of this kind share."""
    shape = common(keys)
    return {
        **shape,
        **rotary(keys, shape["head_dim"], part=part),
        "activation": activation(keys, act),
        "gated": True,
        "norm": "rmsnorm",
        "norm_eps": keys.need("rms_norm_eps"),
        "tie_word_embeddings": keys.get("tie_word_embeddings", default=tied),
    }


def llama(keys: Keys) -> DecoderConfig:
    """LLaMA 1 to 3.2, TinyLlama, SmolLM2: SwiGLU, no biases."""
    bias = keys.get("attention_bias", default=False)
    return DecoderConfig(
        **llama_like(keys),
        mlp_bias=keys.get("mlp_bias", default=False),
        rope_interleaved=keys.get("rope_interleaved", default=False),
        qkv_bias=bias,
        attention_output_bias=bias,
    )


def mistral(keys: Keys) -> DecoderConfig:
    """Mistral: LLaMA with a sliding window."""
    keys.need("num_key_value_heads")
    keys.stated("sliding_window")
    return DecoderConfig(**llama_like(keys), **sliding(keys))


def qwen2(keys: Keys) -> DecoderConfig:
    """Qwen2 and Qwen2.5: LLaMA with a bias on queries, keys and values."""
    keys.need("num_key_value_heads")
    keys.only("use_sliding_window", False)
    keys.only("use_mrope", False)
    for unused in ("sliding_window", "max_window_layers"):
        keys.get(unused)
    for kind in keys.listed("layer_types") or ():
        if kind != "full_attention":
            raise keys.error(f"key 'layer_types': only 'full_attention' is known here, got {kind}")
    return DecoderConfig(**llama_like(keys), qkv_bias=True)


def phi3(keys: Keys) -> DecoderConfig:
    """Phi-3: LLaMA; its files hold q, k, v and gate, up as one tensor each."""
    keys.get("original_max_position_embeddings")  # of rope scalings that are refused here
    keys.only("attention_bias", False)
    return DecoderConfig(**llama_like(keys), **sliding(keys))


def glm(keys: Keys) -> DecoderConfig:
    """GLM-4 9B: half of each head rotated, in neighbouring pairs; a bias on q, k and v."""
    return DecoderConfig(**glm_like(keys))


def glm4(keys: Keys) -> DecoderConfig:
    """GLM-4 0414: GLM-4 9B with norms after each half of a layer too."""
    return DecoderConfig(**glm_like(keys), norm_after=True)


def glm_like(keys: Keys) -> dict[str, Any]:
    """Read what both GLMs share."""
    for key in ("head_dim", "num_key_value_heads"):
        keys.need(key)
    return {
        **llama_like(keys, part=0.5),
        "rope_interleaved": True,
        "qkv_bias": keys.get("attention_bias", default=True),
    }


def gemma(keys: Keys) -> DecoderConfig:
    """Gemma: GeGLU, norms that scale by 1 + weight, token rows scaled by the root of the width."""
    return DecoderConfig(**gemma_like(keys))


def gemma2(keys: Keys) -> DecoderConfig:
    """Gemma 2: Gemma with norms before and after, every other layer local, capped scores."""
    shape = gemma_like(keys)
    keys.stated("sliding_window")
    scalar = keys.need("query_pre_attn_scalar")
    if not isinstance(scalar, int | float) or scalar <= 0:
        raise keys.error(f"key 'query_pre_attn_scalar': must be above 0, got {scalar!r}")
    return DecoderConfig(
        **shape,
        **sliding(keys, default="even"),
        norm_after=True,
        attention_scale=scalar**-0.5,
        attention_softcap=keys.stated("attn_logit_softcapping"),
        logit_softcap=keys.stated("final_logit_softcapping"),
    )


def gemma_like(keys: Keys) -> dict[str, Any]:
    """Read what both Gemmas share."""
    for key in ("head_dim", "num_key_value_heads"):
        keys.need(key)
    keys.only("use_bidirectional_attention", False)
    bias = keys.get("attention_bias", default=False)
    shape = llama_like(keys, act="gelu_new", tied=True)
    return {
        **shape,
        "norm_offset": True,
        "embedding_scale": shape["hidden_size"] ** 0.5,
        "qkv_bias": bias,
        "attention_output_bias": bias,
    }


DECODERS: Mapping[str, Read] = {
    "gemma": gemma,
    "gemma2": gemma2,
    "glm": glm,
    "glm4": glm4,
    "llama": llama,
    "mistral": mistral,
    "phi3": phi3,
    "qwen2": qwen2,
}
