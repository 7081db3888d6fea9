"""GGUF version 3: metadata and quantised tensors in one file, as llama.cpp writes them.

Layout: the magic, the version, the numbers of tensors and of metadata pairs, the pairs, a line on
each tensor, padding to the alignment, the tensors' bytes. Little-endian throughout. The extents of
a tensor are stored with the fastest one first; here they stand in numpy's order, the slowest first.

Source: the specification in docs/gguf.md of the project ggml.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from workloads.array import Shape, Values
from workloads.config import ModelError, nearest
from workloads.formats.ggml_blocks import ENCODINGS, Encoding

MAGIC, VERSION = b"GGUF", 3
DEFAULT_ALIGNMENT_BYTES = 32
MOST_DIMENSIONS = 4  # of a tensor of ggml

_SCALARS: Mapping[int, str] = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
"""Number of a metadata type -> its format in `struct`."""
_STRING, _ARRAY = 8, 9


@dataclass(frozen=True, kw_only=True)
class StoredTensor:
    """Where a tensor lies in the file, and how its numbers are encoded."""

    name: str
    shape: Shape
    """In numpy's order."""
    encoding: Encoding
    offset_bytes: int
    """From the start of the file."""

    @property
    def bytes(self) -> int:
        """Bytes of its blocks."""
        return prod(self.shape) // self.encoding.block * self.encoding.block_bytes


class GgufFile:
    """An opened file: its metadata, and its tensors by name.

    ModelError names the file and what in it is wrong; tensors are decoded one at a time.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._data = _mapped(path)
        cursor = _Cursor(self._data, path)
        if cursor.take(4, "the magic") != MAGIC:
            raise ModelError(f"{path}: not a GGUF file; it should begin with 'GGUF'")
        if (version := cursor.number("I", "the version")) != VERSION:
            raise ModelError(f"{path}: GGUF version {version}; only {VERSION} is read here")
        tensor_count = cursor.number("Q", "the number of tensors")
        pair_count = cursor.number("Q", "the number of metadata pairs")
        self.metadata = _metadata(cursor, pair_count)
        """By key: numbers, text, and lists of them."""
        self.tensors = _tensors(cursor, tensor_count, self._alignment_bytes())
        """By name, in the order of the file."""

    def values(self, name: str) -> Values:
        """Decode a tensor to float32, its shape in numpy's order."""
        stored = self.tensors.get(name)
        if stored is None:
            raise ModelError(f"{self.path}: no tensor '{name}'{nearest(name, self.tensors)}")
        raw = np.frombuffer(self._data, np.uint8, stored.bytes, stored.offset_bytes)
        blocks = raw.reshape(-1, stored.encoding.block_bytes)
        return stored.encoding.decode(blocks).reshape(stored.shape)

    def need(self, key: str, kind: type) -> Any:
        """Return a metadata value that must be there and of a type."""
        value = self.metadata.get(key)
        if not isinstance(value, kind):
            found = "missing" if value is None else f"of type {type(value).__name__}"
            raise ModelError(f"{self.path}: metadata '{key}' is {found}, not {kind.__name__}")
        return value

    def _alignment_bytes(self) -> int:
        key = "general.alignment"
        alignment = self.need(key, int) if key in self.metadata else DEFAULT_ALIGNMENT_BYTES
        if alignment < 8 or alignment % 8:
            raise ModelError(f"{self.path}: metadata '{key}' is {alignment}, no multiple of 8")
        return int(alignment)


