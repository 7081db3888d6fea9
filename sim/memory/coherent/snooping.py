"""Coherence by snooping: every miss is called out on a bus, which all caches hear in one order."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass

import simpy

from sim.clock import Clock
from sim.memory.coherent.cache import Events, Line, PrivateCache, PrivateCacheSpec
from sim.memory.coherent.monitor import Monitor
from sim.memory.coherent.protocol import READABLE, SNOOPING, Do, On, State
from sim.memory.network.arbiter import RoundRobin, Settled


@dataclass(frozen=True, slots=True, kw_only=True)
class BusSpec:
    """A bus and the memory behind it; ValueError for times below one cycle."""

    width_bytes: int = 16
    """Data carried a cycle."""
    snoop_cycles: int = 4
    """From the grant until every cache has answered."""
    memory_cycles: int = 60
    """From then until memory begins to send, when no cache has the data to give."""

    def __post_init__(self) -> None:
        if min(self.width_bytes, self.snoop_cycles, self.memory_cycles) < 1:
            raise ValueError(f"a bus needs at least 1 of everything: {self}")


class Bus:
    """One transaction at a time, by turns; all caches hear it when it is granted.

    Models: arbitration, snoop and transfer time, cache-to-cache supply, memory latency.
    Ignores: split transactions, snoop filters, memory banks.
    Source: Nagarajan et al., A Primer on Memory Consistency and Cache Coherence, 2nd edition,
    section 7.2 (atomic requests and transactions).
    """

    def __init__(self, clock: Clock, spec: BusSpec, line_bytes: int) -> None:
        self.clock = clock
        self.spec = spec
        self.caches: list[SnoopingCache] = []
        """Who listens, by core."""
        self.messages: Counter[On] = Counter()
        """Transactions carried, by kind."""
        self.busy_cycles = 0
        self.memory: dict[int, list[int]] = {}
        """Lines in memory, those that ever came back."""
        self.transfer_cycles = -(-line_bytes // spec.width_bytes)
        """Cycles to carry a line."""
        self._words = line_bytes // 8
        self._asking: dict[int, deque[simpy.Event]] = {}
        self._turns = RoundRobin()
        self._held = False

    def request(self, core: int) -> simpy.Event:
        """Event at which the core has the bus."""
        granted = self.clock.env.event()
        self._asking.setdefault(core, deque()).append(granted)
        self._settle()
        return granted

    def hold(self, kind: On, cycles: int) -> Events:
        """Occupy the bus for a transaction, then let the next one have it."""
        self.messages[kind] += 1
        self.busy_cycles += cycles
        yield self.clock.cycles(cycles)
        self.release()

    def release(self) -> None:
        """Let the next one have the bus."""
        self._held = False
        self._settle()

    def read_memory(self, line: int) -> list[int]:
        """Words of a line as memory has them."""
        return list(self.memory.get(line, [0] * self._words))

    def _settle(self) -> None:
        if self._asking and not self._held:
            Settled(self.clock.env, 0, self._grant)

    def _grant(self, _event: simpy.Event) -> None:
        if self._asking and not self._held:
            self._held = True
            core = self._turns.pick(self._asking)
            self._asking[core].popleft().succeed()
            if not self._asking[core]:
                del self._asking[core]


class SnoopingCache(PrivateCache):
    """A private cache on a bus.

    Models: MESI or MOESI; a request overtaken by another's write asks for the data after all.
    Ignores: as PrivateCache and Bus; clean lines leave silently.
    Source: as Bus, section 7.3.
    """

    def __init__(
        self, core: int, bus: Bus, spec: PrivateCacheSpec, protocol: str, monitor: Monitor
    ) -> None:
        super().__init__(core, bus.clock, spec, SNOOPING[protocol], monitor)
        self._bus = bus

    def fetch(self, line: Line, deeds: tuple[Do, ...]) -> Events:  # noqa: ARG002 - see below
        """Call out on the bus what the line needs by the time of the grant, not of the deeds."""
        bus = self._bus
        yield bus.request(self.core)
        calls = {State.IS: On.READ, State.IM: On.WRITE, State.SM: On.UPGRADE, State.OM: On.UPGRADE}
        call = calls[line.state]
        others = [cache for cache in bus.caches if cache is not self]
        shared = any(cache.reads(line.number) for cache in others)
        given = [words for cache in others if (words := cache.snoop(call, line.number))]
        cycles = bus.spec.snoop_cycles
        if call is not On.UPGRADE:
            line.words = given[0] if given else bus.read_memory(line.number)
            cycles += bus.transfer_cycles + (0 if given else bus.spec.memory_cycles)
        yield from bus.hold(call, cycles)
        if call is On.UPGRADE:
            self._step(line, On.GRANT)
        else:
            self._step(line, On.DATA if shared or call is On.WRITE else On.DATA_ALONE)
        self._perform(line)

    def evict(self, line: Line) -> Events:
        """Write a dirty line back over the bus, drop a clean one; it may have gone meanwhile."""
        held, bus = self._set(line.number), self._bus
        if line.state not in (State.M, State.O):
            self._step(line, On.EVICT)
            del held[line.number]
            return
        yield bus.request(self.core)
        if held.get(line.number) is not line or line.state not in (State.M, State.O):
            bus.release()
            return
        bus.memory[line.number] = list(line.words)
        self._step(line, On.EVICT)
        del held[line.number]
        self._monitor.write_backs[self.core] += 1
        yield from bus.hold(On.PUT, bus.spec.snoop_cycles + bus.transfer_cycles)

    def reads(self, number: int) -> bool:
        """Whether this cache has the line's data."""
        line = self._set(number).get(number)
        return line is not None and line.state in READABLE

    def snoop(self, call: On, number: int) -> list[int] | None:
        """Hear another core's call; return the line's words where this cache is to give them."""
        line = self._set(number).get(number)
        if line is None:
            return None
        had = line.state
        deeds = self._step(line, call)
        if Do.TELL_WROTE_BACK in deeds:
            self._bus.memory[number] = list(line.words)
        if line.state in (State.I, State.IM) and had not in (State.I, State.IM):
            self._lose(number)
        if line.state is State.I:
            del self._set(number)[number]
        return list(line.words) if Do.GIVE in deeds else None
