"""An encoder-only Transformer, BERT or ERNIE, in one reading (Devlin et al. 2019).

Every token sees every other; each half of a layer is added to what it read and the sum is normed
(post-norm, Vaswani et al. 2017). There is no cache: keys and values are this pass's own.

Letters in shapes: B batch, T tokens, C width, F feed-forward width, H heads, D head size,
V vocabulary.
"""

from __future__ import annotations

from typing import NamedTuple

from workloads import ops
from workloads.architectures.decoder import linear
from workloads.architectures.encoder_config import EncoderConfig
from workloads.architectures.parameters import Parameter
from workloads.array import Array
from workloads.ops import attention, pooling
from workloads.tracer import Tracer

RESIDUAL = "residual"  # one buffer carries the sum of all layers so far, updated in place


class Encoded(NamedTuple):
    """What one pass gives."""

    hidden: Array
    """[B, T, C], of the last layer."""
    pooled: Array | None
    """[B, C]; None without a pooler."""
    logits: Array | None
    """[B, T, V]; None without a masked-LM head."""


def forward(
    tracer: Tracer, config: EncoderConfig, ids: Array, types: Array, padding: Array | None
) -> Encoded:
    """Run one pass over token numbers and segment types [B, T].

    `padding` [B, T] holds 0 for tokens and minus infinity behind the end of shorter texts; None
    where all texts are of one length.
    """
    x = embed(tracer, config, ids, types)  # [B, T] -> [B, T, C]
    for _ in tracer.layers(config.num_hidden_layers):
        x = block(x, config, padding)  # [B, T, C]
    pooled = pool(x) if config.pooler else None  # [B, T, C] -> [B, C]
    logits = head(x, config) if config.masked_lm_head else None  # [B, T, C] -> [B, T, V]
    return Encoded(x, pooled, logits)


def embed(tracer: Tracer, config: EncoderConfig, ids: Array, types: Array) -> Array:
    """Sum the rows of token, position and segment (and, of ERNIE, of task 0); norm the sum."""
    tokens, width = ids.shape[1], config.hidden_size
    table = tracer.get("embedding.token.weight")  # [V, C]
    x = ops.embedding(ids, table, name="embedding.token", buffer=RESIDUAL)  # [B, T] -> [B, T, C]
    positions = tracer.get("embedding.position.weight")  # [context, C]
    rows = positions.view((tokens, width), pick=lambda v: v[:tokens])  # -> [T, C]
    x = ops.add(x, rows, name="embedding.position", buffer=RESIDUAL)  # [B, T, C]
    table = tracer.get("embedding.type.weight")  # [types, C]
    segments = ops.embedding(
        types, table, name="embedding.type", buffer="embedding.type"
    )  # [B, T] -> [B, T, C]
    x = ops.add(x, segments, name="embedding.type_add", buffer=RESIDUAL)  # [B, T, C]
    if config.task_type_vocab_size:
        tasks = tracer.get("embedding.task.weight")  # [tasks, C]
        row = tasks.view((width,), pick=lambda v: v[0])  # [C]
        x = ops.add(x, row, name="embedding.task", buffer=RESIDUAL)  # [B, T, C]
    return norm(x, config, "embedding.norm", buffer=RESIDUAL)  # [B, T, C]


def block(x: Array, config: EncoderConfig, padding: Array | None) -> Array:
    """One layer: attention, then feed-forward, each added to what it read, then normed."""
    h = attend(x, config, padding)  # [B, T, C]
    x = ops.add(x, h, name="attention.residual", buffer=RESIDUAL)  # [B, T, C]
    x = norm(x, config, "attention.norm", buffer=RESIDUAL)  # [B, T, C]
    h = linear(x, "mlp.up")  # [B, T, C] -> [B, T, F]
    h = ops.activate(h, activation=config.activation, name="mlp.activation")  # [B, T, F]
    h = linear(h, "mlp.down")  # [B, T, F] -> [B, T, C]
    x = ops.add(x, h, name="mlp.residual", buffer=RESIDUAL)  # [B, T, C]
    return norm(x, config, "mlp.norm", buffer=RESIDUAL)  # [B, T, C]


