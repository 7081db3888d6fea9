"""Which of torch's names a decoder's weights have, family by family."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from workloads.architectures.decoder_config import DecoderConfig
from workloads.array import Values

Join = Callable[[Sequence[Values], DecoderConfig], Values]


def end_to_end(parts: Sequence[Values], _: DecoderConfig) -> Values:
    """Fused as all of q, all of k, all of v: parts [k, n] or [n] each."""
    return np.concatenate(parts, axis=-1)


def head_by_head(parts: Sequence[Values], config: DecoderConfig) -> Values:
    """Fused as q, k, v of head 0, then of head 1, ..."""
    heads = [part.reshape(*part.shape[:-1], config.num_attention_heads, -1) for part in parts]
    joined = np.stack(heads, axis=-2)  # [..., H, 3, D]
    return joined.reshape(*parts[0].shape[:-1], -1)


@dataclass(frozen=True, kw_only=True)
class Names:
    """Our name without `.weight` -> torch's, where N stands for the layer."""

    plain: Mapping[str, str]
    fused: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Torch's name -> those of ours that it holds."""
    join: Join = end_to_end
    as_ours: bool = False
    """Products lie [k, n] there too."""


LLAMA = {
    "embedding.token": "model.embed_tokens",
    "attention.norm": "model.layers.N.input_layernorm",
    "attention.query": "model.layers.N.self_attn.q_proj",
    "attention.key": "model.layers.N.self_attn.k_proj",
    "attention.value": "model.layers.N.self_attn.v_proj",
    "attention.output": "model.layers.N.self_attn.o_proj",
    "mlp.norm": "model.layers.N.post_attention_layernorm",
    "mlp.gate": "model.layers.N.mlp.gate_proj",
    "mlp.up": "model.layers.N.mlp.up_proj",
    "mlp.down": "model.layers.N.mlp.down_proj",
    "norm": "model.norm",
    "head": "lm_head",
}
QKV = ("attention.query", "attention.key", "attention.value")
GATE_UP = {"model.layers.N.mlp.gate_up_proj": ("mlp.gate", "mlp.up")}

GPT2 = {
    "embedding.token": "transformer.wte",
    "embedding.position": "transformer.wpe",
    "attention.norm": "transformer.h.N.ln_1",
    "attention.output": "transformer.h.N.attn.c_proj",
    "mlp.norm": "transformer.h.N.ln_2",
    "mlp.up": "transformer.h.N.mlp.c_fc",
    "mlp.down": "transformer.h.N.mlp.c_proj",
    "norm": "transformer.ln_f",
    "head": "lm_head",
}

