"""Prompts of different lengths in one batch, padded at the front.

Padding in front puts every prompt's last token into the same column: one append a pass stays one
contiguous range of the cache, and decode needs no gather. The price is that padded places are
computed, cached and read like all others; the trace counts them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workloads import ops
from workloads.array import Values
from workloads.config import ModelError
from workloads.decoding.answer import GREEDY, answer, pieces
from workloads.decoding.request import checked_request
from workloads.decoding.sampling import Sampling
from workloads.generate import Generation
from workloads.ops.ragged import PADDING
from workloads.trace import Role
from workloads.zoo import Model


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What came of prompts that were answered together."""

    generation: Generation
    """Its `prompt_ids` [B, T] are padded in front with token 0."""
    padding: tuple[int, ...]
    """Places before each prompt's first token."""

    @property
    def padded_share(self) -> float:
        """Which part of the prefill's places holds nothing."""
        return sum(self.padding) / (len(self.padding) * self.generation.trace.prompt_tokens)


def answer_batch(
    model: Model,
    prompts: Sequence[Sequence[int]] | None = None,
    *,
    prompt_lengths: Sequence[int] | None = None,
    new_tokens: int,
    settings: Sampling = GREEDY,
    chunk_tokens: int | None = None,
    execute: bool = True,
    dtype: str | None = None,
    max_context: int | None = None,
) -> Batch:
    """Generate for prompts of any lengths at once: token numbers, or lengths to trace by shape.

    Each prompt's answer is that which it has alone. ModelError says what is wrong with a request.
    """
    if (prompts is None) == (prompt_lengths is None):
        raise ModelError("give either the prompts or their lengths, not both or none")
    if prompts is None and execute:
        raise ModelError("lengths are traced only; give the prompts, or execute=False")
    lengths = [len(p) for p in prompts] if prompts is not None else list(prompt_lengths or ())
    if not lengths or min(lengths) < 1:
        raise ModelError("a prompt is empty; give at least one token to each")
    longest = max(lengths)
    padding = np.array([longest - length for length in lengths], ops.TOKEN_DTYPE)
    request = checked_request(
        model,
        None if prompts is None else _padded(prompts, longest),
        prompt_tokens=longest if prompts is None else None,
        new_tokens=new_tokens,
        batch=len(lengths),
        execute=execute,
        dtype=dtype,
        seed=settings.seed,
        max_context=max_context,
    )
    tracer = request.tracer(padded_places=int(padding.sum()))
    session, prompt = request.session(tracer), request.prompt(tracer)  # [B, T]
    tracer.declare(
        PADDING, Role.INPUT, padding.shape, dtype=ops.TOKEN_DTYPE, values=lambda _: padding
    )
    return Batch(
        generation=answer(request, session, pieces(prompt, chunk_tokens), settings),
        padding=tuple(int(places) for places in padding),
    )


def _padded(prompts: Sequence[Sequence[int]], longest: int) -> Values:
    """Token numbers [B, T], zeros in front."""
    rows = [np.asarray(prompt) for prompt in prompts]
    if any(row.dtype.kind not in "iu" or row.ndim != 1 for row in rows):
        raise ModelError("a prompt is whole token numbers: one list for each prompt")
    return np.stack([np.pad(row, (longest - len(row), 0)) for row in rows])
