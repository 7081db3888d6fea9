"""Which of torch's names the weights of a mixture of experts have."""

import re
from collections.abc import Iterator, Mapping

import numpy as np

from workloads.architectures.decoder_config import DecoderConfig
from workloads.architectures.parameters import WeightSource
from workloads.architectures.registry import parameter_shapes
from workloads.array import Values

LAYER = "model.layers.{}."
ATTENTION = LAYER + "self_attn."
PLAIN: Mapping[str, str] = {
    "embedding.token": "model.embed_tokens",
    "attention.norm": LAYER + "input_layernorm",
    "mlp.norm": LAYER + "post_attention_layernorm",
    "attention.value": ATTENTION + "v_proj",
    "attention.output": ATTENTION + "o_proj",
    "attention.query_down": ATTENTION + "q_a_proj",
    "attention.query_norm": ATTENTION + "q_a_layernorm",
    "attention.latent": ATTENTION + "kv_a_proj_with_mqa",
    "attention.latent_norm": ATTENTION + "kv_a_layernorm",
    "mlp.gate": LAYER + "mlp.gate_proj",
    "mlp.up": LAYER + "mlp.up_proj",
    "mlp.down": LAYER + "mlp.down_proj",
    "shared.gate": LAYER + "mlp.shared_experts.gate_proj",
    "shared.up": LAYER + "mlp.shared_experts.up_proj",
    "shared.down": LAYER + "mlp.shared_experts.down_proj",
    "experts.router": LAYER + "mlp.gate",
    "norm": "model.norm",
    "head": "lm_head",
    "attention.query": ATTENTION + "q_proj",
    "attention.key": ATTENTION + "k_proj",
}
EXPERT = re.compile(r"experts\.\d+\.")
FUSED = ("attention.key.weight", "attention.value.weight")
CORRECTION = LAYER + "mlp.gate.e_score_correction_bias"


def torch_state(config: DecoderConfig, source: WeightSource) -> dict[str, Values]:
    """Return every weight under torch's name, in torch's shape."""
    state = dict(single(config, source))
    for layer in range(config.num_hidden_layers):
        if config.latent is not None:
            key, value = (source(name, layer) for name in FUSED)  # [H, N, R], [H, R, V]
            both = np.concatenate([key, value.swapaxes(1, 2)], axis=1)  # [H, N+V, R]
            name = ATTENTION.format(layer) + "kv_b_proj.weight"
            state[name] = both.reshape(-1, config.latent.rank)
        if config.is_sparse(layer):
            state |= fused_experts(config, source, layer)
    return state


def single(config: DecoderConfig, source: WeightSource) -> Iterator[tuple[str, Values]]:
    """Weights that have one name in both libraries."""
    for ours, parameter in parameter_shapes(config).items():
        name = ours.removesuffix(".weight")
        fused = EXPERT.match(ours) or (config.latent is not None and ours in FUSED)
        if fused or not parameter.learned:
            continue
        theirs = PLAIN[name]
        if name == "attention.query" and config.latent and config.latent.query_rank:
            theirs = ATTENTION + "q_b_proj"
        for layer in parameter.layer_numbers:
            values = source(ours, layer)
            lies_as_ours = values.ndim == 1 or name == "embedding.token"
            yield f"{theirs.format(layer)}.weight", values if lies_as_ours else values.T


def fused_experts(config: DecoderConfig, source: WeightSource, layer: int) -> dict[str, Values]:
    """All experts of a layer: gate and up side by side."""
    assert config.experts is not None
    each = {
        part: [
            source(f"experts.{expert}.{part}.weight", layer).T
            for expert in range(config.experts.count)
        ]
        for part in ("gate", "up", "down")
    }
    pairs = zip(each["gate"], each["up"], strict=True)
    where = LAYER.format(layer) + "mlp.experts."
    return {
        where + "gate_up_proj": np.stack([np.concatenate(pair) for pair in pairs]),
        where + "down_proj": np.stack(each["down"]),
    }


def corrections(config: DecoderConfig, source: WeightSource) -> dict[str, Values]:
    """What is added for the choice: a buffer of torch's, no parameter."""
    if config.experts is None or not config.experts.corrected:
        return {}
    sparse = range(config.experts.first_dense, config.num_hidden_layers)
    return {CORRECTION.format(layer): source("experts.choose.bias", layer) for layer in sparse}
