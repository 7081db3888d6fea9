"""Activations in eight bits: products of whole numbers by whole numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace

from workloads.architectures.rewritten_config import Form
from workloads.array import Values
from workloads.config import ModelError


@dataclass(frozen=True, kw_only=True)
class QuantiseActivations:
    """Round what int8 weights are multiplied by, each token by a scale found as it runs.

    Products are then int8 by int8 with int32 sums. For weights that `Quantise` made symmetric, of 8
    bits, with a scale a tensor or a column: one scale must serve a whole sum (as vector-wise
    quantisation in Dettmers et al. 2022, arXiv:2208.07339, without its outlier columns).
    """

    @property
    def title(self) -> str:
        """What it is called in a model's name."""
        return "int8-activations"

    def apply(self, form: Form) -> Form:
        """Mark the products whose weights allow it; ModelError where none does."""
        renamed = {
            f"{name}.column_scale": f"{name}.scale"
            for name in (n.removesuffix(".scale") for n in form.parameters if n.endswith(".scale"))
            if form.parameters[f"{name}.weight"].dtype == "int8"
            and form.parameters[f"{name}.scale"].shape[0] == 1
            and f"{name}.zero" not in form.parameters
        }
        if not renamed:
            raise ModelError(
                "no product has symmetric int8 weights of one scale a column; "
                "put Quantise(bits=8, per='channel') before"
            )
        names = {old: new for new, old in renamed.items()}
        parameters = {names.get(name, name): p for name, p in form.parameters.items()}

        def weight(name: str, layer: int | None) -> Values:
            return form.numbers(renamed.get(name, name), layer)

        return replace(form, parameters=parameters, weight=weight if form.weight else None)
