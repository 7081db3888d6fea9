"""Generation: one prefill pass over the prompt, then KV-cached decode, one token a pass.

The prefill's last position gives the first new token, so n new tokens take the prefill and n - 1
decode passes: trace step 0 is the prefill, steps 1 to n - 1 are the decode passes. The last token
is chosen but never fed back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from workloads import ops
from workloads.array import Array, Shape, Values
from workloads.config import ModelConfig, ModelError, check_dtype
from workloads.trace import DTYPE_BYTES, Role, Trace
from workloads.tracer import Tracer
from workloads.transformer import (
    KEY_CACHE,
    VALUE_CACHE,
    forward,
    parameter_count,
    parameter_shapes,
)
from workloads.zoo import Model

EXECUTABLE_BYTES = 2 * 2**30
"""Weights larger than this are traced without numbers: numpy would take minutes, and the memory."""

Prompt = Sequence[int] | Sequence[Sequence[int]] | Values


@dataclass(frozen=True, kw_only=True)
class Generation:
    """What came of a run: its trace and, where it was executed, its numbers."""

    trace: Trace
    prompt_ids: Values | None
    """[batch, prompt tokens]; None where only a length was given and nothing executed."""
    token_ids: Values | None
    """[batch, new tokens]; None where nothing was executed."""
    logits: Values | None
    """[batch, new tokens, vocabulary]: what each new token was chosen from; None likewise."""
    values: Callable[[str, int | None], Values | None]
    """Numbers of a weight, an input or a cache as the run left them, by name and layer; None
    likewise."""


@dataclass(frozen=True, kw_only=True)
class _Request:
    """What was asked for."""

    model: Model
    config: ModelConfig
    """The model's own, or with another context."""
    prompt_ids: Values | None
    """[batch, prompt tokens]"""
    prompt_tokens: int
    new_tokens: int
    batch: int
    execute: bool
    dtype: str
    temperature: float | None
    seed: int


def generate(
    model: Model,
    prompt_ids: Prompt | None = None,
    *,
    prompt_tokens: int | None = None,
    new_tokens: int,
    batch: int = 1,
    execute: bool = True,
    dtype: str | None = None,
    temperature: float | None = None,
    seed: int = 0,
    max_context: int | None = None,
) -> Generation:
    """Generate `new_tokens` tokens for each of `batch` prompts, and trace it.

    The prompt is `prompt_ids`, one list for all prompts or `batch` lists of one length, or else a
    length `prompt_tokens`: executed, such a prompt is drawn from `seed`. Decoding is greedy
    without `temperature`, and else draws from `seed`. `dtype` is the configuration's by default.

    `max_context` sizes the position table and the KV cache in place of the model's own context:
    larger to trace what the model was not made for, smaller to reserve less memory.

    ModelError says what is wrong with a request, and the remedy.
    """
    config = model.config if max_context is None else model.config.with_context(max_context)
    request = _Request(
        model=model,
        config=config,
        prompt_ids=None if prompt_ids is None else _prompts(prompt_ids, config, batch),
        prompt_tokens=prompt_tokens or 0,
        new_tokens=new_tokens,
        batch=batch,
        execute=execute,
        dtype=dtype or config.torch_dtype,
        temperature=temperature,
        seed=seed,
    )
    if (request.prompt_ids is None) == (prompt_tokens is None):
        raise ModelError("give the prompt either as token numbers or as a length, not both or none")
    if request.prompt_ids is not None:
        request = replace(request, prompt_tokens=request.prompt_ids.shape[1])
    _check(request)
    if execute:
        _check_executable(request)
        if request.prompt_ids is None:
            request = replace(request, prompt_ids=_drawn_prompts(request))
    return _run(request)


def _run(request: _Request) -> Generation:
    tracer = Tracer(
        model=request.model.name,
        dtype=request.dtype,
        execute=request.execute,
        batch=request.batch,
        prompt_tokens=request.prompt_tokens,
        new_tokens=request.new_tokens,
        about={
            "parameters": parameter_count(request.config),
            "weights": request.model.weights_source,
        },
    )
    _declare(tracer, request)
    random = np.random.default_rng(request.seed)
    tokens: list[Array] = []  # [B, 1] each
    logits: list[Array] = []  # [B, V] each
    ids, start = tracer.get("prompt"), 0  # [B, T]
    for step in range(request.new_tokens):
        tracer.begin_step(step)
        logits.append(forward(tracer, request.config, ids, start))  # [B, T] -> [B, V]
        start += ids.shape[1]
        ids = _choose(logits[-1], request.temperature, random)  # [B, V] -> [B, 1]
        tokens.append(ids)
    return Generation(
        trace=tracer.finish(),
        prompt_ids=request.prompt_ids,
        token_ids=_side_by_side([array.view((request.batch, 1)) for array in tokens]),
        logits=_side_by_side([array.view((request.batch, 1, array.shape[1])) for array in logits]),
        values=tracer.values,
    )


