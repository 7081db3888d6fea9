"""From an ONNX graph to a trace: shapes inferred node by node, each node recorded by its rule.

What is known before the run costs nothing: sizes, and all that follows from weights and constants
alone, as runtimes fold it. What is folded is a weight itself, but another shape, order or part of a
weight is the same memory. The whole graph is one pass, the prefill. Each result has a buffer of its
own: a runtime that reuses memory needs less than the trace's activations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

from workloads.array import Array, Shape
from workloads.config import ModelError
from workloads.onnx_graph.inference import FROM_SHAPES, Inference, one_line
from workloads.onnx_graph.model_file import (
    DEFAULT_DOMAINS,
    GraphFile,
    attributes_of,
    element_type,
    read_graph,
)
from workloads.onnx_graph.node import Node, Result, UnsupportedNodeError, Value
from workloads.onnx_graph.rules import PARTS, RULES, SAME_MEMORY, unruled
from workloads.trace import DTYPE_BYTES, Role, Trace
from workloads.tracer import Tracer


def import_onnx(path: Path, dims: Mapping[str, int] | None = None) -> Trace:
    """Trace an ONNX graph by shape; `dims` gives the symbolic sizes of its inputs.

    Its batch and prompt are the sizes of the first input of whole numbers, [B, T]; without one,
    the batch is the first size of the first input.

    ModelError says on one line what is wrong with the file, which sizes are missing, or all nodes
    that no rule has the cost of.
    """
    file = read_graph(path, dims or {})
    return _Walk(str(path), file).trace()


class _Walk:
    """One walk over a graph's nodes, which stand in the order of their computation."""

    def __init__(self, where: str, file: GraphFile) -> None:
        self._where = where
        self._graph = file.graph
        self._file = file
        self._names = _operation_names(file)
        self._inference = Inference(where, file.version)
        self._values: dict[str, Value] = {}
        self._refused: list[str] = []
        batch, tokens = _tokens(list(file.inputs.values()))
        self._tracer = Tracer(
            model=file.name,
            dtype=_dtype(where, file),
            execute=False,
            batch=batch,
            prompt_tokens=tokens,
            about=dict(file.about),
        )

    def trace(self) -> Trace:
        """Return the verified trace of all nodes."""
        self._refuse_unknown_types()
        self._add_given()
        self._tracer.begin_step(0)
        for name, proto in zip(self._names, self._graph.node, strict=True):
            self._visit(name, proto)
        if self._refused:
            raise self._error(f"nodes that cannot be traced: {'; '.join(self._refused)}")
        try:
            trace = self._tracer.finish()
        except ValueError as error:
            raise self._error(one_line(error)) from error
        stored = {tensor.name for tensor in self._graph.initializer}
        weights = [tensor for tensor in trace.tensors if tensor.name in stored]
        self._tracer.about["parameters"] = sum(prod(tensor.shape) for tensor in weights)
        return trace

    def _refuse_unknown_types(self) -> None:
        """Raise ModelError with every type without a rule, its count and its first node's name.

        A node whose operands are all known before the run needs no rule.
        """
        known = {tensor.name for tensor in self._graph.initializer}
        unknown: Counter[str] = Counter()
        first: dict[str, str] = {}
        for name, proto in zip(self._names, self._graph.node, strict=True):
            standard = proto.domain in DEFAULT_DOMAINS
            kind = proto.op_type if standard else f"{proto.domain}.{proto.op_type}"
            if standard and _is_known(proto, known):
                known.update(proto.output)
            elif not standard or proto.op_type not in RULES:
                unknown[kind] += 1
                first.setdefault(kind, name)
        if unknown:
            listed = (f"{count} {kind} (first '{first[kind]}')" for kind, count in unknown.items())
            raise self._error(
                f"node types without a cost: {', '.join(listed)}; "
                f"export with standard operators, or add them to workloads/onnx_graph/rules.py"
            )

    def _add_given(self) -> None:
        """Add what no node makes: inputs and weights."""
        for given in self._graph.input:
            if given.name not in self._file.inputs:
                continue  # a weight listed once more
            shape = self._file.inputs[given.name][0]
            dtype = self._inference.note(given.name, given.type.tensor_type.elem_type, shape)
            self._tracer.declare(given.name, Role.INPUT, shape, dtype=dtype)
            result = Result(name=given.name, shape=shape, dtype=dtype)
            self._values[given.name] = _computed(result, self._tracer.get(given.name))
        for tensor in self._graph.initializer:
            shape = tuple(tensor.dims)
            self._values[tensor.name] = Value(
                name=tensor.name,
                shape=shape,
                dtype=self._inference.note(tensor.name, tensor.data_type, shape),
                home=tensor.name,
                immediate=not shape,
                numbers=self._inference.weight_numbers(tensor),
            )

    def _visit(self, name: str, proto: Any) -> None:
        """Infer a node's results, and either fold it or record it."""
        for operand in filter(None, proto.input):
            if operand not in self._values:
                raise self._error(f"node '{name}' reads '{operand}', which nothing before it makes")
        for output in proto.output:
            if output in self._values:
                raise self._error(f"node '{name}' makes '{output}', which is there already")
        operands = [self._values[each] if each else None for each in proto.input]
        results = self._inference.results(name, proto, self._values)
        known = {value.name for value in operands if value is not None and value.known}
        part = proto.op_type in PARTS and operands[0] is not None and "float" in operands[0].dtype
        if _is_known(proto, known) and not part:
            self._fold(proto, operands, results)
            return
        node = Node(
            type=proto.op_type,
            name=name,
            version=self._file.version,
            attributes=attributes_of(proto),
            inputs=tuple(operands),
            results=tuple(results),
            tracer=self._tracer,
        )
        for result, array in zip(results, self._recorded(node), strict=True):
            self._values[result.name] = _computed(result, array)

    def _recorded(self, node: Node) -> tuple[Array, ...]:
        """Record a node; one that no rule has the cost of is noted, and its results stand empty."""
        empty = next((result for result in node.results if not result.size), None)
        if empty is not None:
            raise self._error(f"node '{node.name}': '{empty.name}' has no elements")
        try:
            arrays = RULES.get(node.type, unruled)(node)
        except UnsupportedNodeError as error:
            self._refused.append(f"{node.type} '{node.name}': {error}")
            arrays = tuple(self._placeholder(result) for result in node.results)
        except (ValueError, LookupError, TypeError) as error:
            raise self._error(f"node '{node.name}' ({node.type}): {one_line(error)}") from error
        return (arrays,) if isinstance(arrays, Array) else arrays

    def _placeholder(self, result: Result) -> Array:
        name = f"{result.name}, not traced"
        self._tracer.declare(name, Role.INPUT, result.shape, dtype=result.dtype)
        return self._tracer.get(name)

    def _fold(
        self, proto: Any, operands: Sequence[Value | None], results: Sequence[Result]
    ) -> None:
        """Note what is known before the run; nothing is recorded."""
        source = operands[0] if operands and proto.op_type in SAME_MEMORY else None
        numbers = self._inference.numbers(proto, operands, results)
        for result, known in zip(results, numbers, strict=True):
            self._values[result.name] = Value(
                name=result.name,
                shape=result.shape,
                dtype=result.dtype,
                home=source.home if source is not None else result.name,
                immediate=result.size == 1,
                numbers=known,
            )

    def _error(self, fault: str) -> ModelError:
        return ModelError(f"{self._where}: {fault}")


