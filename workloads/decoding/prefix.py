"""Requests that begin alike share the beginning's cache: prefix caching.

What earlier prompts left in the cache is kept; a later prompt starts from the longest beginning it
shares with one of them, and its trace has no operation for what it found (Kwon et al. 2023 share
pages so, Zheng et al. 2024 a radix tree; here each prompt is kept whole).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from workloads.config import ModelError
from workloads.decoding.answer import GREEDY, answer, part
from workloads.decoding.request import checked_request
from workloads.decoding.sampling import Sampling
from workloads.decoding.session import Past, Session
from workloads.generate import Generation
from workloads.zoo import Model


@dataclass(frozen=True, kw_only=True)
class Reuse:
    """What came of a request, and how much of its prompt was found in the cache."""

    generation: Generation
    """Its trace's `prompt_tokens` are those that were prefilled."""
    reused_tokens: int


class PrefixCache:
    """Answers one request after the other, and keeps what their prompts left in the cache."""

    def __init__(
        self,
        model: Model,
        *,
        execute: bool = True,
        dtype: str | None = None,
        max_context: int | None = None,
    ) -> None:
        self.model = model
        self.execute = execute
        self.dtype = dtype
        self.max_context = max_context
        self._kept: list[tuple[tuple[int, ...], Past]] = []

    @property
    def kept_positions(self) -> int:
        """Positions that all kept prompts hold together."""
        return sum(past.positions for _, past in self._kept)

    def answer(
        self, prompt_ids: Sequence[int], *, new_tokens: int, settings: Sampling = GREEDY
    ) -> Reuse:
        """Generate `new_tokens` tokens; the last token of a prompt is prefilled in any case."""
        if len(np.shape(prompt_ids)) != 1:
            raise ModelError("give one prompt: a list of token numbers")
        whole = checked_request(
            self.model,
            prompt_ids,
            new_tokens=new_tokens,
            execute=self.execute,
            dtype=self.dtype,
            seed=settings.seed,
            max_context=self.max_context,
        )
        ids = tuple(int(number) for number in prompt_ids)
        past = self._longest(ids)
        # The trace's input is what is left of the prompt; the rest is in the cache already.
        left = np.array([ids[past.positions :]])  # [1, T]
        request = replace(whole, prompt_ids=left, prompt_tokens=left.shape[1])
        tracer = request.tracer(reused_tokens=past.positions)
        session = Session(
            tracer, self.model, request.config, batch=1, dtype=request.dtype, past=past
        )
        prompt = request.prompt(tracer)  # [1, T]
        run = answer(request, session, [part(prompt, 0, left.shape[1])], settings)
        self._keep(ids, session.past(len(ids)))
        return Reuse(
            generation=replace(run, prompt_ids=whole.prompt_ids), reused_tokens=past.positions
        )

    def _longest(self, ids: tuple[int, ...]) -> Past:
        best = Past(positions=0, values=None)
        for kept, past in self._kept:
            shared = min(_shared(kept, ids), len(ids) - 1)
            if shared > best.positions:
                best = past.first(shared)
        return best

    def _keep(self, ids: tuple[int, ...], past: Past) -> None:
        """Keep a prompt, and no longer those that it begins with."""
        self._kept = [(k, p) for k, p in self._kept if _shared(k, ids) < len(k)]
        if all(_shared(k, ids) < len(ids) for k, _ in self._kept):
            self._kept.append((ids, past))


def _shared(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    """Return how many of the first numbers are equal."""
    pairs = enumerate(zip(a, b, strict=False))
    return next((i for i, (x, y) in pairs if x != y), min(len(a), len(b)))
