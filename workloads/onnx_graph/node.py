"""A node of a graph while it is walked: what its rule sees, and how it records operations.

Costs and rules are those of `workloads.ops`: a fused multiply-add is two flops, exponentials and
roots are counted apart, changing a sign and choosing by a mask cost nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from workloads.array import Array, Shape, Values
from workloads.trace import DTYPE_BYTES, Family, Role
from workloads.tracer import Tracer


class UnsupportedNodeError(ValueError):
    """A node does what no rule has the cost of; the message says what."""


@dataclass(frozen=True, kw_only=True)
class Value:
    """One tensor of a graph: computed in the run, given, or known before it."""

    name: str
    shape: Shape
    dtype: str
    array: Array | None = None
    """Where it lies; None where it is known before the run: then `home` is a weight's name."""
    home: str = ""
    immediate: bool = False
    """A number that is part of the operation: no memory is read for it."""
    numbers: Values | None = None
    """What is known and small: sizes, axes, indices."""

    @property
    def known(self) -> bool:
        """Whether it is known before the run."""
        return self.array is None

    @property
    def size(self) -> int:
        """Elements."""
        return prod(self.shape)


@dataclass(frozen=True, kw_only=True)
class Result:
    """What is known of a node's output before its rule is asked."""

    name: str
    shape: Shape
    dtype: str

    @property
    def size(self) -> int:
        """Elements."""
        return prod(self.shape)


Read = Array | tuple[Array, int, int]


@dataclass(frozen=True, kw_only=True)
class Node:
    """One node: its type, operands and results, and the tracer that it records to."""

    type: str
    name: str
    """Its operations' name and buffer; no other node has it."""
    version: int
    attributes: Mapping[str, Any]
    inputs: tuple[Value | None, ...]
    """None where an optional operand is left out."""
    results: tuple[Result, ...]
    tracer: Tracer

    @property
    def result(self) -> Result:
        """The first result; most nodes have one."""
        return self.results[0]

    def has(self, position: int) -> bool:
        """Whether an operand is given."""
        return position < len(self.inputs) and self.inputs[position] is not None

    def operand(self, position: int) -> Value:
        """Return an operand; UnsupportedNodeError where it is left out."""
        value = self.inputs[position] if position < len(self.inputs) else None
        if value is None:
            raise UnsupportedNodeError(f"lacks operand {position}")
        return value

    def array(self, position: int) -> Array:
        """Where an operand lies; a weight is declared when it is first read."""
        return array_of(self.tracer, self.operand(position))

    def reads(self) -> list[Array]:
        """Return all operands that lie in memory, the largest first: loops stream that one."""
        held = [
            array_of(self.tracer, value)
            for value in self.inputs
            if value is not None and not value.immediate
        ]
        return sorted(held, key=lambda array: -array.bytes)

    def whole_numbers(self, position: int, attribute: str) -> tuple[int, ...] | None:
        """Return axes, sizes or the like, which newer versions give as an operand; None if none."""
        if attribute in self.attributes:
            return tuple(self.attributes[attribute])
        if not self.has(position):
            return None
        numbers = self.operand(position).numbers
        if numbers is None:
            raise UnsupportedNodeError(f"its {attribute} are computed in the run")
        return tuple(int(number) for number in numbers.ravel())

    def axis(self, rank: int, default: int) -> int:
        """Return the attribute `axis`, counted from the front."""
        axis = int(self.attributes.get("axis", default))
        if not -rank <= axis < max(rank, 1):
            raise UnsupportedNodeError(f"axis {axis} of {rank}")
        return axis % rank if rank else 0

    def view(self, position: int, *, offset_elements: int = 0, result: int = 0) -> Array:
        """Return an operand's memory, or a part, in the result's shape; nothing is recorded."""
        shape = self.results[result].shape
        return self.array(position).view(shape, offset_elements=offset_elements)

    def product(self, batch: int, m: int, n: int, k: int, *, kind: str = "matmul") -> Array:
        """Record a matrix product of the first two operands, as `ops.matmul` counts it."""
        dims = {"batch": batch, "m": m, "n": n, "k": k}
        return self.record(
            kind=kind,
            family=Family.MATMUL,
            dims=dims,
            flops=2 * prod(dims.values()),
            reads=(self.array(0), self.array(1)),
        )

    def elementwise(
        self, kind: str, reads: Sequence[Read], *, flops: int, transcendentals: int = 0
    ) -> Array:
        """Record `flops` and `transcendentals` for each element of the result.

        What costs neither is a copy.
        """
        size = self.result.size
        free = not flops and not transcendentals
        return self.record(
            kind=kind,
            family=Family.COPY if free else Family.ELEMENTWISE,
            dims={"elements": size},
            flops=flops * size,
            transcendentals=transcendentals * size,
            reads=reads,
        )

    def copy(self, kind: str, reads: Sequence[Read], *, result: int = 0) -> Array:
        """Record that the result's elements are moved."""
        return self.record(
            kind=kind,
            family=Family.COPY,
            dims={"elements": self.results[result].size},
            reads=reads,
            result=result,
        )

    def record(
        self,
        *,
        kind: str,
        family: Family,
        dims: dict[str, int],
        reads: Sequence[Read],
        flops: int = 0,
        transcendentals: int = 0,
        result: int = 0,
    ) -> Array:
        """Record one operation that makes a result, in a buffer of the node's name."""
        if not reads:
            raise UnsupportedNodeError("reads nothing")
        what = self.results[result]
        name = f"{self.name}.{result}" if result else self.name
        return self.tracer.record(
            kind=kind,
            family=family,
            name=name,
            dims=dims,
            flops=flops,
            transcendentals=transcendentals,
            reads=reads,
            shape=what.shape,
            dtype=what.dtype,
            compute=_not_executed,
        )


def array_of(tracer: Tracer, value: Value) -> Array:
    """Where a value lies; a weight is declared when it is first read."""
    if value.array is not None:
        return value.array
    if not tracer.has(value.home):
        tracer.declare(value.home, Role.WEIGHT, value.shape, dtype=value.dtype)
    return tracer.get(value.home).view(value.shape)


def rows_read(array: Array, rows: int, cols: int) -> tuple[Array, int, int]:
    """Return the reading of `rows` rows of a table, at most all of it, as `ops.embedding` has."""
    return array, min(rows * cols * DTYPE_BYTES[array.dtype], array.bytes), 0


def _not_executed(*_: Values) -> Values:
    raise NotImplementedError("graphs are traced by shape")
