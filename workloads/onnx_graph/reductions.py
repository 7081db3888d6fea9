"""Row by row in a graph: softmax, norms, reductions and the largest of a row.

A row is what is reduced together; `passes` counts how often it is walked, as in `workloads.ops`.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import NamedTuple

from workloads.array import Array
from workloads.onnx_graph.node import Node, UnsupportedNodeError
from workloads.trace import Family

_SOFTMAX_OF_ONE_AXIS = 13
"""Version from which softmax goes along one axis; before, along that and all behind it."""


class Cost(NamedTuple):
    """What a reduction costs for each element read and each result."""

    kind: str
    flops: int = 1
    result_flops: int = 0
    result_transcendentals: int = 0


COSTS: Mapping[str, Cost] = {
    "GlobalAveragePool": Cost("mean", result_flops=1),
    "ReduceL2": Cost("norm", 2, result_transcendentals=1),  # square, add; sqrt
    "ReduceMax": Cost("maximum"),
    "ReduceMean": Cost("mean", result_flops=1),  # add; divide
    "ReduceMin": Cost("minimum"),
    "ReduceProd": Cost("product"),
    "ReduceSum": Cost("sum"),
    "ReduceSumSquare": Cost("sum_of_squares", 2),
}


def reduction(node: Node) -> Array:
    """Reduce some axes to one result each."""
    x, rows = node.array(0), node.result.size
    cost = COSTS[node.type]
    return node.record(
        kind=cost.kind,
        family=Family.ROWWISE,
        dims={"rows": rows, "cols": x.size // rows, "passes": 1},
        flops=cost.flops * x.size + cost.result_flops * rows,
        transcendentals=cost.result_transcendentals * rows,
        reads=(x,),
    )


def argmax(node: Node) -> Array:
    """Place of each row's largest (or smallest) element: a comparison each."""
    x, rows = node.array(0), node.result.size
    return node.record(
        kind="argmax",
        family=Family.ROWWISE,
        dims={"rows": rows, "cols": x.size // rows, "passes": 1},
        flops=x.size,
        reads=(x,),
    )


def running_sum(node: Node) -> Array:
    """Sum of each element and all before it: an addition each."""
    x = node.array(0)
    axis = node.whole_numbers(1, "axis") or (0,)
    cols = x.shape[axis[0]]
    return node.record(
        kind="running_sum",
        family=Family.ROWWISE,
        dims={"rows": x.size // cols, "cols": cols, "passes": 1},
        flops=x.size,
        reads=(x,),
    )


def softmax(node: Node) -> Array:
    """Softmax, or its logarithm: maximum, subtract, sum, and a division or subtraction; exp."""
    x = node.array(0)
    newer = node.version >= _SOFTMAX_OF_ONE_AXIS
    axis = node.axis(len(x.shape), -1 if newer else 1)
    cols = x.shape[axis] if newer else prod(x.shape[axis:])
    rows, logarithm = x.size // cols, node.type == "LogSoftmax"
    return node.record(
        kind="softmax",
        family=Family.ROWWISE,
        dims={"rows": rows, "cols": cols, "passes": 3},  # maximum; exp and sum; divide
        flops=4 * x.size,
        transcendentals=x.size + rows * logarithm,
        reads=(x,),
    )


def norm(node: Node) -> Array:
    """LayerNorm or RMSNorm along `axis` and all behind it, at the cost of `ops.norms`."""
    if len(node.results) > 1:
        raise UnsupportedNodeError("gives its mean and deviation as well, as in training")
    x, layer = node.array(0), node.type == "LayerNormalization"
    cols = prod(x.shape[node.axis(len(x.shape), -1) :])
    rows = x.size // cols
    bias = layer and node.has(2)
    # LayerNorm: sum, subtract, square, sum, divide, weight, bias; a row: two means, + eps
    # RMSNorm: square, sum, divide, weight; a row: mean, + eps
    each, row = (6 + bias, 3) if layer else (4, 2)
    vectors = [node.array(1), *([node.array(2)] if bias else [])]
    return node.record(
        kind="layernorm" if layer else "rmsnorm",
        family=Family.ROWWISE,
        dims={"rows": rows, "cols": cols, "passes": 3 if layer else 2},
        flops=each * x.size + row * rows,
        transcendentals=rows,  # sqrt
        reads=(x, *vectors),
    )
