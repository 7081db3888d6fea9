"""The state of a compiled out-of-order core, as arrays, and how its functions are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np

from sim.cpu.kernelcores.program import Ints, Program
from sim.jit import njit

F = TypeVar("F", bound=Callable[..., Any])
_OPTIONS: dict[str, Any] = {"cache": True, "_nrt": False, "forceinline": True}
"""No references to arrays are counted: that would take longer than the work, and none are made."""


def compiled(function: F) -> F:
    """Compile a function that makes no arrays."""
    return cast("F", njit(**_OPTIONS)(function))


NEVER = np.int64(1) << 60
(
    NOW,
    FETCHED,
    RENAMED,
    RETIRED,
    AWAKE,
    LOADS,
    STORES,
    DRAINING,
    TURN,
    OWED,
    RENAME_SLOT,
    RENAME_BASE,
    RETIRE_SLOT,
    RETIRE_BASE,
) = range(14)
"""Scalars of a state: cycle; slots fetched, renamed and retired since the start; micro-ops awake;
entries of the load and store buffers; retired stores that leave the latter; which of two
alternating ports is next; slots of a wide instruction still to rename; of rename and of
retirement, the next slot in the body and the number of its iteration's first micro-op."""
SCALARS = 14


class State(NamedTuple):
    """All that the future depends on; rings are indexed by micro-op number modulo their length."""

    scalars: Ints
    complete: Ints
    ready: Ints
    """Cycle before which a micro-op cannot issue as far as its producers are known."""
    bound: Ints
    op: Ints
    """Which micro-op of the body each one in flight is."""
    unknown: Ints
    """Operands whose producers have not issued."""
    consumers: Ints
    """First link of the list of those that wait for a micro-op; -1 ends it."""
    links: Ints
    """Next link; link number: place of the consumer times operands, and which operand."""
    wheel: Ints
    """First of the micro-ops that wake in a cycle, modulo its length; -1 ends it."""
    sleeping: Ints
    """Next one that wakes in the same cycle."""
    awake: Ints
    """Numbers of those whose operands are there, in order of age."""
    free: Ints
    used: Ints
    """Cycle in which each unit was last taken."""
    entries: Ints
    """Taken of each scheduler."""
    pending: Ints
    """Micro-ops bound to each unit that wait."""
    snapshot: Ints
    """Of `pending`, as rename's cycle began."""


def initial_state(program: Program) -> State:
    """Return an empty core."""
    count = len(program.latency)
    back = int(program.sources[:, :, 0].max())
    per_slot = int(np.diff(program.first).max())
    ring = _power_of_two(program.widths.reorder_buffer * max(1, per_slot) + back + 2 * count + 8)
    late = max(0, -int(program.sources[:, :, 1].min()))
    wheel = _power_of_two(max(int(program.latency.max()) + late, program.widths.delay) + 2)
    return State(
        scalars=np.zeros(SCALARS, dtype=np.int64),
        complete=np.full(ring, -1, dtype=np.int64),
        ready=np.full(ring, -1, dtype=np.int64),
        bound=np.full(ring, -1, dtype=np.int64),
        op=np.zeros(ring, dtype=np.int64),
        unknown=np.zeros(ring, dtype=np.int64),
        consumers=np.full(ring, -1, dtype=np.int64),
        links=np.zeros(ring * program.sources.shape[1], dtype=np.int64),
        wheel=np.full(wheel, -1, dtype=np.int64),
        sleeping=np.zeros(ring, dtype=np.int64),
        awake=np.zeros(ring, dtype=np.int64),
        free=np.zeros(program.units, dtype=np.int64),
        used=np.full(program.units, -1, dtype=np.int64),
        entries=np.zeros(len(program.scheduler_entries), dtype=np.int64),
        pending=np.zeros(program.units, dtype=np.int64),
        snapshot=np.zeros(program.units, dtype=np.int64),
    )


def _power_of_two(least: int) -> int:
    return 1 << (least - 1).bit_length()
