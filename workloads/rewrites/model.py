"""A model with rewrites applied: it runs wherever the original does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workloads.architectures.decoder_config import DecoderConfig
from workloads.architectures.parameters import WeightSource
from workloads.architectures.rewritten_config import (
    Rewrite,
    RewrittenConfig,
    apply_all,
    rewritten_form,
)
from workloads.config import ModelConfig, ModelError
from workloads.zoo import Model


@dataclass(frozen=True, kw_only=True)
class RewrittenModel(Model):
    """A model whose weights and shape are another's, rewritten."""

    original: Model
    rewrites: tuple[Rewrite, ...]

    @property
    def weights_source(self) -> str:
        """Where the numbers come from, for people."""
        return f"{self.original.weights_source}; {', '.join(r.title for r in self.rewrites)}"

    def weights(self, config: ModelConfig, dtype: str) -> WeightSource:
        """Return the weights as they are stored; `config` may have another context."""
        if not isinstance(config, RewrittenConfig):
            raise ModelError(f"{self.name} has no weights for a configuration not rewritten")
        source = self.original.weights(config.original, dtype)
        return rewritten_form(config, dtype=dtype, weight=source).numbers


def rewrite(model: Model, rewrites: Sequence[Rewrite]) -> RewrittenModel:
    """Apply rewrites one after another; a model already rewritten takes them after its own.

    ModelError where a rewrite does not fit the model, or what rewrites before it left.
    """
    if isinstance(model, RewrittenModel):
        return rewrite(model.original, (*model.rewrites, *rewrites))
    config = model.config
    if type(config) is not DecoderConfig:
        raise ModelError(f"{model.name} is no plain decoder; only those can be rewritten")
    if config.experts is not None or config.latent is not None:
        raise ModelError(
            f"{model.name} has experts or latent attention, which no rewrite knows; take a dense "
            "decoder"
        )
    done = tuple(rewrites)
    return RewrittenModel(
        name="+".join((model.name, *(each.title for each in done))),
        config=apply_all(config, done).config,
        tokenizer=model.tokenizer,
        seed=model.seed,
        original=model,
        rewrites=done,
    )
