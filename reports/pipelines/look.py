"""What every run can show, whatever machine it was on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sim.cpu.logs import O3Stages, StampedInstruction
from sim.errors import SpecError

Cells = list[list[str]]
Table = list[list[str]]
"""A heading, then rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The part of a run that is drawn."""

    first: int = 0
    """Fetched instruction from which on."""
    rows: int = 24
    at: int | None = None
    """Cycle whose state is shown; None for none."""


class Look(Protocol):
    """A run that can be looked into."""

    @property
    def heading(self) -> str:
        """Title and description of the machine."""

    @property
    def title(self) -> str:
        """Of the machine."""

    def drawing(self, shown: Shown) -> str:
        """Return a diagram as text; empty where nothing falls into the part."""

    def tables(self, shown: Shown) -> dict[str, Table]:
        """Return tables by name: status at a cycle, watches."""

    def counts(self) -> dict[str, Any]:
        """Return what the run took, in plain numbers."""

    def cells(self) -> Cells:
        """Return the counts as rows of a name and a value."""

    @property
    def printed(self) -> str:
        """What the programs printed, a line each, marked as such."""

    def stamped(self) -> list[StampedInstruction]:
        """Return every instruction with its stages."""

    def o3_stages(self) -> O3Stages:
        """Return which stages stand for gem5's; SpecError where they cannot."""


def one_program(name: str | Path, programs: Sequence[Path]) -> Path:
    """Return the program of a machine with one thread; SpecError for several."""
    if len(programs) != 1:
        raise SpecError(f"{name} runs one program; {len(programs)} were given")
    return programs[0]


def no_watches(name: str | Path, watched: Sequence[str]) -> None:
    """Refuse watches on a machine that does not keep values cycle by cycle."""
    if watched:
        raise SpecError(
            f"--watch is for the teaching pipelines, which hold values at every cycle; '{name}' "
            "does not: take five-stage-forward"
        )


def printed_line(output: str) -> str:
    """Return what a program printed as a line; empty for nothing."""
    return f"printed: {output}\n" if output else ""
