"""Multi-head latent attention, as in DeepSeek-V2 and V3 (arXiv:2405.04434, section 2.1).

Letters are those of `decoder`; besides, of a head: N elements of content, P that positions turn,
V of the value; R rank of what keys and values are made of.

The cache holds R + P elements of a position, for all heads together: the latent vector c, and the
one key r that carries the position. Two forms give the same numbers:

- naive: from c of every position make each head's content key and value, and attend as ever;
- absorbed: (q W) . c = q . (W c), so fold the weight W that would make keys into the query, and
  the one that would make values into the result. Attention is then over the cache as it lies, as if
  all heads shared one key of R + P and one value of R elements.

Decode takes the absorbed form and the prefill the naive one, as servers do; in between, what
`Latent.is_absorbed` finds to take fewer operations.

Parts of an array along its last axis, such as c and r, are views: they count their own bytes, as
if they lay together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workloads import ops
from workloads.architectures.latent_config import Latent
from workloads.architectures.parameters import Parameter
from workloads.array import Array, Shape
from workloads.ops import attention, ragged
from workloads.ops import latent as latent_ops
from workloads.ops.stored import product

if TYPE_CHECKING:
    from workloads.architectures.decoder_config import DecoderConfig

CACHE = "attention.latent.cache"


def attend(x: Array, config: DecoderConfig, latent: Latent, start: int) -> Array:
    """Causal attention over the cache of latents, which it extends by this pass."""
    content, rotary = queries(x, config, latent, start)  # [B, T, H, N], [B, T, H, P]
    cached = extend(x, config, latent, start)  # [S, B, 1, R+P]
    form = absorbed if latent.is_absorbed(x.shape[1], start) else naive
    mixed = form(content, rotary, cached, config, latent)  # [B, T, H*V]
    return product(mixed, "attention.output")  # [B, T, H*V] -> [B, T, C]


def queries(x: Array, config: DecoderConfig, latent: Latent, start: int) -> tuple[Array, Array]:
    """Return each head's query: its content [B, T, H, N], and the turned part [B, T, H, P]."""
    if latent.query_rank is not None:
        x = product(x, "attention.query_down")  # [B, T, C] -> [B, T, Q]
        x = normed(x, latent, "attention.query_norm")  # [B, T, Q]
    q = product(x, "attention.query")  # -> [B, T, H*(N+P)]
    heads = config.num_attention_heads
    q = q.view((*q.shape[:2], heads, latent.content_size + latent.rotary_size))
    content, rotary = parts(q, latent.content_size)
    rotary = rotary.view((*q.shape[:2], heads * latent.rotary_size))
    rotary = rotate(rotary, config, latent, start, "attention.query.rope")
    return content, rotary.view((*q.shape[:3], latent.rotary_size))


def extend(x: Array, config: DecoderConfig, latent: Latent, start: int) -> Array:
    """Make this pass's latents and rotary keys of x [B, T, C]; the filled cache [S, B, 1, R+P]."""
    both = product(x, "attention.latent")  # [B, T, C] -> [B, T, R+P]
    c, r = parts(both, latent.rank)  # [B, T, R], [B, T, P]
    c = normed(c, latent, "attention.latent_norm")
    r = rotate(r, config, latent, start, "attention.key.rope")
    entry = latent_ops.join(c, r, name="attention.latent.join")  # [B, T, R+P]
    cache = x.tracer.get(CACHE)  # [capacity, B, 1, R+P]
    return attention.cache_append(cache, entry, start=start, name="attention.latent.append")


def naive(
    content: Array, rotary: Array, cached: Array, config: DecoderConfig, latent: Latent
) -> Array:
    """Make all heads' keys and values of every cached position, then attend."""
    tracer = content.tracer
    c, r = parts(cached, latent.rank)  # [S, B, 1, R], [S, B, 1, P]
    up = tracer.get("attention.key.weight")  # [H, N, R]
    k = latent_ops.for_every_head(c, up, name="attention.key", transposed=True)  # [S, B, H, N]
    k = latent_ops.join(k, r, name="attention.key.join")  # [S, B, H, N+P]
    up = tracer.get("attention.value.weight")  # [H, R, V]
    v = latent_ops.for_every_head(c, up, name="attention.value")  # [S, B, H, V]
    q = latent_ops.join(content, rotary, name="attention.query.join")  # [B, T, H, N+P]
    return scored_and_mixed(flat(q), k, v, config)  # [B, T, H*V]


