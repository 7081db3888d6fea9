"""Small mixtures of experts, with seeded weights or with drawn ones."""

from typing import Any

from workloads import Model, read_config

SMALL = {
    "source": "made up",
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "vocab_size": 50,
    "max_position_embeddings": 32,
    "rms_norm_eps": 1e-6,
}
MIXTRAL = SMALL | {
    "model_type": "mixtral",
    "num_key_value_heads": 2,
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
}
DEEPSEEK = SMALL | {
    "model_type": "deepseek_v3",
    "q_lora_rank": 10,
    "kv_lora_rank": 8,
    "qk_nope_head_dim": 6,
    "qk_rope_head_dim": 4,
    "v_head_dim": 5,
    "first_k_dense_replace": 1,
    "moe_intermediate_size": 12,
    "n_routed_experts": 12,
    "n_shared_experts": 1,
    "num_experts_per_tok": 3,
    "n_group": 4,
    "topk_group": 2,
    "routed_scaling_factor": 2.5,
}
BASES = {"mixtral": MIXTRAL, "deepseek": DEEPSEEK}


def small(family: str, **changes: Any) -> Model:
    given = {k: v for k, v in (BASES[family] | changes).items() if v is not None}
    return Model(name=family, config=read_config(given), tokenizer=None, seed=1)
