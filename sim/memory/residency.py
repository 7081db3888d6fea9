"""Which tensors' bytes a memory level still holds: reuse between operations.

An operation streams its operands. Under least-recently-used replacement a tensor that was streamed
whole stays until as many bytes of other tensors have passed; once its oldest line has been evicted,
streaming it again misses every line, because each miss evicts the line needed next. So a tensor
is either resident or not, and the level is a list of tensors in order of last use.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from workloads.trace import Tensor


class Residency:
    """A level's content, tensor by tensor, in order of last use.

    Models: capacity, least-recently-used replacement under streaming, partly filled tensors (a KV
    cache's prefix), writes that stay for the next reader.
    Ignores: sets, ways and conflict misses (see `cache.Cache`), lines shared by two tensors, and
    the write-back of an evicted dirty tensor as a separate event.
    Source: stack distances, Mattson et al., IBM Systems Journal 9(2), 1970.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self.capacity_bytes = capacity_bytes
        self.used_bytes = 0
        self._held: OrderedDict[tuple[str, int | None], int] = OrderedDict()

    def read(self, tensor: Tensor, layer: int | None, touched: int, *, scattered: bool) -> int:
        """Return how many of `touched` bytes are here, then hold them as most recent.

        `scattered` reads (gathered rows) hit only where the whole tensor is held, since which
        rows were touched before is not remembered; what they fetch is not remembered either.
        """
        held = self._held.get(_key(tensor, layer), 0)
        if scattered:
            hit = touched if held >= tensor.bytes else 0
            self._hold(tensor, layer, held)
            return hit
        self._hold(tensor, layer, max(held, touched))
        return min(held, touched)

    def write(self, tensor: Tensor, layer: int | None, touched: int, *, appended: bool) -> None:
        """Hold written bytes: in addition to what is held if `appended`, else in its place."""
        held = self._held.get(_key(tensor, layer), 0)
        grown = min(held + touched, tensor.bytes) if appended else max(held, touched)
        self._hold(tensor, layer, grown)

    def key(self, layer: int) -> Hashable:
        """Content in order of last use, with layers counted from `layer`."""
        return tuple(
            (name, None if at is None else at - layer, held)
            for (name, at), held in self._held.items()
        )

    def skip_layers(self, count: int) -> None:
        """Rename what belongs to a layer to the layer `count` further on."""
        self._held = OrderedDict(
            ((name, None if at is None else at + count), held)
            for (name, at), held in self._held.items()
        )

    def _hold(self, tensor: Tensor, layer: int | None, held: int) -> None:
        key = _key(tensor, layer)
        self.used_bytes -= self._held.pop(key, 0)
        if held == 0:
            return
        if held > self.capacity_bytes:
            self._held.clear()
            self.used_bytes = 0
            return
        while self.used_bytes + held > self.capacity_bytes:
            _, evicted = self._held.popitem(last=False)
            self.used_bytes -= evicted
        self._held[key] = held
        self.used_bytes += held


def _key(tensor: Tensor, layer: int | None) -> tuple[str, int | None]:
    return tensor.name, layer if tensor.layers > 1 else None
