"""Which tensors' bytes a memory level still holds: reuse between operations.

An operation streams its operands. Under least-recently-used replacement the bytes whose last use is
longest ago leave first, and they leave in the order in which they would be streamed again. So once
the first line of a part has been evicted, streaming the part again misses every line of it, because
each miss evicts the line needed next: a part is either found or not, and the level is a list of
parts of tensors in order of last use.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from workloads.trace import Tensor

_Key = tuple[str, int | None]


class Residency:
    """A level's content, part by part of tensors, in order of last use.

    Models: capacity, least-recently-used replacement under streaming, exactly as of a fully
    associative cache where tensors are read whole; partly filled tensors (a KV cache's prefix),
    tensors of which a part was used later than the rest, writes that stay for the next reader.
    Ignores: sets and ways, which matter next to the working set only: there eight ways keep what
    one order of all lines would lose; lines shared by two tensors; which part of a tensor an
    access takes, other than that it begins where the last one did; the write-back of an evicted
    dirty tensor as a separate event.
    Source: stack distances, Mattson et al., IBM Systems Journal 9(2), 1970.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self.capacity_bytes = capacity_bytes
        self.used_bytes = 0
        self._parts: OrderedDict[int, _Part] = OrderedDict()
        """Parts of tensors in order of last use, by a number of their own."""
        self._of: dict[_Key, list[int]] = {}
        """The parts of a tensor, last used first."""
        self._next = 0

    def read(self, tensor: Tensor, layer: int | None, touched: int, *, scattered: bool) -> int:
        """Return how many of `touched` bytes are here, then hold them as most recent.

        `scattered` reads (gathered rows) hit only where the whole tensor is held, since which
        rows were touched before is not remembered; what they fetch is not remembered either.
        """
        key = _key(tensor, layer)
        held = self._held_bytes(key)
        if scattered:
            self._touch(key, held)
            return touched if held >= tensor.bytes else 0
        self._touch(key, touched)
        return min(held, touched)

    def write(self, tensor: Tensor, layer: int | None, touched: int, *, appended: bool) -> None:
        """Hold written bytes: in addition to what is held if `appended`, else in its place."""
        key = _key(tensor, layer)
        held = self._held_bytes(key) if appended else 0
        self._touch(key, min(held + touched, tensor.bytes))

    def forget(self, tensor: Tensor, layer: int | None) -> None:
        """Hold nothing of a tensor any more: an operation's own streams drove it out."""
        for number in list(self._of.get(_key(tensor, layer), ())):
            self._shrink(number, self._parts[number].bytes)

    def key(self, layer: int) -> Hashable:
        """Content in order of last use, with layers counted from `layer`."""
        return tuple(
            (name, None if at is None else at - layer, part.bytes, part.begun)
            for part in self._parts.values()
            for name, at in (part.key,)
        )

    def skip_layers(self, count: int) -> None:
        """Rename what belongs to a layer to the layer `count` further on."""
        self._of = {}
        for number, part in self._parts.items():
            name, at = part.key
            part.key = name, None if at is None else at + count
            self._of.setdefault(part.key, []).insert(0, number)

    def _held_bytes(self, key: _Key) -> int:
        """Bytes of a tensor that streaming it finds: of a part that is being evicted, none."""
        parts = (self._parts[number] for number in self._of.get(key, ()))
        return sum(part.bytes for part in parts if not part.begun)

    def _touch(self, key: _Key, touched: int) -> None:
        """Make so many bytes of a tensor the last used; the rest of it keeps its place."""
        left = touched
        for number in list(self._of.get(key, ())):
            part = self._parts[number]
            taken = part.bytes if part.begun else min(left, part.bytes)
            left -= 0 if part.begun else taken
            self._shrink(number, taken)
        if touched > self.capacity_bytes:
            self._parts.clear()
            self._of.clear()
            self.used_bytes = 0
        elif touched:
            self._parts[self._next] = _Part(key, touched)
            self._of.setdefault(key, []).insert(0, self._next)
            self._next += 1
            self.used_bytes += touched
            self._evict()

    def _shrink(self, number: int, taken: int) -> None:
        part = self._parts[number]
        part.bytes -= taken
        self.used_bytes -= taken
        if not part.bytes:
            del self._parts[number]
            self._of[part.key].remove(number)

    def _evict(self) -> None:
        """Take lines from the parts whose last use is longest ago, until the rest fits."""
        while self.used_bytes > self.capacity_bytes:
            number, part = next(iter(self._parts.items()))
            part.begun = True
            self._shrink(number, min(part.bytes, self.used_bytes - self.capacity_bytes))


@dataclass(slots=True)
class _Part:
    """Bytes of a tensor that were last used together."""

    key: _Key
    bytes: int
    begun: bool = False
    """Whether lines of it were evicted."""


def _key(tensor: Tensor, layer: int | None) -> _Key:
    return tensor.name, layer if tensor.layers > 1 else None
