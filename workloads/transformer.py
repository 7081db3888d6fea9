"""A decoder-only Transformer: the Llama style and the GPT-2 style in one reading.

Letters in shapes: B batch, T tokens of this pass, C width, F feed-forward width, S positions seen
so far, H query heads, K key/value heads, D head size, V vocabulary.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from workloads import attention, ops
from workloads.array import Array, Shape
from workloads.config import ModelConfig
from workloads.tracer import Tracer

KEY_CACHE, VALUE_CACHE = "attention.key.cache", "attention.value.cache"
RESIDUAL = "residual"  # one buffer carries the sum of all layers so far, updated in place


class Parameter(NamedTuple):
    """Shape of a weight, and how many layers have one of their own (None outside the layers)."""

    shape: Shape
    layers: int | None = None


def forward(tracer: Tracer, config: ModelConfig, ids: Array, start: int) -> Array:
    """Run one pass over token numbers [B, T] at positions start..; logits [B, V] of the last."""
    x = embed(tracer, config, ids, start)  # [B, T] -> [B, T, C]
    for _ in tracer.layers(config.num_hidden_layers):
        h = norm(x, config, "attention.norm")  # [B, T, C]
        h = attend(h, config, start)  # [B, T, C]
        x = ops.add(x, h, name="attention.residual", buffer=RESIDUAL)  # [B, T, C]
        h = norm(x, config, "mlp.norm")  # [B, T, C]
        h = feed_forward(h, config)  # [B, T, C]
        x = ops.add(x, h, name="mlp.residual", buffer=RESIDUAL)  # [B, T, C]
    x = norm(ops.last_token(x), config, "norm")  # [B, T, C] -> [B, C]
    if config.tie_word_embeddings:
        table = tracer.get("embedding.token.weight")  # [V, C]
        return ops.matmul(x, table, name="head", transposed=True)  # [B, C] -> [B, V]
    return ops.matmul(x, tracer.get("head.weight"), name="head")  # [B, C] -> [B, V]


def embed(tracer: Tracer, config: ModelConfig, ids: Array, start: int) -> Array:
    """Token rows, plus the rows of their positions where those are learned."""
    table = tracer.get("embedding.token.weight")  # [V, C]
    x = ops.embedding(ids, table, name="embedding.token", buffer=RESIDUAL)  # [B, T] -> [B, T, C]
    if not config.is_gpt2:
        return x
    tokens, width = x.shape[1:]
    rows = tracer.get(
        "embedding.position.weight"
    ).view(  # [context, C] -> [T, C]
        (tokens, width), offset_elements=start * width, pick=lambda v: v[start : start + tokens]
    )
    return ops.add(x, rows, name="embedding.position", buffer=RESIDUAL)  # [B, T, C]


def attend(x: Array, config: ModelConfig, start: int) -> Array:
    """Grouped-query causal attention over the cache, which it extends by this pass."""
    tokens = x.shape[1]
    q = linear(x, config, "attention.query")  # [B, T, C] -> [B, T, H*D]
    k = linear(x, config, "attention.key")  # [B, T, C] -> [B, T, K*D]
    v = linear(x, config, "attention.value")  # [B, T, C] -> [B, T, K*D]
    q = rotate(q, config, start, "attention.query.rope")  # [B, T, H*D]
    k = rotate(k, config, start, "attention.key.rope")  # [B, T, K*D]
    k = append(k, KEY_CACHE, start, "attention.key.append")  # -> [S, B, K, D]
    v = append(v, VALUE_CACHE, start, "attention.value.append")  # -> [S, B, K, D]
    w = attention.attention_scores(q, k, name="attention.scores")  # [B, K, H/K*T, S]
    w = attention.softmax(w, tokens=tokens, head_size=config.head_size, name="attention.softmax")
    x = attention.attention_mix(w, v, q, name="attention.mix")  # [B, K, H/K*T, S] -> [B, T, H*D]
    return linear(x, config, "attention.output")  # [B, T, H*D] -> [B, T, C]


def feed_forward(x: Array, config: ModelConfig) -> Array:
    """Widen, bend, narrow: SwiGLU or GELU."""
    up = linear(x, config, "mlp.up")  # [B, T, C] -> [B, T, F]
    if config.is_gpt2:
        h = ops.gelu(up, name="mlp.gelu")  # [B, T, F]
    else:
        gate = linear(x, config, "mlp.gate")  # [B, T, C] -> [B, T, F]
        h = ops.swiglu(gate, up, name="mlp.swiglu")  # [B, T, F]
    return linear(h, config, "mlp.down")  # [B, T, F] -> [B, T, C]


def norm(x: Array, config: ModelConfig, name: str) -> Array:
    """LayerNorm or RMSNorm of the last axis."""
    weight = x.tracer.get(f"{name}.weight")  # [C]
    if config.is_gpt2:
        bias = x.tracer.get(f"{name}.bias")  # [C]
        return ops.layernorm(x, weight, bias, eps=config.norm_eps, name=name)
    return ops.rmsnorm(x, weight, eps=config.norm_eps, name=name)


def linear(x: Array, config: ModelConfig, name: str) -> Array:
    """Multiply x by the weight of that name, plus its bias (in place) where the style has one."""
    y = ops.matmul(x, x.tracer.get(f"{name}.weight"), name=name)  # [B, T, k] -> [B, T, n]
    if config.is_gpt2:
        y = ops.add(y, x.tracer.get(f"{name}.bias"), name=f"{name}.bias_add", buffer=y.name)
    return y


def rotate(x: Array, config: ModelConfig, start: int, name: str) -> Array:
    """Rotary positions, where the style has them."""
    if config.rope_theta is None:
        return x
    return attention.rope(
        x,
        heads=x.shape[-1] // config.head_size,
        start=start,
        theta=config.rope_theta,
        interleaved=config.rope_interleaved,
        name=name,
    )


def append(x: Array, cache: str, start: int, name: str) -> Array:
    """Extend this layer's cache; the filled prefix of it."""
    return attention.cache_append(x.tracer.get(cache), x, start=start, name=name)


