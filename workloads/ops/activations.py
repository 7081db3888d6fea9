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
from workloads.tape import Call, Gradients, Rule
from workloads.trace import Family

TANH_SLOPE = sqrt(2 / pi)


class Activation(NamedTuple):
    """A function of one element, its slope, and what both cost."""

    kind: str
    gated_kind: str
    compute: Callable[[Values], Values]
    flops: int
    transcendentals: int
    slope: Callable[[Values], Values]
    slope_flops: int
    slope_transcendentals: int


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


def silu_slope(x: Values) -> Values:
    """Slope s (1 + x (1 - s)), with s = 1 / (1 + exp(-x))."""
    with np.errstate(over="ignore"):  # as in `silu`
        s = 1 / (1 + np.exp(-x))
    result: Values = s * (1 + x * (1 - s))
    return result


def gelu_slope(x: Values) -> Values:
    """(1 + erf(x / sqrt(2))) / 2 + x exp(-x^2 / 2) / sqrt(2 pi)."""
    below = 0.5 * (1 + erf(x * x.dtype.type(sqrt(0.5))))
    result: Values = below + x * (x.dtype.type(sqrt(0.5 / pi)) * np.exp(-0.5 * (x * x)))
    return result


def gelu_new_slope(x: Values) -> Values:
    """(1 + t) / 2 + x/2 (1 - t^2) u' with t = tanh(u), u = sqrt(2/pi) (x + 0.044715 x^3)."""
    square = x * x
    t = np.tanh(TANH_SLOPE * x * (1 + 0.044715 * square))
    inner = TANH_SLOPE * (1 + 3 * 0.044715 * square)
    result: Values = 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * inner
    return result


def relu_slope(x: Values) -> Values:
    """1 above 0, else 0."""
    return (x > 0).astype(x.dtype)


def tanh_slope(x: Values) -> Values:
    """1 - tanh(x)^2."""
    t = np.tanh(x)
    result: Values = 1 - t * t
    return result


ACTIVATIONS: Mapping[str, Activation] = {
    # 1 +, divide; exp. The slope: those, 1 -, x *, 1 +, s *; exp
    "silu": Activation("silu", "swiglu", silu, 2, 1, silu_slope, 6, 1),
    # scale, 1 +, 0.5 *, the product; erf. The slope: scale, 1 +, 0.5 *, square, * -0.5, scale,
    # x *, the sum; erf and exp
    "gelu": Activation("gelu_erf", "geglu_erf", gelu, 4, 1, gelu_slope, 8, 2),
    # cube 2, * 0.044715, + x, * slope, 1 +, 0.5 *, the product; tanh. The slope: square; u: 4
    # (scale x, * 0.044715, 1 +, the product); inner: 3; t: 1 +, 0.5 *, square, 1 -; 0.5 x, two
    # products, the sum; tanh
    "gelu_new": Activation("gelu", "geglu", gelu_new, 8, 1, gelu_new_slope, 16, 1),
    "relu": Activation("relu", "reglu", relu, 1, 0, relu_slope, 1, 0),  # a comparison each
    "tanh": Activation("tanh", "tanh_gated", np.tanh, 0, 1, tanh_slope, 2, 1),  # square, 1 -
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
        backward=Rule(gradients=lambda call: _activation_gradients(call, chosen), saves=(0,)),
    )


def _activation_gradients(call: Call, chosen: Activation) -> Gradients:
    """Multiply the gradient by the slope."""
    (x,) = call.inputs

    def compute(gradient: Values, x: Values) -> Values:
        result: Values = gradient * chosen.slope(x)
        return result

    gradient = x.tracer.record(
        kind=f"{chosen.kind}_grad",
        family=Family.ELEMENTWISE,
        dims={"elements": x.size},
        flops=(chosen.slope_flops + 1) * x.size,
        transcendentals=chosen.slope_transcendentals * x.size,
        reads=(call.gradient, x),
        shape=x.shape,
        compute=compute,
        **call.into(0, "dgrad"),
    )
    return (gradient,)


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
        backward=Rule(gradients=lambda call: _gated_gradients(call, chosen), saves=(0, 1)),
        buffer=buffer,
    )


def _gated_gradients(call: Call, chosen: Activation) -> Gradients:
    """Of the gate: gradient * up * slope(gate); of what it gates: gradient * activation(gate)."""
    gate, up = call.inputs
    record = gate.tracer.record
    of_gate = record(
        kind=f"{chosen.gated_kind}_gate_grad",
        family=Family.ELEMENTWISE,
        dims={"elements": gate.size},
        flops=(chosen.slope_flops + 2) * gate.size,
        transcendentals=chosen.slope_transcendentals * gate.size,
        reads=(call.gradient, gate, up),
        shape=gate.shape,
        compute=lambda gradient, gate, up: gradient * up * chosen.slope(gate),
        **call.into(0, "gate"),
    )
    of_up = record(
        kind=f"{chosen.gated_kind}_up_grad",
        family=Family.ELEMENTWISE,
        dims={"elements": gate.size},
        flops=(chosen.flops + 1) * gate.size,
        transcendentals=chosen.transcendentals * gate.size,
        reads=(call.gradient, gate),
        shape=gate.shape,
        compute=lambda gradient, gate: gradient * chosen.compute(gate),
        **call.into(1, "up"),
    )
    return of_gate, of_up


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
        backward=Rule(gradients=lambda call: _softcap_gradients(call, cap), saves_result=True),
    )


def _softcap_gradients(call: Call, cap: float) -> Gradients:
    """Multiply the gradient by 1 - tanh^2, which is 1 - (result / cap)^2."""
    result = call.result

    def compute(gradient: Values, result: Values) -> Values:
        tanh = result / result.dtype.type(cap)
        of_x: Values = gradient * (1 - tanh * tanh)
        return of_x

    gradient = result.tracer.record(
        kind="softcap_grad",
        family=Family.ELEMENTWISE,
        dims={"elements": result.size},
        flops=4 * result.size,  # divide, square, 1 -, the product
        reads=(call.gradient, result),
        shape=result.shape,
        compute=compute,
        **call.into(0, "dgrad"),
    )
    return (gradient,)
