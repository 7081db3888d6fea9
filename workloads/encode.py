"""Encoding: one pass of an encoder over a batch of texts, each token seeing its whole text.

Texts of different lengths are padded to the longest; the padding is hidden from attention, but
costs what tokens cost. The pass is step 0 of the trace, a prefill, and no token is generated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from workloads import ops
from workloads.architectures.encoder import forward
from workloads.architectures.encoder_config import EncoderConfig
from workloads.architectures.registry import architecture_of, parameter_count
from workloads.array import Array, Values
from workloads.config import ModelError, check_dtype
from workloads.declarations import declare_weights
from workloads.executable import check_executable
from workloads.ops import pooling
from workloads.trace import Role, Trace
from workloads.tracer import Tracer
from workloads.zoo import Model

Tokens = Sequence[int] | Sequence[Sequence[int]] | Values
"""Numbers of the tokens of one text, or of each text."""

PADDING_TOKEN = 0  # any would do: nobody sees it


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """What came of a pass: its trace and, where it was executed, its numbers."""

    trace: Trace
    lengths: tuple[int, ...]
    """Tokens of each text."""
    ids: Values | None
    """[batch, longest], padded; None where only lengths were given and nothing executed."""
    hidden: Values | None
    """[batch, longest, width] of the last layer; rows of padding mean nothing. None where nothing
    was executed."""
    pooled: Values | None
    """[batch, width], the first token's after the pooler; None without one, or likewise."""
    logits: Values | None
    """[batch, longest, vocabulary]; None without a masked-LM head, or likewise."""
    sentences: Values | None
    """[batch, width], of length 1; None where they were not asked for, or likewise."""


@dataclass(frozen=True, kw_only=True)
class _Request:
    """What was asked for."""

    model: Model
    config: EncoderConfig
    ids: Values | None
    """[batch, longest], padded"""
    types: Values
    """[batch, longest]"""
    lengths: tuple[int, ...]
    sentences: bool
    execute: bool
    dtype: str

    @property
    def shape(self) -> tuple[int, int]:
        """Batch, and tokens of the longest text."""
        return len(self.lengths), max(self.lengths)

    @property
    def ragged(self) -> bool:
        """Whether any text is padded."""
        return len(set(self.lengths)) > 1


def encode(
    model: Model,
    ids: Tokens | None = None,
    *,
    tokens: int | Sequence[int] | None = None,
    types: Tokens | None = None,
    batch: int = 1,
    sentences: bool = False,
    execute: bool = True,
    dtype: str | None = None,
    seed: int = 0,
    max_context: int | None = None,
) -> Encoding:
    """Encode `batch` texts in one pass, and trace it.

    The texts are `ids`, one list for all texts or `batch` lists that may differ in length, or else
    a length `tokens`, or `batch` lengths: executed, such texts are drawn from `seed`. `types` are
    the segments of the tokens, in lists as long as theirs; all 0 by default. With `sentences` the
    mean of each text's last vectors, scaled to length 1, is computed as well (Reimers and Gurevych
    2019, Sentence-BERT). `dtype` is the configuration's by default; `max_context` sizes the
    position table in place of the model's own context.

    ModelError says what is wrong with a request, and the remedy.
    """
    config = _encoder(model)
    config = config if max_context is None else config.with_context(max_context)
    if (ids is None) == (tokens is None):
        raise ModelError("give the texts either as token numbers or as lengths, not both or none")
    if batch < 1:
        raise ModelError(f"batch is {batch}; give at least 1")
    if seed < 0:
        raise ModelError(f"seed is {seed}; give 0 or more")
    rows = None if ids is None else _rows(ids, batch, "token number", config.vocab_size)
    lengths = tuple(map(len, rows)) if rows is not None else _lengths(tokens, batch)
    _check_lengths(lengths, model.name, config.max_position_embeddings)
    if rows is None and execute:
        random = np.random.default_rng(seed)
        rows = [random.integers(config.vocab_size, size=length) for length in lengths]
    dtype = dtype or config.torch_dtype
    check_dtype(dtype)
    if execute:
        check_executable(model.name, config, dtype)
    return _run(
        _Request(
            model=model,
            config=config,
            ids=None if rows is None else _padded(rows, PADDING_TOKEN),
            types=_types(types, lengths, config),
            lengths=lengths,
            sentences=sentences,
            execute=execute,
            dtype=dtype,
        )
    )


def _encoder(model: Model) -> EncoderConfig:
    if not isinstance(model.config, EncoderConfig):
        kind = architecture_of(model.config).name
        raise ModelError(f"{model.name} is no encoder but {kind}: it cannot encode texts")
    return model.config


