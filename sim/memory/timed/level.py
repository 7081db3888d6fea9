"""One level of cache in time: what its requests wait for, from the port to the last byte."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import simpy

from sim.clock import Clock
from sim.memory.cache.spec import CacheLevelSpec
from sim.memory.timed.account import Account
from sim.memory.timed.gate import Gate, Steps, Waits
from sim.memory.timed.memory import MemorySide
from sim.memory.timed.recording import Request
from sim.memory.timed.slots import Lane, Slots
from sim.memory.timed.spec import TimedLevelSpec
from sim.stalls import StallCause


@dataclass(slots=True, kw_only=True, eq=False)
class Miss:
    """A line (sectors of it) under way, and who else waits for it."""

    order: int
    """In the program, of the request that missed."""
    account: Account
    here: simpy.Event
    """Happens when its data is in the cache."""
    allocated: bool = False
    """Whether it has its MSHR."""
    targets: int = 1


class TimedLevel:
    """One level of cache, in cycles; what it holds is decided by the readable caches.

    Contents change in program order, when the core issues; here each request then takes its time.
    A request is accepted (port, bank), looked up, and, where it misses, holds an MSHR until its
    fill is in the cache, which it is once each line that it drives out has room in the write
    buffer. An access to what is under way merges with it. The first byte leaves after
    `hit_cycles`; a transfer is over with its last.

    Models: ports, banks, lookup, hit and miss time; MSHRs with merging, a level blocked by a miss
    without MSHR or target; fill bandwidth; a write buffer with bandwidth, latency, back-pressure;
    prefetches, which start when the access that sets them off is looked up and wait for an MSHR.
    Ignores: precedence of demands over prefetches; writes overtaken by fetches of the same line,
    which find it as if forwarded; the time of back-invalidations, tag updates and fills in ports
    and banks.
    Source: Kroft, Lockup-free instruction fetch/prefetch cache organization, ISCA 1981; Hennessy
    and Patterson, Computer Architecture, 6th edition, sections 2.3 and B.3.
    """

    def __init__(
        self,
        clock: Clock,
        cache: CacheLevelSpec,
        timing: TimedLevelSpec,
        below: TimedLevel | MemorySide,
    ) -> None:
        self.name = cache.name
        self.merged_misses = 0
        """Accesses to what was under way, answered by the miss that fetches it."""
        self.late_prefetches = 0
        """Those under way when they were first asked for."""
        self._waits = Waits()
        self.gate = Gate(clock, cache.line_bytes, timing, self._waits)
        self.mshrs = Slots(clock, timing.mshrs)
        self.write_buffer = Slots(clock, timing.write_buffer)
        self._clock = clock
        self._timing = timing
        self._below = below
        self._sector_bytes = cache.line_bytes // cache.sectors
        self._lookup_cycles = cache.hit_cycles if timing.miss_cycles is None else timing.miss_cycles
        self._data_cycles = cache.hit_cycles - self._lookup_cycles
        self._to_front = Lane(clock, timing.fill_bytes_per_cycle)
        self._from_front = Lane(clock, timing.fill_bytes_per_cycle)
        self._turn = Slots(clock, 1)
        """Misses take MSHRs in the order in which they were found."""
        self._under_way: dict[int, list[Miss]] = {}
        """By sector; more than one where a line is fetched again before it first came."""

    @property
    def waiting_for(self) -> str:
        """Say what requests wait for; empty where none do."""
        return str(self._waits)

    def serve(self, request: Request, account: Account) -> Steps:
        """Do a request from its arrival to its last byte."""
        yield from self.accept(request, account)
        yield from self.finish(request, account)

    def accept(self, request: Request, account: Account) -> Steps:
        """Wait until the level takes a request in."""
        account.mark(self._clock.now, StallCause.STRUCTURAL)
        yield from self.gate.enter(request.first)
        account.mark(self._clock.now, StallCause.CACHE)

    def finish(self, request: Request, account: Account) -> Steps:
        """Do what was taken in, until its last byte is in front or its write is done."""
        if self._lookup_cycles:
            yield self._clock.cycles(self._lookup_cycles)
        for prefetch in request.prefetches:
            self._clock.env.process(self._prefetch(prefetch))
        ready = self._clock.now + self._data_cycles
        merged = yield from self._merge(request, account)
        if request.fetches:
            yield from self._miss(request, account)
        elif self._data_cycles:
            yield self._clock.cycles(self._data_cycles)
        for miss in merged:
            if not miss.here.triggered:
                account.mark(self._clock.now, miss.account)
                yield from self._waits.until(miss.here, "a miss under way")
        self.late_prefetches += request.first_use and self._clock.now > ready
        if not request.fetches:
            yield from self._let_leave(request, account)
        if not request.write:
            yield from self._deliver(request, account)

    def send(self, size_bytes: int) -> int:
        """Return after how many cycles bytes from the level in front are here."""
        return self._from_front.send(size_bytes)

    def settle(self) -> None:
        """Count up to now."""
        self.mshrs.settle()
        self.write_buffer.settle()

    def _deliver(self, request: Request, account: Account) -> Steps:
        """Send bytes to the front until the last is there."""
        beats = self._to_front.send(request.size_bytes)
        account.mark(self._clock.now, StallCause.BANDWIDTH)
        if beats:
            yield self._clock.cycles(beats)

    def _merge(self, request: Request, account: Account) -> Generator[simpy.Event, Any, list[Miss]]:
        """Join the misses that have the rest of a request under way; return them."""
        rest = self._sectors(request) - self._fetched(request)
        misses = self._earlier(rest, request.order)
        for miss in misses:
            if miss.targets < self._timing.mshr_targets:
                miss.targets += 1
                self.merged_misses += 1
                continue
            self.gate.block()
            account.mark(self._clock.now, StallCause.STRUCTURAL)
            yield from self._waits.until(miss.here, "a target of an MSHR")
            self.gate.unblock()
        return misses

    def _miss(self, request: Request, account: Account) -> Steps:
        """Fetch what is missing; until it has its MSHR the level takes nothing else in."""
        self.gate.block()
        account.mark(self._clock.now, StallCause.STRUCTURAL)
        miss = yield from self._allocate(request, account)
        self.gate.unblock()
        yield from self._fill(miss, request)

    def _prefetch(self, request: Request) -> Steps:
        """Fetch what the level asks for by itself; its wait for an MSHR blocks nothing."""
        account = Account()
        account.mark(self._clock.now, StallCause.STRUCTURAL)
        miss = yield from self._allocate(request, account)
        yield from self._fill(miss, request)

    def _allocate(self, request: Request, account: Account) -> Generator[simpy.Event, Any, Miss]:
        """Take an MSHR when it is the request's turn."""
        here, fetched = self._clock.env.event(), self._fetched(request)
        miss = Miss(order=request.order, account=account, here=here)
        fetched_before = self._earlier(fetched, request.order)
        for sector in fetched:
            self._under_way.setdefault(sector, []).append(miss)
        yield from self._waits.until(self._turn.take(), "an MSHR")
        for earlier in fetched_before:
            yield from self._waits.until(earlier.here, "the line to come, leave and come again")
        yield from self._waits.until(self.mshrs.take(), "an MSHR")
        miss.allocated = True
        self._turn.free()
        return miss

    def _fill(self, miss: Miss, request: Request) -> Steps:
        """Fetch, make room, and answer all that wait."""
        fetch = self._fetch(request, miss.account)
        yield from self._waits.until(fetch, f"a fill of {self._below.name}")
        yield from self._let_leave(request, miss.account)
        for sector in self._fetched(request):
            self._under_way[sector].remove(miss)
            if not self._under_way[sector]:
                del self._under_way[sector]
        miss.here.succeed()
        self.mshrs.free()

    def _fetch(self, request: Request, account: Account) -> simpy.Event:
        """Event at which all that is fetched has come; the last of it has the blame."""
        env, begin = self._clock.env, self._clock.now

        def one(fetch: Request) -> Steps:
            own = Account()
            yield from self._below.serve(fetch, own)
            account.mark(begin, own)

        return simpy.AllOf(env, [env.process(one(fetch)) for fetch in request.fetches])

    def _let_leave(self, request: Request, account: Account) -> Steps:
        """Find room in the write buffer for all that goes to the level behind."""
        for write in request.leaving:
            account.mark(self._clock.now, StallCause.STRUCTURAL)
            for miss in self._earlier(self._sectors(write), request.order):
                if miss.allocated:
                    yield from self._waits.until(miss.here, "a line to come before it leaves")
            yield from self._waits.until(self.write_buffer.take(), "the write buffer")
            self._clock.env.process(self._drain(write))

    def _drain(self, write: Request) -> Steps:
        """Take an entry of the write buffer to the level behind."""
        cycles = self._below.send(write.size_bytes) + self._timing.write_back_cycles
        if cycles:
            yield self._clock.cycles(cycles)
        account = Account()
        yield from self._below.accept(write, account)
        self.write_buffer.free()
        yield from self._below.finish(write, account)

    def _earlier(self, sectors: set[int], order: int) -> list[Miss]:
        """Return the last misses of sectors before a request, in the order of the program."""
        found: dict[Miss, None] = {}
        for sector in sorted(sectors & self._under_way.keys()):
            before = [miss for miss in self._under_way[sector] if miss.order < order]
            if before:
                found[max(before, key=lambda miss: miss.order)] = None
        return list(found)

    def _fetched(self, request: Request) -> set[int]:
        return {sector for fetch in request.fetches for sector in self._sectors(fetch)}

    def _sectors(self, request: Request) -> set[int]:
        first, last = request.first // self._sector_bytes, request.last // self._sector_bytes
        return set(range(first, last + 1))
