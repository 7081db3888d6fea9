"""Small ONNX graphs made by hand, and the two ways in which tests read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from workloads import Op, Trace
from workloads.onnx_graph import import_onnx

VERSION = 20
node = helper.make_node
Arrays = Mapping[str, Any]


def model_of(
    nodes: Sequence[Any], inputs: Arrays, weights: Arrays, outputs: Sequence[str] = ("y",)
) -> Any:
    """A model; `inputs` are shapes of floats, or (element type, shape)."""
    given = [
        helper.make_tensor_value_info(
            name, *(what if isinstance(what, tuple) else (TensorProto.FLOAT, what))
        )
        for name, what in inputs.items()
    ]
    made = [helper.make_empty_tensor_value_info(name) for name in outputs]
    stored = [numpy_helper.from_array(np.asarray(w), name) for name, w in weights.items()]
    graph = helper.make_graph(nodes, "graph", given, made, stored)
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", VERSION)], producer_name="by hand"
    )


def saved(model: Any, folder: Path, name: str = "graph") -> Path:
    path = folder / f"{name}.onnx"
    onnx.save(model, path)
    return path


def traced(model: Any, folder: Path, **dims: int) -> Trace:
    return import_onnx(saved(model, folder), dims)


def ops_of(trace: Trace) -> list[Op]:
    return [placed.op for placed in trace.placed_ops()]


def computed(model: Any, **given: Any) -> dict[str, Any]:
    """Every tensor of the graph as numpy computes it, by name."""
    names = [output for each in model.graph.node for output in each.output if output]
    everything = onnx.ModelProto.FromString(model.SerializeToString())
    del everything.graph.output[:]
    everything.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    return dict(zip(names, ReferenceEvaluator(everything).run(None, given), strict=True))


def floats(*shape: int) -> Any:
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


def constants(**values: Any) -> dict[str, Any]:
    return {name: np.asarray(value, np.int64) for name, value in values.items()}


def mlp() -> Any:
    """[batch, 8] -> 16 -> 4, by a product with a sum and by a Gemm."""
    nodes = [
        node("MatMul", ["x", "w1"], ["h0"], name="up"),
        node("Add", ["b1", "h0"], ["h1"], name="up.bias"),
        node("Relu", ["h1"], ["h2"], name="activation"),
        node("Gemm", ["h2", "w2", "b2"], ["y"], name="down", transB=1),
    ]
    weights = {"w1": floats(8, 16), "b1": floats(16), "w2": floats(4, 16), "b2": floats(4)}
    return model_of(nodes, {"x": ["batch", 8]}, weights)


def transformer(*, layers: int, width: int, heads: int, wide: int, words: int, places: int) -> Any:
    """A decoder as exporters write one: learned positions, sizes by Shape, a tied head."""
    size = width // heads
    nodes = [
        node("Shape", ["ids"], ["batch"], start=0, end=1),
        node("Shape", ["ids"], ["tokens"], start=1, end=2),
        node("Gather", ["words", "ids"], ["embedded"], name="embedding"),
        node("Slice", ["places", "zero", "tokens"], ["positions"], name="positions"),
        node("Add", ["embedded", "positions"], ["x0"], name="place"),
        node("Concat", ["tokens", "tokens"], ["square"], axis=0),
        node("Slice", ["mask", "zeros", "square", "axes"], ["hidden"], name="hidden"),
        node("Concat", ["batch", "tokens", "heads", "size"], ["split"], axis=0),
        node("Concat", ["batch", "tokens", "width"], ["joined"], axis=0),
    ]
    weights: dict[str, Any] = {
        "words": floats(words, width),
        "places": floats(places, width),
        "mask": np.triu(np.ones((places, places), np.int64), 1).astype(bool),
        "scale": np.float32(size**-0.5),
        "nothing": np.float32(-np.inf),
        **constants(zero=[0], zeros=[0, 0], axes=[0, 1], heads=[heads], size=[size]),
        **constants(width=[width]),
    }
    for at in range(layers):
        more, stored = _layer(f"{at}.", f"x{at}", f"x{at + 1}", width, wide)
        nodes += more
        weights |= stored
    nodes += [
        node("LayerNormalization", [f"x{layers}", "norm.w", "norm.b"], ["normed"], name="norm"),
        node("Transpose", ["words"], ["head"], perm=[1, 0]),
        node("MatMul", ["normed", "head"], ["y"], name="head_product"),
    ]
    weights |= {"norm.w": floats(width), "norm.b": floats(width)}
    ids = (TensorProto.INT64, ["batch", "sequence"])
    return model_of(nodes, {"ids": ids}, weights)


def _layer(p: str, x: str, out: str, width: int, wide: int) -> tuple[list[Any], dict[str, Any]]:
    """One layer's nodes and weights, all names behind `p`."""
    weights = {
        f"{p}n1.w": floats(width),
        f"{p}n1.b": floats(width),
        f"{p}qkv.w": floats(width, 3 * width),
        f"{p}qkv.b": floats(3 * width),
        f"{p}out.w": floats(width, width),
        f"{p}out.b": floats(width),
        f"{p}n2.w": floats(width),
        f"{p}n2.b": floats(width),
        f"{p}up.w": floats(width, wide),
        f"{p}up.b": floats(wide),
        f"{p}down.w": floats(wide, width),
        f"{p}down.b": floats(width),
    }

    def one(kind: str, read: str, make: str, **attributes: Any) -> Any:
        names = [n if n in SHARED or n in {x, out} else p + n for n in read.split()]
        made = [n if n == out else p + n for n in make.split()]
        return node(kind, names, made, **attributes)

    nodes = [
        one("LayerNormalization", f"{x} n1.w n1.b", "a"),
        one("MatMul", "a qkv.w", "qkv"),
        one("Add", "qkv qkv.b", "qkv1"),
        one("Split", "qkv1", "q k v", axis=2, num_outputs=3),
        *(one("Reshape", f"{n} split", f"{n}4") for n in "qkv"),
        one("Transpose", "q4", "qt", perm=[0, 2, 1, 3]),
        one("Transpose", "k4", "kt", perm=[0, 2, 3, 1]),
        one("Transpose", "v4", "vt", perm=[0, 2, 1, 3]),
        one("MatMul", "qt kt", "s"),
        one("Mul", "s scale", "scaled"),
        one("Where", "hidden nothing scaled", "masked"),
        one("Softmax", "masked", "p", axis=-1),
        one("MatMul", "p vt", "m"),
        one("Transpose", "m", "mt", perm=[0, 2, 1, 3]),
        one("Reshape", "mt joined", "mixed"),
        one("MatMul", "mixed out.w", "o"),
        one("Add", "o out.b", "o1"),
        one("Add", f"o1 {x}", "r"),
        one("LayerNormalization", "r n2.w n2.b", "b"),
        one("MatMul", "b up.w", "u"),
        one("Add", "u up.b", "u1"),
        one("Gelu", "u1", "g"),
        one("MatMul", "g down.w", "d"),
        one("Add", "d down.b", "d1"),
        one("Add", "d1 r", out),
    ]
    return nodes, weights


SHARED = {"scale", "nothing", "hidden", "split", "joined"}
