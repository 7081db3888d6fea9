"""A product in the form its weight is stored in: what is declared under its name decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from workloads.array import Array
from workloads.ops import quantised, sparse
from workloads.ops.basic import matmul


def product(x: Array, name: str) -> Array:
    """Multiply every row of x by the weight of that name: whole, in factors, sparse or rounded."""
    for part, form in FORMS.items():
        if x.tracer.has(f"{name}.{part}"):
            return form(x, name)
    return matmul(x, x.tracer.get(f"{name}.weight"), name=name)  # [..., k] -> [..., n]


def _in_factors(x: Array, name: str) -> Array:
    x = product(x, f"{name}.left")  # [..., k] -> [..., r]
    return product(x, f"{name}.right")  # [..., r] -> [..., n]


def _two_of_four(x: Array, name: str) -> Array:
    get = x.tracer.get
    return sparse.two_of_four(x, get(f"{name}.values"), get(f"{name}.indices"), name=name)


def _rounded(x: Array, name: str) -> Array:
    get, has = x.tracer.get, x.tracer.has
    zero = get(f"{name}.zero") if has(f"{name}.zero") else None
    return quantised.matmul(x, get(f"{name}.weight"), get(f"{name}.scale"), zero, name=name)


def _all_rounded(x: Array, name: str) -> Array:
    get = x.tracer.get
    rows = quantised.row_scale(x, cols=x.shape[-1], limit=quantised.most(8), name=f"{name}.scale")
    whole = quantised.to_whole(x, rows, bits=8, name=f"{name}.quantise")  # [..., k]
    weight, columns = get(f"{name}.weight"), get(f"{name}.column_scale")
    return quantised.whole_matmul(whole, weight, rows, columns, name=name)  # [..., k] -> [..., n]


FORMS: Mapping[str, Callable[[Array, str], Array]] = {
    "left.weight": _in_factors,
    "indices": _two_of_four,
    "column_scale": _all_rounded,
    "scale": _rounded,
}
"""What marks a form -> the product in that form."""
