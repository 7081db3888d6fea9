"""Which tensors of a Hugging Face checkpoint our weights are, family by family.

Torch's Linear keeps a product's weight as [n, k], ours are [k, n]; GPT-2's Conv1D keeps [k, n].
Some families keep several products in one tensor, end to end or head by head.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Fusion = Literal["end_to_end", "head_by_head"]
"""All of q, then all of k, then all of v; or q, k, v of head 0, then of head 1, ..."""


@dataclass(frozen=True, kw_only=True)
class Names:
    """The names of one family."""

    plain: Mapping[str, str]
    """Our name without `.weight` or `.bias` -> theirs, where N stands for the layer."""
    fused: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Their name -> those of ours that it holds, in order."""
    also: Mapping[str, str] = field(default_factory=dict)
    """Our name -> another that theirs has in some files."""
    fusion: Fusion = "end_to_end"
    transposed: bool = True
    """Whether a layer's products lie [n, k] (a head's always do)."""
    prefix: str = ""
    """What all names of the model without a head begin with, where its own files leave it out."""


QKV = ("attention.query", "attention.key", "attention.value")
LAYER = "model.layers.N"
GATE_UP = {f"{LAYER}.mlp.gate_up_proj": ("mlp.gate", "mlp.up")}

LLAMA = {
    "embedding.token": "model.embed_tokens",
    "attention.norm": f"{LAYER}.input_layernorm",
    "attention.query": f"{LAYER}.self_attn.q_proj",
    "attention.key": f"{LAYER}.self_attn.k_proj",
    "attention.value": f"{LAYER}.self_attn.v_proj",
    "attention.output": f"{LAYER}.self_attn.o_proj",
    "mlp.norm": f"{LAYER}.post_attention_layernorm",
    "mlp.gate": f"{LAYER}.mlp.gate_proj",
    "mlp.up": f"{LAYER}.mlp.up_proj",
    "mlp.down": f"{LAYER}.mlp.down_proj",
    "norm": "model.norm",
    "head": "lm_head",
}
GEMMA2 = LLAMA | {
    "attention.norm_after": f"{LAYER}.post_attention_layernorm",
    "mlp.norm": f"{LAYER}.pre_feedforward_layernorm",
    "mlp.norm_after": f"{LAYER}.post_feedforward_layernorm",
}
GLM4 = LLAMA | {
    "attention.norm_after": f"{LAYER}.post_self_attn_layernorm",
    "mlp.norm_after": f"{LAYER}.post_mlp_layernorm",
}

GPT2_LAYER = "transformer.h.N"
GPT2 = {
    "embedding.token": "transformer.wte",
    "embedding.position": "transformer.wpe",
    "attention.norm": f"{GPT2_LAYER}.ln_1",
    "attention.output": f"{GPT2_LAYER}.attn.c_proj",
    "mlp.norm": f"{GPT2_LAYER}.ln_2",
    "mlp.up": f"{GPT2_LAYER}.mlp.c_fc",
    "mlp.down": f"{GPT2_LAYER}.mlp.c_proj",
    "norm": "transformer.ln_f",
    "head": "lm_head",
}
GPT_NEO = GPT2 | {
    "attention.query": f"{GPT2_LAYER}.attn.attention.q_proj",
    "attention.key": f"{GPT2_LAYER}.attn.attention.k_proj",
    "attention.value": f"{GPT2_LAYER}.attn.attention.v_proj",
    "attention.output": f"{GPT2_LAYER}.attn.attention.out_proj",
}
GPT_J = GPT2 | {
    "attention.query": f"{GPT2_LAYER}.attn.q_proj",
    "attention.key": f"{GPT2_LAYER}.attn.k_proj",
    "attention.value": f"{GPT2_LAYER}.attn.v_proj",
    "attention.output": f"{GPT2_LAYER}.attn.out_proj",
    "mlp.up": f"{GPT2_LAYER}.mlp.fc_in",
    "mlp.down": f"{GPT2_LAYER}.mlp.fc_out",
}
NEOX_LAYER = "gpt_neox.layers.N"
GPT_NEOX = {
    "embedding.token": "gpt_neox.embed_in",
    "attention.norm": f"{NEOX_LAYER}.input_layernorm",
    "attention.output": f"{NEOX_LAYER}.attention.dense",
    "mlp.norm": f"{NEOX_LAYER}.post_attention_layernorm",
    "mlp.up": f"{NEOX_LAYER}.mlp.dense_h_to_4h",
    "mlp.down": f"{NEOX_LAYER}.mlp.dense_4h_to_h",
    "norm": "gpt_neox.final_layer_norm",
    "head": "embed_out",
}
BLOOM = {
    "embedding.token": "transformer.word_embeddings",
    "embedding.norm": "transformer.word_embeddings_layernorm",
    "attention.norm": f"{GPT2_LAYER}.input_layernorm",
    "attention.output": f"{GPT2_LAYER}.self_attention.dense",
    "mlp.norm": f"{GPT2_LAYER}.post_attention_layernorm",
    "mlp.up": f"{GPT2_LAYER}.mlp.dense_h_to_4h",
    "mlp.down": f"{GPT2_LAYER}.mlp.dense_4h_to_h",
    "norm": "transformer.ln_f",
    "head": "lm_head",
}
OPT_LAYER = "model.decoder.layers.N"
OPT = {
    "embedding.token": "model.decoder.embed_tokens",
    "embedding.position": "model.decoder.embed_positions",
    "attention.norm": f"{OPT_LAYER}.self_attn_layer_norm",
    "attention.query": f"{OPT_LAYER}.self_attn.q_proj",
    "attention.key": f"{OPT_LAYER}.self_attn.k_proj",
    "attention.value": f"{OPT_LAYER}.self_attn.v_proj",
    "attention.output": f"{OPT_LAYER}.self_attn.out_proj",
    "mlp.norm": f"{OPT_LAYER}.final_layer_norm",
    "mlp.up": f"{OPT_LAYER}.fc1",
    "mlp.down": f"{OPT_LAYER}.fc2",
    "norm": "model.decoder.final_layer_norm",
    "head": "lm_head",
}


