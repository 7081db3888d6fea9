"""Runs of recurrent networks: read a prompt step by step, then say one token a pass.

The trace has the phases of `workloads.generate`: step 0 is the prefill, steps 1 to n - 1 the decode
passes, and the last of n tokens is chosen but never fed back. But the prefill of T tokens is a
chain: step t + 1 multiplies the state that step t has left, so of the whole prompt only the
products with the inputs run at once (see `workloads.architectures.recurrent`). A Transformer does
all of a prompt in products of T rows, and pays in decode, where it reads a cache that grows by one
position a token; here a decode pass reads and overwrites a state that never grows.

An encoder-decoder reads its source, ended by its end token, in step 0, and says the first token.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from workloads import ops
from workloads.architectures import recurrent
from workloads.architectures.recurrent_config import RecurrentConfig
from workloads.architectures.registry import architecture_of, parameter_count
from workloads.array import Array, Shape, Values
from workloads.config import ModelError
from workloads.declarations import by_layer, declare_weights
from workloads.executable import check_executable
from workloads.generate import Generation, choose, generation
from workloads.prompts import Prompt, check_request, drawn_prompts, token_prompts
from workloads.trace import Role
from workloads.tracer import Tracer
from workloads.zoo import Model


@dataclass(frozen=True, kw_only=True)
class _Request:
    """What was asked for."""

    model: Model
    config: RecurrentConfig
    prompt_ids: Values | None
    """[batch, prompt tokens]"""
    prompt_tokens: int
    new_tokens: int
    batch: int
    execute: bool
    dtype: str
    temperature: float | None
    seed: int


def recur(
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
) -> Generation:
    """Read a prompt, or a source, for each of `batch` sequences, say `new_tokens`, and trace it.

    The prompt is `prompt_ids`, one list for all or `batch` lists of one length, or else a length
    `prompt_tokens`: executed, such a prompt is drawn from `seed`. Tokens are the likeliest without
    `temperature`, and else drawn from `seed`. `dtype` is the configuration's by default. A prompt
    may have any length. Of an encoder-decoder the end of the source is added here, and counts as
    one prompt token in the trace; a decoder that says its end token goes on to `new_tokens`.

    ModelError says what is wrong with a request, and the remedy.
    """
    config = _recurrent(model)
    size = config.prompt_vocab_size
    given = None if prompt_ids is None else token_prompts(prompt_ids, size, batch)
    request = _Request(
        model=model,
        config=config,
        prompt_ids=given,
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
    check_request(
        dtype=request.dtype,
        prompt_tokens=request.prompt_tokens,
        new_tokens=new_tokens,
        batch=batch,
        seed=seed,
        temperature=temperature,
    )
    if execute:
        check_executable(model.name, config, request.dtype)
        if request.prompt_ids is None:
            drawn = drawn_prompts(size, batch, request.prompt_tokens, seed)
            request = replace(request, prompt_ids=drawn)
    return _run(_ended(request))


def _recurrent(model: Model) -> RecurrentConfig:
    if not isinstance(model.config, RecurrentConfig):
        kind = architecture_of(model.config).name
        raise ModelError(f"{model.name} is no recurrent network but {kind}; see workloads.work")
    return model.config


def _run(request: _Request) -> Generation:
    config, batch = request.config, request.batch
    tracer = Tracer(
        model=request.model.name,
        dtype=request.dtype,
        execute=request.execute,
        batch=batch,
        prompt_tokens=request.prompt_tokens,
        new_tokens=request.new_tokens,
        about={
            "parameters": parameter_count(config),
            "weights": request.model.weights_source,
        },
    )
    _declare(tracer, request)
    random = np.random.default_rng(request.seed)
    tokens: list[Array] = []  # [B, 1] each
    logits: list[Array] = []  # [B, V] each
    ids = tracer.get("prompt")  # [B, T]
    for step in range(request.new_tokens):
        tracer.begin_step(step)
        if step == 0 and config.has_encoder:
            recurrent.encode(tracer, config, ids)
            ids = tracer.get("start")  # [B, 1]
        logits.append(recurrent.forward(tracer, config, ids))  # [B, T] -> [B, V]
        ids = choose(logits[-1], request.temperature, random)  # [B, V] -> [B, 1]
        tokens.append(ids)
    return generation(tracer.finish(), request.prompt_ids, tokens, logits)


def _declare(tracer: Tracer, request: _Request) -> None:
    """Declare weights, states (zero at first), what flows between layers, and what is read."""
    config, dtype, batch = request.config, request.dtype, request.batch
    declare_weights(tracer, request.model, config, dtype)
    layers, state = config.num_hidden_layers, (batch, config.hidden_size)
    for name in recurrent.states(config):
        storage = by_layer(np.zeros((layers, *state), dtype)) if request.execute else None
        tracer.declare(name, Role.STATE, state, layers=layers, values=storage)
    prefix, tokens = recurrent.decoder_prefix(config), request.prompt_tokens
    lengths = {recurrent.ENCODER: tokens, prefix: 1} if config.has_encoder else {prefix: tokens}
    for stack, length in lengths.items():
        rows = (length, *state)
        storage = by_layer(np.zeros((1, *rows), dtype)) if request.execute else None
        tracer.declare(recurrent.sequence(stack), Role.ACTIVATION, rows, values=storage)
        # one in each layer: its first product with its state need not wait for the layer below
        gates = (batch, config.gates * config.hidden_size)
        tracer.declare(recurrent.gates_of_state(stack), Role.ACTIVATION, gates, layers=layers)
    _declare_tokens(tracer, "prompt", (batch, request.prompt_tokens), request.prompt_ids)
    if config.has_encoder:
        start = np.full((batch, 1), config.start_token, ops.TOKEN_DTYPE)
        _declare_tokens(tracer, "start", start.shape, start)


def _declare_tokens(tracer: Tracer, name: str, shape: Shape, ids: Values | None) -> None:
    values = None if ids is None else lambda _: ids
    tracer.declare(name, Role.INPUT, shape, dtype=ops.TOKEN_DTYPE, values=values)


def _ended(request: _Request) -> _Request:
    """End the sources of an encoder."""
    if not request.config.has_encoder:
        return request
    ids = request.prompt_ids
    if ids is not None:
        end = np.full((request.batch, 1), request.config.source_end_token, ops.TOKEN_DTYPE)
        ids = np.concatenate([ids, end], axis=1)  # [B, T + 1]
    return replace(request, prompt_ids=ids, prompt_tokens=request.prompt_tokens + 1)
