"""The entrance of a level: accesses are taken in one after the other, as ports and banks allow."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import simpy

from sim.clock import Clock
from sim.memory.timed.slots import Slots
from sim.memory.timed.spec import TimedLevelSpec

Steps = Generator[simpy.Event, Any, None]
"""A part of a SimPy process."""


class Waits:
    """What the requests of a unit wait for now, in words: for the message of a hang."""

    def __init__(self) -> None:
        self._now: dict[str, int] = {}

    def until(self, event: simpy.Event, what: str) -> Steps:
        """Wait for an event, and let it be known."""
        self._now[what] = self._now.get(what, 0) + 1
        yield event
        self._now[what] -= 1

    def __str__(self) -> str:
        return " and ".join(f"{what} (requests: {n})" for what, n in self._now.items() if n)


class Gate:
    """Takes accesses in, in the order in which they come.

    Models: ports (accesses a cycle), banks interleaved by line, each busy for some cycles; a
    block, during which nothing is taken in; the first in the queue holds up those behind it.
    Ignores: arbitration other than first come first served.
    Source: Sohi and Franklin, High-bandwidth data memory systems for superscalar processors,
    ASPLOS 1991.
    """

    def __init__(self, clock: Clock, line_bytes: int, timing: TimedLevelSpec, waits: Waits) -> None:
        self._clock = clock
        self._line_bytes = line_bytes
        self._timing = timing
        self._waits = waits
        self._queue = Slots(clock, 1)
        self._blocks = 0
        self._opened = clock.env.event()
        self._cycle = -1
        self._taken = 0
        """Accesses of this cycle."""
        self._bank_free = [0] * timing.banks
        self.port_wait_cycles = 0
        """In which the first in the queue found all ports taken."""
        self.bank_conflicts = 0
        """Accesses that found their bank busy."""

    def block(self) -> None:
        """Take nothing in until as many `unblock` as `block` were called."""
        self._blocks += 1

    def unblock(self) -> None:
        """Take back one block."""
        self._blocks -= 1
        if not self._blocks:
            self._opened.succeed()
            self._opened = self._clock.env.event()

    def enter(self, address: int) -> Steps:
        """Wait until an access is taken in."""
        yield from self._waits.until(self._queue.take(), "its turn at the ports")
        bank = address // self._line_bytes % self._timing.banks
        while not self._open(bank):
            if self._blocks:
                yield from self._waits.until(self._opened, "an MSHR, to take accesses in again")
            elif self._taken == self._timing.ports and self._cycle == self._clock.now:
                self.port_wait_cycles += 1
                yield self._clock.cycles(1)
            else:
                self.bank_conflicts += 1
                yield self._clock.cycles(self._bank_free[bank] - self._clock.now)
        if self._cycle != self._clock.now:
            self._cycle, self._taken = self._clock.now, 0
        self._taken += 1
        self._bank_free[bank] = self._clock.now + self._timing.bank_busy_cycles
        self._queue.free()

    def _open(self, bank: int) -> bool:
        now = self._clock.now
        ports_taken = self._cycle == now and self._taken == self._timing.ports
        return not (self._blocks or ports_taken or self._bank_free[bank] > now)
