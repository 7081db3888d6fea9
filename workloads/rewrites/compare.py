"""What rewrites cost in accuracy, and what they save."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workloads.architectures.parameters import WeightSource
from workloads.array import Values
from workloads.config import ModelConfig, ModelError
from workloads.generate import generate
from workloads.trace import Role, Trace
from workloads.zoo import Model


@dataclass(frozen=True, kw_only=True)
class _Loaded(Model):
    """A model whose weights are read, and rewritten, once for many runs."""

    source: WeightSource

    def weights(self, config: ModelConfig, dtype: str) -> WeightSource:  # noqa: ARG002
        """Return the weights that were loaded for just this configuration and element type."""
        return self.source


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What one run of a model takes."""

    weight_bytes: int
    """Of all weights as they are stored, with their scales, zero points and places."""
    kv_bytes: int
    """Of the whole cache, with its scales."""
    flops: int
    trace_bytes: int
    """Read and written by all operations."""
    operations: int

    @classmethod
    def of(cls, trace: Trace) -> Sizes:
        """Add up a trace."""
        return cls(
            weight_bytes=trace.weight_bytes,
            kv_bytes=trace.bytes_of(Role.KV_CACHE),
            flops=trace.flops,
            trace_bytes=sum(
                (op.bytes_read + op.bytes_written) * block.repeats
                for block in trace.blocks
                for op in block.ops
            ),
            operations=trace.op_count,
        )


@dataclass(frozen=True, kw_only=True)
class RewriteReport:
    """How far a rewritten model is from its original, on the same tokens."""

    original: str
    rewritten: str
    positions: int
    """Next tokens predicted."""
    max_error: float
    """Largest difference of a logit."""
    mean_error: float
    relative_error: float
    """Norm of the difference over the norm of the original's logits."""
    kl_nats: float
    """Kullback-Leibler divergence of the rewritten model's distribution from the original's, a
    position's mean."""
    top1_agreement: float
    """Share of positions at which both find the same token likeliest."""
    perplexity: float
    """Of the original on the tokens that follow."""
    rewritten_perplexity: float
    before: Sizes
    after: Sizes

    def rows(self) -> list[dict[str, str | float]]:
        """Return what is measured, one row each: `quantity`, `original`, `rewritten`, `ratio`."""
        pairs: dict[str, tuple[float, float]] = {
            "perplexity": (self.perplexity, self.rewritten_perplexity),
            **{
                name: (getattr(self.before, name), getattr(self.after, name))
                for name in ("weight_bytes", "kv_bytes", "flops", "trace_bytes", "operations")
            },
        }
        return [
            {"quantity": name, "original": old, "rewritten": new, "ratio": new / old}
            for name, (old, new) in pairs.items()
        ]

    def errors(self) -> dict[str, float]:
        """Return the distances between the two, by name."""
        names = ("max_error", "mean_error", "relative_error", "kl_nats", "top1_agreement")
        return {name: getattr(self, name) for name in names}


def compare(
    model: Model,
    rewritten: Model,
    prompt: Sequence[int],
    new_tokens: int,
    *,
    tokens: Sequence[int] | None = None,
    dtype: str | None = None,
) -> RewriteReport:
    """Hold a rewritten model against its original on the tokens that follow a prompt.

    Both predict the same `new_tokens` tokens, each from all before it: those of `tokens`, or those
    with which the original goes on. Sizes are those of a run with that prompt and length.
    """
    if not prompt:
        raise ModelError("the prompt is empty; give at least one token")
    following = continuation(model, prompt, new_tokens, dtype) if tokens is None else tokens
    if len(following) < new_tokens:
        raise ModelError(f"{len(following)} tokens follow; give the {new_tokens} to be predicted")
    whole = [*prompt, *following[:new_tokens]]
    old, new = (logits(each, whole, len(prompt), dtype) for each in (model, rewritten))  # [N, V]
    old_logs, new_logs = log_softmax(old), log_softmax(new)
    at = np.arange(new_tokens), np.asarray(whole[len(prompt) :])
    before, after = (
        generate(
            each, prompt_tokens=len(prompt), new_tokens=new_tokens, execute=False, dtype=dtype
        ).trace
        for each in (model, rewritten)
    )
    return RewriteReport(
        original=model.name,
        rewritten=rewritten.name,
        positions=new_tokens,
        max_error=float(np.abs(new - old).max()),
        mean_error=float(np.abs(new - old).mean()),
        relative_error=float(np.linalg.norm(new - old) / np.linalg.norm(old)),
        kl_nats=float((np.exp(old_logs) * (old_logs - new_logs)).sum(axis=1).mean()),
        top1_agreement=float((old.argmax(axis=1) == new.argmax(axis=1)).mean()),
        perplexity=float(np.exp(-old_logs[at].mean())),
        rewritten_perplexity=float(np.exp(-new_logs[at].mean())),
        before=Sizes.of(before),
        after=Sizes.of(after),
    )


def continuation(
    model: Model, prompt: Sequence[int], new_tokens: int, dtype: str | None = None
) -> list[int]:
    """Tokens with which a model greedily goes on."""
    ids = generate(model, prompt, new_tokens=new_tokens, dtype=dtype).token_ids
    return [] if ids is None else [int(token) for token in ids[0]]


def logits(model: Model, ids: Sequence[int], first: int, dtype: str | None = None) -> Values:
    """Return logits [N, V] in float64 of tokens `first`.. of a text, each from all before it."""
    loaded = _Loaded(
        name=model.name,
        config=model.config,
        tokenizer=model.tokenizer,
        seed=model.seed,
        source=model.weights(model.config, dtype or model.config.torch_dtype),
    )
    rows = [
        generate(loaded, ids[:count], new_tokens=1, dtype=dtype).logits
        for count in range(first, len(ids))
    ]
    return np.concatenate([row[0] for row in rows if row is not None]).astype(np.float64)


def perplexity(
    model: Model, ids: Sequence[int], *, first: int = 1, dtype: str | None = None
) -> float:
    """Return exp of the mean negative log-likelihood of tokens `first`.. of a text."""
    if not 1 <= first < len(ids):
        raise ModelError(f"first is {first}; of {len(ids)} tokens give 1 to {len(ids) - 1}")
    logs = log_softmax(logits(model, ids, first, dtype))
    return float(np.exp(-logs[np.arange(len(logs)), np.asarray(ids[first:])].mean()))


def log_softmax(scores: Values) -> Values:
    """Logarithms of the probabilities of each row."""
    shifted = scores - scores.max(axis=-1, keepdims=True)
    result: Values = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result
