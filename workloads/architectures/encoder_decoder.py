"""An encoder-decoder Transformer: the first one, T5, Marian and Whisper, in one reading.

The encoder reads the whole source once. Of its result every decoder layer keeps keys and values;
the decoder then writes one token a pass, and each layer attends to its own past and to those.

Letters in shapes: B batch, N source positions, T tokens of this pass, S target positions seen so
far, C width, F feed-forward width, H heads, D head size, M mel bins, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable

from workloads import ops
from workloads.architectures.decoder import linear
from workloads.architectures.encoder_decoder_config import EncoderDecoderConfig, Stack
from workloads.array import Array
from workloads.ops import attention
from workloads.ops.convolution import unfold
from workloads.ops.positions import add_sinusoids, relative_bias
from workloads.tracer import Tracer

KEY_CACHE, VALUE_CACHE = "decoder.attention.key.cache", "decoder.attention.value.cache"
CROSS_KEY_CACHE, CROSS_VALUE_CACHE = "decoder.cross.key.cache", "decoder.cross.value.cache"
ENCODER_RESIDUAL, DECODER_RESIDUAL = "encoder.residual", "decoder.residual"
CONVOLUTION_KERNEL = 3  # Whisper, Radford et al. 2022, section 2.2
CONVOLUTION_STRIDES = {"encoder.convolution.first": 1, "encoder.convolution.second": 2}


def encode(tracer: Tracer, config: EncoderDecoderConfig, source: Array) -> Array:
    """Read the source, tokens [B, N] or a spectrogram [B, 2N, M] -> [B, N, C]."""
    x = embed_source(tracer, config, source)  # [B, N, C]
    bias = bias_of_distances(tracer, config, "encoder", queries=x.shape[1], keys=x.shape[1])
    for _ in tracer.layers(config.encoder.layers):
        x = half(
            x,
            config,
            "encoder.attention",
            lambda x: attend_within_source(x, config, bias),
        )  # [B, N, C]
        x = half(x, config, "encoder.mlp", lambda x: feed_forward(x, config, "encoder.mlp"))
    return norm(x, config, "encoder.norm") if config.norm_place == "pre" else x


def remember(tracer: Tracer, config: EncoderDecoderConfig, encoded: Array) -> None:
    """Compute and keep what each decoder layer will see of the source, [B, N, C]: once."""
    for _ in tracer.layers(config.decoder.layers):
        for part, cache in (("key", CROSS_KEY_CACHE), ("value", CROSS_VALUE_CACHE)):
            new = linear(encoded, f"decoder.cross.{part}")  # [B, N, C] -> [B, N, H*D]
            name = f"decoder.cross.{part}.append"
            attention.cache_append(tracer.get(cache), new, start=0, name=name)


def decode(tracer: Tracer, config: EncoderDecoderConfig, ids: Array, start: int) -> Array:
    """Run one decoder pass over tokens [B, T] at positions start..; logits [B, V] of the last."""
    x = embed_tokens(tracer, config, ids, "decoder", start)  # [B, T] -> [B, T, C]
    tokens = x.shape[1]
    bias = bias_of_distances(tracer, config, "decoder", queries=tokens, keys=start + tokens)
    for _ in tracer.layers(config.decoder.layers):
        x = half(
            x,
            config,
            "decoder.attention",
            lambda x: attend_to_past(x, config, start, bias),
        )  # [B, T, C]
        x = half(x, config, "decoder.cross", lambda x: attend_to_source(x, config))  # [B, T, C]
        x = half(x, config, "decoder.mlp", lambda x: feed_forward(x, config, "decoder.mlp"))
    x = ops.last_token(x)  # [B, T, C] -> [B, C]
    if config.norm_place == "pre":
        x = norm(x, config, "decoder.norm")  # [B, C]
    return head(x, config)  # [B, C] -> [B, V]


def half(x: Array, config: EncoderDecoderConfig, name: str, run: Callable[[Array], Array]) -> Array:
    """One part of a layer with its norm, added to the residual [B, T, C] that it reads."""
    residual = x.name
    if config.norm_place == "pre":
        h = run(norm(x, config, f"{name}.norm"))  # [B, T, C]
        return ops.add(x, h, name=f"{name}.residual", buffer=residual)
    x = ops.add(x, run(x), name=f"{name}.residual", buffer=residual)  # [B, T, C]
    return norm(x, config, f"{name}.norm", buffer=residual)


def embed_source(tracer: Tracer, config: EncoderDecoderConfig, source: Array) -> Array:
    """Token rows [B, N], or the spectrogram [B, 2N, M] after two convolutions -> [B, N, C]."""
    if config.mel_bins is None:
        return embed_tokens(tracer, config, source, "encoder", start=0)
    x = source  # [B, 2N, M]
    for name, stride in CONVOLUTION_STRIDES.items():
        x = unfold(x, kernel=CONVOLUTION_KERNEL, stride=stride, name=f"{name}.unfold")
        x = linear(x, name)  # [B, 2N, 3M] -> [B, 2N, C], then [B, N, 3C] -> [B, N, C]
        x = ops.activate(x, activation=config.activation, name=f"{name}.activation")
    return add_positions(x, config, "encoder", start=0)


def embed_tokens(
    tracer: Tracer, config: EncoderDecoderConfig, ids: Array, side: str, start: int
) -> Array:
    """Token rows [B, T] -> [B, T, C], scaled where the family does, plus their positions."""
    table, residual = tracer.get("embedding.token.weight"), f"{side}.residual"  # [V, C]
    x = ops.embedding(ids, table, name=f"{side}.embedding", buffer=residual)  # [B, T, C]
    if config.embedding_scale is not None:
        name = f"{side}.embedding.scale"
        x = ops.scale(x, config.embedding_scale, name=name, buffer=residual)
    return add_positions(x, config, side, start)


def add_positions(x: Array, config: EncoderDecoderConfig, side: str, start: int) -> Array:
    """Add positions start.. to x [B, T, C], where they are not relative."""
    stack = config.encoder if side == "encoder" else config.decoder
    name, residual = f"{side}.position", f"{side}.residual"
    if stack.positions == "sinusoidal":
        turns = config.sinusoids_interleaved
        return add_sinusoids(x, start=start, interleaved=turns, name=name, buffer=residual)
    if stack.positions == "relative":
        return x
    tokens, width = x.shape[1:]
    table = x.tracer.get(f"{name}.weight")  # [positions, C]
    rows = table.view(  # -> [T, C]
        (tokens, width), offset_elements=start * width, pick=lambda v: v[start : start + tokens]
    )
    return ops.add(x, rows, name=name, buffer=residual)


def bias_of_distances(
    tracer: Tracer, config: EncoderDecoderConfig, side: str, *, queries: int, keys: int
) -> Array | None:
    """Gather what all layers of a stack add to their scores, [H, T, S]; None where nothing."""
    stack = config.encoder if side == "encoder" else config.decoder
    if config.relative_bias is None or stack.positions != "relative":
        return None
    return relative_bias(
        tracer.get(f"{side}.attention.distance.weight"),  # [buckets, H]
        queries=queries,
        keys=keys,
        both_ways=side == "encoder",
        max_distance=config.relative_bias.max_distance,
        name=f"{side}.attention.distance",
    )


def attend_within_source(x: Array, config: EncoderDecoderConfig, bias: Array | None) -> Array:
    """Attention of every source position to every other, [B, N, C] -> [B, N, C]."""
    name, stack = "encoder.attention", config.encoder
    q, k, v = (linear(x, f"{name}.{part}") for part in ("query", "key", "value"))  # [B, N, H*D]
    k, v = by_position(k, stack), by_position(v, stack)  # [N, B, H, D]
    return mix(q, k, v, name=name, scale=config.score_scale(stack), bias=bias)


def attend_to_past(x: Array, config: EncoderDecoderConfig, start: int, bias: Array | None) -> Array:
    """Causal attention over the cache, which it extends by this pass, [B, T, C] -> [B, T, C]."""
    name, caches = "decoder.attention", (KEY_CACHE, VALUE_CACHE)
    q, *new = (linear(x, f"{name}.{part}") for part in ("query", "key", "value"))  # [B, T, H*D]
    k, v = (
        attention.cache_append(x.tracer.get(cache), y, start=start, name=f"{y.name}.append")
        for cache, y in zip(caches, new, strict=True)
    )  # [S, B, H, D]
    scale = config.score_scale(config.decoder)
    return mix(q, k, v, name=name, scale=scale, bias=bias, causal=True)


def attend_to_source(x: Array, config: EncoderDecoderConfig) -> Array:
    """Attention to what is remembered of the source, [B, T, C] -> [B, T, C]."""
    name = "decoder.cross"
    q = linear(x, f"{name}.query")  # [B, T, C] -> [B, T, H*D]
    k, v = x.tracer.get(CROSS_KEY_CACHE), x.tracer.get(CROSS_VALUE_CACHE)  # [N, B, H, D]
    return mix(q, k, v, name=name, scale=config.score_scale(config.decoder))


def mix(
    q: Array,
    k: Array,
    v: Array,
    *,
    name: str,
    scale: float,
    bias: Array | None = None,
    causal: bool = False,
) -> Array:
    """Mix values by the softmax of queries with keys, q [B, T, H*D], k and v [S, B, H, D]."""
    w = attention.attention_scores(q, k, name=f"{name}.scores")  # [B, H, T, S]
    if bias is not None:
        w = ops.add(w, bias, name=f"{name}.distance_add", buffer=w.name)  # [B, H, T, S]
    w = attention.softmax(
        w,
        tokens=q.shape[1],
        scale=scale,
        causal=causal,
        name=f"{name}.softmax",
    )
    x = attention.attention_mix(w, v, q, name=f"{name}.mix")  # [B, T, H*D]
    return linear(x, f"{name}.output")  # [B, T, H*D] -> [B, T, C]


def by_position(x: Array, stack: Stack) -> Array:
    """View keys or values [B, N, H*D] as a cache would hold them, [N, B, H, D]."""
    batch, tokens, _ = x.shape
    heads = (batch, tokens, stack.heads, stack.head_dim)
    return x.view(
        (tokens, batch, *heads[2:]), pick=lambda values: values.reshape(heads).swapaxes(0, 1)
    )


def feed_forward(x: Array, config: EncoderDecoderConfig, name: str) -> Array:
    """Widen, bend, narrow."""
    up = linear(x, f"{name}.up")  # [B, T, C] -> [B, T, F]
    bend = f"{name}.activation"
    if config.gated:
        gate = linear(x, f"{name}.gate")  # [B, T, C] -> [B, T, F]
        h = ops.gated(gate, up, activation=config.activation, name=bend)  # [B, T, F]
    else:
        h = ops.activate(up, activation=config.activation, name=bend)  # [B, T, F]
    return linear(h, f"{name}.down")  # [B, T, F] -> [B, T, C]


def head(x: Array, config: EncoderDecoderConfig) -> Array:
    """Logits of every token of the vocabulary, x [B, C] -> [B, V]."""
    if config.head_scale is not None:
        x = ops.scale(x, config.head_scale, name="head.scale")  # [B, C]
    if not config.tie_word_embeddings:
        return linear(x, "head")  # [B, C] -> [B, V]
    table = x.tracer.get("embedding.token.weight")  # [V, C]
    x = ops.matmul(x, table, name="head", transposed=True)  # [B, C] -> [B, V]
    if config.head_bias:
        x = ops.add(x, x.tracer.get("head.bias"), name="head.bias_add", buffer=x.name)
    return x


def norm(x: Array, config: EncoderDecoderConfig, name: str, *, buffer: str | None = None) -> Array:
    """LayerNorm or RMSNorm of the last axis."""
    weight = x.tracer.get(f"{name}.weight")  # [C]
    if config.norm == "rmsnorm":
        return ops.rmsnorm(x, weight, eps=config.norm_eps, name=name, buffer=buffer)
    bias = x.tracer.get(f"{name}.bias")  # [C]
    return ops.layernorm(x, weight, bias, eps=config.norm_eps, name=name, buffer=buffer)
