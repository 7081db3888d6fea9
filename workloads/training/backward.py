"""The backward pass: the tape followed in reverse, gradients added up where paths join.

Gradients of activations lie in one buffer per tensor, reused by every layer; gradients of weights
have a place each, `NAME.grad`, which the tracer holds declared with the role GRADIENT.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workloads.array import Array, Written
from workloads.tape import Call, Recorded
from workloads.trace import DTYPE_BYTES, Family, Role
from workloads.tracer import Tracer

GRADIENT_SUFFIX = ".grad"

_Place = tuple[int, int | None, Written | None, int]
"""What was differentiated: a tensor, the layer if it is a weight's, which writing, where in it."""


def backward(tracer: Tracer, loss: Array, seed: Array, kinds: int | Sequence[str] = 0) -> None:
    """Record the gradient of `loss` [1] with respect to every weight that it depends on.

    `seed` [1] is the gradient of the loss itself: 1, or a loss scale. `kinds` are the layers as
    the forward pass walked them, once; operations before and after them are followed too.

    TraceError where a buffer that a rule reads again has been overwritten.
    """
    tape = tracer.take_tape()
    walked = sorted({entry.layer for entry in tape if entry.layer is not None})
    within = [number for number, entry in enumerate(tape) if entry.layer is not None]
    first, last = (within[0], within[-1] + 1) if within else (0, 0)
    gradients = _Gradients(tracer)
    gradients.give(loss, seed)
    gradients.follow(tape[last:])
    for layer in tracer.layers(kinds, reverse=True):
        of_layer = max(number for number in walked if number <= layer)  # whose tape stands for it
        gradients.follow([entry for entry in tape[first:last] if entry.layer == of_layer])
    gradients.follow(tape[:first])


class _Gradients:
    """What has come back so far to each result that is still to be followed."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._of: dict[_Place, Array] = {}

    def follow(self, entries: Sequence[Recorded]) -> None:
        """Take operations in reverse; those that the loss does not depend on have no gradient."""
        for entry in reversed(entries):
            gradient = self._of.pop(self._place(entry.result), None)
            if gradient is None:
                continue
            call = self._call(entry, gradient.view(entry.result.shape))
            for source, of_source in zip(entry.inputs, entry.rule.gradients(call), strict=True):
                if of_source is not None:
                    self.give(source, of_source)

    def give(self, source: Array, gradient: Array) -> None:
        """Add to the gradient of what was read; the first to come is the gradient so far."""
        place = self._place(source)
        if (so_far := self._of.get(place)) is not None:
            gradient = self._sum(source, so_far.view(gradient.shape), gradient)
        elif self._is_weight(source) and self._tracer.role_of(gradient) is not Role.GRADIENT:
            gradient = self._copied(source, gradient)
        self._of[place] = gradient

    def _call(self, entry: Recorded, gradient: Array) -> Call:
        rule = entry.rule
        inputs = tuple(
            self._tracer.recall(source.kept or source, entry.layer)
            if number in rule.saves
            else source
            for number, source in enumerate(entry.inputs)
        )
        result = entry.result
        return Call(
            name=entry.name,
            gradient=gradient,
            inputs=inputs,
            result=self._tracer.recall(result, entry.layer) if rule.saves_result else result,
            into=lambda number, suffix: self._into(entry, number, suffix),
        )

    def _into(self, entry: Recorded, number: int, suffix: str) -> Mapping[str, Any]:
        """Name and place of an input's gradient; a second one is made apart, then added."""
        name, source = f"{entry.name}.{suffix}", entry.inputs[number]
        in_place = entry.result.tensor == source.tensor  # a rule may read the gradient twice
        if in_place or self._place(source) in self._of:
            return {"name": name}
        return {"name": name, **self._destination(source)}

    def _destination(self, source: Array) -> Mapping[str, Any]:
        name = source.name + GRADIENT_SUFFIX
        if not self._is_weight(source):
            return {"buffer": name}
        skipped = source.offset_bytes // DTYPE_BYTES[source.dtype]
        part = slice(skipped, skipped + source.size)
        target = self._tracer.get(name).view(
            source.shape,
            offset_elements=skipped,
            pick=lambda v: v.reshape(-1)[part].reshape(source.shape),  # of one piece: a view
        )
        return {"into": (target,)}

    def _sum(self, source: Array, so_far: Array, gradient: Array) -> Array:
        return self._tracer.record(
            kind="add",
            family=Family.ELEMENTWISE,
            name=f"{source.name}{GRADIENT_SUFFIX}.sum",
            dims={"elements": gradient.size},
            flops=gradient.size,
            reads=(so_far, gradient),
            shape=gradient.shape,
            compute=lambda x, y: x + y,
            **self._destination(source),
        )

    def _copied(self, source: Array, gradient: Array) -> Array:
        """Give a weight what was handed on unchanged: a sum's gradient is that of its parts."""
        return self._tracer.record(
            kind="copy",
            family=Family.COPY,
            name=f"{source.name}{GRADIENT_SUFFIX}.copy",
            dims={"elements": gradient.size},
            flops=0,
            reads=(gradient,),
            shape=gradient.shape,
            compute=lambda gradient: gradient,
            **self._destination(source),
        )

    def _place(self, array: Array) -> _Place:
        if self._is_weight(array):
            layer = self._tracer.instance_of(array)
            return array.tensor, layer, None, array.offset_bytes
        return array.tensor, None, array.written, array.offset_bytes

    def _is_weight(self, array: Array) -> bool:
        return self._tracer.role_of(array) is Role.WEIGHT
