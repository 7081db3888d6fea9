"""A decoder's pass after rewrites: fused where it says so, its cache in few bits where asked.

How a product's weights are stored decides how it is computed (`workloads.ops.stored`), so that
quantised, sparse and low-rank products need nothing here. Letters as in `decoder`.
"""

from __future__ import annotations

from typing import NamedTuple

from workloads import ops
from workloads.architectures import decoder
from workloads.architectures.decoder import KEY_CACHE, RESIDUAL, VALUE_CACHE, linear, norm
from workloads.architectures.parameters import Parameter
from workloads.architectures.rewritten_config import RewrittenConfig, rewritten_form
from workloads.array import Array
from workloads.config import ModelError
from workloads.ops import attention, fused, quantised
from workloads.ops.ragged import PADDING
from workloads.ops.stored import product
from workloads.tracer import Tracer


class Cached(NamedTuple):
    """Keys or values of the positions seen, and what whole ones are multiplied by."""

    values: Array
    """[S, B, K, D]"""
    scale: Array | None
    """[S, B, K, 1]; None where the cache holds the run's element type."""


def states(tracer: Tracer, config: RewrittenConfig, ids: Array, start: int) -> Array:
    """Run the layers over token numbers [B, T] at positions start.., filling the cache.

    Raises ModelError for a batch of ragged lengths, whose padding nothing here hides.
    """
    if tracer.has(PADDING):
        raise ModelError("rewritten models take prompts of one length; give them so")
    x = decoder.embed(tracer, config, ids, start)  # [B, T] -> [B, T, C]
    if "residual_norm" in config.fused:
        return _fused_layers(x, tracer, config, start)  # [B, T, C]
    for layer in tracer.layers(config.layer_kinds):
        x = block(x, config, start, local=config.is_local(layer))  # [B, T, C]
    return x


def _fused_layers(x: Array, tracer: Tracer, config: RewrittenConfig, start: int) -> Array:
    """Walk the layers; each sum is normed as it is made, the last of a layer by the next layer.

    So the first layer differs from the others: nothing waits to be added when it begins.
    """
    first, *others = config.layer_kinds
    waiting: Array | None = None
    for layer in tracer.layers((f"first {first}", *others)):
        if waiting is None:
            h = norm(x, config, "attention.norm")  # [B, T, C]
        else:
            x, h = add_norm(x, waiting, config, "attention.norm")  # [B, T, C] each
        h = attend(h, config, start, local=config.is_local(layer))  # [B, T, C]
        x, h = add_norm(x, h, config, "mlp.norm")  # [B, T, C] each
        waiting = feed_forward(h, config)  # [B, T, C]
    assert waiting is not None  # noqa: S101 - a model has a layer
    return ops.add(x, waiting, name="mlp.residual", buffer=RESIDUAL)  # [B, T, C]


def add_norm(x: Array, y: Array, config: RewrittenConfig, name: str) -> tuple[Array, Array]:
    """Return x + y, and its norm, from one operation."""
    has_bias = config.norm == "layernorm"
    return fused.add_norm(
        x,
        y,
        x.tracer.get(f"{name}.weight"),
        x.tracer.get(f"{name}.bias") if has_bias else None,
        eps=config.norm_eps,
        offset=config.norm_offset,
        name=f"{name}.add",
        buffer=RESIDUAL,
    )


def block(x: Array, config: RewrittenConfig, start: int, *, local: bool) -> Array:
    """One layer: attention, then feed-forward, each added to what it read (or both at once)."""
    h = norm(x, config, "attention.norm")  # [B, T, C]
    if config.parallel != "none":
        g = h if config.parallel == "one_norm" else norm(x, config, "mlp.norm")  # [B, T, C]
        h = attend(h, config, start, local=local)  # [B, T, C]
        x = ops.add(x, h, name="attention.residual", buffer=RESIDUAL)  # [B, T, C]
        return ops.add(x, feed_forward(g, config), name="mlp.residual", buffer=RESIDUAL)
    h = attend(h, config, start, local=local)  # [B, T, C]
    h = decoder.after(h, config, "attention.norm_after")  # [B, T, C]
    x = ops.add(x, h, name="attention.residual", buffer=RESIDUAL)  # [B, T, C]
    h = feed_forward(norm(x, config, "mlp.norm"), config)  # [B, T, C]
    h = decoder.after(h, config, "mlp.norm_after")  # [B, T, C]
    return ops.add(x, h, name="mlp.residual", buffer=RESIDUAL)  # [B, T, C]


