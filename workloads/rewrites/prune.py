"""Pruning by magnitude: single weights, two of four, heads, feed-forward columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from workloads.architectures.parameters import Parameter
from workloads.architectures.rewritten_config import Form
from workloads.array import Values
from workloads.config import ModelError
from workloads.ops.sparse import BLOCK, KEPT
from workloads.rewrites.products import WEIGHT, need_plain, plain_products, stored_as


@dataclass(frozen=True, kw_only=True)
class PruneWeights:
    """Set the smallest share of each weight to zero (Han et al. 2015, arXiv:1506.02626).

    Stored as before: no byte and no flop is saved without hardware that skips single zeros.
    """

    share: float
    where: str = "*"

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise ModelError(f"share is {self.share}; give 0 to below 1")

    @property
    def title(self) -> str:
        """What it is called in a model's name."""
        return f"pruned-{self.share:g}"

    def apply(self, form: Form) -> Form:
        """Zero the smallest weights; of equal ones the first."""

        def make(weight: Values) -> dict[str, Values]:
            order = np.argsort(np.abs(weight), axis=None, kind="stable")
            pruned = weight.copy()
            pruned.flat[order[: int(self.share * weight.size)]] = 0
            return {"weight": pruned}

        return stored_as(form, plain_products(form, self.where), lambda p: {"weight": p}, make)


@dataclass(frozen=True, kw_only=True)
class PruneTwoOfFour:
    """Keep the two largest of every four weights along k, and two bits each that say where.

    A product's flops count kept weights only: see `workloads.ops.sparse`.
    """

    where: str = "*"

    @property
    def title(self) -> str:
        """What it is called in a model's name."""
        return "2of4"

    def apply(self, form: Form) -> Form:
        """Store the products' weights as kept values and their places."""

        def shapes(parameter: Parameter) -> dict[str, Parameter]:
            k, n = parameter.shape
            kept = (KEPT * -(-k // BLOCK), n)
            return {
                "values": Parameter(kept, parameter.layers),
                "indices": Parameter(kept, parameter.layers, dtype="uint2"),
            }

        def make(weight: Values) -> dict[str, Values]:
            values, indices = two_of_four(weight)
            return {"values": values, "indices": indices}

        return stored_as(form, plain_products(form, self.where), shapes, make)


def two_of_four(weight: Values) -> tuple[Values, Values]:
    """Kept values and their places in their four, both [2 ceil(k/4), n], of a weight [k, n]."""
    k, n = weight.shape
    blocks = -(-k // BLOCK)
    padded = np.zeros((blocks * BLOCK, n), weight.dtype)
    padded[:k] = weight
    fours = padded.reshape(blocks, BLOCK, n)
    order = np.argsort(-np.abs(fours), axis=1, kind="stable")[:, :KEPT]  # [blocks, 2, n]
    places = np.sort(order, axis=1)
    kept = np.take_along_axis(fours, places, axis=1)
    return kept.reshape(-1, n), places.astype(np.uint8).reshape(-1, n)


@dataclass(frozen=True, kw_only=True)
class PruneHeads:
    """Keep so many key/value heads of each layer, with the query heads that share them.

    A layer keeps those of the largest norms, of its value columns times its output rows. Products
    and cache shrink; where heads were not grouped, these are plain heads (Michel et al. 2019,
    arXiv:1905.10650, who weigh heads by gradients instead).
    """

    keep: int

    @property
    def title(self) -> str:
        """What it is called in a model's name."""
        return f"{self.keep}-heads"

    def apply(self, form: Form) -> Form:
        """Cut the heads out of four products and the cache."""
        config = form.config
        heads, size = config.num_key_value_heads, config.head_dim
        group = config.num_attention_heads // heads
        if not 1 <= self.keep <= heads:
            raise ModelError(f"keep is {self.keep}; the model has 1 to {heads} key/value heads")
        if config.positions == "alibi":
            raise ModelError("ALiBi's slopes belong to their heads; they cannot be pruned")
        cuts = {
            "attention.query.weight": (1, group * size),
            "attention.query.bias": (0, group * size),
            "attention.key.weight": (1, size),
            "attention.key.bias": (0, size),
            "attention.value.weight": (1, size),
            "attention.value.bias": (0, size),
            "attention.output.weight": (0, group * size),
        }

        def worth(layer: int | None) -> Values:
            value = form.numbers("attention.value.weight", layer).reshape(-1, heads, size)
            output = form.numbers("attention.output.weight", layer).reshape(heads, group * size, -1)
            norms: Values = np.linalg.norm(value, axis=(0, 2)) * np.linalg.norm(output, axis=(1, 2))
            return norms

        update = {"num_key_value_heads": self.keep, "num_attention_heads": self.keep * group}
        smaller = config.model_copy(update=update)
        return replace(_cut(form, cuts, self.keep, worth), config=smaller)


@dataclass(frozen=True, kw_only=True)
class PruneColumns:
    """Keep so many of the feed-forward's inner columns: those of the largest norms, as of heads."""

    keep: int

    @property
    def title(self) -> str:
        """What it is called in a model's name."""
        return f"{self.keep}-columns"

    def apply(self, form: Form) -> Form:
        """Cut columns out of the products of the feed-forward."""
        config = form.config
        if not 1 <= self.keep <= config.intermediate_size:
            raise ModelError(
                f"keep is {self.keep}; the model has 1 to {config.intermediate_size} columns"
            )
        cuts = {
            "mlp.up.weight": (1, 1),
            "mlp.up.bias": (0, 1),
            "mlp.gate.weight": (1, 1),
            "mlp.gate.bias": (0, 1),
            "mlp.down.weight": (0, 1),
        }

        def worth(layer: int | None) -> Values:
            up = form.numbers("mlp.up.weight", layer)
            down = form.numbers("mlp.down.weight", layer)
            norms: Values = np.linalg.norm(up, axis=0) * np.linalg.norm(down, axis=1)
            return norms

        smaller = config.model_copy(update={"intermediate_size": self.keep})
        return replace(_cut(form, cuts, self.keep, worth), config=smaller)


def _cut(
    form: Form,
    cuts: Mapping[str, tuple[int, int]],
    keep: int,
    worth: Callable[[int | None], Values],
) -> Form:
    """Keep the units of most worth in each layer, in their order.

    `cuts` says along which axis of a weight its units lie, and how long each is.
    """
    products = [name.removesuffix(WEIGHT) for name in cuts if name.endswith(WEIGHT)]
    need_plain(form, [name for name in products if form.config.gated or name != "mlp.gate"])
    cuts = {name: cut for name, cut in cuts.items() if name in form.parameters}
    parameters = dict(form.parameters)
    for name, (axis, unit) in cuts.items():
        shape = list(parameters[name].shape)
        shape[axis] = keep * unit
        parameters[name] = parameters[name]._replace(shape=tuple(shape))

    @cache
    def kept(layer: int | None) -> Values:
        return np.sort(np.argsort(-worth(layer), kind="stable")[:keep])

    def weight(name: str, layer: int | None) -> Values:
        values = form.numbers(name, layer)
        if name not in cuts:
            return values
        axis, unit = cuts[name]
        places = (kept(layer)[:, None] * unit + np.arange(unit)).ravel()
        return np.take(values, places, axis=axis)

    return replace(form, parameters=parameters, weight=weight if form.weight else None)
