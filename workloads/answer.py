"""Answers of encoder-decoders: one pass over the source, then an answer token by token.

Trace step 0 (the prefill) is the encoder's pass, the keys and values that the decoder's layers
keep of it, and the decoder's pass over what it starts with, which gives the first new token; each
later step is one decoder pass. Keys and values of the source are computed once and read in every
step. The last token is chosen but never fed back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workloads import ops
from workloads.architectures.encoder_decoder import (
    CROSS_KEY_CACHE,
    CROSS_VALUE_CACHE,
    KEY_CACHE,
    VALUE_CACHE,
    decode,
    encode,
    remember,
)
from workloads.architectures.encoder_decoder_config import EncoderDecoderConfig
from workloads.architectures.registry import architecture_of, parameter_count
from workloads.array import Array, Shape, Values
from workloads.config import ModelError, check_dtype
from workloads.declarations import by_layer, declare_weights
from workloads.executable import check_executable
from workloads.ops.masking import hide
from workloads.trace import Role, Trace
from workloads.tracer import Tracer
from workloads.zoo import Model

Source = Sequence[int] | Sequence[Sequence[int]] | Values
"""Token numbers, one list or one for each of the batch; or a spectrogram [frames, mel bins]."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of a run: its trace and, where it was executed, its numbers."""

    trace: Trace
    source: Values | None
    """Token numbers [batch, N] or spectrogram [batch, frames, mel bins]; None where only a length
    was given and nothing executed."""
    encoded: Values | None
    """[batch, source positions, width]: what the encoder made of it; None where not executed."""
    token_ids: Values | None
    """[batch, new tokens]; None likewise."""
    logits: Values | None
    """[batch, new tokens, vocabulary]: the head's, before any token was hidden; None likewise."""


@dataclass(frozen=True, kw_only=True)
class _Request:
    """What was asked for."""

    model: Model
    config: EncoderDecoderConfig
    source: Values | None
    source_length: int
    """Tokens, or frames of a spectrogram."""
    start_ids: tuple[int, ...]
    new_tokens: int
    batch: int
    execute: bool
    dtype: str
    stop_id: int | None
    hidden: tuple[int, ...]
    hidden_first: tuple[int, ...]


def answer(
    model: Model,
    source: Source | None = None,
    *,
    source_length: int | None = None,
    new_tokens: int,
    start_ids: Sequence[int] | None = None,
    batch: int = 1,
    execute: bool = True,
    dtype: str | None = None,
    stop_id: int | None = None,
    hidden: Sequence[int] = (),
    hidden_first: Sequence[int] = (),
    seed: int = 0,
    max_context: int | None = None,
) -> Answer:
    """Answer a source greedily with `new_tokens` tokens for each of `batch`, and trace it.

    The source is token numbers or a spectrogram, the same for all or one of each, or else a
    length: executed, such a source is drawn from `seed`. The decoder begins with `start_ids`, the
    configuration's start token by default. Tokens of `hidden` are never chosen, those of
    `hidden_first` not as the first.

    An executed run ends early where every answer has held `stop_id`; a run by shape cannot know
    and takes all `new_tokens`. `max_context` sizes the decoder's position table and cache.

    ModelError says what is wrong with a request, and the remedy.
    """
    config = _encoder_decoder(model)
    config = config if max_context is None else config.with_context(max_context)
    if (source is None) == (source_length is None):
        raise ModelError("give the source either as what it is or as a length, not both or none")
    if batch < 1:
        raise ModelError(f"batch is {batch}; give at least 1")
    given = None if source is None else _source(source, config, batch)
    length = given.shape[1] if given is not None else source_length or 0
    if config.encoder.positions == "relative":  # which set no limit, so that none is held
        config = config.model_copy(update={"source_positions": max(1, length)})
    request = _Request(
        model=model,
        config=config,
        source=given,
        source_length=length,
        start_ids=(config.decoder_start_token_id,) if start_ids is None else tuple(start_ids),
        new_tokens=new_tokens,
        batch=batch,
        execute=execute,
        dtype=dtype or config.torch_dtype,
        stop_id=stop_id,
        hidden=tuple(hidden),
        hidden_first=tuple(hidden_first),
    )
    _check(request)
    if not execute:
        return _run(request, None)
    check_executable(request.model.name, request.config, request.dtype)
    if seed < 0:
        raise ModelError(f"seed is {seed}; give 0 or more")
    return _run(request, _drawn(request, seed) if given is None else given)


