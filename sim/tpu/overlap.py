"""What the vector unit does while the arrays are at work on something else.

A compiler fills VLIW bundles from independent operations: a rotation of the queries is computed
while the arrays multiply the keys, and results of a product are bent by an activation while the
rest of the product is still being made. Arrays and vector unit each keep the program's order, so
an operation of the vector unit can hide in the time that the arrays spent since its operands were
there, as far as no other has hidden there before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass

from workloads.trace import Family, Op

WINDOW = 8
"""Products that are remembered: a compiler looks through a block of a layer, not further."""


@dataclass(slots=True)
class _Span:
    """The arrays at work on one product."""

    age: int
    """Operations since."""
    free_cycles: int
    """Of it, not yet used by the vector unit."""
    pieces: int
    """Parts of the result that are finished one after another."""
    rows_apart: int
    """Of these, parts of whole rows."""


class VectorOverlap:
    """Finds time on the vector unit beside the arrays.

    Models: operations of the vector unit that run beside later products, and beside the product
    that makes their operand, one finished piece behind it.
    Ignores: registers and scratchpad ports that both want; hiding in the arrays' waits for DMA;
    products that could begin before an earlier operation of the vector unit has ended.
    Source: Norrie et al., The Design Process for Google's Training Chips: TPUv2 and TPUv3, IEEE
    Micro 41(2), 2021 (one VLIW core issues to vector and matrix units in the same bundle).
    """

    def __init__(self) -> None:
        self._spans: deque[_Span] = deque(maxlen=WINDOW)

    def multiplied(self, cycles: int, pieces: int, rows_apart: int) -> None:
        """Note that the arrays work for some cycles on a product."""
        self.passed()
        self._spans.append(_Span(0, cycles, max(1, pieces), max(1, rows_apart)))

    def passed(self) -> None:
        """Note that an operation goes by."""
        for span in self._spans:
            span.age += 1

    def hide(self, op: Op, cycles: int) -> int:
        """Return how many of an operation's vector cycles hide beside products, and use them up.

        An operation of which no dependences are known hides nowhere.
        """
        self.passed()
        since = min(op.depends_back, default=0)
        hidden = 0
        for span in self._spans:
            room = min(self._room(span, op, since), cycles - hidden)
            span.free_cycles -= room
            hidden += room
        return hidden

    @staticmethod
    def _room(span: _Span, op: Op, since: int) -> int:
        if span.age < since:
            return span.free_cycles
        if span.age > since:
            return 0
        # its own operand's product: the first piece has to be finished first
        pieces = span.pieces if op.family is Family.ELEMENTWISE else span.rows_apart
        return span.free_cycles * (pieces - 1) // pieces

    def key(self) -> Hashable:
        """Return what the next operations' overlap depends on."""
        return tuple((s.age, s.free_cycles, s.pieces, s.rows_apart) for s in self._spans)
