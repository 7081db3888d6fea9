"""Weights in few bits: whole numbers with a scale (and a zero point), or 8-bit floating point.

Activations, norms, biases and embeddings keep the run's element type, and so does the arithmetic:
see `workloads.ops.quantised`. Scales are stored in the run's element type and counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from workloads.architectures.parameters import Parameter
from workloads.architectures.rewritten_config import Form
from workloads.array import Values
from workloads.config import ModelError, nearest
from workloads.ops.quantised import by_row, most
from workloads.rewrites.products import plain_products, stored_as

Per = Literal["tensor", "channel", "group"]


class Rounded(NamedTuple):
    """A weight [k, n] as `(weight - zero) * scale`."""

    weight: Values
    """int8, of which 4-bit numbers use half; or numbers that float8 has."""
    scale: Values
    """[1, 1], [1, n] or [groups, n]"""
    zero: Values | None = None
    """Whole, of scale's shape; None where it is zero throughout."""

    def widened(self) -> Values:
        """Return the weight that products see, in the scale's element type."""
        k = len(self.weight)
        wide = self.weight.astype(self.scale.dtype)
        if self.zero is not None:
            wide = wide - by_row(self.zero, k)
        result: Values = wide * by_row(self.scale, k)
        return result


@dataclass(frozen=True, kw_only=True)
class Quantise:
    """Whole numbers of 8 or 4 bits; two 4-bit numbers share a byte.

    A scale serves the whole weight, a column (`channel`), or up to `group` rows of a column.
    Symmetric numbers have their zero at zero; others a zero point for each scale, so that the least
    and the largest weight (and zero) are the ends of the range (Jacob et al. 2018,
    arXiv:1712.05877; groups as in Frantar et al. 2023, arXiv:2210.17323).
    """

    bits: int = 8
    per: Per = "channel"
    group: int | None = None
    """Most rows that share a scale; they are shared out evenly."""
    symmetric: bool = True
    where: str = "*"
    """Pattern of the products' names."""

    def __post_init__(self) -> None:
        if self.bits not in {4, 8}:
            raise ModelError(f"weights of {self.bits} bits are not known; choose 4 or 8")
        _check_per(self.per, self.group)

    @property
    def title(self) -> str:
        """What it is called in a model's name."""
        kind = "" if self.symmetric else "-asymmetric"
        return f"int{self.bits}-{self.per}{self.group or ''}{kind}"

    def apply(self, form: Form) -> Form:
        """Store the products' weights rounded."""

        def shapes(parameter: Parameter) -> dict[str, Parameter]:
            scale = scale_shape(parameter.shape, self.per, self.group)
            dtype = f"int{self.bits}"
            parts = {
                "weight": parameter._replace(dtype=dtype),
                "scale": Parameter(scale, parameter.layers),
            }
            if not self.symmetric:
                parts["zero"] = Parameter(scale, parameter.layers, dtype=dtype)
            return parts

        def make(weight: Values) -> dict[str, Values]:
            rounded = quantise(
                weight, bits=self.bits, per=self.per, group=self.group, symmetric=self.symmetric
            )
            return {part: v for part, v in rounded._asdict().items() if v is not None}

        return stored_as(form, plain_products(form, self.where), shapes, make)


@dataclass(frozen=True, kw_only=True)
class Float8:
    """8-bit floating point, e4m3 or e5m2 (Micikevicius et al. 2022, arXiv:2209.05433).

    A scale brings the largest weight of a tensor, column or group to the format's largest number.
    """

    kind: str = "e4m3"
    per: Per = "channel"
    group: int | None = None
    where: str = "*"

    def __post_init__(self) -> None:
        float8_format(self.kind)
        _check_per(self.per, self.group)

    @property
    def title(self) -> str:
        """What it is called in a model's name."""
        return f"fp8-{self.kind}-{self.per}{self.group or ''}"

    def apply(self, form: Form) -> Form:
        """Store the products' weights rounded."""

        def shapes(parameter: Parameter) -> dict[str, Parameter]:
            scale = scale_shape(parameter.shape, self.per, self.group)
            return {
                "weight": parameter._replace(dtype=f"float8_{self.kind}"),
                "scale": Parameter(scale, parameter.layers),
            }

        def make(weight: Values) -> dict[str, Values]:
            groups = grouped(weight, self.per, self.group)
            largest = float8_format(self.kind).largest
            scale = _nonzero(np.abs(groups).max(axis=1) / largest, weight.dtype)
            scale = scale.max(keepdims=True) if self.per == "tensor" else scale
            steps = weight / by_row(scale, len(weight))
            return {"weight": to_float8(steps, self.kind), "scale": scale}

        return stored_as(form, plain_products(form, self.where), shapes, make)


