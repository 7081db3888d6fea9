"""Where tensors lie in memory. All share one flat address space, in this order.

- Weights, in the order of declaration; neighbouring layered weights are interleaved (all of layer
  0, all of layer 1, ...), so one constant stride leads from a layer to the next.
- In training the weights' gradients and the optimiser's state, layered likewise.
- The KV cache, and the state of a recurrent network, layered likewise; then the inputs; then the
  activations.
- An activation has one buffer per name, reused in every layer and step; what a backward pass
  reads again has one in each layer. Its tensor takes the
  largest shape ever written to it; an operation's `Access` says how much of it is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import prod

from workloads.array import Shape, Values
from workloads.trace import Role, Tensor, stored_bytes

_ORDER = (
    Role.WEIGHT,
    Role.GRADIENT,
    Role.OPTIMIZER_STATE,
    Role.KV_CACHE,
    Role.STATE,
    Role.INPUT,
    Role.ACTIVATION,
)

ALIGNMENT_BYTES = 64  # a cache line: no two tensors share one on any machine here


@dataclass(slots=True, kw_only=True)
class Memory:
    """A tensor while its largest shape and its address are still open."""

    name: str
    role: Role
    shape: Shape
    dtype: str
    layers: int = 1
    layered: bool = False
    """Each layer has one of its own, be it the only layer."""
    first_layer: int = 0
    values: Callable[[int | None], Values] | None = None
    """Gives a layer's numbers."""
    in_layers: bool = False
    """A buffer that was first written within a layer."""

    @property
    def bytes(self) -> int:
        """Size of one layer's instance so far."""
        return stored_bytes(prod(self.shape), self.dtype)

    def placed(self, address: int, stride: int) -> Tensor:
        """Return the finished tensor at an address."""
        return Tensor(
            name=self.name,
            role=self.role,
            shape=self.shape,
            dtype=self.dtype,
            address=address,
            layers=self.layers,
            layer_stride_bytes=stride,
            first_layer=self.first_layer,
        )


def laid_out(memories: Sequence[Memory]) -> tuple[Tensor, ...]:
    """Give every tensor its address; the order of the list stays, it is what accesses refer to."""
    tensors: dict[str, Tensor] = {}
    address = 0
    for role in _ORDER:
        of_role = [memory for memory in memories if memory.role is role]
        for (layered, _, _), neighbours in groupby(of_role, key=_instances):
            group = tuple(neighbours)
            stride = sum(_aligned(memory.bytes) for memory in group)
            for memory in group:
                tensors[memory.name] = memory.placed(address, stride if layered else 0)
                address += _aligned(memory.bytes)
            address += stride * (group[0].layers - 1)
    return tuple(tensors[memory.name] for memory in memories)


def _instances(memory: Memory) -> tuple[bool, int, int]:
    """Which layers have one of their own."""
    return memory.layered, memory.layers, memory.first_layer


def _aligned(size_bytes: int) -> int:
    return int(-(-size_bytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES)
