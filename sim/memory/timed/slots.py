"""What requests take turns for: entries of a buffer, and the bytes of a path."""

from __future__ import annotations

from collections import deque

import simpy

from sim.clock import Clock


class Slots:
    """Entries that are taken in order of asking; counts how many were, for how long.

    Models: MSHRs, write buffers, store buffers, load queues: so many at a time, first come first
    served.
    Ignores: which entry.
    Source: none needed; a counting semaphore.
    """

    def __init__(self, clock: Clock, entries: int) -> None:
        self._clock = clock
        self._entries = entries
        self._waiting: deque[simpy.Event] = deque()
        self._since = 0
        self.taken = 0
        self.most = 0
        """Taken at once."""
        self.entry_cycles = 0
        """Sum over cycles of the entries taken."""
        self.full_cycles = 0

    def take(self) -> simpy.Event:
        """Event at which an entry is the caller's."""
        event = self._clock.env.event()
        self._waiting.append(event)
        self._give()
        return event

    def free(self) -> None:
        """Give an entry back."""
        self.settle()
        self.taken -= 1
        self._give()

    def settle(self) -> None:
        """Count the cycles up to now."""
        now = self._clock.now
        self.entry_cycles += self.taken * (now - self._since)
        if self.taken == self._entries:
            self.full_cycles += now - self._since
        self._since = now

    def _give(self) -> None:
        while self._waiting and self.taken < self._entries:
            self.settle()
            self.taken += 1
            self.most = max(self.most, self.taken)
            self._waiting.popleft().succeed()


class Lane:
    """A path of so many bytes a cycle, in order of asking.

    Models: bytes one behind the other, several transfers in a cycle where they fit; a transfer
    is there with its last byte.
    Ignores: gaps between transfers, alignment in the path's width.
    Source: none needed; arithmetic.
    """

    def __init__(self, clock: Clock, bytes_per_cycle: int) -> None:
        self._clock = clock
        self._bytes_per_cycle = bytes_per_cycle
        self._free = 0
        """Bytes that could have passed before the next may."""

    def send(self, size_bytes: int) -> int:
        """Return how many cycles from now the last byte is there; 0 is within this one."""
        now = self._clock.now
        begin = max(now * self._bytes_per_cycle, self._free)
        self._free = begin + size_bytes
        return (self._free - 1) // self._bytes_per_cycle - now
