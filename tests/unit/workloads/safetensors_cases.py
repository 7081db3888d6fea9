"""Writes safetensors files, whole or damaged, apart from the reader."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

NAMES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "int64": "I64",
    "int32": "I32",
    "int8": "I8",
    "uint8": "U8",
}


def header_of(tensors: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Return the header and the bytes of tensors, one behind the other."""
    header: dict[str, Any] = {"__metadata__": {"format": "np"}}
    data = b""
    for name, given in tensors.items():
        values = np.ascontiguousarray(given)
        end = len(data) + values.nbytes
        shape, offsets = list(np.shape(given)), [len(data), end]
        header[name] = {"dtype": NAMES[str(values.dtype)], "shape": shape, "data_offsets": offsets}
        data += values.tobytes()
    return header, data


def write(path: Path, header: object, data: bytes) -> None:
    """Write a header, which may be text that is no JSON, and what lies behind it."""
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def write_tensors(path: Path, tensors: Mapping[str, Any]) -> None:
    """Write a whole file."""
    write(path, *header_of(tensors))
