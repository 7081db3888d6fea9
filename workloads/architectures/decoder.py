"""A decoder-only Transformer, from GPT-2 to Gemma 2, in one reading.

What two families do otherwise is elsewhere: `experts` in place of the feed-forward, `latent`
attention.

Letters in shapes: B batch, T tokens of this pass, C width, F feed-forward width, S positions seen
so far, H query heads, K key/value heads, D head size, V vocabulary.
"""

from __future__ import annotations

from workloads import ops
from workloads.architectures import experts, latent
from workloads.architectures.decoder_config import DecoderConfig
from workloads.architectures.parameters import Parameter
from workloads.architectures.rotary import rope_frequencies
from workloads.array import Array, Shape
from workloads.ops import attention, ragged
from workloads.ops.stored import product
from workloads.tracer import Tracer

KEY_CACHE, VALUE_CACHE = "attention.key.cache", "attention.value.cache"
RESIDUAL = "residual"  # one buffer carries the sum of all layers so far, updated in place


def forward(tracer: Tracer, config: DecoderConfig, ids: Array, start: int) -> Array:
    """Run one pass over token numbers [B, T] at positions start..; logits [B, V] of the last."""
    x = states(tracer, config, ids, start)  # [B, T] -> [B, T, C]
    return logits(ops.last_token(x), config)  # [B, T, C] -> [B, C] -> [B, V]


def states(tracer: Tracer, config: DecoderConfig, ids: Array, start: int) -> Array:
    """Run the layers over token numbers [B, T] at positions start.., filling the cache."""
    x = embed(tracer, config, ids, start)  # [B, T] -> [B, T, C]
    for layer in tracer.layers(config.layer_kinds):
        local, sparse = config.is_local(layer), config.is_sparse(layer)
        x = block(x, config, start, local=local, sparse=sparse)  # [B, T, C]
    return x


def logits(x: Array, config: DecoderConfig) -> Array:
    """Logits of what comes after each of the states x [..., C] -> [..., V]."""
    return head(norm(x, config, "norm"), config)


def block(x: Array, config: DecoderConfig, start: int, *, local: bool, sparse: bool) -> Array:
    """One layer: attention, then feed-forward, each added to what it read (or both at once)."""
    h = norm(x, config, "attention.norm")  # [B, T, C]
    if config.parallel != "none":
        g = h if config.parallel == "one_norm" else norm(x, config, "mlp.norm")  # [B, T, C]
        h = attend(h, config, start, local=local)  # [B, T, C]
        h = ops.add(h, feed_forward(g, config), name="mlp.and_attention", buffer=h.name)
        return ops.add(x, h, name="mlp.residual", buffer=RESIDUAL)  # [B, T, C]
    h = after(attend(h, config, start, local=local), config, "attention.norm_after")  # [B, T, C]
    x = ops.add(x, h, name="attention.residual", buffer=RESIDUAL)  # [B, T, C]
    h = norm(x, config, "mlp.norm")  # [B, T, C]
    if sparse and config.experts is not None:
        return experts.add_mixture(x, h, config, config.experts, start)  # [B, T, C]
    h = after(feed_forward(h, config), config, "mlp.norm_after")  # [B, T, C]
    return ops.add(x, h, name="mlp.residual", buffer=RESIDUAL)  # [B, T, C]


def embed(tracer: Tracer, config: DecoderConfig, ids: Array, start: int) -> Array:
    """Token rows, scaled or normed where the family does; plus learned rows of the positions."""
    table = tracer.get("embedding.token.weight")  # [V, C]
    x = ops.embedding(ids, table, name="embedding.token", buffer=RESIDUAL)  # [B, T] -> [B, T, C]
    if config.embedding_scale is not None:
        x = ops.scale(x, config.embedding_scale, name="embedding.scale", buffer=RESIDUAL)
    if config.embedding_norm:
        x = norm(x, config, "embedding.norm", buffer=RESIDUAL)  # [B, T, C]
    if config.positions != "learned":
        return x
    tokens, width = x.shape[1:]
    first = start + config.position_offset
    if tracer.has(ragged.PADDING):
        places = tracer.get("embedding.position.weight"), tracer.get(ragged.PADDING)
        rows = ragged.position_rows(
            *places, start=start, tokens=tokens, offset=config.position_offset
        )
        return ops.add(x, rows, name="embedding.position", buffer=RESIDUAL)  # [B, T, C]
    rows = tracer.get(
        "embedding.position.weight"
    ).view(  # [context, C] -> [T, C]
        (tokens, width), offset_elements=first * width, pick=lambda v: v[first : first + tokens]
    )
    return ops.add(x, rows, name="embedding.position", buffer=RESIDUAL)  # [B, T, C]


