"""From what a person asks of a model to a trace, with its text where the model was executed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from workloads import Model, Trace, generate, load_model, work
from workloads.architectures.decoder_config import DecoderConfig
from workloads.architectures.encoder_config import EncoderConfig

DEFAULT_MODEL = "glassllm-en"
DEFAULT_PROMPT = "Alice was beginning to"
DEFAULT_PROMPT_TOKENS = 32
"""For models without a vocabulary, where no prompt is given."""
DEFAULT_NEW_TOKENS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What a model is asked to do."""

    model: str = DEFAULT_MODEL
    """Name, or path of a YAML file."""
    prompt: str | None = None
    """Text; None to give only a length, or to take the default."""
    prompt_tokens: int | None = None
    new_tokens: int = DEFAULT_NEW_TOKENS
    batch: int = 1
    dtype: str | None = None
    """The model's own unless given."""
    max_context: int | None = None
    """Positions to make room for in place of the model's own context."""

    @property
    def options(self) -> list[str]:
        """Words of the command line that ask for it."""
        given = {
            "--model": self.model,
            "--prompt": self.prompt,
            "--prompt-tokens": self.prompt_tokens,
            "--new-tokens": self.new_tokens,
            "--batch": self.batch if self.batch != 1 else None,
            "--dtype": self.dtype,
            "--max-context": self.max_context,
        }
        return [str(word) for pair in given.items() if pair[1] is not None for word in pair]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """A workload that was run."""

    workload: Workload
    """With the prompt that was taken where none was given."""
    trace: Trace
    generated: str
    """What the model made of the prompt; empty where it was traced by shape."""

    @property
    def prompt(self) -> str:
        """The prompt's text; empty where only a length was given."""
        return self.workload.prompt or ""


def run_workload(workload: Workload, *, execute: bool = True) -> Traced:
    """Run the model: with its numbers where the prompt is a text and `execute`, else by shape.

    Raises ModelError, which names the remedy, where the model cannot do what is asked.
    """
    model = load_model(workload.model)
    if workload.prompt is None and workload.prompt_tokens is None:
        if model.tokenizer is not None:
            workload = replace(workload, prompt=DEFAULT_PROMPT)
        else:
            workload = replace(workload, prompt_tokens=DEFAULT_PROMPT_TOKENS)
    text = workload.prompt
    if text is None or not isinstance(model.config, DecoderConfig):
        return _by_shape(model, workload)
    generation = generate(
        model,
        model.encode(text),
        new_tokens=workload.new_tokens,
        batch=workload.batch,
        dtype=workload.dtype,
        max_context=workload.max_context,
        execute=execute,
    )
    ids = generation.token_ids
    return Traced(
        workload=workload,
        trace=generation.trace,
        generated="" if ids is None else model.decode(ids[0].tolist()),
    )


def _by_shape(model: Model, workload: Workload) -> Traced:
    """Run a model of any kind on a prompt of a length; a text's where it has a vocabulary."""
    tokens = workload.prompt_tokens
    if tokens is None:
        tokens = len(model.encode(workload.prompt or ""))
    options: dict[str, Any] = {}
    if workload.max_context is not None:
        options["max_context"] = workload.max_context
    reads_only = isinstance(model.config, EncoderConfig)
    ran = work(
        model,
        prompt_tokens=tokens,
        new_tokens=0 if reads_only else workload.new_tokens,
        batch=workload.batch,
        dtype=workload.dtype,
        **options,
    )
    return Traced(workload=workload, trace=ran.trace, generated="")


def trace_facts(trace: Trace) -> dict[str, Any]:
    """Return what identifies a trace, and how large it is."""
    return {
        "model": trace.model,
        "dtype": trace.dtype,
        "batch": trace.batch,
        "prompt_tokens": trace.prompt_tokens,
        "new_tokens": trace.new_tokens,
        "operations": trace.op_count,
        "flops": trace.flops,
        "weight_bytes": trace.weight_bytes,
        "digest": trace.digest(),
        **trace.about,
    }
