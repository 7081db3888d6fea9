"""One way to run any model: the run of its kind, chosen from a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from workloads.answer import answer
from workloads.architectures.decoder_config import DecoderConfig
from workloads.architectures.encoder_config import EncoderConfig
from workloads.architectures.encoder_decoder_config import EncoderDecoderConfig
from workloads.architectures.recurrent_config import RecurrentConfig
from workloads.architectures.registry import architecture_of
from workloads.config import ModelConfig, ModelError
from workloads.encode import encode
from workloads.generate import generate
from workloads.recur import recur
from workloads.trace import Trace
from workloads.zoo import Model


class Work(Protocol):
    """What every run gives: a trace; and numbers, each kind its own."""

    @property
    def trace(self) -> Trace:
        """Every operation of the run."""


class Runner(NamedTuple):
    """How a kind of model is run: a function of model, prompt_tokens, new_tokens, batch, execute.

    One of a model that writes nothing takes no new_tokens.
    """

    run: Callable[..., Work]
    writes: bool = True
    """Whether it says tokens of its own; an encoder only reads."""


def _answered(
    model: Model, *, prompt_tokens: int, new_tokens: int, batch: int, execute: bool, **options: Any
) -> Work:
    """Run an encoder-decoder, whose prompt is its source."""
    return answer(
        model,
        source_length=prompt_tokens,
        new_tokens=new_tokens,
        batch=batch,
        execute=execute,
        **options,
    )


def _encoded(
    model: Model, *, prompt_tokens: int, batch: int, execute: bool, **options: Any
) -> Work:
    """Run an encoder on texts of one length."""
    return encode(model, tokens=prompt_tokens, batch=batch, execute=execute, **options)


RUNNERS: Mapping[type[ModelConfig], Runner] = {
    DecoderConfig: Runner(generate),
    EncoderConfig: Runner(_encoded, writes=False),
    EncoderDecoderConfig: Runner(_answered),
    RecurrentConfig: Runner(recur),
}
"""Kind of configuration -> how such models run."""


def work(
    model: Model,
    *,
    prompt_tokens: int,
    new_tokens: int = 0,
    batch: int = 1,
    execute: bool = False,
    **options: Any,
) -> Work:
    """Run a model on prompts of a length, and trace it; `options` are those of its kind's run.

    With `new_tokens` 0 the prompt is only read. A model that writes answers even then, by one
    token: the label of what it has read, which comes out of the prefill and takes no decode pass.

    ModelError where the kind cannot be run, or a model that only reads should write.
    """
    if new_tokens < 0:
        raise ModelError(f"new_tokens is {new_tokens}; ask for 0 or more")
    runner = RUNNERS.get(type(model.config))
    if runner is None:
        kind, known = architecture_of(model.config).name, ", ".join(kinds())
        raise ModelError(f"{model.name} is of a kind that is not run here: {kind}; run: {known}")
    if new_tokens and not runner.writes:
        kind = architecture_of(model.config).name
        raise ModelError(
            f"{model.name} is {kind} and only reads: it cannot say {new_tokens} tokens; "
            f"set new_tokens to 0, or take a model that writes"
        )
    if runner.writes:
        options["new_tokens"] = max(1, new_tokens)
    return runner.run(model, prompt_tokens=prompt_tokens, batch=batch, execute=execute, **options)


def kinds() -> tuple[str, ...]:
    """Return the names of the kinds that can be run."""
    return tuple(config.__name__.removesuffix("Config").lower() for config in RUNNERS)
