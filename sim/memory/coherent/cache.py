"""What a private cache is under any protocol: sets, ways, LRU, and accesses that read or write."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import simpy

from sim.clock import Clock
from sim.memory.coherent.monitor import WORD_BYTES, Monitor
from sim.memory.coherent.protocol import STABLE, CacheTable, Do, On, State, cache_step

Events = Generator[simpy.Event, Any, None]


class Kind(StrEnum):
    """What a core does next."""

    LOAD = "load"
    STORE = "store"
    ADD = "atomic add"
    FENCE = "fence"
    WORK = "work"


@dataclass(frozen=True, slots=True)
class Access:
    """One thing a core does: an access to a word, or work for `value` cycles."""

    kind: Kind
    address: int = 0
    """Byte address of an eight-byte word."""
    value: int = 0
    """What is stored or added; for work, cycles."""


def load(address: int) -> Access:
    """Read a word."""
    return Access(Kind.LOAD, address)


def store(address: int, value: int) -> Access:
    """Write a word; the program goes on with the value."""
    return Access(Kind.STORE, address, value)


def add(address: int, value: int) -> Access:
    """Add to a word in one step that nobody can come between; the program gets the old value."""
    return Access(Kind.ADD, address, value)


def fence() -> Access:
    """Wait until all stores before are done; nothing to wait for takes no time."""
    return Access(Kind.FENCE)


def work(cycles: int) -> Access:
    """Compute without memory."""
    return Access(Kind.WORK, value=cycles)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateCacheSpec:
    """One core's cache; ValueError where it is no whole number of sets of words."""

    sets: int = 64
    ways: int = 8
    line_bytes: int = 64
    hit_cycles: int = 1
    """To look a line up: all of a hit, the start of a miss, and of an answer to another core."""
    store_buffer: int = 0
    """Stores that may wait for their line while the core goes on; 0: the core waits itself."""
    merged_stores: int = 1
    """Waiting stores, the oldest and those right behind it to the same line, done in one access."""
    outer_cycles: int = 0
    """For each message to or from the network, to pass private levels behind this one."""

    def __post_init__(self) -> None:
        if self.store_buffer < 0:
            raise ValueError(f"store_buffer is {self.store_buffer}, must be at least 0")
        if self.merged_stores < 1:
            raise ValueError(f"merged_stores is {self.merged_stores}, must be at least 1")
        if self.outer_cycles < 0:
            raise ValueError(f"outer_cycles is {self.outer_cycles}, must be at least 0")
        if min(self.sets, self.ways, self.hit_cycles) < 1:
            raise ValueError(f"sets, ways and hit_cycles must be at least 1: {self}")
        if self.line_bytes < WORD_BYTES or self.line_bytes % WORD_BYTES:
            raise ValueError(f"line_bytes is {self.line_bytes}, no whole number of 8-byte words")

    @property
    def words(self) -> int:
        """Words of a line."""
        return self.line_bytes // WORD_BYTES


@dataclass(slots=True)
class Line:
    """A line held, or on its way in or out."""

    number: int
    state: State
    words: list[int]


Merged = Callable[[int], Sequence[Access]]
"""From a line, the stores that are done together with the access to it, in order."""


def nothing_merged(line: int) -> Sequence[Access]:  # noqa: ARG001 - as Merged
    """Return no stores."""
    return ()


class Pending:
    """One access to a line, from its lookup until it is done."""

    def __init__(self, access: Access, done: simpy.Event, merged: Merged) -> None:
        self.access = access
        self.merged = merged
        self.done = done
        self.missed = False
        self.upgraded = False
        self.acks_due = 0
        """Acknowledgements still to come, less those that came before they were announced."""
        self.result = 0
        """The word before, or after a store."""
        self.waiting_for = ""


