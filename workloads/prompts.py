"""Prompts as every run takes them, and what of a request can be wrong whatever the model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workloads.array import Values
from workloads.config import ModelError, check_dtype
from workloads.ops import TOKEN_DTYPE

Prompt = Sequence[int] | Sequence[Sequence[int]] | Values
"""Token numbers: one list for all of a batch, or one list each."""


def token_prompts(prompt: Prompt, vocabulary: int, batch: int) -> Values:
    """Token numbers [B, T] of what was given, checked; ModelError says what is wrong."""
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
    outside = ids[(ids < 0) | (ids >= vocabulary)]
    if outside.size:
        raise ModelError(
            f"token number {outside[0]} is outside the vocabulary; use 0 to {vocabulary - 1}"
        )
    return np.array(np.broadcast_to(ids, (max(batch, 1), ids.shape[-1])), TOKEN_DTYPE)


def drawn_prompts(vocabulary: int, batch: int, tokens: int, seed: int) -> Values:
    """Token numbers [B, T] drawn from a seed."""
    return np.random.default_rng(seed).integers(vocabulary, size=(batch, tokens))


def check_request(
    *,
    dtype: str,
    prompt_tokens: int,
    new_tokens: int,
    batch: int,
    seed: int,
    temperature: float | None,
) -> None:
    """Raise ModelError where no model could do what is asked."""
    check_dtype(dtype)
    if prompt_tokens < 1:
        raise ModelError("the prompt is empty; give at least one token")
    if new_tokens < 1:
        raise ModelError(f"new_tokens is {new_tokens}; ask for at least 1")
    if batch < 1:
        raise ModelError(f"batch is {batch}; give at least 1")
    if seed < 0:
        raise ModelError(f"seed is {seed}; give 0 or more")
    if temperature is not None and not temperature > 0:
        raise ModelError("temperature must be above 0; leave it out to decode greedily")
