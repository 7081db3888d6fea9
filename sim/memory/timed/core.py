"""The core in front of the caches: issues accesses in order, and says why it did not."""

from __future__ import annotations

import numpy as np
import simpy

from sim.clock import Clock
from sim.memory.cache.run import AddressTrace
from sim.memory.timed.account import Account
from sim.memory.timed.gate import Steps
from sim.memory.timed.level import TimedLevel
from sim.memory.timed.recording import RecordedHierarchy, Request
from sim.memory.timed.slots import Slots
from sim.memory.timed.spec import CoreSpec
from sim.stalls import CycleStack, StallCause

NOT_YET = -1
"""Instead of a cycle."""


class Core:
    """Issues the accesses of a trace in order.

    The caches look each access up when it is issued; then it takes its time. A cycle in which
    something is issued is busy; any other one has the cause for which the access that ended the
    wait was not done.

    Models: accesses issued a cycle; loads under way and stores in a buffer, so many at a time; a
    load that needs the one before.
    Ignores: all other instructions; forwarding from the store buffer; memory ordering.
    Source: Hennessy and Patterson, Computer Architecture, 6th edition, sections 2.3 and 3.6.
    """

    name = "core"

    def __init__(
        self,
        clock: Clock,
        spec: CoreSpec,
        caches: RecordedHierarchy,
        first_level: TimedLevel,
    ) -> None:
        self._clock = clock
        self._spec = spec
        self._caches = caches
        self._first_level = first_level
        self._loads = Slots(clock, spec.outstanding_loads)
        self._stores = Slots(clock, spec.store_buffer)
        self._last_load: simpy.Event | None = None
        self._last_done = Account()
        """Of the access that was done last."""
        self._cycle = NOT_YET
        self._issued = 0
        """Accesses of this cycle."""
        self._told_until = 0
        """The cycles before are in the stack."""
        self._busy = 0
        self._stalls: dict[StallCause, int] = {}
        self.waiting_for = ""

    @property
    def stack(self) -> CycleStack:
        """Where the cycles went."""
        return CycleStack(busy=self._busy, stalls=self._stalls)

    @property
    def cycles(self) -> int:
        """Until the last access was issued and done."""
        return self._told_until

    def run(
        self, trace: AddressTrace, issued: np.ndarray, done: np.ndarray, *, dependent: bool
    ) -> Steps:
        """Issue all accesses and wait for them, filling in the cycles of both."""
        columns = (trace.addresses.tolist(), trace.kinds.tolist(), trace.sizes.tolist())
        under_way: list[simpy.Event] = []
        for index, (address, kind, size) in enumerate(zip(*columns, strict=True)):
            write = kind == 1
            what = f"{'store' if write else 'load'} {index} of {address:#x}"
            if dependent and not write and self._last_load is not None:
                yield from self._wait(self._last_load, f"the load before {what}")
            slots = self._stores if write else self._loads
            yield from self._wait(slots.take(), f"room for {what}")
            yield from self._issue_slot()
            issued[index] = self._clock.now
            requests = self._caches.access(address, write=write, size_bytes=size)
            event = self._clock.env.process(self._access(requests, slots, index, done))
            under_way = [other for other in under_way if not other.triggered]
            under_way.append(event)
            if not write:
                self._last_load = event
        yield from self._wait(self._clock.env.all_of(under_way), "the last accesses")

    def _wait(self, event: simpy.Event, what: str) -> Steps:
        """Wait; cycles that pass are lost to what the access that ended the wait did in them."""
        self.waiting_for = what
        yield event
        self.waiting_for = ""
        now = self._clock.now
        if now > self._told_until:
            self._last_done.charge(self._told_until, now, self._stalls)
            self._told_until = now

    def _issue_slot(self) -> Steps:
        """Wait until this cycle has room for one more access, and take it."""
        if self._cycle == self._clock.now and self._issued == self._spec.issue_per_cycle:
            yield self._clock.cycles(1)
        if self._cycle != self._clock.now:
            self._cycle, self._issued = self._clock.now, 0
            self._busy += 1
            self._told_until = self._cycle + 1
        self._issued += 1

    def _access(self, requests: list[Request], slots: Slots, index: int, done: np.ndarray) -> Steps:
        """Let the first level do an access, line by line."""
        env = self._clock.env
        account, begin = Account(), self._clock.now
        if len(requests) == 1:
            yield from self._first_level.serve(requests[0], account)
        else:
            yield env.all_of([
                env.process(self._part(request, account, begin)) for request in requests
            ])  # fmt: skip
        done[index] = self._clock.now
        self._last_done = account
        slots.free()

    def _part(self, request: Request, account: Account, begin: int) -> Steps:
        own = Account()
        yield from self._first_level.serve(request, own)
        account.mark(begin, own)