class _Cursor:
    """Reads from the front; ModelError where the file ends too early."""

    def __init__(self, data: mmap.mmap, path: Path) -> None:
        self._data = data
        self.path = path
        self.at = 0
        self.size = len(data)

    def take(self, count: int, what: str) -> bytes:
        start, self.at = self.at, self.at + count
        if self.at > self.size:
            raise ModelError(
                f"{self.path}: truncated: {what} ends at byte {self.at:,}, the file at "
                f"{self.size:,}; fetch the file anew"
            )
        return self._data[start : self.at]

    def number(self, kind: str, what: str) -> Any:
        return struct.unpack("<" + kind, self.take(struct.calcsize("<" + kind), what))[0]

    def text(self, what: str) -> str:
        raw = self.take(self.number("Q", what), what)
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ModelError(f"{self.path}: {what} is not UTF-8 text; the file is damaged") from (
                error
            )

    def value(self, kind: int, what: str) -> Any:
        if kind in _SCALARS:
            return self.number(_SCALARS[kind], what)
        if kind == _STRING:
            return self.text(what)
        if kind == _ARRAY:
            return self.array(what)
        raise ModelError(f"{self.path}: {what} has the unknown type {kind}; the file is damaged")

    def array(self, what: str) -> list[Any]:
        kind, count = self.number("I", what), self.number("Q", what)
        if kind in _SCALARS:
            size = struct.calcsize("<" + _SCALARS[kind])
            raw = self.take(count * size, what)
            return list(struct.unpack(f"<{count}{_SCALARS[kind]}", raw))
        if kind != _STRING:
            raise ModelError(f"{self.path}: {what} is a list of the unknown type {kind}")
        return [self.text(what) for _ in range(self.checked(count, 8, what))]

    def checked(self, count: int, least_bytes: int, what: str) -> int:
        """Return a count, refused at once where the file cannot hold that many."""
        if count * least_bytes > self.size - self.at:
            raise ModelError(f"{self.path}: truncated: {count:,} of {what} do not fit in the file")
        return count


def _mapped(path: Path) -> mmap.mmap:
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except ValueError as error:
        raise ModelError(f"{path}: an empty file; fetch it anew") from error


def _metadata(cursor: _Cursor, count: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number in range(cursor.checked(count, 13, "metadata pairs")):
        key = cursor.text(f"the key of metadata pair {number}")
        if key in found:
            raise ModelError(f"{cursor.path}: metadata '{key}' is given twice")
        what = f"metadata '{key}'"
        found[key] = cursor.value(cursor.number("I", what), what)
    return found


def _tensors(cursor: _Cursor, count: int, alignment: int) -> dict[str, StoredTensor]:
    lines = []
    for number in range(cursor.checked(count, 24, "tensors")):
        name = cursor.text(f"the name of tensor {number}")
        what = f"tensor '{name}'"
        dimensions = cursor.number("I", what)
        if not 1 <= dimensions <= MOST_DIMENSIONS:
            raise ModelError(f"{cursor.path}: {what} has {dimensions} extents; 1 to 4 are known")
        extents = [cursor.number("Q", what) for _ in range(dimensions)]
        encoding = cursor.number("I", what)
        lines.append((name, extents, encoding, cursor.number("Q", what)))
    start = -(-cursor.at // alignment) * alignment
    tensors: dict[str, StoredTensor] = {}
    end = 0  # of the tensors before: they lie in order, and do not overlap
    for name, extents, number, offset in lines:
        if name in tensors:
            raise ModelError(f"{cursor.path}: tensor '{name}' is listed twice")
        encoding = _encoding(cursor.path, name, extents, number)
        if offset % alignment or offset < end:
            raise ModelError(
                f"{cursor.path}: tensor '{name}' begins at {offset:,}, which is not aligned to "
                f"{alignment} or lies in the tensor before; the file is damaged"
            )
        tensor = StoredTensor(
            name=name,
            shape=tuple(reversed(extents)),
            encoding=encoding,
            offset_bytes=start + offset,
        )
        end = offset + tensor.bytes
        if start + end > cursor.size:
            raise ModelError(
                f"{cursor.path}: truncated: tensor '{name}' ends at byte {start + end:,}, the "
                f"file at {cursor.size:,}; fetch the file anew"
            )
        tensors[name] = tensor
    return tensors


def _encoding(path: Path, name: str, extents: list[int], number: int) -> Encoding:
    encoding = ENCODINGS.get(number)
    if encoding is None:
        known = ", ".join(f"{each.name} ({key})" for key, each in ENCODINGS.items())
        raise ModelError(f"{path}: tensor '{name}' has encoding {number}; known: {known}")
    if min(extents) < 1 or extents[0] % encoding.block:
        raise ModelError(
            f"{path}: tensor '{name}' has rows of {extents[0]}; {encoding.name} needs a positive "
            f"multiple of {encoding.block}"
        )
    return encoding
