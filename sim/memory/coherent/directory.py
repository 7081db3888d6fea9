"""Coherence by directory, a cache's side: ask lines' homes, answer other caches."""

from __future__ import annotations

import simpy

from sim.memory.coherent.cache import Events, Line, PrivateCache, PrivateCacheSpec
from sim.memory.coherent.monitor import Monitor
from sim.memory.coherent.protocol import DIRECTORY, STABLE, Do, On, State
from sim.memory.coherent.wires import Message, Wires


class DirectoryCache(PrivateCache):
    """A private cache that asks lines' homes and answers other caches.

    Models: MESI or MOESI with its transient states, acknowledgements, a buffer of leaving lines.
    Ignores: as PrivateCache; a limit on leaving lines. Shared lines leave silently.
    Source: Nagarajan et al., A Primer on Memory Consistency and Cache Coherence, 2nd edition,
    section 8.2 to 8.4.
    """

    def __init__(
        self, core: int, wires: Wires, spec: PrivateCacheSpec, protocol: str, monitor: Monitor
    ) -> None:
        clock = wires.network.clock
        super().__init__(core, clock, spec, DIRECTORY[protocol], monitor)
        self._wires = wires
        self._leaving: dict[int, tuple[Line, simpy.Event]] = {}
        self._performed: dict[int, simpy.Event] = {}

    def blocker(self, number: int) -> simpy.Event | None:
        """Wait for another access to the line, and until the line has left for good."""
        if number in self._leaving:
            return self._leaving[number][1]
        return super().blocker(number)

    def fetch(self, line: Line, deeds: tuple[Do, ...]) -> Events:
        """Ask the line's home, and wait until an answer has completed the access."""
        asks = {Do.ASK_READ: On.READ, Do.ASK_WRITE: On.WRITE, Do.ASK_UPGRADE: On.UPGRADE}
        performed = self._performed[line.number] = self.clock.env.event()
        for deed in deeds:
            self._tell_home(asks[deed], line.number)
        yield performed

    def evict(self, line: Line) -> Events:
        """Let a line go: silently if shared, else by a put that its home acknowledges."""
        del self._set(line.number)[line.number]
        for deed in self._step(line, On.EVICT):
            self._leaving[line.number] = (line, self.clock.env.event())
            dirty = deed is Do.PUT_DATA
            self._monitor.write_backs[self.core] += dirty
            self._tell_home(On.PUT, line.number, line.words if dirty else None)
        yield from ()

    def hear(self, message: Message) -> None:
        """Take a message from the network."""
        number = message.line
        if number in self._leaving:
            line = self._leaving[number][0]
        else:
            line = self._set(number).get(number) or Line(number, State.I, [])
        had, on = line.state, self._event(message)
        if message.words is not None:
            line.words = list(message.words)
        for deed in self._step(line, on):
            self._do(deed, line, message)
        if on in (On.INVALIDATE, On.FORWARD_WRITE) and had in STABLE | {State.SM, State.OM}:
            if had is not State.I:
                self._lose(number)
            if line.state is State.I:
                self._set(number).pop(number, None)
        if on is On.PUT_ACK:
            self._leaving.pop(number)[1].succeed()

    def _event(self, message: Message) -> On:
        """Count acknowledgements: which event a message is depends on those still due."""
        if message.kind is On.ACK:
            pending = self._pending[message.line]
            pending.acks_due -= 1
            line = self._set(message.line)[message.line]
            last = pending.acks_due == 0 and line.state is State.IM_A
            return On.LAST_ACK if last else On.ACK
        if message.kind in (On.DATA, On.GRANT):
            pending = self._pending[message.line]
            pending.acks_due += message.acks
            if pending.acks_due:
                return On.DATA_PENDING if message.kind is On.DATA else On.GRANT_PENDING
        return message.kind

    def _do(self, deed: Do, line: Line, message: Message) -> None:
        tells = {
            Do.UNBLOCK: On.UNBLOCK,
            Do.TELL_WROTE_BACK: On.WROTE_BACK,
            Do.TELL_CLEANED: On.CLEANED,
            Do.TELL_KEPT: On.KEPT,
        }
        if deed is Do.PERFORM:
            self._perform(line)
            self._performed.pop(line.number).succeed()
        elif deed in tells:
            words = line.words if deed is Do.TELL_WROTE_BACK else None
            lookup = 0 if deed is Do.UNBLOCK else self.spec.hit_cycles
            self._tell_home(tells[deed], line.number, words, lookup)
        else:
            answer = Message(
                kind=On.DATA if deed is Do.GIVE else On.ACK,
                line=line.number,
                sender=self.core,
                requester=message.requester,
                acks=message.acks if deed is Do.GIVE else 0,
                words=tuple(line.words) if deed is Do.GIVE else None,
            )
            after = self.spec.hit_cycles + self.spec.outer_cycles
            self._wires.to_cache(message.requester, answer, after)

    def _tell_home(
        self, kind: On, line: int, words: list[int] | None = None, after_cycles: int = 0
    ) -> None:
        self._wires.to_home(
            Message(
                kind=kind,
                line=line,
                sender=self.core,
                requester=self.core,
                words=None if words is None else tuple(words),
            ),
            after_cycles,
        )