def _run(request: _Request, source: Values | None) -> Answer:
    config = request.config
    positions = request.source_length // (config.source_frames // config.source_positions)
    tracer = Tracer(
        model=request.model.name,
        dtype=request.dtype,
        execute=request.execute,
        batch=request.batch,
        prompt_tokens=positions,
        new_tokens=request.new_tokens,
        about={
            "parameters": parameter_count(config),
            "weights": request.model.weights_source,
        },
    )
    _declare(tracer, request, source, positions)
    tracer.begin_step(0)
    encoded = encode(tracer, config, tracer.get("source"))  # [B, N, C]
    remember(tracer, config, encoded)
    ids, start = tracer.get("start"), 0  # [B, T]
    tokens: list[Array] = []  # [B, 1] each
    logits: list[Array] = []  # [B, V] each
    for step in range(request.new_tokens):
        if step:
            tracer.begin_step(step)
        logits.append(decode(tracer, config, ids, start))  # [B, T] -> [B, V]
        start += ids.shape[1]
        ids = _choose(logits[-1], request, first=step == 0)  # [B, V] -> [B, 1]
        tokens.append(ids)
        if _all_stopped(tokens, request.stop_id):
            break
    tracer.new_tokens = len(tokens)
    return Answer(
        trace=tracer.finish(),
        source=source,
        encoded=encoded.values,
        token_ids=_side_by_side([array.values for array in tokens]),
        logits=_side_by_side([None if a.values is None else a.values[:, None] for a in logits]),
    )


def _choose(logits: Array, request: _Request, *, first: bool) -> Array:
    hidden = request.hidden + (request.hidden_first if first else ())
    if hidden:
        logits = hide(logits, sorted(set(hidden)), name="choose.hide", buffer="choose.hide")
    return ops.argmax(logits, name="choose", buffer="token")


def _all_stopped(tokens: Sequence[Array], stop_id: int | None) -> bool:
    """Whether each answer of an executed run has held the token that ends it."""
    chosen = _side_by_side([array.values for array in tokens])  # [B, new tokens so far]
    return chosen is not None and stop_id is not None and bool((chosen == stop_id).any(1).all())


def _side_by_side(arrays: Sequence[Values | None]) -> Values | None:
    """Join numbers along axis 1; None where nothing was executed."""
    values = [array for array in arrays if array is not None]
    return np.concatenate(values, axis=1) if values else None


def _declare(tracer: Tracer, request: _Request, source: Values | None, positions: int) -> None:
    """Declare the weights, the caches of the decoder's past and of the source, and the inputs."""
    config, dtype, batch = request.config, request.dtype, request.batch
    declare_weights(tracer, request.model, config, dtype)
    layers, entry = config.decoder.layers, (batch, config.decoder.heads, config.decoder.head_dim)
    rooms = {
        KEY_CACHE: config.max_position_embeddings,
        VALUE_CACHE: config.max_position_embeddings,
        CROSS_KEY_CACHE: positions,
        CROSS_VALUE_CACHE: positions,
    }
    for name, room in rooms.items():
        storage = by_layer(np.zeros((layers, room, *entry), dtype)) if request.execute else None
        tracer.declare(name, Role.KV_CACHE, (room, *entry), layers=layers, values=storage)
    _declare_input(tracer, "source", _source_shape(request), source, _source_dtype(request))
    start = np.tile(np.array(request.start_ids, ops.TOKEN_DTYPE), (batch, 1))  # [B, T]
    _declare_input(tracer, "start", start.shape, start, ops.TOKEN_DTYPE)


