"""Activations: SiLU, GELU in both forms, ReLU; alone, or gating a second product.

Letters, costs and rules are those of `workloads.ops`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import pi, sqrt
from typing import NamedTuple

import numpy as np
from scipy.special import erf

from workloads.array import Array, Values
from workloads.ops.shapes import need
from workloads.trace import Family

TANH_SLOPE = sqrt(2 / pi)


class Activation(NamedTuple):
    """A function of one element, and what it costs."""

    kind: str
    gated_kind: str
    compute: Callable[[Values], Values]
    flops: int
    transcendentals: int


def silu(x: Values) -> Values:
    """X / (1 + exp(-x))."""
    with np.errstate(over="ignore"):  # exp of a large -x is infinite, and x / inf rightly 0
        result: Values = x / (1 + np.exp(-x))
    return result


def gelu(x: Values) -> Values:
    """x/2 * (1 + erf(x / sqrt(2))), GELU itself."""
    result: Values = 0.5 * x * (1 + erf(x * x.dtype.type(sqrt(0.5))))
    return result


def gelu_new(x: Values) -> Values:
    """x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))), GPT-2's form of GELU."""
    result: Values = 0.5 * x * (1 + np.tanh(TANH_SLOPE * (x + 0.044715 * (x * x * x))))
    return result


def relu(x: Values) -> Values:
    """max(x, 0)."""
    return np.maximum(x, 0)


ACTIVATIONS: Mapping[str, Activation] = {
    "silu": Activation("silu", "swiglu", silu, flops=2, transcendentals=1),  # 1 +, divide; exp
    "gelu": Activation(
        "gelu_erf", "geglu_erf", gelu, flops=4, transcendentals=1
    ),  # scale, 1 +, 0.5 *, the product; erf
    # cube 2, * 0.044715, + x, * slope, 1 +, 0.5 *, the product; tanh
    "gelu_new": Activation("gelu", "geglu", gelu_new, flops=8, transcendentals=1),
    "relu": Activation("relu", "reglu", relu, flops=1, transcendentals=0),  # a comparison
}


def activate(x: Array, *, activation: str, name: str) -> Array:
    """Apply an activation to every element."""
    chosen = ACTIVATIONS[activation]
    return x.tracer.record(
        kind=chosen.kind,
        family=Family.ELEMENTWISE,
        name=name,
        dims={"elements": x.size},
        flops=chosen.flops * x.size,
        transcendentals=chosen.transcendentals * x.size,
        reads=(x,),
        shape=x.shape,
        compute=chosen.compute,
    )


def gated(
    gate: Array, up: Array, *, activation: str, name: str, buffer: str | None = None
) -> Array:
    """activation(gate) * up: SwiGLU with `silu`, GeGLU with a `gelu`."""
    need(fits=gate.shape == up.shape, op="gated", rule="shapes must agree", gate=gate, up=up)
    chosen = ACTIVATIONS[activation]

    def compute(gate: Values, up: Values) -> Values:
        result: Values = chosen.compute(gate) * up
        return result

    return gate.tracer.record(
        kind=chosen.gated_kind,
        family=Family.ELEMENTWISE,
        name=name,
        dims={"elements": gate.size},
        flops=(chosen.flops + 1) * gate.size,  # times up
        transcendentals=chosen.transcendentals * gate.size,
        reads=(gate, up),
        shape=gate.shape,
        compute=compute,
        buffer=buffer,
    )


def softcap(x: Array, cap: float, *, name: str) -> Array:
    """Cap * tanh(x / cap): hardly bends small values, keeps all within plus and minus cap."""

    def compute(x: Values) -> Values:
        result: Values = x.dtype.type(cap) * np.tanh(x / x.dtype.type(cap))
        return result

    return x.tracer.record(
        kind="softcap",
        family=Family.ELEMENTWISE,
        name=name,
        dims={"elements": x.size},
        flops=2 * x.size,  # divide, multiply
        transcendentals=x.size,  # tanh
        reads=(x,),
        shape=x.shape,
        compute=compute,
    )