def encoder(prefix: str) -> Names:
    """Return BERT's names, of a family that calls its encoder `prefix`."""
    layer = f"{prefix}encoder.layer.N"
    return Names(
        prefix=prefix,
        plain={
            "embedding.token": f"{prefix}embeddings.word_embeddings",
            "embedding.position": f"{prefix}embeddings.position_embeddings",
            "embedding.type": f"{prefix}embeddings.token_type_embeddings",
            "embedding.task": f"{prefix}embeddings.task_type_embeddings",
            "embedding.norm": f"{prefix}embeddings.LayerNorm",
            "attention.query": f"{layer}.attention.self.query",
            "attention.key": f"{layer}.attention.self.key",
            "attention.value": f"{layer}.attention.self.value",
            "attention.output": f"{layer}.attention.output.dense",
            "attention.norm": f"{layer}.attention.output.LayerNorm",
            "mlp.up": f"{layer}.intermediate.dense",
            "mlp.down": f"{layer}.output.dense",
            "mlp.norm": f"{layer}.output.LayerNorm",
            "pooler": f"{prefix}pooler.dense",
            "head.transform": "cls.predictions.transform.dense",
            "head.norm": "cls.predictions.transform.LayerNorm",
            "head": "cls.predictions",
        },
    )


NAMES: Mapping[str, Names] = {
    "bert": encoder("bert."),
    "bloom": Names(
        plain=BLOOM,
        fused={f"{GPT2_LAYER}.self_attention.query_key_value": QKV},
        fusion="head_by_head",
        prefix="transformer.",
    ),
    "ernie": encoder("ernie."),
    "gemma": Names(plain=LLAMA, prefix="model."),
    "gemma2": Names(plain=GEMMA2, prefix="model."),
    "glm": Names(plain=LLAMA, fused=GATE_UP, prefix="model."),
    "glm4": Names(plain=GLM4, fused=GATE_UP, prefix="model."),
    "gpt2": Names(
        plain=GPT2,
        fused={f"{GPT2_LAYER}.attn.c_attn": QKV},
        transposed=False,
        prefix="transformer.",
    ),
    "gpt_neo": Names(plain=GPT_NEO, prefix="transformer."),
    "gpt_neox": Names(
        plain=GPT_NEOX,
        fused={f"{NEOX_LAYER}.attention.query_key_value": QKV},
        also={"head": "lm_head"},
        fusion="head_by_head",
        prefix="gpt_neox.",
    ),
    "gptj": Names(plain=GPT_J, prefix="transformer."),
    "llama": Names(plain=LLAMA, prefix="model."),
    "mistral": Names(plain=LLAMA, prefix="model."),
    "opt": Names(plain=OPT, prefix="model."),
    "phi3": Names(
        plain=LLAMA, fused={f"{LAYER}.self_attn.qkv_proj": QKV, **GATE_UP}, prefix="model."
    ),
    "qwen2": Names(plain=LLAMA, prefix="model."),
}
"""model_type -> its names."""

SPELLINGS: Mapping[str, tuple[str, ...]] = {"weight": ("weight", "gamma"), "bias": ("bias", "beta")}
"""How files spell the last word: LayerNorms of BERT's first checkpoints have gamma and beta."""

BUFFERS = (
    "position_ids",
    "rotary_emb.inv_freq",
    "attn.bias",
    "attn.masked_bias",
    "attention.bias",
    "attention.masked_bias",
)
"""Ends of names of tensors that are no weights: masks and tables that files happen to hold."""
