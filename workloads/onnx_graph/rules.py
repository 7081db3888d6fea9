"""Type of node -> what it costs, in one table; and the types that are done before the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from workloads.array import Array
from workloads.onnx_graph import maps, moves, products, reductions
from workloads.onnx_graph.node import Node, UnsupportedNodeError

Rule = Callable[[Node], Array | tuple[Array, ...]]


def unruled(_: Node) -> Array:
    """Stand for a rule where there is none: UnsupportedNodeError."""
    raise UnsupportedNodeError("depends on the run, and has no cost")


RULES: Mapping[str, Rule] = {
    **dict.fromkeys(maps.COSTS, maps.plain),
    **dict.fromkeys(reductions.COSTS, reductions.reduction),
    **dict.fromkeys(("Max", "Mean", "Min", "Sum"), maps.several),
    **dict.fromkeys(("ArgMax", "ArgMin"), reductions.argmax),
    **dict.fromkeys(("LogSoftmax", "Softmax"), reductions.softmax),
    **dict.fromkeys(("LayerNormalization", "RMSNormalization"), reductions.norm),
    **dict.fromkeys(("Dropout", "Flatten", "Identity", "Reshape"), moves.view),
    **dict.fromkeys(("Squeeze", "Unsqueeze"), moves.view),
    **dict.fromkeys(("Expand", "Tile"), moves.expand),
    "BatchNormalization": maps.batch_norm,
    "Cast": moves.cast,
    "Clip": maps.clip,
    "Concat": moves.concat,
    "Conv": products.conv,
    "CumSum": reductions.running_sum,
    "Gather": moves.gather,
    "Gelu": maps.gelu,
    "Gemm": products.gemm,
    "MatMul": products.matmul,
    "Pad": moves.pad,
    "Pow": maps.power,
    "Slice": moves.slice_,
    "Split": moves.split,
    "Transpose": moves.transpose,
}

SAME_MEMORY = ("Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
"""Of something known before the run, these are other ways to walk it."""

PARTS = ("Gather", "Slice", "Split")
"""Of a weight with fractions, these are parts of its memory, or copies made in the run."""
