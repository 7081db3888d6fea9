"""Replaying a decode pass's layers: the formulas of a walked layer, run with another's numbers.

To walk a layer costs some 10 us for each operation beside its arithmetic, which is a fifth of a
small model's decode pass. But a layer's formulas are those of the layer of its kind before; only
the numbers differ: weights and cache are its own, and each buffer holds what was last written
there (no operation may read anything else: the tracer refuses). So of a formula it is enough to
note which tensors it reads, and how the numbers are picked out of them.

A layer whose walk looked at numbers, as one that routes tokens to experts by them, is not
replayed: its operations may depend on what it saw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from workloads.array import Array, Picks, Values, picked
from workloads.layout import Memory


class Operand(NamedTuple):
    """Where a formula finds its numbers."""

    tensor: int
    stored: bool
    """They lie with the declared tensor, of each layer its own."""
    picks: Picks
    before: Values | None
    """The numbers where no layer writes them."""


class Formula(NamedTuple):
    """One operation's arithmetic, without its numbers."""

    compute: Callable[..., Values]
    operands: tuple[Operand, ...]
    into: tuple[Operand, ...]
    """Parts of declared tensors that take the result."""
    buffer: int | None
    """Tensor that the result lies in, unless declared tensors hold it."""


class Replay:
    """One walk over the layers of a model: their formulas, and what lies in the buffers."""

    def __init__(self, memories: Sequence[Memory]) -> None:
        self._memories = memories
        self.buffers: dict[int, Values] = {}
        """Tensor -> what a layer last wrote to it."""
        self._formulas: list[Formula] = []
        self.possible = True
        """Whether nothing was refused so far."""

    def note(
        self,
        compute: Callable[..., Values],
        sources: Sequence[Array],
        places: Sequence[Array],
        into: Sequence[Array],
        *,
        result: Array,
        start: int,
    ) -> None:
        """Note a formula that was just computed, of a layer whose first operation is at `start`.

        Refused is a formula that the next layer's may differ from unseen: what it reads, or where
        it writes, is not a whole buffer or a part of what a declared tensor stores.
        """
        stored = all(place.stored for place in places)
        if not stored or not all(self._plain(array, start) for array in (*sources, result)):
            self.refuse()
        if not result.stored and result.numbers is not None:
            self.buffers[result.tensor] = result.numbers
        operands, parts = tuple(map(_operand, sources)), tuple(map(_operand, into))
        buffer = None if result.stored else result.tensor
        self._formulas.append(Formula(compute, operands, parts, buffer))

    def _plain(self, array: Array, start: int) -> bool:
        """Whether it is known where the next layer finds the numbers.

        Another layer's results are read whole: the next layer may be handed another part. A
        buffer that was declared with numbers would keep them in two places.
        """
        if array.stored:
            return True
        outside = array.written is None or array.written.index < start
        whole = not array.picks or all(isinstance(pick, tuple) for pick in array.picks)
        return (whole or not outside) and self._memories[array.tensor].values is None

    def refuse(self) -> None:
        """Walk all layers from here on: the one being walked may leave numbers unnoted."""
        self.possible = False

    def walked(self) -> tuple[Formula, ...]:
        """Return the formulas of the layer just walked, none if it cannot be replayed."""
        formulas, self._formulas = tuple(self._formulas), []
        if formulas and formulas[-1].buffer is None:  # the next layer would read this layer's own
            self.refuse()
        return formulas if self.possible else ()

    def run(self, formulas: Sequence[Formula], layer: int) -> None:
        """Compute a layer."""
        memories, buffers = self._memories, self.buffers

        def numbers(operand: Operand) -> Values:
            tensor, stored, picks, before = operand
            if stored:
                values = memories[tensor].values(layer)  # type: ignore[misc]  # stored: has some
            elif tensor in buffers:
                values = buffers[tensor]
            else:
                return before  # type: ignore[return-value]  # executed: has some
            return picked(values, picks) if picks else values

        for compute, operands, into, buffer in formulas:
            values = compute(*[numbers(operand) for operand in operands])
            for place in into:
                numbers(place)[...] = values
            if buffer is not None:
                buffers[buffer] = values


def _operand(array: Array) -> Operand:
    return Operand(array.tensor, array.stored, array.picks, array.read())
