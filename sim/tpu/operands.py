"""Where an operation's operands are: kept in the scratchpad, or to be moved by DMA.

Weights and the KV cache live in main memory and pass through the stream buffers in every step: a
step is one program, and programs keep no weights in the scratchpad. Activations stay in the
scratchpad as long as they fit, and so does a recurrent network's state, which is overwritten many
times within a step: where it is not there, an earlier step has written it out. What must be moved
is told apart by when it is known:

- ahead: weights, and in decode the KV cache: there before the step, so DMA may run ahead;
- late: activations, the KV cache of a prefill, gathered rows: written, or chosen, just before, so
  that their DMA waits for all earlier work.
"""

from __future__ import annotations

from dataclasses import dataclass

from sim.memory.residency import Residency
from workloads.trace import Access, Family, Op, Phase, Role, Tensor

_STAYING = frozenset({Role.ACTIVATION, Role.STATE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """What must be read from main memory for one operand."""

    read_bytes: int
    late: bool
    evicted_bytes: int = 0
    """Of an activation that was once on chip: had to be written out to be read again."""


STAYS = Fetch(read_bytes=0, late=True)
"""Nothing to read: the operand is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """All that an operation moves between main memory and scratchpad."""

    fetches: tuple[Fetch, ...]
    """One for each of the operation's reads."""
    written_bytes: int
    """Results that do not stay, or must outlive the step."""

    @property
    def evicted_bytes(self) -> int:
        """Written back for the sake of these reads."""
        return sum(fetch.evicted_bytes for fetch in self.fetches)

    @property
    def waits(self) -> bool:
        """Whether anything has to be moved that was not known before the step."""
        return self.written_bytes > 0 or any(f.read_bytes for f in self.fetches if f.late)


class Scratchpad:
    """The activations that the scratchpad holds, tensor by tensor.

    Models: capacity, reuse of activations between operations, spilling of what does not fit,
    write-through of the KV cache and of token numbers.
    Ignores: padding of what lies in it; the reuse of a cache entry appended just before (it is read
    back from memory); in decode, that the newest entry cannot be fetched ahead of its writing.
    Source: Jouppi et al., A Domain-Specific Supercomputer for Training Deep Neural Networks, CACM
    63(7), 2020: a core's memory hierarchy is moved by compiler-scheduled DMA.
    """

    def __init__(self, activation_bytes: int, tensors: tuple[Tensor, ...]) -> None:
        self.residency = Residency(activation_bytes)
        self._tensors = tensors

    def move(self, op: Op, layer: int | None, inner: frozenset[int] = frozenset()) -> Movement:
        """Say what `op` moves, and remember what it leaves in the scratchpad.

        Tensors named in `inner` are made and used up there, a block at a time.
        """
        fetches = tuple(
            STAYS if access.tensor in inner else self._fetch(op, access, layer)
            for access in op.reads
        )
        written = sum(
            self._write(access, layer) for access in op.writes if access.tensor not in inner
        )
        return Movement(fetches=fetches, written_bytes=written)

    def _fetch(self, op: Op, access: Access, layer: int | None) -> Fetch:
        tensor = self._tensors[access.tensor]
        gathered = op.family is Family.GATHER
        if tensor.role not in _STAYING:
            fresh = tensor.role is Role.KV_CACHE and op.phase is Phase.PREFILL
            fresh |= tensor.role is Role.GRADIENT and op.phase is Phase.BACKWARD
            late = gathered or fresh or tensor.role is Role.INPUT
            return Fetch(read_bytes=access.bytes, late=late)
        if self._spills(access):
            return Fetch(read_bytes=access.bytes, late=True)
        here = self.residency.read(tensor, layer, access.bytes, scattered=gathered)
        missing = access.bytes - here
        return Fetch(read_bytes=missing, late=True, evicted_bytes=missing)

    def _write(self, access: Access, layer: int | None) -> int:
        """Return the bytes that go to main memory now."""
        tensor = self._tensors[access.tensor]
        if tensor.role not in _STAYING or self._spills(access):
            return access.bytes
        self.residency.write(tensor, layer, access.bytes, appended=False)
        return 0

    def _spills(self, access: Access) -> bool:
        """Too large to stay: streams past the activations that do."""
        return access.bytes > self.residency.capacity_bytes
