"""Generation: one prefill pass over the prompt, then KV-cached decode, one token a pass.

The prefill's last position gives the first new token, so n new tokens take the prefill and n - 1
decode passes: trace step 0 is the prefill, steps 1 to n - 1 are the decode passes. The last token
is chosen but never fed back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from workloads import ops
from workloads.array import Array, Values
from workloads.decoding.request import Request, checked_request
from workloads.prompts import Prompt
from workloads.trace import Trace
from workloads.zoo import Model


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
    values: Callable[[str, int | None], Values | None] = lambda _name, _layer: None
    """Numbers of a weight, an input or a cache as the run left them, by name and layer; None
    likewise."""


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
    return _run(
        checked_request(
            model,
            prompt_ids,
            prompt_tokens=prompt_tokens,
            new_tokens=new_tokens,
            batch=batch,
            execute=execute,
            dtype=dtype,
            temperature=temperature,
            seed=seed,
            max_context=max_context,
        )
    )


def _run(request: Request) -> Generation:
    tracer = request.tracer()
    session, ids = request.session(tracer), request.prompt(tracer)  # [B, T]
    random = np.random.default_rng(request.seed)
    tokens: list[Array] = []  # [B, 1] each
    logits: list[Array] = []  # [B, V] each
    for step in range(request.new_tokens):
        tracer.begin_step(step)
        logits.append(session.step(ids))  # [B, T] -> [B, V]
        ids = choose(logits[-1], request.temperature, random)  # [B, V] -> [B, 1]
        tokens.append(ids)
    made = generation(tracer.finish(), request.prompt_ids, tokens, logits)
    return replace(made, values=tracer.values)


def generation(
    trace: Trace, prompt_ids: Values | None, tokens: Sequence[Array], logits: Sequence[Array]
) -> Generation:
    """Put together what each pass gave: tokens [B, 1] each, logits [B, V] each."""
    return Generation(
        trace=trace,
        prompt_ids=prompt_ids,
        token_ids=side_by_side([a.view((a.shape[0], 1)) for a in tokens]),
        logits=side_by_side([a.view((a.shape[0], 1, a.shape[1])) for a in logits]),
    )


def choose(logits: Array, temperature: float | None, random: np.random.Generator) -> Array:
    """Choose the likeliest token of each row [B, V] -> [B, 1], or draw at a temperature."""
    if temperature is None:
        return ops.argmax(logits, name="choose", buffer="token")
    return ops.sample(logits, temperature=temperature, random=random, name="choose", buffer="token")


def side_by_side(arrays: Sequence[Array]) -> Values | None:
    """Join numbers along axis 1; None where nothing was executed."""
    values = [array.values for array in arrays if array.values is not None]
    return np.concatenate(values, axis=1) if values else None
