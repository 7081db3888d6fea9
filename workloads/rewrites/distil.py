"""A smaller twin, as a student begins before it is taught."""

from __future__ import annotations

from dataclasses import dataclass, replace

from workloads.architectures.rewritten_config import Form
from workloads.array import Values
from workloads.config import ModelError


@dataclass(frozen=True, kw_only=True)
class Distil:
    """Keep so many layers, evenly spaced from the first, with their weights.

    Half of them is every other layer, as DistilBERT begins (Sanh et al. 2019, arXiv:1910.01108).
    The twin has been taught nothing since: its accuracy is what is measured. A narrower twin is
    had by `PruneHeads` and `PruneColumns`.
    """

    layers: int

    @property
    def title(self) -> str:
        """What it is called in a model's name."""
        return f"{self.layers}-layers"

    def apply(self, form: Form) -> Form:
        """Take layers out of every weight and the cache."""
        before = form.config.num_hidden_layers
        if not 1 <= self.layers <= before:
            raise ModelError(f"layers is {self.layers}; the model has 1 to {before}")
        config = form.config.model_copy(update={"num_hidden_layers": self.layers})
        kept = [layer * before // self.layers for layer in range(self.layers)]
        if any(config.is_local(n) != form.config.is_local(layer) for n, layer in enumerate(kept)):
            raise ModelError(
                f"{self.layers} of {before} layers would mix sliding and whole attention; "
                f"keep a number of which each layer stays of its kind"
            )
        parameters = {
            name: p if p.layers is None else p._replace(layers=self.layers)
            for name, p in form.parameters.items()
        }

        def weight(name: str, layer: int | None) -> Values:
            return form.numbers(name, None if layer is None else kept[layer])

        return replace(
            form,
            config=config,
            parameters=parameters,
            weight=weight if form.weight else None,
        )
