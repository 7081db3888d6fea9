"""What the tracer notes of an operation, and the blocks that it makes of its notes.

A note says all but the layer, the phase and the step. It is a plain tuple: cheap to make, and
compared without a look at its parts where they are the same objects. Most notes are thrown away:
of a model's equal layers the first one's become operations, the others' only add to its repeats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from workloads.trace import Access, Block, Family, Op, Phase


class Record(NamedTuple):
    """One operation, apart from where in the run it stands."""

    kind: str
    family: Family
    name: str
    dims: Mapping[str, int]
    flops: int
    transcendentals: int
    reads: tuple[Access, ...]
    writes: tuple[Access, ...]
    depends_back: tuple[int, ...]
    dtype: str

    def op(self, layer: int | None, phase: Phase, step: int) -> Op:
        """Return the operation at its place in the run."""
        kind, family, name, dims, flops, transcendentals, reads, writes, back, dtype = self
        return Op(
            kind=kind,
            family=family,
            name=name,
            dims=dims,
            flops=flops,
            transcendentals=transcendentals,
            reads=reads,
            writes=writes,
            depends_back=back,
            dtype=dtype,
            layer=layer,
            phase=phase,
            step=step,
        )


Records = tuple[Record, ...]


class Blocks:
    """The blocks so far: records that follow in the next layer, equal to the last's, join it."""

    def __init__(self) -> None:
        self._closed: list[Block] = []
        self._open: Records = ()
        self._place: tuple[int | None, Phase, int] = (None, Phase.PREFILL, 0)
        self._repeats = 0

    def add(self, records: Records, layer: int | None, phase: Phase, step: int) -> None:
        """Add the operations of one layer, or of what stands outside the layers."""
        if layer is not None and self._open:
            first, *pass_ = self._place
            follows = first is not None and layer == first + self._repeats
            if follows and pass_ == [phase, step] and records == self._open:
                self._repeats += 1
                return
        self._close()
        self._open, self._place, self._repeats = records, (layer, phase, step), 1

    def finished(self) -> tuple[Block, ...]:
        """Return all blocks in order."""
        self._close()
        self._open = ()
        return tuple(self._closed)

    def _close(self) -> None:
        if self._open:
            ops = tuple(record.op(*self._place) for record in self._open)
            self._closed.append(Block(ops=ops, repeats=self._repeats))


def with_distances(records: Records, changed: Mapping[int, tuple[int, ...]]) -> Records:
    """Return the records, of which some (by position) wait for others."""
    if not changed:
        return records
    after = list(records)
    for position, distances in changed.items():
        after[position] = after[position]._replace(depends_back=distances)
    return tuple(after)


def last_writers(records: Sequence[Record]) -> dict[int, int]:
    """Return for each tensor written the position of the last record that writes it."""
    return {
        access.tensor: position
        for position, record in enumerate(records)
        for access in record.writes
    }
