"""What all operations share: the check of their arrays' shapes."""

from __future__ import annotations

from workloads.array import Array, Values

TOKEN_DTYPE = "int64"  # noqa: S105 (a type, no password)


class ShapeError(ValueError):
    """An operation was given arrays whose shapes do not fit; the message names both."""


def need(*, fits: bool, op: str, rule: str, **arrays: Array) -> None:
    """Raise ShapeError unless the arrays fit; the message names the operation and the shapes."""
    if not fits:
        shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in arrays.items())
        raise ShapeError(f"{op}: {rule}, got {shapes}")


def kept(result: Values, slot: Values | None = None) -> Values:
    """Write a result into the slot that it updates, where there is one."""
    if slot is None:
        return result
    slot[...] = result
    return slot
