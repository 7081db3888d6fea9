"""The safetensors format: named tensors behind a JSON header, mapped into memory.

A file is the header's length (8 bytes, little-endian), the header, and the tensors' bytes one
after the other: every byte belongs to exactly one tensor. Source: the format's description in
github.com/huggingface/safetensors. Its own Python package gives numpy no bfloat16, which many
checkpoints are in; here such a tensor is widened to float32, without loss.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from workloads.array import Shape, Values
from workloads.config import ModelError, nearest

HEADER_LIMIT_BYTES = 100_000_000  # the format's own limit
LENGTH_BYTES = 8

NUMPY_DTYPES: Mapping[str, str] = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",  # the upper half of a float32, which numpy has no type for
    "I64": "<i8",
    "I32": "<i4",
    "I8": "|i1",
    "U8": "|u1",
}

FLOATS = ("F64", "F32", "F16", "BF16")

INDEX = "model.safetensors.index.json"
WHOLE = "model.safetensors"


class _Entry(NamedTuple):
    """Where a tensor lies."""

    dtype: str
    shape: Shape
    begin: int
    """Offset into the tensors' bytes."""
    end: int


class Safetensors:
    """The tensors of one file, or of the several that a checkpoint was cut into.

    ModelError names the file that is missing, truncated or corrupt, and the fault.
    """

    def __init__(self, where: Path, entries: Mapping[str, tuple[_Entry, Values]]) -> None:
        self.where = where
        """The file, or the index of several."""
        self._entries = entries

    @classmethod
    def open(cls, path: Path) -> Safetensors:
        """Map one file into memory, its header checked; numbers are read when asked for."""
        entries, data = _header_and_data(path)
        return cls(path, {name: (entry, data) for name, entry in entries.items()})

    @classmethod
    def of_folder(cls, folder: Path) -> Safetensors:
        """Map a folder's model.safetensors, or the files named by model.safetensors.index.json."""
        index = folder / INDEX
        if not index.is_file():
            return cls.open(folder / WHOLE)
        held = _weight_map(index)
        parts = {name: cls.open(folder / name) for name in sorted(set(held.values()))}
        entries = {}
        for tensor, part in held.items():
            if tensor not in parts[part]:
                raise ModelError(f"{index}: tensor {tensor} is not in {part}; download both again")
            entries[tensor] = parts[part]._entries[tensor]  # noqa: SLF001 (of the same class)
        return cls(index, entries)

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all tensors."""
        return tuple(self._entries)

    def shape(self, name: str) -> Shape:
        """Shape of a tensor."""
        return self._entries[name][0].shape

    def dtype(self, name: str) -> str:
        """Element type of a tensor, as the format calls it."""
        return self._entries[name][0].dtype

    def values(self, name: str) -> Values:
        """Numbers of a tensor: a view of the file, but bfloat16 as a float32 copy."""
        entry, data = self._entries[name]
        flat = data[entry.begin : entry.end].view(NUMPY_DTYPES[entry.dtype])
        if entry.dtype == "BF16":
            flat = (flat.astype(np.uint32) << np.uint32(16)).view(np.float32)
        return flat.reshape(entry.shape)


def _header_and_data(path: Path) -> tuple[dict[str, _Entry], Values]:
    try:
        with path.open("rb") as file:
            start = file.read(LENGTH_BYTES)
            length = int.from_bytes(start, "little")
            if len(start) < LENGTH_BYTES or not 2 <= length <= HEADER_LIMIT_BYTES:
                raise _fault(path, f"its header cannot be {length} bytes long")
            header = file.read(length)
            if len(header) < length:
                raise _fault(path, f"it ends within its header of {length} bytes")
        whole = np.memmap(path, np.uint8, mode="r")
    except OSError as error:
        reason = error.strerror or str(error)
        raise ModelError(f"{path}: cannot be read ({reason}); check the path") from error
    data: Values = np.asarray(whole[LENGTH_BYTES + length :])
    entries = _entries(path, _json(path, header))
    _check_extent(path, entries, len(data))
    return entries, data


def _json(path: Path, text: bytes) -> dict[str, Any]:
    """Parse a JSON object that gives no key twice."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a name is given twice")
        return found

    try:
        content = json.loads(text.decode("utf-8"), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise _fault(path, f"its JSON cannot be read ({error})") from error
    if not isinstance(content, dict):
        raise _fault(path, "its JSON is no object")
    return content


def _entries(path: Path, header: dict[str, Any]) -> dict[str, _Entry]:
    entries = {}
    for name, given in header.items():
        if name == "__metadata__":
            continue
        if not isinstance(given, dict) or set(given) != {"dtype", "shape", "data_offsets"}:
            raise _fault(path, f"tensor {name} must have dtype, shape and data_offsets")
        dtype, shape, offsets = given["dtype"], given["shape"], given["data_offsets"]
        if not isinstance(dtype, str) or dtype not in NUMPY_DTYPES:
            raise ModelError(
                f"{path}: tensor {name}: unknown dtype '{dtype}'{nearest(str(dtype), NUMPY_DTYPES)}"
            )
        if not _counts(shape) or not _counts(offsets) or len(offsets) != 2:
            raise _fault(path, f"tensor {name}: shape and offsets must be whole numbers from 0")
        entry = _Entry(dtype, tuple(shape), *offsets)
        size = prod(entry.shape) * np.dtype(NUMPY_DTYPES[dtype]).itemsize
        if entry.end - entry.begin != size:
            raise _fault(
                path,
                f"tensor {name} of {size} bytes has data_offsets {entry.begin} to {entry.end}",
            )
        entries[name] = entry
    return entries


def _counts(numbers: Any) -> bool:
    """Whether this is a list of whole numbers from 0."""
    return isinstance(numbers, list) and all(type(n) is int and n >= 0 for n in numbers)


def _check_extent(path: Path, entries: Mapping[str, _Entry], size_bytes: int) -> None:
    """Hold that the tensors fill the file: no overlap, no hole, nothing missing or left over."""
    at = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1][2:]):
        if entry.begin != at:
            fault = "overlaps the one before" if entry.begin < at else "leaves a hole before it"
            raise _fault(path, f"tensor {name} {fault}, at byte {entry.begin} of the data")
        if entry.end > size_bytes:
            raise _fault(
                path, f"it is truncated: tensor {name} ends at byte {entry.end} of {size_bytes}"
            )
        at = entry.end
    if at != size_bytes:
        raise _fault(path, f"{size_bytes - at} bytes behind its last tensor belong to none")


def _weight_map(index: Path) -> dict[str, str]:
    """Read which file holds which tensor."""
    try:
        content = _json(index, index.read_bytes())
    except OSError as error:
        raise ModelError(f"{index}: cannot be read ({error.strerror}); check the path") from error
    held = content.get("weight_map")
    if not isinstance(held, dict) or not held:
        raise _fault(index, "it has no weight_map")
    for name, part in held.items():
        if not isinstance(part, str) or Path(part).name != part:
            raise _fault(index, f"tensor {name} must be in a file of the same folder, not {part!r}")
    return held


def _fault(path: Path, fault: str) -> ModelError:
    """Return the error of a file that is not what it should be."""
    return ModelError(f"{path}: damaged: {' '.join(fault.split())}; download it again")
