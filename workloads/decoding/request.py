"""What is asked of a decoder, and what of it cannot be done: checked once, before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from workloads import ops
from workloads.architectures.decoder_config import DecoderConfig
from workloads.architectures.registry import architecture_of, parameter_count
from workloads.array import Array, Values
from workloads.config import ModelError, check_dtype
from workloads.decoding.session import Session
from workloads.trace import DTYPE_BYTES, Role
from workloads.tracer import Tracer
from workloads.zoo import Model

EXECUTABLE_BYTES = 2 * 2**30
"""Weights larger than this are traced without numbers: numpy would take minutes, and the memory."""

Prompt = Sequence[int] | Sequence[Sequence[int]] | Values


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked for, checked."""

    model: Model
    config: DecoderConfig
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

    def tracer(self, **about: Any) -> Tracer:
        """Return a tracer of this run; `about` joins the facts for people."""
        return Tracer(
            model=self.model.name,
            dtype=self.dtype,
            execute=self.execute,
            batch=self.batch,
            prompt_tokens=self.prompt_tokens,
            new_tokens=self.new_tokens,
            about={
                "parameters": parameter_count(self.config),
                "weights": self.model.weights_source,
                **about,
            },
        )

    def session(self, tracer: Tracer) -> Session:
        """Declare the weights, and a cache with room for the whole context."""
        return Session(tracer, self.model, self.config, batch=self.batch, dtype=self.dtype)

    def prompt(self, tracer: Tracer) -> Array:
        """Declare the prompt: token numbers [B, T]."""
        ids = self.prompt_ids
        tracer.declare(
            "prompt",
            Role.INPUT,
            (self.batch, self.prompt_tokens),
            dtype=ops.TOKEN_DTYPE,
            values=None if ids is None else lambda _: ids,
        )
        return tracer.get("prompt")


def checked_request(
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
) -> Request:
    """Make a request of the arguments of `generate`; ModelError says what is wrong with them."""
    config = decoder_config(model)
    config = config if max_context is None else config.with_context(max_context)
    request = Request(
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
        check_executable(request.model, request.config, request.dtype)
        if request.prompt_ids is None:
            request = replace(request, prompt_ids=_drawn_prompts(request))
    return request


def decoder_config(model: Model) -> DecoderConfig:
    """Return the configuration of a decoder; ModelError where the model is none."""
    if not isinstance(model.config, DecoderConfig):
        kind = architecture_of(model.config).name
        raise ModelError(f"{model.name} is no decoder but {kind}: it cannot go on from a prompt")
    return model.config


def _prompts(prompt: Prompt, config: DecoderConfig, batch: int) -> Values:
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


def _drawn_prompts(request: Request) -> Values:
    shape = (request.batch, request.prompt_tokens)
    return np.random.default_rng(request.seed).integers(request.config.vocab_size, size=shape)


def _check(request: Request) -> None:
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


def check_executable(model: Model, config: DecoderConfig, dtype: str) -> None:
    """Raise ModelError where numpy cannot run the model, or not in a sensible time."""
    name = model.name
    if dtype == "bfloat16":
        raise ModelError("numpy has no bfloat16; choose float32, or trace with execute=False")
    weight_bytes = parameter_count(config) * DTYPE_BYTES[dtype]
    if weight_bytes > EXECUTABLE_BYTES:
        raise ModelError(
            f"{name} has {weight_bytes / 2**30:.1f} GiB of weights, more than the "
            f"{EXECUTABLE_BYTES / 2**30:.0f} GiB that are executed; trace with execute=False"
        )