def attend(x: Array, config: RewrittenConfig, start: int, *, local: bool) -> Array:
    """Grouped-query causal attention over the cache, which it extends by this pass."""
    q, k, v = project(x, config)  # [B, T, C] -> [B, T, H*D], [B, T, K*D] twice
    q = decoder.rotate(q, config, start, "attention.query.rope")  # [B, T, H*D]
    k = decoder.rotate(k, config, start, "attention.key.rope")  # [B, T, K*D]
    window = config.sliding_window if local else None
    keys = remember(k, config, start, "attention.key", window)
    values = remember(v, config, start, "attention.value", window)
    if "attention" in config.fused:
        x = fused.attention(
            q,
            keys.values,
            values.values,
            scale=config.score_scale,
            tile=config.attention_tile,
            window=window,
            softcap=config.attention_softcap,
            name="attention.fused",
        )  # [B, T, H*D]
        return linear(x, "attention.output")  # [B, T, H*D] -> [B, T, C]
    w = _scores(q, keys)  # [B, K, H/K*T, S]
    w = attention.softmax(
        w,
        tokens=x.shape[1],
        scale=config.score_scale,
        window=window,
        softcap=config.attention_softcap,
        alibi=config.positions == "alibi",
        name="attention.softmax",
    )
    x = _mix(w, values, q)  # [B, K, H/K*T, S] -> [B, T, H*D]
    return linear(x, "attention.output")  # [B, T, H*D] -> [B, T, C]


def project(x: Array, config: RewrittenConfig) -> tuple[Array, Array, Array]:
    """Return queries, keys and values; views of one product's rows where the three are fused."""
    if "qkv" not in config.fused:
        q, k, v = (linear(x, f"attention.{part}") for part in ("query", "key", "value"))
        return q, k, v
    whole = linear(x, "attention.qkv")  # [B, T, C] -> [B, T, H*D + 2*K*D]
    queries, cached = config.query_size, config.key_value_size
    return (
        _columns(whole, 0, queries),
        _columns(whole, queries, cached),
        _columns(whole, queries + cached, cached),
    )


def _columns(x: Array, first: int, count: int) -> Array:
    """Return some columns: a view, of which the rows lie a whole row of x apart."""
    return x.view(
        (*x.shape[:-1], count),
        offset_elements=first,
        pick=lambda v: v[..., first : first + count],
    )


def remember(
    x: Array, config: RewrittenConfig, start: int, name: str, window: int | None
) -> Cached:
    """Extend this layer's cache, rounded to whole numbers where it holds few bits."""
    append = f"{name}.append"
    if config.cache_bits is None:
        return Cached(decoder.append(x, f"{name}.cache", start, append, window), None)
    limit = quantised.most(config.cache_bits)
    scale = quantised.row_scale(
        x, cols=config.head_dim, limit=limit, name=f"{name}.cache_scale"
    )  # [B, T, K*D] -> [B, T, K]
    whole = quantised.to_whole(
        x, scale, bits=config.cache_bits, name=f"{name}.cache_quantise"
    )  # [B, T, K*D]
    return Cached(
        decoder.append(whole, f"{name}.cache", start, append, window),
        decoder.append(scale, f"{name}.cache.scale", start, f"{append}_scale", window),
    )


def _scores(query: Array, keys: Cached) -> Array:
    if keys.scale is None:
        return attention.attention_scores(query, keys.values, name="attention.scores")
    return quantised.attention_scores(query, keys.values, keys.scale, name="attention.scores")


def _mix(weights: Array, values: Cached, query: Array) -> Array:
    if values.scale is None:
        return attention.attention_mix(weights, values.values, query, name="attention.mix")
    return quantised.attention_mix(
        weights, values.values, values.scale, query, name="attention.mix"
    )


def feed_forward(x: Array, config: RewrittenConfig) -> Array:
    """Widen, bend, narrow; the bias is added as the activation reads, where the two are fused."""
    if "bias_activation" not in config.fused:
        return decoder.feed_forward(x, config)
    up = product(x, "mlp.up")  # [B, T, C] -> [B, T, F]
    h = fused.bias_activate(
        up, x.tracer.get("mlp.up.bias"), activation=config.activation, name="mlp.activation"
    )  # [B, T, F]
    return linear(h, "mlp.down")  # [B, T, F] -> [B, T, C]


def parameter_shapes(config: RewrittenConfig) -> dict[str, Parameter]:
    """Every stored tensor by name: weights in the form the rewrites gave them, and their scales."""
    return rewritten_form(config).parameters


def cache_shapes(config: RewrittenConfig, batch: int) -> dict[str, Parameter]:
    """Return the cache's tensors by name; of few bits, with a scale for each position and head."""
    shapes = decoder.cache_shapes(config, batch)
    if config.cache_bits is None:
        return shapes
    few: dict[str, Parameter] = {}
    for name in (KEY_CACHE, VALUE_CACHE):
        room, layers = shapes[name].shape, shapes[name].layers
        few[name] = Parameter(room, layers, dtype=f"int{config.cache_bits}")
        few[f"{name}.scale"] = Parameter((*room[:3], 1), layers)
    return few
