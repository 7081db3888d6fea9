"""A core: its program, and the stores that it has not waited for."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Generator, Sequence
from itertools import islice, takewhile
from typing import Any

import simpy

from sim.clock import Clock
from sim.memory.coherent.cache import Access, Events, Kind, PrivateCache
from sim.memory.coherent.monitor import WORD_BYTES
from sim.stalls import CycleStack, StallCause

Program = Generator[Access, int, None]
"""What a core does: yields accesses and gets what they read."""

RETIRE_CYCLES = 1
"""Of a store into the buffer, of an empty place on."""


class StoreBuffer:
    """Stores that the core has done and its cache not yet, drained in program order.

    Models: places, order (total store order), forwarding of the youngest store to a word; the
    stores right behind the oldest done with it where they are to the same line.
    Ignores: stores that merge past others, fetching lines of waiting stores ahead.
    Source: Sewell et al., x86-TSO: A Rigorous and Usable Programmer's Model for x86
    Multiprocessors, Communications of the ACM 53(7), 2010.
    """

    def __init__(self, cache: PrivateCache) -> None:
        self._cache = cache
        self._stores: deque[Access] = deque()
        self._left = cache.clock.env.event()
        self._merged = 0  # stores done with the oldest

    @property
    def full(self) -> bool:
        """Whether a store has to wait for a place."""
        return len(self._stores) >= self._cache.spec.store_buffer

    @property
    def empty(self) -> bool:
        """Whether all stores are done."""
        return not self._stores

    @property
    def one_left(self) -> simpy.Event:
        """Event at which the oldest store is done."""
        return self._left

    def put(self, store: Access) -> None:
        """Take a store; there must be a place."""
        self._stores.append(store)
        if len(self._stores) == 1:
            self._cache.clock.env.process(self._drain())

    def youngest(self, address: int) -> Access | None:
        """Return the last store to a word that still waits; None where there is none."""
        return next((s for s in reversed(self._stores) if s.address == address), None)

    def _same_line(self, line: int) -> Sequence[Access]:
        """Return the stores behind the oldest that go with it; no other store comes between."""
        spec = self._cache.spec
        behind = islice(self._stores, 1, spec.merged_stores)
        merged = list(takewhile(lambda s: s.address // spec.line_bytes == line, behind))
        self._merged = len(merged)
        return merged

    def _drain(self) -> Events:
        while self._stores:
            self._merged = 0
            yield from self._cache.access(self._stores[0], self._same_line)
            for _ in range(1 + self._merged):
                self._stores.popleft()
            left, self._left = self._left, self._cache.clock.env.event()
            left.succeed()


class Core:
    """Does one thing after the other, but goes on while stores wait in its buffer.

    Models: blocking loads; stores that block, or retire into a buffer; atomics and fences that
    wait until it is empty; where the core's cycles went.
    Ignores: instructions beside accesses other than as work; loads that overtake each other.
    Source: as StoreBuffer.
    """

    def __init__(self, clock: Clock, cache: PrivateCache, program: Program) -> None:
        self.cache = cache
        self.finished = 0
        """When its program and its stores had ended, in cycles."""
        self.forwarded = 0
        """Loads served from the core's own buffer."""
        self.accesses = 0
        self._busy = 0
        self._stalls: Counter[StallCause] = Counter()
        self._clock = clock
        self._program = program
        self._buffer = StoreBuffer(cache) if cache.spec.store_buffer else None

    def run(self) -> Events:
        """Do the whole program; a SimPy process."""
        answer: int | None = None
        while True:
            try:
                access = self._program.send(answer)  # type: ignore[arg-type] # None starts it
            except StopIteration:
                break
            answer = yield from self._do(access)
        yield from self._drained(StallCause.FILL_DRAIN)
        self.finished = self._clock.now

    def account(self, total_cycles: int) -> CycleStack:
        """Where the core's cycles went, from 0 to `total_cycles`."""
        return CycleStack(busy=self._busy, stalls=self._stalls, idle=total_cycles - self.finished)

    def _do(self, access: Access) -> Generator[simpy.Event, Any, int]:
        if access.kind is Kind.WORK:
            self._busy += access.value
            yield self._clock.cycles(access.value)
            return 0
        if access.kind is Kind.FENCE:
            yield from self._drained(StallCause.SYNCHRONISATION)
            return 0
        if access.address % WORD_BYTES or access.address < 0:
            raise ValueError(f"address {access.address} is that of no 8-byte word")
        self.accesses += 1
        if self._buffer:
            if access.kind is Kind.STORE:
                return (yield from self._retire(self._buffer, access))
            if access.kind is Kind.LOAD and (own := self._buffer.youngest(access.address)):
                self.forwarded += 1
                self._busy += self.cache.spec.hit_cycles
                yield self._clock.cycles(self.cache.spec.hit_cycles)
                return own.value
        if access.kind is Kind.ADD:
            yield from self._drained(StallCause.SYNCHRONISATION)
        return (yield from self._wait_for(access))

    def _wait_for(self, access: Access) -> Generator[simpy.Event, Any, int]:
        since, hit_cycles = self._clock.now, self.cache.spec.hit_cycles
        answer = yield from self.cache.access(access)
        self._busy += hit_cycles
        self._stalls[StallCause.CACHE] += self._clock.now - since - hit_cycles
        return answer

    def _retire(self, buffer: StoreBuffer, access: Access) -> Generator[simpy.Event, Any, int]:
        since = self._clock.now
        while buffer.full:
            yield buffer.one_left
        self._stalls[StallCause.STRUCTURAL] += self._clock.now - since
        buffer.put(access)
        self._busy += RETIRE_CYCLES
        yield self._clock.cycles(RETIRE_CYCLES)
        return access.value

    def _drained(self, cause: StallCause) -> Events:
        since = self._clock.now
        while self._buffer and not self._buffer.empty:
            yield self._buffer.one_left
        self._stalls[cause] += self._clock.now - since
