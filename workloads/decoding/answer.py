"""Answering prompts a token a pass, however the prompt came into the cache."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workloads.array import Array
from workloads.config import ModelError
from workloads.decoding.request import Request, checked_request
from workloads.decoding.sampling import Sampling, choose
from workloads.decoding.session import Session
from workloads.generate import Generation, generation
from workloads.prompts import Prompt
from workloads.zoo import Model

GREEDY = Sampling()


def sample(
    model: Model,
    prompt_ids: Prompt | None = None,
    *,
    prompt_tokens: int | None = None,
    new_tokens: int,
    settings: Sampling = GREEDY,
    chunk_tokens: int | None = None,
    batch: int = 1,
    execute: bool = True,
    dtype: str | None = None,
    max_context: int | None = None,
) -> Generation:
    """Generate as `generate` does, with filters, and the prompt in pieces of `chunk_tokens`.

    A piece attends to those before it through the cache, so that a long prompt never needs more
    than chunk x positions scores at once (Agrawal et al. 2023, Sarathi). All pieces are step 0 of
    the trace; only the last one computes logits.
    """
    if chunk_tokens is not None and chunk_tokens < 1:
        raise ModelError(f"chunk_tokens is {chunk_tokens}; give at least 1")
    request = checked_request(
        model,
        prompt_ids,
        prompt_tokens=prompt_tokens,
        new_tokens=new_tokens,
        batch=batch,
        execute=execute,
        dtype=dtype,
        seed=settings.seed,
        max_context=max_context,
    )
    tracer = request.tracer()
    session, prompt = request.session(tracer), request.prompt(tracer)  # [B, T]
    return answer(request, session, pieces(prompt, chunk_tokens), settings)


def answer(
    request: Request, session: Session, prompt: Sequence[Array], settings: Sampling
) -> Generation:
    """Prefill the pieces [B, t] of a prompt in turn, then choose and decode."""
    tracer = session.tracer
    for piece in prompt[:-1]:
        tracer.begin_step(0)
        session.extend(piece)  # [B, t]
    random = np.random.default_rng(settings.seed)
    ids = prompt[-1]  # [B, t]
    tokens: list[Array] = []  # [B, 1] each
    logits: list[Array] = []  # [B, V] each
    for step in range(request.new_tokens):
        tracer.begin_step(step)
        logits.append(session.step(ids))  # [B, t] -> [B, V]
        ids = choose(logits[-1], settings, random)  # [B, V] -> [B, 1]
        tokens.append(ids)
    return generation(tracer.finish(), request.prompt_ids, tokens, logits)


def pieces(prompt: Array, chunk_tokens: int | None) -> list[Array]:
    """Cut a prompt [B, T] into pieces of at most `chunk_tokens`; views, not operations.

    Under a batch a piece's rows are T apart; the view counts their bytes and where they begin.
    """
    tokens = prompt.shape[1]
    return [
        part(prompt, start, min(start + (chunk_tokens or tokens), tokens))
        for start in range(0, tokens, chunk_tokens or tokens)
    ]


def part(prompt: Array, start: int, end: int) -> Array:
    """Return tokens start to end of a prompt [B, T]: a view."""
    return prompt.view(
        (prompt.shape[0], end - start), offset_elements=start, pick=lambda v: v[:, start:end]
    )