def _choose(logits: Array, temperature: float | None, random: np.random.Generator) -> Array:
    if temperature is None:
        return ops.argmax(logits, name="choose", buffer="token")
    return ops.sample(logits, temperature=temperature, random=random, name="choose", buffer="token")


def _side_by_side(arrays: Sequence[Array]) -> Values | None:
    """Join numbers along axis 1; None where nothing was executed."""
    values = [array.values for array in arrays if array.values is not None]
    return np.concatenate(values, axis=1) if values else None


def _declare(tracer: Tracer, request: _Request) -> None:
    """Declare the weights, the cache with room for the whole context, and the prompt."""
    config, dtype = request.config, request.dtype
    weight = request.model.weights(config, dtype) if request.execute else None
    for name, parameter in parameter_shapes(config).items():
        values = None if weight is None else partial(weight, name)
        tracer.declare(name, Role.WEIGHT, parameter.shape, layers=parameter.layers, values=values)
    layers, positions = config.num_hidden_layers, config.max_position_embeddings
    room = (positions, request.batch, config.num_key_value_heads, config.head_size)
    for name in (KEY_CACHE, VALUE_CACHE):
        storage = _zeros(layers, room, dtype) if request.execute else None
        tracer.declare(name, Role.KV_CACHE, room, layers=layers, values=storage)
    prompt = request.prompt_ids
    tracer.declare(
        "prompt",
        Role.INPUT,
        (request.batch, request.prompt_tokens),
        dtype=ops.TOKEN_DTYPE,
        values=None if prompt is None else lambda _: prompt,
    )


def _zeros(layers: int, shape: Shape, dtype: str) -> Callable[[int | None], Values]:
    """Give each layer numbers of its own, which stay between calls."""
    storage = np.zeros((layers, *shape), dtype)

    def of_layer(layer: int | None) -> Values:
        values: Values = storage[layer or 0]
        return values

    return of_layer


def _prompts(prompt: Prompt, config: ModelConfig, batch: int) -> Values:
    """Token numbers [B, T] of what was given, checked."""
    try:
        ids = np.asarray(prompt)
    except ValueError as error:
        raise ModelError("the prompts differ in length; give them the same number of tokens") from (
            error
        )
    if ids.size == 0:
        raise ModelError("the prompt is empty; give at least one token")
    if ids.dtype.kind not in "iu" or ids.ndim not in {1, 2}:
        raise ModelError("a prompt is whole token numbers: one list, or one list for each prompt")
    if ids.ndim == 2 and ids.shape[0] != batch:
        raise ModelError(f"{ids.shape[0]} prompts for a batch of {batch}; make the two equal")
    outside = ids[(ids < 0) | (ids >= config.vocab_size)]
    if outside.size:
        raise ModelError(
            f"token number {outside[0]} is outside the vocabulary; use 0 to {config.vocab_size - 1}"
        )
    return np.array(np.broadcast_to(ids, (max(batch, 1), ids.shape[-1])), ops.TOKEN_DTYPE)


def _drawn_prompts(request: _Request) -> Values:
    shape = (request.batch, request.prompt_tokens)
    return np.random.default_rng(request.seed).integers(request.config.vocab_size, size=shape)


def _check(request: _Request) -> None:
    check_dtype(request.dtype)
    if request.prompt_tokens < 1:
        raise ModelError("the prompt is empty; give at least one token")
    if request.new_tokens < 1:
        raise ModelError(f"new_tokens is {request.new_tokens}; ask for at least 1")
    if request.batch < 1:
        raise ModelError(f"batch is {request.batch}; give at least 1")
    if request.seed < 0:
        raise ModelError(f"seed is {request.seed}; give 0 or more")
    if request.temperature is not None and not request.temperature > 0:
        raise ModelError("temperature must be above 0; leave it out to decode greedily")
    context = request.config.max_position_embeddings
    if request.prompt_tokens + request.new_tokens > context:
        raise ModelError(
            f"{request.prompt_tokens} prompt and {request.new_tokens} new tokens exceed the "
            f"context of {request.model.name}, {context} tokens; shorten the prompt, ask for "
            f"fewer new tokens, or set max_context"
        )


def _check_executable(request: _Request) -> None:
    name = request.model.name
    if request.dtype == "bfloat16":
        raise ModelError("numpy has no bfloat16; choose float32, or trace with execute=False")
    weight_bytes = parameter_count(request.config) * DTYPE_BYTES[request.dtype]
    if weight_bytes > EXECUTABLE_BYTES:
        raise ModelError(
            f"{name} has {weight_bytes / 2**30:.1f} GiB of weights, more than the "
            f"{EXECUTABLE_BYTES / 2**30:.0f} GiB that are executed; trace with execute=False"
        )