def attend(x: Array, config: DecoderConfig, start: int, *, local: bool) -> Array:
    """Grouped-query causal attention over the cache, which it extends by this pass."""
    if config.latent is not None:
        return latent.attend(x, config, config.latent, start)  # [B, T, C]
    q = linear(x, "attention.query")  # [B, T, C] -> [B, T, H*D]
    k = linear(x, "attention.key")  # [B, T, C] -> [B, T, K*D]
    v = linear(x, "attention.value")  # [B, T, C] -> [B, T, K*D]
    q = rotate(q, config, start, "attention.query.rope")  # [B, T, H*D]
    k = rotate(k, config, start, "attention.key.rope")  # [B, T, K*D]
    window = config.sliding_window if local else None
    k = append(k, KEY_CACHE, start, "attention.key.append", window)  # -> [S, B, K, D]
    v = append(v, VALUE_CACHE, start, "attention.value.append", window)  # -> [S, B, K, D]
    w = attention.attention_scores(q, k, name="attention.scores")  # [B, K, H/K*T, S]
    w = attention.softmax(
        w,
        tokens=x.shape[1],
        scale=config.score_scale,
        window=window,
        softcap=config.attention_softcap,
        alibi=config.positions == "alibi",
        padding=ragged.padding_of(x.tracer),
        skipped=start + x.shape[1] - k.shape[0],
        name="attention.softmax",
    )
    x = attention.attention_mix(w, v, q, name="attention.mix")  # [B, K, H/K*T, S] -> [B, T, H*D]
    return linear(x, "attention.output")  # [B, T, H*D] -> [B, T, C]


def feed_forward(x: Array, config: DecoderConfig) -> Array:
    """Widen, bend, narrow."""
    up = linear(x, "mlp.up")  # [B, T, C] -> [B, T, F]
    if config.gated:
        gate = linear(x, "mlp.gate")  # [B, T, C] -> [B, T, F]
        h = ops.gated(gate, up, activation=config.activation, name="mlp.activation")  # [B, T, F]
    else:
        h = ops.activate(up, activation=config.activation, name="mlp.activation")  # [B, T, F]
    return linear(h, "mlp.down")  # [B, T, F] -> [B, T, C]


def head(x: Array, config: DecoderConfig) -> Array:
    """Logits of every token of the vocabulary, x [B, C] -> [B, V]."""
    if config.tie_word_embeddings:
        table = x.tracer.get("embedding.token.weight")  # [V, C]
        x = biased(ops.matmul(x, table, name="head", transposed=True), "head")  # [B, C] -> [B, V]
    else:
        x = linear(x, "head")  # [B, C] -> [B, V]
    if config.logit_softcap is not None:
        x = ops.softcap(x, config.logit_softcap, name="head.softcap")  # [B, V]
    return x


def norm(x: Array, config: DecoderConfig, name: str, *, buffer: str | None = None) -> Array:
    """LayerNorm or RMSNorm of the last axis."""
    weight = x.tracer.get(f"{name}.weight")  # [C]
    if config.norm == "layernorm":
        bias = x.tracer.get(f"{name}.bias")  # [C]
        return ops.layernorm(x, weight, bias, eps=config.norm_eps, name=name, buffer=buffer)
    return ops.rmsnorm(
        x, weight, eps=config.norm_eps, offset=config.norm_offset, name=name, buffer=buffer
    )


def after(x: Array, config: DecoderConfig, name: str) -> Array:
    """Norm what a half of a layer is about to add, where the family does."""
    return norm(x, config, name) if config.norm_after else x


def linear(x: Array, name: str) -> Array:
    """Multiply x by the weight of that name, plus its bias (in place) where there is one."""
    return biased(product(x, name), name)  # [B, T, k] -> [B, T, n]


def biased(y: Array, name: str) -> Array:
    """Add the bias of that name in place, where there is one."""
    if not y.tracer.has(f"{name}.bias"):
        return y
    return ops.add(y, y.tracer.get(f"{name}.bias"), name=f"{name}.bias_add", buffer=y.name)


