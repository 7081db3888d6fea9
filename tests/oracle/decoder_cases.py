"""Small decoders that the oracle answers for: at least one of every family and every switch."""

from collections.abc import Mapping
from typing import Any

SMALL = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 32,
}
GATED = SMALL | {"num_key_value_heads": 2, "intermediate_size": 24, "head_dim": 4}
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 100.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
GPT = {"vocab_size": 40, "n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 32}
TOKENS = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}

CASES: Mapping[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("GPT2", GPT | {"n_inner": 24}),
    "gpt2-untied": ("GPT2", GPT | {"tie_word_embeddings": False}),
    "llama": ("Llama", GATED),
    "llama-biased": ("Llama", GATED | {"attention_bias": True, "mlp_bias": True, "head_dim": 6}),
    "llama3.1": ("Llama", GATED | {"head_dim": 12, "rope_parameters": LLAMA3_ROPE}),
    "llama-linear": (
        "Llama",
        GATED
        | {"rope_parameters": {"rope_type": "linear", "rope_theta": 50.0, "factor": 3.0}}
        | {"tie_word_embeddings": True},
    ),
    "mistral": ("Mistral", GATED | {"sliding_window": 4}),
    "mistral-whole": ("Mistral", GATED | {"sliding_window": None}),
    "qwen2": ("Qwen2", GATED | {"tie_word_embeddings": True}),
    "gemma": ("Gemma", GATED | {"head_dim": 8}),
    "gemma2": (
        "Gemma2",
        GATED
        | {"head_dim": 8, "num_hidden_layers": 3, "sliding_window": 4}
        | {"query_pre_attn_scalar": 5, "attn_logit_softcapping": 1.5}
        | {"final_logit_softcapping": 2.5},
    ),
    "phi3": ("Phi3", GATED | {"sliding_window": 3}),
    "glm": ("Glm", GATED | {"head_dim": 8}),
    "glm4": ("Glm4", GATED | {"head_dim": 8, "attention_bias": False}),
    "opt": ("OPT", SMALL | {"ffn_dim": 24, "word_embed_proj_dim": 16}),
    "bloom": ("Bloom", {"vocab_size": 40, "hidden_size": 16, "n_layer": 2, "n_head": 4}),
    "bloom-six-heads": ("Bloom", {"vocab_size": 40, "hidden_size": 12, "n_layer": 2, "n_head": 6}),
    "gptj": ("GPTJ", GPT | {"n_embd": 24, "rotary_dim": 4}),
    "gpt_neox": ("GPTNeoX", SMALL | {"hidden_size": 32, "intermediate_size": 24}),
    "gpt_neox-sequential": (
        "GPTNeoX",
        SMALL
        | {"intermediate_size": 24, "use_parallel_residual": False, "attention_bias": False}
        | {"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}},
    ),
    "gpt_neo": (
        "GPTNeo",
        {"vocab_size": 40, "hidden_size": 16, "num_layers": 2, "num_heads": 4}
        | {"attention_types": [[["global", "local"], 1]], "window_size": 4}
        | {"max_position_embeddings": 32},
    ),
}
"""Fixture's name -> (prefix of the transformers class, what its configuration is given)."""

PROMPTS, PROMPT_TOKENS, NEW_TOKENS = 2, 6, 5