def attend(x: Array, config: EncoderConfig, padding: Array | None) -> Array:
    """Attention of every token to every token that is not padding."""
    q = linear(x, "attention.query")  # [B, T, C] -> [B, T, H*D]
    k = heads_of(linear(x, "attention.key"), config)  # [B, T, C] -> [T, B, H, D]
    v = heads_of(linear(x, "attention.value"), config)  # [B, T, C] -> [T, B, H, D]
    w = attention.attention_scores(q, k, name="attention.scores")  # [B, H, T, T]
    if padding is not None:
        w = pooling.hide_padding(w, padding, name="attention.padding")  # [B, H, T, T]
    w = attention.softmax(
        w, tokens=x.shape[1], scale=config.score_scale, causal=False, name="attention.softmax"
    )  # [B, H, T, T]
    x = attention.attention_mix(w, v, q, name="attention.mix")  # [B, H, T, T] -> [B, T, H*D]
    return linear(x, "attention.output")  # [B, T, H*D] -> [B, T, C]


def heads_of(x: Array, config: EncoderConfig) -> Array:
    """See keys or values [B, T, H*D] as attention's operations take them, [T, B, H, D]: a view."""
    batch, tokens, _ = x.shape
    heads, size = config.num_attention_heads, config.head_dim
    return x.view(
        (tokens, batch, heads, size),
        pick=lambda v: v.reshape(batch, tokens, heads, size).swapaxes(0, 1),
    )


def pool(x: Array) -> Array:
    """Put the first token's vector through a product and a tanh, x [B, T, C] -> [B, C]."""
    x = linear(pooling.first_token(x), "pooler")  # [B, T, C] -> [B, C] -> [B, C]
    return ops.activate(x, activation="tanh", name="pooler.activation")  # [B, C]


def head(x: Array, config: EncoderConfig) -> Array:
    """Logits of every position, x [B, T, C] -> [B, T, V]: a small layer, then the token rows."""
    x = linear(x, "head.transform")  # [B, T, C]
    x = ops.activate(x, activation=config.activation, name="head.activation")  # [B, T, C]
    x = norm(x, config, "head.norm")  # [B, T, C]
    table = x.tracer.get("embedding.token.weight")  # [V, C]
    x = ops.matmul(x, table, name="head", transposed=True)  # [B, T, C] -> [B, T, V]
    return ops.add(x, x.tracer.get("head.bias"), name="head.bias_add", buffer=x.name)  # [B, T, V]


def norm(x: Array, config: EncoderConfig, name: str, *, buffer: str | None = None) -> Array:
    """LayerNorm of the last axis."""
    weight, bias = x.tracer.get(f"{name}.weight"), x.tracer.get(f"{name}.bias")  # [C] each
    return ops.layernorm(x, weight, bias, eps=config.norm_eps, name=name, buffer=buffer)


def parameter_shapes(config: EncoderConfig) -> dict[str, Parameter]:
    """Every weight by name, in the order it lies in memory: embedding, layers, pooler, head."""
    width, wide, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    shapes = {
        "embedding.token.weight": Parameter((config.vocab_size, width)),
        "embedding.position.weight": Parameter((config.max_position_embeddings, width)),
        "embedding.type.weight": Parameter((config.type_vocab_size, width)),
    }
    if config.task_type_vocab_size:
        shapes["embedding.task.weight"] = Parameter((config.task_type_vocab_size, width))
    shapes |= norm_shapes("embedding.norm", width)
    for name in ("attention.query", "attention.key", "attention.value", "attention.output"):
        shapes |= linear_shapes(name, width, width, layers)
    shapes |= norm_shapes("attention.norm", width, layers)
    shapes |= linear_shapes("mlp.up", width, wide, layers)
    shapes |= linear_shapes("mlp.down", wide, width, layers)
    shapes |= norm_shapes("mlp.norm", width, layers)
    if config.pooler:
        shapes |= linear_shapes("pooler", width, width)
    if config.masked_lm_head:
        shapes |= linear_shapes("head.transform", width, width)
        shapes |= norm_shapes("head.norm", width)
        shapes["head.bias"] = Parameter((config.vocab_size,))
    return shapes


def linear_shapes(name: str, k: int, n: int, layers: int | None = None) -> dict[str, Parameter]:
    """Return a product's weight [k, n] and bias [n]."""
    return {f"{name}.weight": Parameter((k, n), layers), f"{name}.bias": Parameter((n,), layers)}


def norm_shapes(name: str, width: int, layers: int | None = None) -> dict[str, Parameter]:
    """Return a LayerNorm's weight and bias."""
    return {
        f"{name}.weight": Parameter((width,), layers),
        f"{name}.bias": Parameter((width,), layers),
    }
