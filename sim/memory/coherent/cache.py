"""What a private cache is under any protocol: sets, ways, LRU, and accesses that read or write."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import simpy

from sim.clock import Clock
from sim.memory.coherent.monitor import WORD_BYTES, Monitor
from sim.memory.coherent.protocol import CacheTable, Do, On, State, cache_step

Events = Generator[simpy.Event, Any, None]


class Kind(StrEnum):
    """What a core does next."""

    LOAD = "load"
    STORE = "store"
    ADD = "atomic add"
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

    def __post_init__(self) -> None:
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


class PrivateCache:
    """One core's cache: one access at a time, LRU among the ways of a set.

    Models: sets, ways, LRU, atomic add, data values; time by the protocol that extends it.
    Ignores: instruction fetch, several misses at once, store buffers (order is sequential).
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
        self.result = 0
        """What the last access read."""
        self._table = table
        self._monitor = monitor
        self._sets: list[OrderedDict[int, Line]] = [OrderedDict() for _ in range(spec.sets)]
        self._access = Access(Kind.WORK)
        self._missed = False
        self._upgraded = False

    def access(self, access: Access) -> Events:
        """Look up, fetch what is missing, do it; `result` is the word before (after a store)."""
        if access.address % WORD_BYTES or access.address < 0:
            raise ValueError(f"address {access.address} is that of no 8-byte word")
        yield self.clock.cycles(self.spec.hit_cycles)
        number = access.address // self.spec.line_bytes
        yield from self.before_lookup(number)
        self._access = access
        on = On.LOAD if access.kind is Kind.LOAD else On.STORE
        self._missed = number not in self._set(number)
        if self._missed:
            yield from self._make_room(number)
        line = self._hold(number)
        deeds = self._step(line, on)
        self._upgraded = Do.ASK_UPGRADE in deeds
        if Do.PERFORM in deeds:
            self._perform(line)
        else:
            self.waiting_for = f"line {number} in state {line.state}"
            yield from self.fetch(line, deeds)
            self.waiting_for = ""

    def before_lookup(self, number: int) -> Events:  # noqa: ARG002 - a hook's parameter
        """Wait until a line may be looked up; at once unless a protocol says so."""
        yield from ()

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
        held = self._set(number)
        while len(held) >= self.spec.ways:
            yield from self.evict(next(iter(held.values())))

    def _hold(self, number: int) -> Line:
        held = self._set(number)
        if number not in held:
            held[number] = Line(number, State.I, [0] * self.spec.words)
        held.move_to_end(number)
        return held[number]

    def _step(self, line: Line, on: On) -> tuple[Do, ...]:
        who = f"{self.name}, line {line.number}"
        line.state, deeds = cache_step(self._table, line.state, on, who)
        self._monitor.enter(self.core, line.number, line.state)
        return deeds

    def _lose(self, number: int) -> None:
        self._missed |= number == self._access.address // self.spec.line_bytes
        self._monitor.lose(self.core, number)

    def _perform(self, line: Line) -> None:
        access = self._access
        self._monitor.count(self.core, access.address, missed=self._missed, upgraded=self._upgraded)
        word = access.address % self.spec.line_bytes // WORD_BYTES
        if access.kind is not Kind.STORE:
            self._monitor.read(self.core, access.address, line.words[word])
        self.result = line.words[word]
        if access.kind is Kind.LOAD:
            return
        added = line.words[word] if access.kind is Kind.ADD else 0
        line.words[word] = added + access.value
        self._monitor.write(access.address, line.words[word])
        if access.kind is Kind.STORE:
            self.result = access.value
