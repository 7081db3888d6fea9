"""Maps of a graph: one result for each element, of one operand or several broadcast together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from workloads.array import Array
from workloads.onnx_graph.node import Node, UnsupportedNodeError
from workloads.ops.activations import ACTIVATIONS


class Cost(NamedTuple):
    """What an element of the result costs."""

    kind: str
    flops: int = 0
    transcendentals: int = 0


COSTS: Mapping[str, Cost] = {
    "Abs": Cost("abs"),  # a sign
    "Add": Cost("add", 1),
    "And": Cost("and"),  # logic is no arithmetic
    "Ceil": Cost("round", 1),
    "Cos": Cost("cos", 0, 1),
    "Div": Cost("div", 1),
    "Equal": Cost("compare", 1),
    "Erf": Cost("erf", 0, 1),
    "Exp": Cost("exp", 0, 1),
    "Floor": Cost("round", 1),
    "Greater": Cost("compare", 1),
    "GreaterOrEqual": Cost("compare", 1),
    "HardSigmoid": Cost("hard_sigmoid", 4),  # multiply, add; two comparisons
    "HardSwish": Cost("hard_swish", 5),  # as HardSigmoid; times x
    "IsNaN": Cost("compare", 1),
    "LeakyRelu": Cost("leaky_relu", 2),  # compare, multiply
    "Less": Cost("compare", 1),
    "LessOrEqual": Cost("compare", 1),
    "Log": Cost("log", 0, 1),
    "Mul": Cost("mul", 1),
    "Neg": Cost("neg"),  # a sign
    "Not": Cost("not"),
    "Or": Cost("or"),
    "PRelu": Cost("prelu", 2),  # compare, multiply
    "Reciprocal": Cost("reciprocal", 1),
    "Relu": Cost("relu", ACTIVATIONS["relu"].flops),
    "Round": Cost("round", 1),
    "Sigmoid": Cost("sigmoid", 2, 1),  # 1 +, divide; exp
    "Sin": Cost("sin", 0, 1),
    "Softplus": Cost("softplus", 1, 2),  # 1 +; exp, log
    "Sqrt": Cost("sqrt", 0, 1),
    "Sub": Cost("sub", 1),
    "Tanh": Cost("tanh", 0, 1),
    "Trilu": Cost("trilu"),  # chosen by a mask
    "Where": Cost("where"),  # as Trilu
    "Xor": Cost("xor"),
}

WHOLE_POWERS: Mapping[float, Cost] = {
    1.0: Cost("pow"),
    2.0: Cost("pow", 1),  # x * x
    3.0: Cost("pow", 2),
    -1.0: Cost("reciprocal", 1),
    0.5: Cost("sqrt", 0, 1),
    -0.5: Cost("sqrt", 1, 1),  # and a division
}


def plain(node: Node) -> Array:
    """Return a map whose cost is in the table above."""
    return _mapped(node, COSTS[node.type])


def gelu(node: Node) -> Array:
    """GELU by the error function, or by tanh where `approximate` says so."""
    by_tanh = node.attributes.get("approximate", "none") == "tanh"
    chosen = ACTIVATIONS["gelu_new" if by_tanh else "gelu"]
    return _mapped(node, Cost(chosen.kind, chosen.flops, chosen.transcendentals))


def power(node: Node) -> Array:
    """X^y: products where y is a small number known before the run, else exp(y * log(x))."""
    exponent = node.operand(1).numbers
    if exponent is not None and exponent.size == 1 and float(exponent.item()) in WHOLE_POWERS:
        cost = WHOLE_POWERS[float(exponent.item())]
        return node.elementwise(
            cost.kind, (node.array(0),), flops=cost.flops, transcendentals=cost.transcendentals
        )
    return _mapped(node, Cost("pow", 1, 2))


def clip(node: Node) -> Array:
    """Keep within bounds: a comparison for each that is given."""
    named = sum(bound in node.attributes for bound in ("min", "max"))
    bounds = named + node.has(1) + node.has(2)
    return node.elementwise("clip", (node.array(0),), flops=bounds)


def several(node: Node) -> Array:
    """Sum, mean, largest or smallest of several operands: one operation for each but the first."""
    count = sum(value is not None for value in node.inputs)
    kind = {"Sum": "add", "Mean": "mean", "Max": "maximum", "Min": "minimum"}[node.type]
    return _mapped(node, Cost(kind, count - 1 + (node.type == "Mean")))  # a mean divides, too


def batch_norm(node: Node) -> Array:
    """Scale and shift each channel: what inference makes of its four vectors beforehand."""
    if node.attributes.get("training_mode"):
        raise UnsupportedNodeError("trains, which is not known of graphs")
    return _mapped(node, Cost("batchnorm", 2))


def _mapped(node: Node, cost: Cost) -> Array:
    return node.elementwise(
        cost.kind, node.reads(), flops=cost.flops, transcendentals=cost.transcendentals
    )
