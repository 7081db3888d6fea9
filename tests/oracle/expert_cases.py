"""Small mixtures of experts that the oracle answers for: every switch of the two families."""

from collections.abc import Mapping
from typing import Any

SMALL = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
}
MIXTRAL = SMALL | {
    "num_key_value_heads": 2,
    "num_local_experts": 5,
    "num_experts_per_tok": 2,
}
DEEPSEEK = SMALL | {
    "num_key_value_heads": 4,
    "q_lora_rank": 10,
    "kv_lora_rank": 8,
    "qk_nope_head_dim": 6,
    "qk_rope_head_dim": 4,
    "v_head_dim": 5,
    "first_k_dense_replace": 1,
    "moe_intermediate_size": 12,
    "n_routed_experts": 12,
    "n_shared_experts": 2,
    "num_experts_per_tok": 3,
    "n_group": 4,
    "topk_group": 2,
    "norm_topk_prob": True,
    "routed_scaling_factor": 2.5,
    "rope_interleave": True,
}
YARN = {
    "rope_type": "yarn",
    "rope_theta": 100.0,
    "factor": 4.0,
    "original_max_position_embeddings": 16,
    "beta_fast": 4.0,
    "beta_slow": 1.0,
    "mscale": 0.7,
    "mscale_all_dim": 1.0,
}

CASES: Mapping[str, tuple[str, dict[str, Any]]] = {
    "mixtral": ("Mixtral", MIXTRAL),
    "mixtral-window": (
        "Mixtral",
        MIXTRAL | {"sliding_window": 3, "head_dim": 6, "tie_word_embeddings": True},
    ),
    "mixtral-all": ("Mixtral", MIXTRAL | {"num_experts_per_tok": 5}),
    "deepseek": ("DeepseekV3", DEEPSEEK),
    "deepseek-yarn": (
        "DeepseekV3",
        DEEPSEEK | {"rope_parameters": YARN, "qk_rope_head_dim": 8, "first_k_dense_replace": 2},
    ),
    "deepseek-yarn-plain": (
        "DeepseekV3",
        DEEPSEEK | {"rope_parameters": {k: v for k, v in YARN.items() if "mscale" not in k}},
    ),
    "deepseek-whole-query": (
        "DeepseekV3",
        DEEPSEEK
        | {"q_lora_rank": None, "rope_interleave": False, "first_k_dense_replace": 0}
        | {"norm_topk_prob": False, "n_group": 1, "topk_group": 1},
    ),
}
"""Fixture's name -> (prefix of the transformers class, what its configuration is given)."""

PROMPTS, PROMPT_TOKENS, NEW_TOKENS = 2, 6, 5


def description(case: str) -> dict[str, Any]:
    """Return a case in the words that both libraries read, but for the name of its family."""
    family, given = CASES[case]
    model_type = {"Mixtral": "mixtral", "DeepseekV3": "deepseek_v3"}[family]
    return {"model_type": model_type, "source": "drawn", **given}