def absorbed(
    content: Array, rotary: Array, cached: Array, config: DecoderConfig, latent: Latent
) -> Array:
    """Attend to the cache as it lies, with the weights of keys and values folded around it."""
    tracer = content.tracer
    up = tracer.get("attention.key.weight")  # [H, N, R]
    folded = latent_ops.each_head(flat(content), up, name="attention.key")  # [B, T, H*R]
    folded = folded.view((*content.shape[:3], latent.rank))  # [B, T, H, R]
    q = latent_ops.join(folded, rotary, name="attention.query.join")  # [B, T, H, R+P]
    c, _ = parts(cached, latent.rank)  # [S, B, 1, R]
    mixed = scored_and_mixed(flat(q), cached, c, config)  # [B, T, H*R]
    up = tracer.get("attention.value.weight")  # [H, R, V]
    return latent_ops.each_head(mixed, up, name="attention.value")  # [B, T, H*V]


def scored_and_mixed(q: Array, k: Array, v: Array, config: DecoderConfig) -> Array:
    """Attend with q [B, T, H*D] to k [S, B, K, D], and mix v [S, B, K, V] -> [B, T, H*V]."""
    w = attention.attention_scores(q, k, name="attention.scores")  # [B, K, H/K*T, S]
    w = attention.softmax(
        w,
        tokens=q.shape[1],
        scale=config.score_scale,
        padding=ragged.padding_of(w.tracer),
        name="attention.softmax",
    )  # [B, K, H/K*T, S]
    wide = config.num_attention_heads * v.shape[-1]
    like = q.view((*q.shape[:2], wide), pick=lambda q: q)  # its shape alone is asked for
    return attention.attention_mix(w, v, like, name="attention.mix")  # [B, T, H*V]


def parts(x: Array, size: int) -> tuple[Array, Array]:
    """Split the last axis: views of its first `size` elements, and of the others."""
    *lead, both = x.shape
    first = x.view((*lead, size), pick=lambda v: v[..., :size])
    rest = x.view((*lead, both - size), offset_elements=size, pick=lambda v: v[..., size:])
    return first, rest


def flat(x: Array) -> Array:
    """See heads [B, T, H, D] side by side: [B, T, H*D]."""
    return x.view((*x.shape[:2], x.shape[2] * x.shape[3]))


def normed(x: Array, latent: Latent, name: str) -> Array:
    """RMSNorm of the last axis."""
    return ops.rmsnorm(x, x.tracer.get(f"{name}.weight"), eps=latent.norm_eps, name=name)


def rotate(x: Array, config: DecoderConfig, latent: Latent, start: int, name: str) -> Array:
    """Turn all of x [B, T, heads*P] by its positions."""
    x = attention.rope(
        x,
        heads=x.shape[2] // latent.rotary_size,
        start=start,
        frequencies=latent.frequencies(config.rope_theta),
        interleaved=config.rope_interleaved,
        padding=ragged.padding_of(x.tracer),
        name=name,
    )
    if latent.yarn is None or latent.yarn.rotary_factor == 1:
        return x
    return ops.scale(x, latent.yarn.rotary_factor, name=f"{name}.scale")


def caches(latent: Latent) -> dict[str, Shape]:
    """Return the one cache, and its entry [1, R+P] of a position."""
    return {CACHE: (1, latent.entry_size)}


def parameter_shapes(config: DecoderConfig, latent: Latent) -> dict[str, Parameter]:
    """Weights of attention; the heads' products of the latent vector are [H, ., .]."""
    layers, heads, width = config.num_hidden_layers, config.num_attention_heads, config.hidden_size
    query = heads * (latent.content_size + latent.rotary_size)
    asked = latent.query_rank or width
    shapes = {}
    if latent.query_rank is not None:
        shapes["attention.query_down.weight"] = Parameter((width, asked), layers)
        shapes["attention.query_norm.weight"] = Parameter((asked,), layers)
    return shapes | {
        "attention.query.weight": Parameter((asked, query), layers),
        "attention.latent.weight": Parameter((width, latent.entry_size), layers),
        "attention.latent_norm.weight": Parameter((latent.rank,), layers),
        "attention.key.weight": Parameter((heads, latent.content_size, latent.rank), layers),
        "attention.value.weight": Parameter((heads, latent.rank, latent.value_size), layers),
        "attention.output.weight": Parameter((heads * latent.value_size, width), layers),
    }
