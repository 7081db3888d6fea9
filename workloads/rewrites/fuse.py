"""Fusion: the same arithmetic in fewer operations, which write less to memory in between."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from workloads.architectures.parameters import Parameter
from workloads.architectures.rewritten_config import Form
from workloads.array import Values
from workloads.config import ModelError
from workloads.rewrites.products import need_plain

QKV = tuple(f"attention.{part}" for part in ("query", "key", "value"))


@dataclass(frozen=True, kw_only=True)
class FuseQkv:
    """Queries, keys and values from one product, whose weight is the three side by side."""

    @property
    def title(self) -> str:
        """What it is called in a model's name."""
        return "fused-qkv"

    def apply(self, form: Form) -> Form:
        """Join the weights, and the biases where there are any."""
        need_plain(form, QKV)
        joined = {
            f"attention.qkv.{part}": tuple(f"{name}.{part}" for name in QKV)
            for part in ("weight", "bias")
            if f"{QKV[0]}.{part}" in form.parameters
        }
        parameters: dict[str, Parameter] = {}
        for name, parameter in form.parameters.items():
            for name_of_whole, parts in joined.items():
                if name == parts[0]:
                    columns = sum(form.parameters[part].shape[-1] for part in parts)
                    shape = (*parameter.shape[:-1], columns)
                    parameters[name_of_whole] = parameter._replace(shape=shape)
            if not any(name in parts for parts in joined.values()):
                parameters[name] = parameter

        def weight(name: str, layer: int | None) -> Values:
            if name not in joined:
                return form.numbers(name, layer)
            return np.concatenate([form.numbers(part, layer) for part in joined[name]], axis=-1)

        whole = replace(form, parameters=parameters, weight=weight if form.weight else None)
        return _fused(whole, "qkv")


@dataclass(frozen=True, kw_only=True)
class FuseBiasActivation:
    """The feed-forward's bias is added as its activation reads the product."""

    @property
    def title(self) -> str:
        """What it is called in a model's name."""
        return "fused-bias-activation"

    def apply(self, form: Form) -> Form:
        """Mark the feed-forward."""
        if form.config.gated or not form.config.mlp_bias:
            raise ModelError("this model adds no bias just before an activation")
        return _fused(form, "bias_activation")


@dataclass(frozen=True, kw_only=True)
class FuseResidualNorm:
    """Each sum of the residual is normed as it is made, also from one layer to the next.

    The last sum is not: its norm takes one token alone.
    """

    @property
    def title(self) -> str:
        """What it is called in a model's name."""
        return "fused-residual-norm"

    def apply(self, form: Form) -> Form:
        """Mark the layers; ModelError where a norm does not follow each sum."""
        if form.config.parallel != "none" or form.config.norm_after:
            raise ModelError("in this model a norm does not follow each sum of the residual")
        return _fused(form, "residual_norm")


@dataclass(frozen=True, kw_only=True)
class FuseAttention:
    """Scores, softmax and mix in one, some positions at a time: see `workloads.ops.fused`."""

    tile: int = 64
    """Positions of a tile."""

    def __post_init__(self) -> None:
        if self.tile < 1:
            raise ModelError(f"tile is {self.tile}; give 1 position or more")

    @property
    def title(self) -> str:
        """What it is called in a model's name."""
        return f"fused-attention{self.tile}"

    def apply(self, form: Form) -> Form:
        """Mark the attention."""
        if form.config.positions == "alibi":
            raise ModelError("fused attention adds no ALiBi; leave this model's unfused")
        if form.config.cache_bits is not None:
            raise ModelError("fused attention reads no rounded cache; take one of the two")
        config = form.config.model_copy(update={"attention_tile": self.tile})
        return _fused(replace(form, config=config), "attention")


def _fused(form: Form, what: str) -> Form:
    config = form.config
    update = {"fused": config.fused | {what}}
    return replace(form, config=config.model_copy(update=update))
