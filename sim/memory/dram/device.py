"""One channel of a DRAM with all its numbers settled: a tree of nodes and gaps between commands."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from math import prod


class Command(IntEnum):
    """What a controller can tell a DRAM."""

    ACT = 0
    """Open a row."""
    PRE = 1
    """Close a bank's row."""
    PREA = 2
    """Close all rows of a refresh scope."""
    RD = 3
    WR = 4
    RDA = 5
    """Read and close the row."""
    WRA = 6
    """Write and close the row."""
    REF = 7
    """Refresh all banks of a refresh scope."""
    REFB = 8
    """Refresh one bank."""


SCOPE_COMMANDS = frozenset((Command.PREA, Command.REF))
"""Commands to a whole refresh scope; all others name a bank."""
COLUMN_COMMANDS = frozenset((Command.RD, Command.WR, Command.RDA, Command.WRA))
"""Commands of the column bus, where a channel has two command buses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """The least distance between two commands below one node."""

    level: int
    """0 is the channel."""
    preceding: Command
    following: Command
    ticks: int
    window: int = 1
    """Counts from the last but `window - 1` preceding command."""
    siblings: bool = False
    """Holds in the other nodes of the same parent instead."""


@dataclass(frozen=True, kw_only=True)
class DramDevice:
    """One channel of one part at one speed.

    Models: the tree channel, rank or pseudo-channel, (stack,) bank group, bank; gaps between
    commands at each of its levels; one or two command buses; commands of several clocks.
    Ignores: power-down, self refresh, on-die ECC, refresh management, temperature, write CRC, bus
    inversion, calibration; the two halves of LPDDR5's activate are one command of two clocks and
    its clock-start commands (CAS) are free.
    Source: the JEDEC document that the standard's file names.
    """

    name: str
    levels: tuple[str, ...]
    """Names of the tree's levels, from the channel to the bank."""
    counts: tuple[int, ...]
    """Nodes of each level under one node of the level above; 1 channel."""
    rows: int
    columns: int
    """Transfers in a row."""
    transfer_bytes: int
    tick_femtoseconds: int
    ticks_per_clock: int
    read_ticks: int
    """From a read command to the end of its data."""
    write_ticks: int
    """From a write command to the end of its data."""
    burst_ticks: int
    """That a transfer takes on its data bus."""
    scope_level: int
    """The level whose nodes are refreshed at once."""
    refresh_interval_ticks: int
    """Between all-bank refreshes of a scope."""
    per_bank_refresh: bool
    """Whether the standard has it."""
    command_buses: int
    """2: row and column commands leave side by side."""
    any_edge: frozenset[Command]
    """Commands that may start at any tick of a clock, not only at its first."""
    gaps: tuple[Gap, ...]
    peak_bytes_per_second: float

    @cached_property
    def nodes(self) -> tuple[int, ...]:
        """Nodes of each level."""
        return tuple(prod(self.counts[: level + 1]) for level in range(len(self.counts)))

    @property
    def banks(self) -> int:
        """Banks of the channel."""
        return self.nodes[-1]

    @property
    def scopes(self) -> int:
        """Refresh scopes of the channel."""
        return self.nodes[self.scope_level]

    @cached_property
    def banks_per_scope(self) -> int:
        """Banks that an all-bank refresh takes."""
        return self.banks // self.scopes

    @property
    def bank_refresh_interval_ticks(self) -> int:
        """Between refreshes of single banks, taken in turn through the channel."""
        return -(-self.refresh_interval_ticks // self.banks)

    def node(self, level: int, bank: int) -> int:
        """Return the node of a level over a bank, counted within the level."""
        return bank // (self.banks // self.nodes[level])

    def depth(self, command: Command) -> int:
        """How many levels of the tree a command passes: down to its scope, or to its bank."""
        return self.scope_level + 1 if command in SCOPE_COMMANDS else len(self.levels)

    def may_start(self, command: Command, tick: int) -> bool:
        """Whether a tick is one of those of a clock at which a command may start; odd is first."""
        return self.ticks_per_clock == 1 or tick % 2 == 1 or command in self.any_edge

    def column_bus(self, command: Command) -> bool:
        """Whether a command leaves on the column bus, of two."""
        return self.command_buses == 2 and command in COLUMN_COMMANDS
