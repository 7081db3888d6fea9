"""Files model.bin of CTranslate2, binary version 6.

Little-endian, without padding: the version (uint32); the specification's name and its revision
(uint32); the number of tensors (uint32), then each one's name, rank (uint8), extents (uint32
each), element type (uint8), byte count (uint32) and bytes; the number of aliases (uint32), then
pairs of an alias and the tensor it stands for. A string is its length (uint16) with the zero byte
that ends it, and its bytes.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np

from workloads.array import Values
from workloads.config import ModelError

VERSION = 6
DTYPES: Mapping[int, str] = {0: "<f4", 1: "<i1", 2: "<i2", 3: "<i4", 4: "<f2"}
"""Number of an element type -> numpy's word; 5 is bfloat16, which numpy has not."""


class Stored(NamedTuple):
    """What a file holds."""

    revision: int
    """Of the specification."""
    tensors: dict[str, Values]
    """By name, aliases included; views of the mapped file, read where they are used."""


def read_model(path: Path, specification: str) -> Stored:
    """Read a model of a specification, such as `WhisperSpec`.

    ModelError names the file, what is wrong and where.
    """
    try:
        with path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
        raise ModelError(f"{path}: cannot be read ({error}); check the file") from error
    reader = _Reader(path, data)
    version = reader.number("I", "the version")
    if version != VERSION:
        raise reader.error(f"binary version is {version}, only {VERSION} is known here")
    found = reader.text("the specification")
    if found != specification:
        raise reader.error(f"holds a {found[:40]!r}, expected '{specification}'")
    revision = reader.number("I", "the revision")
    tensors: dict[str, Values] = {}
    for number in range(reader.number("I", "the number of tensors")):
        name = reader.text(f"the name of tensor {number}")
        if name in tensors:
            raise reader.error(f"tensor {name} is there twice")
        tensors[name] = reader.tensor(name)
    for number in range(reader.number("I", "the number of aliases")):
        alias, name = (reader.text(f"{part} of alias {number}") for part in ("name", "tensor"))
        if name not in tensors or alias in tensors:
            raise reader.error(f"alias {alias} of {name}: no such tensor, or the name is taken")
        tensors[alias] = tensors[name]
    if reader.at != len(data):
        raise reader.error(f"{len(data) - reader.at} bytes follow the last alias")
    return Stored(revision, tensors)


class _Reader:
    """Takes one thing after the other from a file's bytes; never beyond their end."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self._path = path
        self._data = data
        self.at = 0
        """Bytes taken so far."""

    def number(self, kind: str, what: str) -> int:
        """Take a number: B, H or I of `struct`."""
        size = struct.calcsize(kind)
        result: int = struct.unpack(f"<{kind}", self._data[self._taken(size, what) : self.at])[0]
        return result

    def text(self, what: str) -> str:
        """Take a string."""
        size = self.number("H", f"the length of {what}")
        raw = self._data[self._taken(size, what) : self.at]
        if raw[-1:] != b"\0" or not raw[:-1].isascii():
            raise self.error(f"{what} is no text that ends in a zero byte")
        return raw[:-1].decode("ascii")

    def tensor(self, name: str) -> Values:
        """Take a tensor's shape and numbers."""
        rank = self.number("B", f"the rank of {name}")
        shape = tuple(self.number("I", f"the shape of {name}") for _ in range(rank))
        kind = self.number("B", f"the element type of {name}")
        if kind not in DTYPES:
            raise self.error(f"{name} has element type {kind}; known are {', '.join(DTYPES_SEEN)}")
        dtype = np.dtype(DTYPES[kind])
        size = self.number("I", f"the byte count of {name}")
        if size != prod(shape) * dtype.itemsize:
            raise self.error(
                f"{name} has {size} bytes, its shape {list(shape)} needs "
                f"{prod(shape) * dtype.itemsize}"
            )
        start = self._taken(size, f"the numbers of {name}")
        return np.frombuffer(self._data, dtype, prod(shape), start).reshape(shape)

    def error(self, fault: str) -> ModelError:
        """Return an error that names the file."""
        return ModelError(f"{self._path}: no usable CTranslate2 model: {fault}")

    def _taken(self, size: int, what: str) -> int:
        """Move on by `size` bytes, and return where they begin."""
        if self.at + size > len(self._data):
            raise self.error(f"the file ends within {what}; fetch it again")
        self.at += size
        return self.at - size


DTYPES_SEEN = tuple(f"{number} ({np.dtype(word)})" for number, word in DTYPES.items())