def _run(request: _Request) -> Encoding:
    batch, longest = request.shape
    tracer = Tracer(
        model=request.model.name,
        dtype=request.dtype,
        execute=request.execute,
        batch=batch,
        prompt_tokens=longest,
        new_tokens=0,
        about={
            "parameters": parameter_count(request.config),
            "weights": request.model.weights_source,
        },
    )
    _declare(tracer, request)
    tracer.begin_step(0)
    padding = tracer.get("padding") if request.ragged else None  # [B, T]
    encoded = forward(
        tracer, request.config, tracer.get("ids"), tracer.get("types"), padding
    )  # [B, T] -> [B, T, C], [B, C], [B, T, V]
    sentences = None
    if request.sentences:
        mean = pooling.mean_of_tokens(
            encoded.hidden, lengths=request.lengths, name="sentence.mean"
        )  # [B, T, C] -> [B, C]
        sentences = pooling.unit_length(mean, name="sentence.unit")  # [B, C]
    return Encoding(
        trace=tracer.finish(),
        lengths=request.lengths,
        ids=request.ids,
        hidden=encoded.hidden.values,
        pooled=_numbers(encoded.pooled),
        logits=_numbers(encoded.logits),
        sentences=_numbers(sentences),
    )


def _numbers(array: Array | None) -> Values | None:
    return None if array is None else array.values


def _declare(tracer: Tracer, request: _Request) -> None:
    """Declare the weights and the inputs: token numbers, segments and, where needed, padding."""
    config, dtype = request.config, request.dtype
    declare_weights(tracer, request.model, config, dtype)
    inputs = {"ids": request.ids, "types": request.types}
    for name, numbers in inputs.items():
        tracer.declare(
            name,
            Role.INPUT,
            request.shape,
            dtype=ops.TOKEN_DTYPE,
            values=None if numbers is None else partial(_whatever_layer, numbers),
        )
    if request.ragged:
        beyond = np.arange(request.shape[1]) >= np.array(request.lengths)[:, None]  # [B, T]
        numbers = np.where(beyond, -np.inf, 0.0).astype(_numpy_dtype(dtype))  # [B, T]
        tracer.declare(
            "padding", Role.INPUT, request.shape, values=partial(_whatever_layer, numbers)
        )


def _whatever_layer(values: Values, _: int | None) -> Values:
    return values


def _numpy_dtype(dtype: str) -> str:
    return "float32" if dtype == "bfloat16" else dtype  # traced by shape only


def _types(types: Tokens | None, lengths: tuple[int, ...], config: EncoderConfig) -> Values:
    """Segments [B, T] of all tokens, checked; those of padding are 0."""
    if types is None:
        return np.zeros((len(lengths), max(lengths)), ops.TOKEN_DTYPE)
    rows = _rows(types, len(lengths), "type", config.type_vocab_size)
    if tuple(map(len, rows)) != lengths:
        raise ModelError("types and texts differ in length; give each token one type")
    return _padded(rows, 0)


def _rows(given: Tokens, batch: int, what: str, below: int) -> list[Values]:
    """Return the numbers of each text of a batch, checked to be whole, from 0, and `below`."""
    if not isinstance(given, Sequence | np.ndarray) or isinstance(given, str):
        raise ModelError(f"a text is a list of {what}s: give one, or one for each text")
    one = not len(given) or np.ndim(given[0]) == 0
    rows = [_row(row, what, below) for row in ([given] if one else given)]
    if len(rows) not in {1, batch} or (len(rows) != batch and not one):
        raise ModelError(f"{len(rows)} texts for a batch of {batch}; make the two equal")
    return rows * batch if one else rows


def _row(given: object, what: str, below: int) -> Values:
    try:
        row = np.asarray(given)
    except ValueError as error:
        raise ModelError(f"a text is a list of {what}s, not of lists of lists") from error
    if row.size == 0:
        raise ModelError("a text is empty; give at least one token")
    if row.dtype.kind not in "iu" or row.ndim != 1:
        raise ModelError(f"a text is a list of whole {what}s: give one, or one for each text")
    outside = row[(row < 0) | (row >= below)]
    if outside.size:
        raise ModelError(f"{what} {outside[0]} is outside the model's; use 0 to {below - 1}")
    return row.astype(ops.TOKEN_DTYPE)


def _lengths(tokens: int | Sequence[int] | None, batch: int) -> tuple[int, ...]:
    if tokens is None or isinstance(tokens, int):
        return (tokens or 0,) * batch
    if len(tokens) != batch:
        raise ModelError(f"{len(tokens)} lengths for a batch of {batch}; make the two equal")
    return tuple(tokens)


def _check_lengths(lengths: tuple[int, ...], name: str, context: int) -> None:
    if min(lengths) < 1:
        raise ModelError("a text is empty; give at least one token")
    if max(lengths) > context:
        raise ModelError(
            f"a text of {max(lengths)} tokens exceeds the context of {name}, {context} tokens; "
            f"shorten it, or set max_context"
        )


def _padded(rows: Sequence[Values], filler: int) -> Values:
    """Numbers [B, T] of texts, the shorter ones filled up behind their end."""
    padded = np.full((len(rows), max(map(len, rows))), filler, ops.TOKEN_DTYPE)
    for number, row in enumerate(rows):
        padded[number, : len(row)] = row
    return padded