class Float8Format(NamedTuple):
    """What an 8-bit floating-point format can hold."""

    mantissa_bits: int
    least_exponent: int
    """Of a normal number; below, numbers lie as far apart as just above."""
    largest: float


FLOAT8 = {
    "e4m3": Float8Format(3, -6, 448.0),  # has no infinity
    "e5m2": Float8Format(2, -14, 57344.0),
}


def float8_format(kind: str) -> Float8Format:
    """Return a format by name; ModelError where there is none."""
    if kind not in FLOAT8:
        raise ModelError(f"no 8-bit floating point '{kind}'{nearest(kind, FLOAT8)}")
    return FLOAT8[kind]


def to_float8(x: Values, kind: str) -> Values:
    """Round to the nearest number of the format, ties to even; beyond the largest, to that."""
    mantissa_bits, least, largest = float8_format(kind)
    _, exponent = np.frexp(np.abs(x))  # |x| is below 2^exponent, and at least half of it
    step = np.ldexp(1.0, np.maximum(exponent - 1, least) - mantissa_bits)
    result: Values = np.clip(np.rint(x / step) * step, -largest, largest).astype(x.dtype)
    return result


def quantise(
    weight: Values, *, bits: int, per: Per, group: int | None = None, symmetric: bool = True
) -> Rounded:
    """Round a weight [k, n]; no number moves by more than half of its scale (to rounding)."""
    groups = grouped(weight, per, group)  # [groups, rows, n]; what is missing is nan
    low = np.minimum(np.nanmin(groups, axis=1), 0)  # [groups, n]
    high = np.maximum(np.nanmax(groups, axis=1), 0)
    if per == "tensor":
        low, high = low.min(keepdims=True), high.max(keepdims=True)  # [1, 1]
    limit = most(bits)
    if symmetric:
        scale = _nonzero(np.maximum(high, -low) / limit, weight.dtype)
        steps = weight / by_row(scale, len(weight))
        return Rounded(np.clip(np.rint(steps), -limit, limit).astype(np.int8), scale)
    scale = _nonzero((high - low) / (2 * limit + 1), weight.dtype)
    zero = np.clip(np.rint(-limit - 1 - low / scale), -limit - 1, limit)
    steps = np.rint(weight / by_row(scale, len(weight)) + by_row(zero, len(weight)))
    whole = np.clip(steps, -limit - 1, limit).astype(np.int8)
    return Rounded(whole, scale, zero.astype(np.int8))


def scale_shape(shape: tuple[int, ...], per: Per, group: int | None) -> tuple[int, int]:
    """Shape of the scales of a weight [k, n]."""
    k, n = shape
    if per == "tensor":
        return (1, 1)
    return (1 if group is None else -(-k // group), n)


def grouped(weight: Values, per: Per, group: int | None) -> Values:
    """Return a weight [k, n] as [groups, rows, n] in float64; nan where the last has fewer rows."""
    k, n = weight.shape
    groups = 1 if per == "tensor" else scale_shape((k, n), per, group)[0]
    rows = -(-k // groups)
    padded = np.full((groups * rows, n), np.nan)
    padded[:k] = weight
    return padded.reshape(groups, rows, n)


def _nonzero(scale: Values, dtype: np.dtype[np.generic]) -> Values:
    """Return the scales in the run's element type; one where all weights are zero."""
    stored = scale.astype(dtype)
    return np.where(stored > 0, stored, np.ones_like(stored))


def _check_per(per: str, group: int | None) -> None:
    if per not in {"tensor", "channel", "group"}:
        known = ("tensor", "channel", "group")
        raise ModelError(f"no scale is per '{per}'{nearest(per, known)}")
    if (per == "group") != (group is not None) or (group is not None and group < 1):
        raise ModelError("give `group`, 1 row or more, with per='group' and only then")
