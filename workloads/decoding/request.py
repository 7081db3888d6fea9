"""What is asked of a decoder, and what of it cannot be done: checked once, before anything runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from workloads import ops
from workloads.architectures.decoder_config import DecoderConfig
from workloads.architectures.registry import architecture_of, parameter_count
from workloads.array import Array, Values
from workloads.config import ModelError
from workloads.decoding.session import Session
from workloads.executable import check_executable
from workloads.prompts import Prompt, check_request, drawn_prompts, token_prompts
from workloads.trace import Role
from workloads.tracer import Tracer
from workloads.zoo import Model


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
        prompt_ids=None
        if prompt_ids is None
        else token_prompts(prompt_ids, config.vocab_size, batch),
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
        check_executable(model.name, config, request.dtype)
        if request.prompt_ids is None:
            request = replace(
                request,
                prompt_ids=drawn_prompts(config.vocab_size, batch, request.prompt_tokens, seed),
            )
    return request


def decoder_config(model: Model) -> DecoderConfig:
    """Return the configuration of a decoder; ModelError where the model is none."""
    if not isinstance(model.config, DecoderConfig):
        kind = architecture_of(model.config).name
        raise ModelError(f"{model.name} is no decoder but {kind}: it cannot go on from a prompt")
    return model.config


def _check(request: Request) -> None:
    check_request(
        dtype=request.dtype,
        prompt_tokens=request.prompt_tokens,
        new_tokens=request.new_tokens,
        batch=request.batch,
        seed=request.seed,
        temperature=request.temperature,
    )
    context = request.config.max_position_embeddings
    if request.prompt_tokens + request.new_tokens > context:
        raise ModelError(
            f"{request.prompt_tokens} prompt and {request.new_tokens} new tokens exceed the "
            f"context of {request.model.name}, {context} tokens; shorten the prompt, ask for "
            f"fewer new tokens, or set max_context"
        )