def parameter_shapes(config: ModelConfig) -> dict[str, Parameter]:
    """Every weight by name, in the order it lies in memory: embedding, layers, head."""
    width, wide, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    heads, cached = config.head_size * config.num_attention_heads, config.key_value_size
    products = {
        "attention.query": (width, heads),
        "attention.key": (width, cached),
        "attention.value": (width, cached),
        "attention.output": (heads, width),
        "mlp.up": (width, wide),
        "mlp.gate": (width, wide),
        "mlp.down": (wide, width),
    }
    norms = ("attention.norm", "mlp.norm")
    shapes = {"embedding.token.weight": Parameter((config.vocab_size, width))}
    if config.is_gpt2:
        del products["mlp.gate"]
        shapes["embedding.position.weight"] = Parameter((config.max_position_embeddings, width))
    for name in norms:
        shapes[f"{name}.weight"] = Parameter((width,), layers)
    for name, shape in products.items():
        shapes[f"{name}.weight"] = Parameter(shape, layers)
    if config.is_gpt2:
        biases = dict.fromkeys(norms, width) | {name: n for name, (_, n) in products.items()}
        for name, size in biases.items():
            shapes[f"{name}.bias"] = Parameter((size,), layers)
    shapes["norm.weight"] = Parameter((width,))
    if config.is_gpt2:
        shapes["norm.bias"] = Parameter((width,))
    if not config.tie_word_embeddings:
        shapes["head.weight"] = Parameter((width, config.vocab_size))
    return shapes


def parameter_count(config: ModelConfig) -> int:
    """Weights of all layers together; a tied embedding counts once."""
    return sum(prod(p.shape) * (p.layers or 1) for p in parameter_shapes(config).values())
