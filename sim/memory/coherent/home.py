"""Coherence by directory, a home's side: it knows who has each of its lines, and has memory."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import simpy

from sim.errors import LawViolationError
from sim.memory.coherent.cache import Events
from sim.memory.coherent.protocol import HOME, Do, Home, On
from sim.memory.coherent.wires import Message, Wires

_ANSWERS = {
    Do.SEND: On.DATA,
    Do.SEND_ALONE: On.DATA_ALONE,
    Do.SEND_GRANT: On.GRANT,
    Do.SEND_PUT_ACK: On.PUT_ACK,
}
_WITH_ACKS = frozenset({Do.SEND, Do.SEND_GRANT})


@dataclass(slots=True)
class _Entry:
    state: Home = Home.UNCACHED
    owner: int = -1
    sharers: set[int] = field(default_factory=set)
    awaited: int = 0  # reports without which the transaction is not over
    queue: deque[Message] = field(default_factory=deque)

    def note(self, deed: Do, message: Message) -> None:
        """Note who has the line after a deed."""
        if deed is Do.SHARE:
            self.sharers.add(message.requester)
        elif deed is Do.UNSHARE:
            self.sharers.discard(message.sender)
        elif deed is Do.OWN:
            self.owner, self.sharers = message.requester, set()
        elif deed is Do.DISOWN:
            self.owner = -1
        elif deed is Do.OWNER_SHARES:
            self.sharers.add(self.owner)
            self.owner = -1
        else:
            raise LawViolationError(f"a home cannot '{deed}'")


class HomeNode:
    """The home of some lines: who has them, and memory; one message at a time.

    Models: full sharer sets, forwarding, invalidation, a line kept busy until its requester is
    done, requests that queue meanwhile; lookup and memory latency.
    Ignores: a directory's capacity, memory's banks and bandwidth.
    Source: as DirectoryCache; a home that blocks: section 8.7.
    """

    def __init__(self, node: int, wires: Wires) -> None:
        self.node = node
        self.memory: dict[int, tuple[int, ...]] = {}
        """Lines in memory, those that ever came back."""
        clock = wires.network.clock
        self._inbox = simpy.Store(clock.env)
        self._wires = wires
        self._entries: dict[int, _Entry] = {}
        clock.env.process(self._run())

    def hear(self, message: Message) -> None:
        """Take a message from the network."""
        self._inbox.put(message)

    def _run(self) -> Events:
        clock = self._wires.network.clock
        while True:
            message = yield self._inbox.get()
            yield clock.cycles(self._wires.spec.lookup_cycles)
            self._take(message)

    def _take(self, message: Message) -> None:
        entry = self._entries.setdefault(message.line, _Entry())
        if message.kind in (On.READ, On.WRITE, On.UPGRADE, On.PUT):
            entry.queue.append(message)
        else:
            if message.kind is not On.UNBLOCK:
                self._step(entry, message, message.kind)
            entry.awaited -= 1
        while entry.queue and not entry.awaited:
            self._serve(entry, entry.queue.popleft())

    def _serve(self, entry: _Entry, message: Message) -> None:
        kind, sender = message.kind, message.sender
        if kind is On.PUT and sender != entry.owner:
            kind = On.STALE_PUT
        if kind is On.UPGRADE and sender != entry.owner:
            keeps = entry.state is Home.SHARED and sender in entry.sharers
            kind = On.UPGRADE if keeps else On.WRITE  # overtaken, or the owner has newer data
        if kind not in (On.PUT, On.STALE_PUT):
            entry.awaited = 1
            if kind is On.READ and entry.owner >= 0:
                entry.awaited = 2  # the owner reports too
        self._step(entry, message, kind)

    def _step(self, entry: _Entry, message: Message, kind: On) -> None:
        if (entry.state, kind) not in HOME:
            raise LawViolationError(
                f"home {self.node}, line {message.line}: no row for '{kind}' when {entry.state}"
            )
        entry.state, deeds = HOME[entry.state, kind]
        owner, requester = entry.owner, message.requester
        others = sorted(entry.sharers - {requester, owner})
        acks = len(others) if Do.INVALIDATE in deeds else 0
        for deed in deeds:
            self._do(deed, entry, message, kind, acks)
        if Do.INVALIDATE in deeds:
            for sharer in others:
                self._tell(sharer, On.INVALIDATE, message)
        if entry.state is Home.SHARED and not entry.sharers:
            entry.state = Home.UNCACHED

    def _do(self, deed: Do, entry: _Entry, message: Message, kind: On, acks: int) -> None:
        if deed in _ANSWERS:
            self._answer(_ANSWERS[deed], message, acks if deed in _WITH_ACKS else 0)
        elif deed is Do.FORWARD:
            forward = On.FORWARD_READ if kind is On.READ else On.FORWARD_WRITE
            self._tell(entry.owner, forward, message, acks=acks)
        elif deed is Do.TAKE:
            self._write_memory(message)
        elif deed is not Do.INVALIDATE:  # sent last, after the answer
            entry.note(deed, message)

    def _answer(self, kind: On, message: Message, acks: int) -> None:
        if kind in (On.DATA, On.DATA_ALONE):
            words, after = self.read_memory(message.line), self._wires.spec.memory_cycles
            self._tell(message.requester, kind, message, acks=acks, words=words, after_cycles=after)
        else:
            self._tell(message.requester, kind, message, acks=acks)

    def read_memory(self, line: int) -> tuple[int, ...]:
        """Words of a line as memory has them."""
        return self.memory.get(line, (0,) * (self._wires.line_bytes // 8))

    def _write_memory(self, message: Message) -> None:
        if message.words is not None:
            self.memory[message.line] = message.words

    def _tell(
        self,
        target: int,
        kind: On,
        about: Message,
        *,
        acks: int = 0,
        words: tuple[int, ...] | None = None,
        after_cycles: int = 0,
    ) -> None:
        message = Message(
            kind=kind,
            line=about.line,
            sender=self.node,
            requester=about.requester,
            acks=acks,
            words=words,
        )
        self._wires.to_cache(target, message, after_cycles)
