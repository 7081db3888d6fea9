"""A device and a controller's description as arrays for the compiled twin, and its empty memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from sim.jit import njit
from sim.memory.dram.device import SCOPE_COMMANDS, Command, DramDevice, Gap
from sim.memory.dram.requests import NEVER
from sim.memory.dram.spec import FOREVER, ControllerSpec, PagePolicy, Refresh, Stop

Ints = npt.NDArray[np.int64]

F = TypeVar("F", bound=Callable[..., Any])
_OPTIONS: dict[str, Any] = {"cache": True, "_nrt": False, "forceinline": True}
"""No references to arrays are counted: that would cost more than the work, and none are made."""


def compiled(function: F) -> F:
    """Compile a function that makes no arrays."""
    return cast("F", njit(**_OPTIONS)(function))


ACT, PRE, PREA, RD, WR, RDA, WRA, REF, REFB = (int(command) for command in Command)
CLOSED = -1
"""Instead of a row."""

# Parts of a run's description.
READ_TICKS, WRITE_TICKS, PER_SCOPE, SCOPES, BUSES, CLOCK_TICKS, INTERVAL, REFRESHES = range(8)
READ_CAP, WRITE_CAP, HIGH, LOW, CLOSES, STOP_EARLY, BANKS, WINDOW = range(8, 16)
PARTS = 16

# Counters of a run's state; the three queues' lengths are READS, WRITES and OPENED.
TICK, WAKE, READS, WRITES, OPENED, WRITE_MODE, DUE, DUE_FIRST, ISSUED, TURN = range(10)
COUNTERS = 10

# Columns of the table of gaps. Banks are held from `BEGIN` on, by the preceding command's bank.
SLOT, SPAN, TICKS, PAST, OUTER, STEP = range(6)

# Fields of a queue's entries. SLOTS: where the earliest tick of its next command stands, for each
# of two command buses; of what a bus cannot send, or what must wait, the place of a tick that never
# comes.
INDEX, BANK, ROW, TRANSFER, SLOTS = range(5)
FIELDS = 6


def describe(device: DramDevice, spec: ControllerSpec) -> Ints:
    """Return a run's parts."""
    parts = np.zeros(PARTS, dtype=np.int64)
    parts[READ_TICKS], parts[WRITE_TICKS] = device.read_ticks, device.write_ticks
    parts[PER_SCOPE], parts[SCOPES] = device.banks_per_scope, device.scopes
    parts[BUSES], parts[CLOCK_TICKS] = device.command_buses, device.ticks_per_clock
    per_bank = spec.refresh is Refresh.PER_BANK
    parts[INTERVAL] = (
        device.bank_refresh_interval_ticks if per_bank else device.refresh_interval_ticks
    )
    parts[REFRESHES] = (Refresh.NONE, Refresh.ALL_BANK, Refresh.PER_BANK).index(spec.refresh)
    parts[READ_CAP], parts[WRITE_CAP] = spec.read_queue, spec.write_queue
    parts[HIGH] = spec.write_high_percent * spec.write_queue
    parts[LOW] = spec.write_low_percent * spec.write_queue
    parts[CLOSES] = spec.page is PagePolicy.CLOSED
    parts[STOP_EARLY] = spec.stop is Stop.ACCEPTED
    parts[BANKS] = device.banks
    parts[WINDOW] = max((gap.window for gap in device.gaps), default=1)
    return parts


def empty_memory(parts: Ints, gaps: Ints) -> tuple[Ints, ...]:
    """Return the state of a channel that was never used."""
    banks = parts[BANKS]
    longest = max(parts[READ_CAP], parts[WRITE_CAP], banks)
    earliest = np.zeros(len(Command) * banks + 1, dtype=np.int64)
    earliest[-1] = FOREVER
    return (
        earliest,  # earliest tick by command and bank
        np.full((len(gaps), banks, parts[WINDOW]), NEVER, dtype=np.int64),  # for windows
        np.full(banks, CLOSED, dtype=np.int64),  # open rows
        np.zeros(banks, dtype=np.int64),  # rows opened for a request that waits for its access
        np.zeros((3, FIELDS, longest), dtype=np.int64),  # reads, writes, opened
        np.zeros((2, 4 * banks), dtype=np.int64),  # refreshes: command and bank
        np.zeros(COUNTERS, dtype=np.int64),
        np.zeros((3, 2), dtype=np.int64),  # by queue and bus: nothing is ready before
    )


def gap_tables(device: DramDevice, spec: ControllerSpec) -> tuple[Ints, Ints, Ints]:
    """Return gaps by preceding command, where each command's begin, and the first bank held.

    The last by gap and bank: the first below the node, and below its parent for siblings. What no
    command of the run can meet is left out, and what a wider and longer gap implies.
    """
    met = {Command.ACT, Command.PRE, Command.RD, Command.WR}
    if spec.page is PagePolicy.CLOSED:
        met |= {Command.RDA, Command.WRA}
    if spec.refresh is Refresh.ALL_BANK:
        met |= SCOPE_COMMANDS
    if spec.refresh is Refresh.PER_BANK:
        met |= {Command.REFB}
    rows = [_gap_row(device, gap) for gap in device.gaps if gap.following in met and gap.ticks > 0]
    kept: list[tuple[int, ...]] = []
    for row in sorted(rows, key=lambda row: (row[SPAN + 1], row[TICKS + 1]), reverse=True):
        implied = any(
            wide[: SLOT + 2] == row[: SLOT + 2]
            and (wide[PAST + 1], wide[OUTER + 1]) == (row[PAST + 1], row[OUTER + 1])
            and wide[SPAN + 1] >= row[SPAN + 1]
            and (wide[TICKS + 1] >= row[TICKS + 1] and (not row[OUTER + 1] or wide[1:] == row[1:]))
            for wide in kept
        )
        if not implied:
            kept.append(row)
    kept.sort()
    counts = [sum(row[0] == command for row in kept) for command in Command]
    table = np.array([row[1:] for row in kept], dtype=np.int64).reshape(-1, STEP + 1)
    banks = np.arange(device.banks)
    first = np.zeros((len(table), 2, device.banks), dtype=np.int64)
    for held, gap in zip(first, table, strict=True):
        held[0] = banks - banks % gap[SPAN]
        held[1] = banks - banks % max(1, gap[OUTER])
    table[:, SLOT] *= device.banks
    return table, np.cumsum([0, *counts]).astype(np.int64), first


def _gap_row(device: DramDevice, gap: Gap) -> tuple[int, ...]:
    """Return the preceding command and the columns of one gap."""
    span = device.banks // device.nodes[gap.level]
    outer = span * device.counts[gap.level] if gap.siblings else 0
    step = device.banks_per_scope if gap.following in SCOPE_COMMANDS else 1
    return int(gap.preceding), int(gap.following), span, gap.ticks, gap.window, outer, step
