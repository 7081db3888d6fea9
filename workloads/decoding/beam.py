"""Beam search: of all continuations of the sequences kept so far, keep the likeliest.

The beams are a batch. The prefill runs on as many copies of the prompt; after each later choice
every layer's cache is reordered, so that a beam goes on from its parent's keys and values. A
sequence has no end but the number of tokens, and no penalty for its length.

Source: Graves 2012, Sequence Transduction with Recurrent Neural Networks, for the search.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workloads.architectures.decoder import caches
from workloads.array import Array, Values
from workloads.config import ModelError
from workloads.decoding.request import checked_request
from workloads.decoding.session import Session
from workloads.ops import beams as ops
from workloads.trace import Role, Trace
from workloads.tracer import Tracer
from workloads.zoo import Model


@dataclass(frozen=True, kw_only=True)
class Beams:
    """What came of a search: its trace, of a batch of `beams`, and where executed its answers."""

    trace: Trace
    token_ids: Values | None
    """[beams, new tokens], the likeliest first."""
    scores: Values | None
    """[beams]: log-probability of each answer; minus infinity where there are fewer answers."""


def search(
    model: Model,
    prompt_ids: Sequence[int] | None = None,
    *,
    prompt_tokens: int | None = None,
    new_tokens: int,
    beams: int,
    execute: bool = True,
    dtype: str | None = None,
    seed: int = 0,
    max_context: int | None = None,
) -> Beams:
    """Find likely answers of `new_tokens` tokens to one prompt; ModelError as `generate` says."""
    if beams < 1:
        raise ModelError(f"beams is {beams}; keep at least 1")
    if prompt_ids is None and execute:
        raise ModelError("a length is traced only; give the prompt, or execute=False")
    if prompt_ids is not None and len(np.shape(prompt_ids)) != 1:
        raise ModelError("give one prompt: a list of token numbers")
    request = checked_request(
        model,
        prompt_ids,
        prompt_tokens=prompt_tokens,
        new_tokens=new_tokens,
        batch=beams,
        execute=execute,
        dtype=dtype,
        seed=seed,
        max_context=max_context,
    )
    tracer = request.tracer(beams=beams)
    session, ids = request.session(tracer), request.prompt(tracer)  # [B, T]
    scores = _first_scores(tracer, beams)  # [B, 1]
    sequences = np.zeros((beams, 0), int)
    parents: Array | None = None  # [B]
    for step in range(new_tokens):
        tracer.begin_step(step)
        if step > 1 and parents is not None:  # after the prefill all beams are alike
            _reorder(session, parents)
        totals = ops.beam_totals(session.step(ids), scores)  # [B, V]
        best = ops.best_beams(totals)  # [2, B]
        parents, ids = ops.parents_and_tokens(best)  # [B], [B, 1]
        scores = ops.beam_scores(totals, best)  # [B, 1]
        if parents.values is not None and ids.values is not None:
            sequences = np.concatenate([sequences[parents.values], ids.values], axis=1)
    return Beams(
        trace=tracer.finish(),
        token_ids=sequences if execute else None,
        scores=None if scores.values is None else scores.values[:, 0],
    )


def _first_scores(tracer: Tracer, beams: int) -> Array:
    """All beams are the same prompt: only the first may go on, or each answer came up B times."""
    values = np.full((beams, 1), -np.inf, tracer.dtype)
    values[0] = 0
    tracer.declare("beam.start", Role.INPUT, (beams, 1), values=lambda _: values)
    return tracer.get("beam.start")


def _reorder(session: Session, parents: Array) -> None:
    """Give each beam its parent's keys and values, in every layer."""
    for _ in session.tracer.layers(session.config.layer_kinds):
        for cache in caches(session.config):
            ops.reorder_cache(
                session.tracer.get(cache),
                parents,
                positions=session.position,
                name=cache.replace("cache", "reorder"),
            )
