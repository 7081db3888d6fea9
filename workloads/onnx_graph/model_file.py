"""An ONNX file, read and checked, and the sizes that its inputs are given.

The package `onnx` is an optional extra: it is imported when a graph is read, never before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workloads.array import Shape
from workloads.config import ModelError

DTYPES: Mapping[str, str] = {
    "DOUBLE": "float64",
    "FLOAT": "float32",
    "FLOAT16": "float16",
    "BFLOAT16": "bfloat16",
    "INT64": "int64",
    "UINT64": "int64",
    "INT32": "int32",
    "UINT32": "int32",
    "INT8": "int8",
    "UINT8": "int8",
    "BOOL": "int8",
}
"""Element type of ONNX -> of traces, which tell apart what differs in bytes, not in sign."""

DEFAULT_DOMAINS = ("", "ai.onnx")


@dataclass(frozen=True, kw_only=True)
class GraphFile:
    """A graph whose nodes can be walked."""

    name: str
    """Of the file, without its ending."""
    graph: Any
    """onnx.GraphProto"""
    version: int
    """Of the standard operators."""
    inputs: Mapping[str, tuple[Shape, str]]
    """Shape and element type (of traces) of what is given from outside, all sizes known."""
    about: Mapping[str, Any]


def onnx_package() -> Any:
    """Return the package `onnx`; ModelError says how to install it where it is missing."""
    try:
        import onnx  # noqa: PLC0415 - an optional extra
        import onnx.reference  # noqa: PLC0415 - as above
        import onnx.shape_inference  # noqa: PLC0415 - as above
    except ImportError as error:
        raise ModelError(
            "ONNX graphs need the package onnx; pip install 'tokenclock[onnx]'"
        ) from error
    return onnx


def read_graph(path: Path, dims: Mapping[str, int]) -> GraphFile:
    """Read a graph; `dims` gives its symbolic sizes, by symbol or as INPUT.AXIS.

    The weights' numbers are not needed, and those beside the file are not opened. ModelError names
    the file and the fault: unreadable, no graph, sizes missing or unknown.
    """
    onnx = onnx_package()
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's errors have no common class of their own
        raise ModelError(f"{path}: not an ONNX file, or a damaged one; export it again") from error
    if not _has_texts(model.graph):
        raise ModelError(f"{path}: damaged: a name is not valid text; export it again")
    if not model.graph.node:
        raise ModelError(f"{path}: holds no graph; export the model again")
    versions = {each.domain: each.version for each in model.opset_import}
    version = next((versions[name] for name in DEFAULT_DOMAINS if name in versions), 0)
    newest = onnx.defs.onnx_opset_version()
    if not 1 <= version <= newest:
        raise ModelError(
            f"{path}: operator set {version} is not one of 1 to {newest} that onnx "
            f"{onnx.__version__} knows; export with another, or update onnx"
        )
    exporter = f"{model.producer_name} {model.producer_version}".strip()
    about: dict[str, Any] = {"opset": version, "exported_by": exporter or "unknown"}
    return GraphFile(
        name=path.stem,
        graph=model.graph,
        version=version,
        inputs=_inputs(path, model.graph, dims),
        about=about | ({"dims": dict(dims)} if dims else {}),
    )


def element_type(where: str, number: int) -> str:
    """Element type of traces for ONNX's number of one; ModelError where traces have none."""
    types = onnx_package().TensorProto.DataType
    name = types.Name(number) if number in types.values() else str(number)
    if name not in DTYPES:
        raise ModelError(f"{where} has elements of type {name}, which traces do not have")
    return DTYPES[name]


def attributes_of(node: Any) -> dict[str, Any]:
    """Return a node's attributes by name, texts as such."""
    values = onnx_package().helper.get_attribute_value
    found = {attribute.name: values(attribute) for attribute in node.attribute}
    return {
        name: value.decode(errors="replace") if isinstance(value, bytes) else value
        for name, value in found.items()
    }


def _has_texts(graph: Any) -> bool:
    """Whether all names can be read: protobuf gives bytes where they are not valid UTF-8."""
    names = [value.name for value in (*graph.input, *graph.initializer)]
    names += [size.dim_param for v in graph.input for size in v.type.tensor_type.shape.dim]
    for node in graph.node:
        names += [node.name, node.op_type, node.domain, *node.input, *node.output]
        names += [attribute.name for attribute in node.attribute]
    return all(isinstance(name, str) and name.isprintable() for name in names)


def _inputs(path: Path, graph: Any, dims: Mapping[str, int]) -> dict[str, tuple[Shape, str]]:
    wrong = [f"{name}={size}" for name, size in dims.items() if size < 1]
    if wrong:
        raise ModelError(f"{path}: --dim {wrong[0]}: give 1 or more")
    weights = {tensor.name for tensor in graph.initializer}
    given = [value for value in graph.input if value.name not in weights]
    unused, missing, inputs = set(dims), Counter[str](), {}
    for value in given:
        if not value.type.HasField("tensor_type") or not value.type.tensor_type.HasField("shape"):
            raise ModelError(f"{path}: input '{value.name}' is no tensor of known rank")
        shape = []
        for axis, size in enumerate(value.type.tensor_type.shape.dim):
            place = f"{value.name}.{axis}"
            keys = [key for key in (place, size.dim_param) if key in dims]
            unused -= set(keys)
            if size.HasField("dim_value") and size.dim_value > 0:
                shape.append(size.dim_value)
            elif keys:
                shape.append(dims[keys[0]])
            else:
                missing[size.dim_param or place] += 1
        where = f"{path}: input '{value.name}'"
        inputs[value.name] = tuple(shape), element_type(where, value.type.tensor_type.elem_type)
    if missing:
        asked = " ".join(f"--dim {name}=1" for name in missing)
        raise ModelError(f"{path}: sizes are open; give them, for example {asked}")
    if unused:
        raise ModelError(f"{path}: no input has an open size '{min(unused)}'")
    return inputs