class PrivateCache:
    """One core's cache: one access at a time to a line, LRU among the ways of a set.

    Models: sets, ways, LRU, atomic add, data values, a load that passes a store's miss; time by the
    protocol that extends it.
    Ignores: instruction fetch, ports and pipelining of lookups, several loads at once.
    Source: Hennessy and Patterson, Computer Architecture, appendix B and section 5.2.
    """

    def __init__(
        self, core: int, clock: Clock, spec: PrivateCacheSpec, table: CacheTable, monitor: Monitor
    ) -> None:
        self.core = core
        self.name = f"core {core}"
        """For messages."""
        self.clock = clock
        self.spec = spec
        self.waiting_for = ""
        """For DeadlockError."""
        self._table = table
        self._monitor = monitor
        self._sets: list[OrderedDict[int, Line]] = [OrderedDict() for _ in range(spec.sets)]
        self._pending: dict[int, Pending] = {}

    def access(
        self, access: Access, merged: Merged = nothing_merged
    ) -> Generator[simpy.Event, Any, int]:
        """Look up, fetch what is missing, do it; return the word before (after a store).

        `merged` is asked, when the line can be written, for stores to do in the same cycle.
        """
        yield self.clock.cycles(self.spec.hit_cycles)
        number = access.address // self.spec.line_bytes
        while (blocker := self.blocker(number)) is not None:
            yield blocker
        pending = Pending(access, self.clock.env.event(), merged)
        self._pending[number] = pending
        on = On.LOAD if access.kind is Kind.LOAD else On.STORE
        pending.missed = number not in self._set(number)
        if pending.missed:
            yield from self._make_room(number)
        line = self._hold(number)
        deeds = self._step(line, on)
        pending.upgraded = Do.ASK_UPGRADE in deeds
        if Do.PERFORM in deeds:
            self._perform(line)
        else:
            self._wait(pending, f"line {number} in state {line.state}")
            yield from self.fetch(line, deeds)
            self._wait(pending, "")
        del self._pending[number]
        pending.done.succeed()
        return pending.result

    def blocker(self, number: int) -> simpy.Event | None:
        """Return what an access to a line has to wait for; None where it may be looked up."""
        pending = self._pending.get(number)
        return pending.done if pending else None

    def fetch(self, line: Line, deeds: tuple[Do, ...]) -> Events:
        """Get a line or leave to write it, and perform the access; a protocol's own."""
        raise NotImplementedError

    def evict(self, line: Line) -> Events:
        """Let a line go; a protocol's own."""
        raise NotImplementedError

    def copies(self) -> list[Line]:
        """All lines held."""
        return [line for held in self._sets for line in held.values()]

    def _set(self, number: int) -> OrderedDict[int, Line]:
        return self._sets[number % self.spec.sets]

    def _make_room(self, number: int) -> Events:
        held, pending = self._set(number), self._pending[number]
        while len(held) >= self.spec.ways:
            victim = next((line for line in held.values() if line.state in STABLE), None)
            if victim is None:  # all are on their way in
                self._wait(pending, f"a way of its set, for line {number}")
                yield self._pending[next(iter(held))].done
            else:
                yield from self.evict(victim)
        self._wait(pending, "")

    def _wait(self, pending: Pending, what: str) -> None:
        pending.waiting_for = what
        waits: Iterable[str] = (p.waiting_for for p in self._pending.values() if p.waiting_for)
        self.waiting_for = " and ".join(waits)

    def _hold(self, number: int) -> Line:
        held = self._set(number)
        if number not in held:
            held[number] = Line(number, State.I, [0] * self.spec.words)
        held.move_to_end(number)
        return held[number]

    def _step(self, line: Line, on: On) -> tuple[Do, ...]:
        line.state, deeds = cache_step(self._table, line.state, on, self.core, line.number)
        self._monitor.enter(self.core, line.number, line.state)
        return deeds

    def _lose(self, number: int) -> None:
        if number in self._pending:
            self._pending[number].missed = True
        self._monitor.lose(self.core, number)

    def _perform(self, line: Line) -> None:
        pending = self._pending[line.number]
        access = pending.access
        self._monitor.count(
            self.core, access.address, missed=pending.missed, upgraded=pending.upgraded
        )
        word = access.address % self.spec.line_bytes // WORD_BYTES
        if access.kind is not Kind.STORE:
            self._monitor.read(self.core, access.address, line.words[word])
        pending.result = line.words[word]
        if access.kind is Kind.LOAD:
            return
        added = line.words[word] if access.kind is Kind.ADD else 0
        self._write(line, access.address, added + access.value)
        if access.kind is Kind.STORE:
            pending.result = access.value
        for other in pending.merged(line.number):
            self._monitor.count(self.core, other.address, missed=False, upgraded=False)
            self._write(line, other.address, other.value)

    def _write(self, line: Line, address: int, value: int) -> None:
        line.words[address % self.spec.line_bytes // WORD_BYTES] = value
        self._monitor.write(address, value)
