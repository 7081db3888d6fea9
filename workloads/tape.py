"""The tape: what a forward pass notes down so that a backward pass can follow it in reverse.

Reverse-mode differentiation: an operation's rule turns the gradient of its result into gradients
of its inputs, and is itself made of recorded operations, so that the backward pass is in the trace
like everything else. Source: Griewank and Walther, Evaluating Derivatives, 2nd ed., 2008, ch. 3.

A rule says which inputs it reads again, and whether the result. Those are kept: what lies in a
buffer of its layer then has one in every layer, and what lies in a buffer that is about to be
reused (the residual) is first set aside by a copy, which is in the trace too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from workloads.array import Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One operation of the tape, and the gradient that has come back to its result."""

    name: str
    """Name of the operation."""
    gradient: Array
    """Of the result, in its shape."""
    inputs: tuple[Array, ...]
    """As the operation read them; numbers only where the rule saves them."""
    result: Array
    """What it wrote; numbers only where the rule saves it."""
    into: Callable[[int, str], Mapping[str, Any]]
    """`into(i, suffix)`: name and place of the gradient of input i, as arguments of `record`."""


Gradients = tuple["Array | None", ...]
"""One for each input; None where an input has none (token numbers)."""


class Rule(NamedTuple):
    """How the gradient of an operation's result becomes those of its inputs."""

    gradients: Callable[[Call], Gradients]
    saves: tuple[int, ...] = ()
    """Inputs whose numbers the rule reads."""
    saves_result: bool = False


@dataclass(frozen=True, slots=True)
class Recorded:
    """An operation on the tape."""

    name: str
    layer: int | None
    inputs: tuple[Array, ...]
    result: Array
    rule: Rule
