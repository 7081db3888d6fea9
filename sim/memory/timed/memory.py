"""What stands behind the last cache: an interface, and memory with a latency and a bandwidth."""

from __future__ import annotations

from typing import Protocol

import simpy

from sim.clock import Clock
from sim.memory.timed.account import Account
from sim.memory.timed.gate import Steps
from sim.memory.timed.recording import Request
from sim.memory.timed.slots import Lane
from sim.stalls import StallCause


class MemoryServer(Protocol):
    """Anything that serves reads and writes in its own time."""

    def request(self, address: int, size_bytes: int, write: bool) -> simpy.Event:
        """Event at which a read's last byte is there, or a write has been taken."""


class FlatServer:
    """Main memory of one latency and one port, over SimPy.

    Models: a latency to the first byte; one port of so many bytes a cycle for reads and writes in
    the order in which they come; a write is taken when its last byte has passed.
    Ignores: channels, banks, rows, refresh, read-write turnaround.
    Source: Hennessy and Patterson, Computer Architecture, 6th edition, section 2.2.
    """

    def __init__(self, clock: Clock, *, latency_cycles: int, bytes_per_cycle: int) -> None:
        self._clock = clock
        self._latency_cycles = latency_cycles
        self._port = Lane(clock, bytes_per_cycle)

    def request(self, address: int, size_bytes: int, write: bool) -> simpy.Event:  # noqa: ARG002
        """Event at which a read's last byte is there, or a write has been taken."""
        passed = self._port.send(size_bytes)
        return self._clock.cycles(passed if write else passed + self._latency_cycles)


class MemorySide:
    """Main memory as the last level sees it: requests handed on, and what they wait for said.

    Models: a server's time, rounded up to the caches' clock.
    Ignores: nothing of its own.
    Source: none needed.
    """

    name = "main memory"

    def __init__(self, clock: Clock, server: MemoryServer, latency_cycles: int) -> None:
        self._clock = clock
        self._server = server
        self._latency_cycles = latency_cycles
        """What a read waits beyond it counts as bandwidth."""
        self._asked: dict[int, int] = {}
        """Requests without an answer, by address."""

    @property
    def waiting_for(self) -> str:
        """Say what has no answer yet; empty where all have."""
        return "its server: " + ", ".join(f"{a:#x}" for a in self._asked) if self._asked else ""

    def serve(self, request: Request, account: Account) -> Steps:
        """Do a request from its arrival to its last byte."""
        yield from self.accept(request, account)
        yield from self.finish(request, account)

    def accept(self, request: Request, account: Account) -> Steps:
        """Wait until a write is taken; a read is at once."""
        if request.write:
            account.mark(self._clock.now, StallCause.BANDWIDTH)
            yield from self._serve(request)

    def finish(self, request: Request, account: Account) -> Steps:
        """Wait for a read's bytes; a write has been taken."""
        if not request.write:
            now = self._clock.now
            account.mark(now, StallCause.DRAM)
            account.mark(now + self._latency_cycles, StallCause.BANDWIDTH)
            yield from self._serve(request)

    def send(self, size_bytes: int) -> int:  # noqa: ARG002 - as TimedLevel's
        """No path of its own: the server's time has the transfer in it."""
        return 0

    def _serve(self, request: Request) -> Steps:
        self._asked[request.first] = self._asked.get(request.first, 0) + 1
        yield self._server.request(request.first, request.size_bytes, request.write)
        if self._clock.env.now % self._clock.period_ticks:
            yield self._clock.next_edge()
        self._asked[request.first] -= 1
        if not self._asked[request.first]:
            del self._asked[request.first]
