"""The addresses that a trace touches, in order, as lines: what caches and DRAM are given to serve.

A trace says where every tensor lies. Here its operations become a stream of cache lines, in pieces
of bounded size, so that a model of any size can be streamed through a memory that is simulated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sim.errors import TokenclockError
from workloads.trace import Access, Family, Op, PlacedOp, Role, Tensor, Trace

Ints = npt.NDArray[np.int64]

ROLES: tuple[Role, ...] = tuple(Role)
"""What the numbers in `Piece.roles` stand for."""
PIECE_LINES = 1 << 18
_SCATTER = 2_654_435_761  # Knuth's multiplicative hash: 2^32 over the golden ratio, a prime


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A run of line accesses, in order."""

    lines: Ints
    """Line numbers: byte addresses over the line's size."""
    writes: npt.NDArray[np.bool_]
    roles: npt.NDArray[np.int8]
    """What each line holds, as an index into `ROLES`; -1 where nobody knows."""

    def __len__(self) -> int:
        return len(self.lines)


class _Span(NamedTuple):
    """Neighbouring lines that are touched one after another."""

    first: int
    length: int
    write: bool
    role: int


def trace_lines(
    trace: Trace,
    line_bytes: int,
    *,
    step: int | None = None,
    layer: int | None = None,
    piece_lines: int = PIECE_LINES,
) -> Iterator[Piece]:
    """Stream the lines that a trace touches; only those of a step, or of a layer, if one is given.

    Raises TokenclockError where the trace has no such step or layer.

    Models: the addresses of weights, activations and KV cache by layer; each operation streams its
    reads in order, then its writes, every line once; the growing prefix of the KV cache; the
    position that a step appends.
    Ignores: that an operation's loops come back to a line while it is theirs (the kernel's own
    blocking, which registers and the first cache serve); interleaving of an operation's operands
    and of several cores; which rows a gather takes: they are scattered over the table.
    Source: compulsory traffic of streamed operands, Hill and Smith, IEEE Transactions on Computers
    38(12), 1989; multiplicative hashing, Knuth, The Art of Computer Programming 3, section 6.4.
    """
    if line_bytes < 1 or piece_lines < 1:
        raise TokenclockError("a line, and a piece of the stream, hold at least one byte")
    placed = (p for p in trace.placed_ops() if step in (None, p.op.step))
    chosen = (p for p in placed if layer in (None, p.layer))
    first = next(chosen, None)
    if first is None:
        raise TokenclockError(_nothing(trace, step, layer))
    return _pieces(_spans(trace, _chain(first, chosen), line_bytes), piece_lines)


def address_lines(
    addresses: Ints,
    sizes_bytes: npt.NDArray[np.integer],
    writes: npt.NDArray[np.bool_],
    line_bytes: int,
    *,
    piece_lines: int = PIECE_LINES,
) -> Iterator[Piece]:
    """Stream recorded accesses as lines; one that crosses a line's end touches both."""
    for start in range(0, len(addresses), piece_lines):
        part = slice(start, start + piece_lines)
        first = addresses[part] // line_bytes
        last = (addresses[part] + np.maximum(sizes_bytes[part].astype(np.int64), 1) - 1) // (
            line_bytes
        )
        counts = last - first + 1
        lines = np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        yield Piece(
            lines=lines,
            writes=np.repeat(writes[part], counts),
            roles=np.full(len(lines), -1, dtype=np.int8),
        )


def _nothing(trace: Trace, step: int | None, layer: int | None) -> str:
    layers = 1 + max((p.layer or 0) for p in trace.placed_ops())
    return (
        f"trace of {trace.model}: nothing at step {'any' if step is None else step}, layer "
        f"{'any' if layer is None else layer}; it has steps 0 to {trace.blocks[-1].ops[0].step} "
        f"and layers 0 to {layers - 1}"
    )


def _chain(first: PlacedOp, rest: Iterable[PlacedOp]) -> Iterator[PlacedOp]:
    yield first
    yield from rest


def _spans(trace: Trace, placed: Iterable[PlacedOp], line_bytes: int) -> Iterator[_Span]:
    for at in placed:
        for number, access in enumerate(at.op.reads):
            tensor = trace.tensors[access.tensor]
            if at.op.family is Family.GATHER and number == 0:
                yield from _gathered(at.op, access, tensor, line_bytes)
            else:
                yield from _streamed(access, tensor, at.layer, line_bytes, write=False)
        for access in at.op.writes:
            tensor = trace.tensors[access.tensor]
            yield from _streamed(access, tensor, at.layer, line_bytes, write=True)


def _streamed(
    access: Access, tensor: Tensor, layer: int | None, line_bytes: int, *, write: bool
) -> Iterator[_Span]:
    start = tensor.address_in(layer) + access.offset_bytes
    yield from _covered(start, access.bytes, line_bytes, write=write, role=tensor.role)


def _gathered(op: Op, access: Access, tensor: Tensor, line_bytes: int) -> Iterator[_Span]:
    rows = op.dims["rows"]
    row_bytes = access.bytes // rows
    table = max(tensor.bytes // max(row_bytes, 1), 1)
    for number in range(rows):
        row = (op.step * rows + number + 1) * _SCATTER % table
        yield from _covered(
            tensor.address + row * row_bytes, row_bytes, line_bytes, write=False, role=tensor.role
        )


def _covered(
    start: int, touched_bytes: int, line_bytes: int, *, write: bool, role: Role
) -> Iterator[_Span]:
    if touched_bytes:
        first, last = start // line_bytes, (start + touched_bytes - 1) // line_bytes
        yield _Span(first, last - first + 1, write, ROLES.index(role))


def _pieces(spans: Iterable[_Span], piece_lines: int) -> Iterator[Piece]:
    held: list[_Span] = []
    room = piece_lines
    for span in spans:
        first, left = span.first, span.length
        while left:
            taken = min(left, room)
            held.append(span._replace(first=first, length=taken))
            first, left, room = first + taken, left - taken, room - taken
            if not room:
                yield _piece(held)
                held, room = [], piece_lines
    if held:
        yield _piece(held)


def _piece(spans: list[_Span]) -> Piece:
    counts = [span.length for span in spans]
    return Piece(
        lines=np.concatenate([np.arange(s.first, s.first + s.length) for s in spans]),
        writes=np.repeat(np.array([span.write for span in spans], dtype=np.bool_), counts),
        roles=np.repeat(np.array([span.role for span in spans], dtype=np.int8), counts),
    )
