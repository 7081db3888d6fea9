"""Errors that a person can mend: their message names the file, key or operation and the remedy."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class TokenclockError(ValueError):
    """Unusable input; the command line prints the message on one line and exits with 2."""


class SpecError(TokenclockError):
    """A machine or scenario file cannot be used."""


class UnsupportedOpError(TokenclockError):
    """A machine has no lowering for an operation: an error, never free."""


class CapacityError(TokenclockError):
    """A model does not fit in a machine's memory."""


class LawViolationError(RuntimeError):
    """A result that cannot be true: a defect of the simulator, never of its input."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the nearest known word, or the list of known words."""
    known = list(known)
    near = get_close_matches(word, known, n=1)
    return f"; did you mean '{near[0]}'?" if near else f"; known: {', '.join(known)}"
