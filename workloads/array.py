"""Array: the handle that operations take and return while a run is traced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from workloads.trace import stored_bytes

if TYPE_CHECKING:
    from workloads.tracer import Tracer

Values = NDArray[Any]
Shape = tuple[int, ...]
Pick = Callable[[Values], Values]
Picks = tuple[Pick | Shape, ...]
"""Takes parts out of numbers, or reshapes them."""


def picked(values: Values, picks: Picks) -> Values:
    """Follow picks from a tensor's numbers to an array's."""
    for pick in picks:
        values = values.reshape(pick) if isinstance(pick, tuple) else pick(values)
    return values


def numpy_type(dtype: str) -> str:
    """Return what numpy holds an element type in; packed ones lie unpacked, a byte each."""
    return {"int4": "int8", "uint2": "uint8"}.get(dtype, dtype)


@dataclass(slots=True, eq=False)
class Written:
    """One writing of one piece of memory, and the operation that did it."""

    index: int
    """Position of the operation in the expanded trace."""
    values: Values | None = None
    """What was written, where a replayed layer did it: see `workloads.replay`."""


@dataclass(slots=True, eq=False, kw_only=True)
class Array:
    """What operations take and return: a place in memory and, where executed, its numbers.

    Nothing changes one. It is not frozen only because that makes it three times as slow to make,
    and a run makes several for each operation.
    """

    tracer: Tracer
    tensor: int
    """Index into the trace's tensors."""
    shape: Shape
    dtype: str
    numbers: Values | None
    """Of shape `shape`, when this was made; None where the tracer does not execute."""
    stored: bool = False
    """Whether the numbers lie with a declared tensor."""
    picks: Picks = ()
    """How the numbers were picked out of the tensor's, one after another."""
    offset_bytes: int = 0
    """Where in the tensor this array begins."""
    written: Written | None = None
    """The writing whose result this array is; None for weights and inputs."""
    kept: Array | None = None
    """On a training tape: the copy that was set aside, where this array's place is reused."""

    @property
    def values(self) -> Values | None:
        """The numbers, for all but an operation's formula: the layer is not replayed then."""
        self.tracer.looked_at()
        return self.read()

    def read(self) -> Values | None:
        """Return the numbers, of shape `shape`; None where the tracer does not execute."""
        if self.stored or self.written is None or self.written.values is None:
            return self.numbers
        return picked(self.written.values, self.picks)

    @property
    def name(self) -> str:
        """Name of the tensor it lies in."""
        return self.tracer.tensor_name(self.tensor)

    @property
    def size(self) -> int:
        """Elements."""
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """Bytes of its elements."""
        return _bytes_of(self.shape, self.dtype)

    @property
    def producer(self) -> int | None:
        """Position in the expanded trace of the operation that wrote it."""
        return None if self.written is None else self.written.index

    def view(
        self,
        shape: Shape,
        *,
        offset_elements: int = 0,
        pick: Pick | None = None,
    ) -> Array:
        """Return the same memory under another shape, or a part of it; no operation is recorded.

        `pick` takes the part out of the numbers; without it they are reshaped.
        """
        step, values = pick or shape, self.read()
        if values is not None:
            values = picked(values, (step,))
        offset_bytes = self.offset_bytes
        if offset_elements:
            offset_bytes += stored_bytes(offset_elements, self.dtype)
        return Array(
            tracer=self.tracer,
            tensor=self.tensor,
            shape=shape,
            dtype=self.dtype,
            numbers=values,
            stored=self.stored,
            picks=(*self.picks, step),
            offset_bytes=offset_bytes,
            written=self.written,
            kept=self.kept,
        )


@lru_cache(maxsize=4096)  # a run asks the same few again and again
def _bytes_of(shape: Shape, dtype: str) -> int:
    return stored_bytes(prod(shape), dtype)
