"""Low-rank factors: a wide product as two thin ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workloads.architectures.parameters import Parameter
from workloads.architectures.rewritten_config import Form
from workloads.array import Values
from workloads.config import ModelError
from workloads.rewrites.products import plain_products, stored_as


@dataclass(frozen=True, kw_only=True)
class LowRank:
    """Replace weights [k, n] by [k, rank] x [rank, n] from the truncated singular values.

    No other factors of that rank are nearer: the distance is the root of the sum of squares of the
    dropped values (Eckart and Young 1936). Bytes and flops fall where rank < k n / (k + n).
    """

    rank: int
    where: str = "*"

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ModelError(f"rank is {self.rank}; give 1 or more")

    @property
    def title(self) -> str:
        """What it is called in a model's name."""
        return f"rank-{self.rank}"

    def apply(self, form: Form) -> Form:
        """Store the products' weights as two factors."""
        names = plain_products(form, self.where)
        for name in names:
            most = min(form.parameters[f"{name}.weight"].shape)
            if self.rank > most:
                raise ModelError(f"rank is {self.rank}; {name} has at most {most}")

        def shapes(parameter: Parameter) -> dict[str, Parameter]:
            k, n = parameter.shape
            return {
                "left.weight": Parameter((k, self.rank), parameter.layers),
                "right.weight": Parameter((self.rank, n), parameter.layers),
            }

        def make(weight: Values) -> dict[str, Values]:
            left, right = factors(weight, self.rank)
            return {"left.weight": left, "right.weight": right}

        return stored_as(form, names, shapes, make)


def factors(weight: Values, rank: int) -> tuple[Values, Values]:
    """Return the nearest factors [k, rank] and [rank, n]; both carry the roots of the values."""
    left, values, right = np.linalg.svd(weight.astype(np.float64), full_matrices=False)
    roots = np.sqrt(values[:rank])
    return (
        (left[:, :rank] * roots).astype(weight.dtype),
        (roots[:, None] * right[:rank]).astype(weight.dtype),
    )
