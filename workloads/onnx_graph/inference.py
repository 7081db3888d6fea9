"""Shapes of a graph's tensors, node by node, and the numbers that are known before the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from workloads.array import Shape, Values
from workloads.config import ModelError
from workloads.onnx_graph.model_file import element_type, onnx_package
from workloads.onnx_graph.node import Result, Value

SMALL_ELEMENTS = 4096
"""Known tensors up to this size are computed: axes, sizes and indices are among them."""

FROM_SHAPES = ("Shape", "Size")
"""Known before the run, whatever their operand holds."""


class Inference:
    """Asks the package `onnx` for results' shapes, with what is known of their operands.

    Every error is a ModelError that begins with `where`, the file.
    """

    def __init__(self, where: str, version: int) -> None:
        self._where = where
        self._version = version
        self._onnx = onnx_package()
        self._types: dict[str, Any] = {}  # onnx.TypeProto, which tells apart what traces do not

    def note(self, name: str, element: int, shape: Shape) -> str:
        """Remember a tensor that no node makes; return its element type, of traces."""
        self._types[name] = self._onnx.helper.make_tensor_type_proto(element, shape)
        return element_type(f"{self._where}: tensor '{name}'", element)

    def results(self, name: str, node: Any, values: Mapping[str, Value]) -> list[Result]:
        """Return what a node makes, all sizes known; outputs left out are left out here, too."""
        onnx = self._onnx
        read = [operand for operand in node.input if operand]
        numbers = {
            operand: onnx.numpy_helper.from_array(known)
            for operand in read
            if (known := values[operand].numbers) is not None
        }
        try:
            inferred = onnx.shape_inference.infer_node_outputs(
                onnx.defs.get_schema(node.op_type, self._version, ""),
                node,
                {operand: self._types[operand] for operand in read},
                numbers,
                opset_imports=[onnx.helper.make_opsetid("", self._version)],
            )
        except Exception as error:  # of several unrelated classes, by what is wrong
            raise self._error(name, node, one_line(error)) from error
        self._types |= inferred
        return [self._result(name, node, output) for output in node.output if output]

    def _result(self, name: str, node: Any, output: str) -> Result:
        kind = self._types[output].tensor_type if output in self._types else None
        if kind is None or not kind.HasField("shape"):
            raise self._error(name, node, f"the shape of '{output}' is known only in the run")
        sizes = [size.dim_value if size.HasField("dim_value") else -1 for size in kind.shape.dim]
        if -1 in sizes:
            raise self._error(name, node, f"the shape of '{output}' is known only in the run")
        dtype = element_type(f"{self._where}: tensor '{output}'", kind.elem_type)
        return Result(name=output, shape=tuple(sizes), dtype=dtype)

    def weight_numbers(self, tensor: Any) -> Values | None:
        """Return the numbers of a small weight; None of a large one, or one beside the file."""
        external = tensor.data_location == self._onnx.TensorProto.EXTERNAL
        if external or prod(tensor.dims) > SMALL_ELEMENTS:
            return None
        try:
            return np.asarray(self._onnx.numpy_helper.to_array(tensor))
        except (ValueError, TypeError) as error:
            raise ModelError(
                f"{self._where}: weight '{tensor.name}' is damaged: {one_line(error)}"
            ) from error

    def numbers(
        self, node: Any, operands: Sequence[Value | None], results: Sequence[Result]
    ) -> list[Values | None]:
        """Compute a node's results from known numbers; None where they are many, or not known."""
        if node.op_type in FROM_SHAPES and operands[0] is not None:
            return [_from_shape(node, operands[0].shape)]
        given = [value.numbers for value in operands if value is not None]
        large = any(result.size > SMALL_ELEMENTS for result in results)
        if large or any(numbers is None for numbers in given):
            return [None] * len(results)
        return self._evaluated(node, given, [result.name for result in results])

    def _evaluated(
        self, node: Any, given: Sequence[Values | None], outputs: Sequence[str]
    ) -> list[Values | None]:
        onnx, helper = self._onnx, self._onnx.helper
        names = list(dict.fromkeys(operand for operand in node.input if operand))
        known = dict(zip((operand for operand in node.input if operand), given, strict=True))
        inputs = [helper.make_value_info(name, self._types[name]) for name in names]
        made = [helper.make_value_info(name, self._types[name]) for name in outputs]
        graph = helper.make_graph([node], "one node", inputs, made)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self._version)])
        try:
            found = onnx.reference.ReferenceEvaluator(model).run(None, known)
        except Exception:  # noqa: BLE001 - the package may lack the node; who needs the numbers says
            return [None] * len(outputs)
        return [np.asarray(numbers) for numbers in found]

    def _error(self, name: str, node: Any, fault: str) -> ModelError:
        return ModelError(f"{self._where}: node '{name}' ({node.op_type}): {fault}")


def one_line(error: Exception) -> str:
    """Return an error's words without line breaks."""
    return " ".join(str(error).split()) or type(error).__name__


def _from_shape(node: Any, shape: Shape) -> Values:
    if node.op_type == "Size":
        return np.asarray(prod(shape), np.int64)
    bounds = {attribute.name: attribute.i for attribute in node.attribute}
    return np.asarray(shape[bounds.get("start", 0) : bounds.get("end")], np.int64)
