"""Which of torch's names the weights of an encoder-decoder have. No torch here."""

from collections.abc import Mapping

import numpy as np

from workloads.array import Values
from workloads.ops.positions import sinusoids

Weights = Mapping[tuple[str, int | None], Values]
State = dict[str, Values]

BART_PARTS = {
    "attention.norm": "self_attn_layer_norm",
    "attention.query": "self_attn.q_proj",
    "attention.key": "self_attn.k_proj",
    "attention.value": "self_attn.v_proj",
    "attention.output": "self_attn.out_proj",
    "cross.norm": "encoder_attn_layer_norm",
    "cross.query": "encoder_attn.q_proj",
    "cross.key": "encoder_attn.k_proj",
    "cross.value": "encoder_attn.v_proj",
    "cross.output": "encoder_attn.out_proj",
    "mlp.norm": "final_layer_norm",
    "mlp.up": "fc1",
    "mlp.down": "fc2",
}
"""Of Marian and Whisper: parts of a layer."""

T5_PARTS = {
    "attention.norm": "layer.0.layer_norm",
    "attention.query": "layer.0.SelfAttention.q",
    "attention.key": "layer.0.SelfAttention.k",
    "attention.value": "layer.0.SelfAttention.v",
    "attention.output": "layer.0.SelfAttention.o",
    "cross.norm": "layer.1.layer_norm",
    "cross.query": "layer.1.EncDecAttention.q",
    "cross.key": "layer.1.EncDecAttention.k",
    "cross.value": "layer.1.EncDecAttention.v",
    "cross.output": "layer.1.EncDecAttention.o",
}


def turned(name: str, values: Values) -> Values:
    """Return a product's [k, n] as torch's [n, k]; norms and biases as they are."""
    return values.T if name.endswith("weight") and values.ndim == 2 else values


def bart_like(weights: Weights) -> State:
    """Names that Marian and Whisper share."""
    state: State = {}
    for (name, layer), values in weights.items():
        side, _, rest = name.partition(".")
        part, _, kind = rest.rpartition(".")
        if layer is not None:
            state[f"model.{side}.layers.{layer}.{BART_PARTS[part]}.{kind}"] = turned(name, values)
        elif part == "norm":
            state[f"model.{side}.layer_norm.{kind}"] = values
        elif part == "position":
            state[f"model.{side}.embed_positions.weight"] = values
    return state


def marian(weights: Weights, positions: int) -> State:
    """Marian, whose tables of sinusoids are parameters to torch."""
    table = weights["embedding.token.weight", None]
    waves = sinusoids(positions, table.shape[1], interleaved=False).astype(np.float32)
    tables = {f"model.{side}.embed_positions.weight": waves for side in ("encoder", "decoder")}
    return {**bart_like(weights), **tables, "model.shared.weight": table}


def whisper(weights: Weights) -> State:
    """Whisper, with our convolutions [kernel*in, out] as torch's [out, in, kernel]."""
    state = bart_like(weights)
    state["model.decoder.embed_tokens.weight"] = weights["embedding.token.weight", None]
    for ours, theirs in (("first", "conv1"), ("second", "conv2")):
        weight = weights[f"encoder.convolution.{ours}.weight", None]
        bias = weights[f"encoder.convolution.{ours}.bias", None]
        taps = weight.reshape(3, -1, weight.shape[1])  # [kernel, in, out]
        state[f"model.encoder.{theirs}.weight"] = taps.transpose(2, 1, 0)
        state[f"model.encoder.{theirs}.bias"] = bias
    return state


def transformer(weights: Weights) -> State:
    """Rename to torch's own layers, which fuse query, key and value and have biases: zeros here."""
    state = {"embedding.weight": weights["embedding.token.weight", None]}
    norms = {
        "encoder.mlp.norm": "norm2",
        "decoder.cross.norm": "norm2",
        "decoder.mlp.norm": "norm3",
    }
    for (name, layer), values in weights.items():
        if layer is None:
            continue
        stack, _, kind = name.rpartition(".")
        side, part, *_ = name.split(".")
        layers = f"{side}.layers.{layer}"
        if stack.endswith("norm"):
            state[f"{layers}.{norms.get(stack, 'norm1')}.{kind}"] = values
        elif part == "mlp":
            linear = "linear1" if stack.endswith("up") else "linear2"
            state[f"{layers}.{linear}.{kind}"] = turned(name, values)
        elif stack.endswith("query"):
            place = f"{layers}.{'self_attn' if part == 'attention' else 'multihead_attn'}"
            qkv = ("query", "key", "value", "output")
            *fused, output = (weights[f"{side}.{part}.{one}.weight", layer].T for one in qkv)
            state[f"{place}.in_proj_weight"] = np.concatenate(fused)
            state[f"{place}.in_proj_bias"] = np.zeros(sum(map(len, fused)), np.float32)
            state[f"{place}.out_proj.weight"] = output
            state[f"{place}.out_proj.bias"] = np.zeros(len(output), np.float32)
    return state


def t5(weights: Weights, *, gated: bool) -> State:
    """T5 of either version."""
    state = {"shared.weight": weights["embedding.token.weight", None]}
    wide = {"mlp.up": "wi_1", "mlp.gate": "wi_0"} if gated else {"mlp.up": "wi"}
    for (name, layer), values in weights.items():
        side, _, rest = name.partition(".")
        part = rest.removesuffix(".weight")
        last = f"layer.{1 if side == 'encoder' else 2}"
        if layer is not None:
            parts = {"mlp.norm": f"{last}.layer_norm", **T5_PARTS}
            dense = {**wide, "mlp.down": "wo"}.get(part)
            place = parts[part] if dense is None else f"{last}.DenseReluDense.{dense}"
            state[f"{side}.block.{layer}.{place}.weight"] = turned(name, values)
        elif part == "attention.distance":
            place = "block.0.layer.0.SelfAttention.relative_attention_bias"
            state[f"{side}.{place}.weight"] = values
        elif part == "norm":
            state[f"{side}.final_layer_norm.weight"] = values
    if ("head.weight", None) in weights:
        state["lm_head.weight"] = weights["head.weight", None].T
    return state