def _is_known(proto: Any, known: Collection[str]) -> bool:
    """Whether a node's results are known before the run."""
    if proto.op_type in {"Constant", *FROM_SHAPES}:
        return True
    branches = any(attribute.HasField("g") or attribute.graphs for attribute in proto.attribute)
    drawn = proto.op_type.startswith(("Random", "Bernoulli", "Multinomial"))
    given = [operand for operand in proto.input if operand]
    return bool(given) and not branches and not drawn and all(name in known for name in given)


def _computed(result: Result, array: Array) -> Value:
    return Value(name=result.name, shape=result.shape, dtype=result.dtype, array=array)


def _operation_names(file: GraphFile) -> list[str]:
    """Name each node's operations as no other node and no tensor is named."""
    nodes = file.graph.node
    counts = Counter(node.name for node in nodes)
    taken = {tensor.name for tensor in file.graph.initializer} | set(file.inputs)
    taken |= {name for node in nodes for name in node.output}
    first = [next(filter(None, node.output), f"node {at}") for at, node in enumerate(nodes)]
    return [
        node.name if node.name and counts[node.name] == 1 and node.name not in taken else output
        for node, output in zip(nodes, first, strict=True)
    ]


def _tokens(inputs: Sequence[tuple[Shape, str]]) -> tuple[int, int]:
    """Batch and tokens of each sequence, from the shapes of the inputs."""
    for shape, dtype in inputs:
        if dtype.startswith("int") and len(shape) == 2:
            return shape
    first = inputs[0][0] if inputs else ()
    return (first[0] if first else 1), 1


def _dtype(where: str, file: GraphFile) -> str:
    """Element type of most of the weights' bytes; of the first input where there are none."""
    bytes_of: Counter[str] = Counter()
    for tensor in file.graph.initializer:
        dtype = element_type(f"{where}: weight '{tensor.name}'", tensor.data_type)
        bytes_of[dtype] += prod(tensor.dims) * DTYPE_BYTES[dtype]
    for _, dtype in file.inputs.values():
        bytes_of.setdefault(dtype, 0)
    return bytes_of.most_common(1)[0][0] if bytes_of else "float32"
