"""What every vocabulary can do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol


class Vocabulary(Protocol):
    """Text to token numbers and back."""

    def encode(self, text: str) -> list[int]:
        """Token numbers of a text."""
        ...

    def decode(self, ids: Iterable[int]) -> str:
        """Text of token numbers."""
        ...