def _declare_input(
    tracer: Tracer, name: str, shape: Shape, values: Values | None, dtype: str
) -> None:
    typed = None if values is None else values.astype(dtype)
    tracer.declare(
        name, Role.INPUT, shape, dtype=dtype, values=None if typed is None else lambda _: typed
    )


def _source_shape(request: _Request) -> Shape:
    bins = request.config.mel_bins
    return (request.batch, request.source_length, *(() if bins is None else (bins,)))


def _source_dtype(request: _Request) -> str:
    return ops.TOKEN_DTYPE if request.config.mel_bins is None else request.dtype


def _encoder_decoder(model: Model) -> EncoderDecoderConfig:
    if not isinstance(model.config, EncoderDecoderConfig):
        kind = architecture_of(model.config).name
        raise ModelError(f"{model.name} is no encoder-decoder but {kind}: it answers no source")
    return model.config


def _source(source: Source, config: EncoderDecoderConfig, batch: int) -> Values:
    """Return what was given as [B, N] token numbers or [B, frames, bins], checked."""
    try:
        values = np.asarray(source)
    except ValueError as error:
        raise ModelError("the sources differ in length; give them the same length") from error
    axes = 1 if config.mel_bins is None else 2
    if values.size == 0:
        raise ModelError("the source is empty; give at least one token or frame")
    if values.ndim not in {axes, axes + 1}:
        raise ModelError(f"a source has {axes} axes, or one more for a batch; got {values.ndim}")
    if values.ndim == axes + 1 and values.shape[0] != batch:
        raise ModelError(f"{values.shape[0]} sources for a batch of {batch}; make the two equal")
    if config.mel_bins is None:
        _check_tokens(values, config)
    elif values.dtype.kind != "f" or values.shape[-1] != config.mel_bins:
        raise ModelError(f"a spectrogram is real numbers, {config.mel_bins} in each frame")
    return np.array(np.broadcast_to(values, (batch, *values.shape[-axes:])))


def _check_tokens(ids: Values, config: EncoderDecoderConfig) -> None:
    if ids.dtype.kind not in "iu":
        raise ModelError("token numbers must be whole")
    outside = ids[(ids < 0) | (ids >= config.vocab_size)]
    if outside.size:
        raise ModelError(
            f"token number {outside[0]} is outside the vocabulary; use 0 to {config.vocab_size - 1}"
        )


def _drawn(request: _Request, seed: int) -> Values:
    random, shape = np.random.default_rng(seed), _source_shape(request)
    if request.config.mel_bins is None:
        return random.integers(request.config.vocab_size, size=shape)
    return random.standard_normal(shape)


def _check(request: _Request) -> None:
    config, name = request.config, request.model.name
    check_dtype(request.dtype)
    if request.new_tokens < 1:
        raise ModelError(f"new_tokens is {request.new_tokens}; ask for at least 1")
    if not request.start_ids:
        raise ModelError("start_ids is empty; the decoder needs at least one token to begin with")
    stops = () if request.stop_id is None else (request.stop_id,)
    for ids in (request.start_ids, stops, request.hidden, request.hidden_first):
        _check_tokens(np.array(ids, ops.TOKEN_DTYPE), config)
    if not 1 <= request.source_length <= config.source_frames:
        raise ModelError(
            f"a source of length {request.source_length} does not fit the encoder of {name}; "
            f"give 1 to {config.source_frames}"
        )
    if config.mel_bins is not None and request.source_length % 2:
        raise ModelError(f"the encoder halves the {request.source_length} frames; give an even one")
    begun, context = len(request.start_ids), config.max_position_embeddings
    if begun + request.new_tokens > context:
        raise ModelError(
            f"{begun} start and {request.new_tokens} new tokens exceed the context of {name}, "
            f"{context} tokens; ask for fewer new tokens, or set max_context"
        )