NAMES: Mapping[str, Names] = {
    "llama": Names(plain=LLAMA),
    "mistral": Names(plain=LLAMA),
    "qwen2": Names(plain=LLAMA),
    "gemma": Names(plain=LLAMA),
    "gemma2": Names(
        plain=LLAMA
        | {
            "attention.norm_after": "model.layers.N.post_attention_layernorm",
            "mlp.norm": "model.layers.N.pre_feedforward_layernorm",
            "mlp.norm_after": "model.layers.N.post_feedforward_layernorm",
        }
    ),
    "phi3": Names(plain=LLAMA, fused={"model.layers.N.self_attn.qkv_proj": QKV} | GATE_UP),
    "glm": Names(plain=LLAMA, fused=GATE_UP),
    "glm4": Names(
        plain=LLAMA
        | {
            "attention.norm_after": "model.layers.N.post_self_attn_layernorm",
            "mlp.norm_after": "model.layers.N.post_mlp_layernorm",
        },
        fused=GATE_UP,
    ),
    "gpt2": Names(plain=GPT2, fused={"transformer.h.N.attn.c_attn": QKV}, as_ours=True),
    "gpt_neo": Names(
        plain=GPT2
        | {
            "attention.query": "transformer.h.N.attn.attention.q_proj",
            "attention.key": "transformer.h.N.attn.attention.k_proj",
            "attention.value": "transformer.h.N.attn.attention.v_proj",
            "attention.output": "transformer.h.N.attn.attention.out_proj",
        }
    ),
    "gptj": Names(
        plain=GPT2
        | {
            "attention.query": "transformer.h.N.attn.q_proj",
            "attention.key": "transformer.h.N.attn.k_proj",
            "attention.value": "transformer.h.N.attn.v_proj",
            "attention.output": "transformer.h.N.attn.out_proj",
            "mlp.up": "transformer.h.N.mlp.fc_in",
            "mlp.down": "transformer.h.N.mlp.fc_out",
        }
    ),
    "gpt_neox": Names(
        plain={
            "embedding.token": "gpt_neox.embed_in",
            "attention.norm": "gpt_neox.layers.N.input_layernorm",
            "attention.output": "gpt_neox.layers.N.attention.dense",
            "mlp.norm": "gpt_neox.layers.N.post_attention_layernorm",
            "mlp.up": "gpt_neox.layers.N.mlp.dense_h_to_4h",
            "mlp.down": "gpt_neox.layers.N.mlp.dense_4h_to_h",
            "norm": "gpt_neox.final_layer_norm",
            "head": "lm_head",
        },
        fused={"gpt_neox.layers.N.attention.query_key_value": QKV},
        join=head_by_head,
    ),
    "opt": Names(
        plain={
            "embedding.token": "model.decoder.embed_tokens",
            "embedding.position": "model.decoder.embed_positions",
            "attention.norm": "model.decoder.layers.N.self_attn_layer_norm",
            "attention.query": "model.decoder.layers.N.self_attn.q_proj",
            "attention.key": "model.decoder.layers.N.self_attn.k_proj",
            "attention.value": "model.decoder.layers.N.self_attn.v_proj",
            "attention.output": "model.decoder.layers.N.self_attn.out_proj",
            "mlp.norm": "model.decoder.layers.N.final_layer_norm",
            "mlp.up": "model.decoder.layers.N.fc1",
            "mlp.down": "model.decoder.layers.N.fc2",
            "norm": "model.decoder.final_layer_norm",
            "head": "lm_head",
        }
    ),
    "bloom": Names(
        plain={
            "embedding.token": "transformer.word_embeddings",
            "embedding.norm": "transformer.word_embeddings_layernorm",
            "attention.norm": "transformer.h.N.input_layernorm",
            "attention.output": "transformer.h.N.self_attention.dense",
            "mlp.norm": "transformer.h.N.post_attention_layernorm",
            "mlp.up": "transformer.h.N.mlp.dense_h_to_4h",
            "mlp.down": "transformer.h.N.mlp.dense_4h_to_h",
            "norm": "transformer.ln_f",
            "head": "lm_head",
        },
        fused={"transformer.h.N.self_attention.query_key_value": QKV},
        join=head_by_head,
    ),
}


def torch_state(
    config: DecoderConfig, weights: Mapping[tuple[str, int | None], Values]
) -> dict[str, Values]:
    """Give our weights torch's names and shapes."""
    names = NAMES[config.model_type]
    held = {ours: theirs for theirs, parts in names.fused.items() for ours in parts}
    state: dict[str, Values] = {}
    for (name, layer), values in weights.items():
        stem, _, kind = name.rpartition(".")  # attention.query, weight
        theirs, joined = held.get(stem), values
        if theirs is not None:
            parts = [weights[f"{part}.{kind}", layer] for part in names.fused[theirs]]
            joined = names.join(parts, config)
        product = kind == "weight" and values.ndim == 2 and not stem.startswith("embedding")
        if product and (stem == "head" or not names.as_ours):
            joined = joined.T
        state[f"{theirs or names.plain[stem]}.{kind}".replace(".N.", f".{layer}.")] = joined
    return state
