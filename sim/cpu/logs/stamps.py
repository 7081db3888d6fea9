"""When each instruction was in which stage: what every core leaves, and every viewer reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class StageStamp(NamedTuple):
    """A stay in one stage, in cycles."""

    stage: str
    first: int
    last: int
    """Inclusive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StampedInstruction:
    """One instruction's way through a core."""

    number: int
    """In order of fetch, from 0."""
    text: str
    stamps: tuple[StageStamp, ...]
    """In order of time, without overlap; at least one."""
    retired: bool = True
    """Else it was fetched in vain."""
    address: int | None = None
    """None where code has no addresses."""
    thread: int = 0

    @property
    def begin(self) -> int:
        """Its first cycle in the core."""
        return self.stamps[0].first

    @property
    def end(self) -> int:
        """The cycle after its last one."""
        return self.stamps[-1].last + 1

    @property
    def label(self) -> str:
        """Address, where there is one, and text."""
        return self.text if self.address is None else f"{self.address:08x}: {self.text}"