def rotate(x: Array, config: DecoderConfig, start: int, name: str) -> Array:
    """Rotary positions, where the family has them."""
    if config.positions != "rotary":
        return x
    return attention.rope(
        x,
        heads=x.shape[-1] // config.head_dim,
        start=start,
        frequencies=rope_frequencies(
            theta=config.rope_theta, rotated=config.rotated, scaling=config.rope_scaling
        ),
        interleaved=config.rope_interleaved,
        padding=ragged.padding_of(x.tracer),
        name=name,
    )


def append(x: Array, cache: str, start: int, name: str, window: int | None) -> Array:
    """Extend this layer's cache; the filled prefix, or what of it any token of this pass sees."""
    filled = attention.cache_append(x.tracer.get(cache), x, start=start, name=name)
    return attention.last_positions(filled, window, tokens=x.shape[1])


def caches(config: DecoderConfig) -> dict[str, Shape]:
    """Say what each layer remembers: of each cache, the entry [heads, size] of one position."""
    if config.latent is not None:
        return latent.caches(config.latent)
    entry = (config.num_key_value_heads, config.head_dim)
    return {KEY_CACHE: entry, VALUE_CACHE: entry}


def cache_shapes(config: DecoderConfig, batch: int) -> dict[str, Parameter]:
    """Return the caches' tensors by name, with room for the whole context."""
    positions, layers = config.max_position_embeddings, config.num_hidden_layers
    return {
        name: Parameter((positions, batch, *entry), layers)
        for name, entry in caches(config).items()
    }


def parameter_shapes(config: DecoderConfig) -> dict[str, Parameter]:
    """Every weight by name, in the order it lies in memory: embedding, layers, head."""
    width, layers = config.hidden_size, config.num_hidden_layers
    shapes = {"embedding.token.weight": Parameter((config.vocab_size, width))}
    if config.positions == "learned":
        rows = config.max_position_embeddings + config.position_offset
        shapes["embedding.position.weight"] = Parameter((rows, width))
    if config.embedding_norm:
        shapes |= norm_shapes(config, "embedding.norm", None)
    for name in norm_names(config):
        shapes |= norm_shapes(config, name, layers)
    if config.latent is not None:
        shapes |= latent.parameter_shapes(config, config.latent)
    for name, ((k, n), bias) in products(config).items():
        having = config.dense_layers if name.startswith("mlp.") else layers
        shapes[f"{name}.weight"] = Parameter((k, n), having)
        if bias:
            shapes[f"{name}.bias"] = Parameter((n,), having)
    if config.experts is not None:
        shapes |= experts.parameter_shapes(config, config.experts)
    shapes |= norm_shapes(config, "norm", None)
    if not config.tie_word_embeddings:
        shapes["head.weight"] = Parameter((width, config.vocab_size))
    if config.head_bias:
        shapes["head.bias"] = Parameter((config.vocab_size,))
    return shapes


def products(config: DecoderConfig) -> dict[str, tuple[tuple[int, int], bool]]:
    """Return a layer's matrix products: shape [k, n] of each weight, and whether it has a bias."""
    width, wide, cached = config.hidden_size, config.intermediate_size, config.key_value_size
    shapes = {}
    if config.latent is None:
        shapes = {
            "attention.query": ((width, config.query_size), config.qkv_bias),
            "attention.key": ((width, cached), config.qkv_bias),
            "attention.value": ((width, cached), config.qkv_bias),
            "attention.output": ((config.query_size, width), config.attention_output_bias),
        }
    if config.dense_layers:
        shapes["mlp.up"] = ((width, wide), config.mlp_bias)
        shapes["mlp.down"] = ((wide, width), config.mlp_bias)
    if config.dense_layers and config.gated:
        shapes["mlp.gate"] = ((width, wide), config.mlp_bias)
    return shapes


def norm_names(config: DecoderConfig) -> tuple[str, ...]:
    """Norms of one layer."""
    names: tuple[str, ...] = ("attention.norm",)
    if config.parallel != "one_norm":
        names += ("mlp.norm",)
    if config.norm_after:
        names += ("attention.norm_after", "mlp.norm_after")
    return names


def norm_shapes(config: DecoderConfig, name: str, layers: int | None) -> dict[str, Parameter]:
    """Return a norm's weight and, of a LayerNorm, its bias."""
    shapes = {f"{name}.weight": Parameter((config.hidden_size,), layers)}
    if config.norm == "layernorm":
        shapes[f"{name}.bias"] = Parameter((config.hidden_size,), layers)
    return shapes
