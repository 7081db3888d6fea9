"""Coherence by directory: each line has a home that knows who has it; messages over a network."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import simpy

from sim.errors import LawViolationError
from sim.memory.coherent.cache import Events, Line, PrivateCache, PrivateCacheSpec
from sim.memory.coherent.monitor import Monitor
from sim.memory.coherent.protocol import DIRECTORY, HOME, STABLE, Do, Home, On, State
from sim.memory.network.network import Network


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeSpec:
    """The homes of lines and the memory behind them; ValueError for times below one cycle."""

    lookup_cycles: int = 4
    """For each message that a home takes in, one after the other."""
    memory_cycles: int = 60
    """From then until data from memory are sent."""
    message_bytes: int = 8
    """A message without data; one with data has a line more."""

    def __post_init__(self) -> None:
        if min(self.lookup_cycles, self.memory_cycles, self.message_bytes) < 1:
            raise ValueError(f"a home needs at least 1 of everything: {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What caches and homes tell each other."""

    kind: On
    line: int
    sender: int
    requester: int
    """Who is to get the answer."""
    acks: int = 0
    """Acknowledgements that the requester is to wait for."""
    words: tuple[int, ...] | None = None


class Wires:
    """Carries messages between nodes, each with a core's cache and the home of some lines."""

    def __init__(self, network: Network, spec: HomeSpec, line_bytes: int) -> None:
        self.network = network
        self.spec = spec
        self.line_bytes = line_bytes
        self.messages: Counter[On] = Counter()
        """Messages sent, by kind."""
        self.caches: list[DirectoryCache] = []
        self.homes: list[HomeNode] = []

    def home_of(self, line: int) -> int:
        """Node at which a line has its home: lines take turns."""
        return line % len(self.homes)

    def to_home(self, message: Message, after_cycles: int = 0) -> None:
        """Send to the home of the line."""
        home = self.home_of(message.line)
        self._send(message, home, after_cycles, self.homes[home].hear)

    def to_cache(self, target: int, message: Message, after_cycles: int = 0) -> None:
        """Send to a core's cache."""
        self._send(message, target, after_cycles, self.caches[target].hear)

    def _send(
        self, message: Message, target: int, after: int, hear: Callable[[Message], None]
    ) -> None:
        self.messages[message.kind] += 1
        size = self.spec.message_bytes + (self.line_bytes if message.words is not None else 0)

        def go() -> None:
            arrived = self.network.send(message.sender, target, size)
            arrived.callbacks.append(lambda _event: hear(message))

        if after:
            self.network.after(after, go)
        else:
            go()


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
        self._performed = clock.env.event()
        self._acks_due = 0

    def before_lookup(self, number: int) -> Events:
        """Wait until the line has left for good."""
        if number in self._leaving:
            self.waiting_for = f"line {number} to have left"
            yield self._leaving[number][1]
            self.waiting_for = ""

    def fetch(self, line: Line, deeds: tuple[Do, ...]) -> Events:
        """Ask the line's home, and wait until an answer has completed the access."""
        asks = {Do.ASK_READ: On.READ, Do.ASK_WRITE: On.WRITE, Do.ASK_UPGRADE: On.UPGRADE}
        self._acks_due = 0
        self._performed = self.clock.env.event()
        for deed in deeds:
            self._tell_home(asks[deed], line.number)
        yield self._performed

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
            self._acks_due -= 1
            line = self._set(message.line)[message.line]
            last = self._acks_due == 0 and line.state is State.IM_A
            return On.LAST_ACK if last else On.ACK
        if message.kind in (On.DATA, On.GRANT):
            self._acks_due += message.acks
            if self._acks_due:
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
            self._performed.succeed()
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
            self._wires.to_cache(message.requester, answer, self.spec.hit_cycles)

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


@dataclass(slots=True)
class _Entry:
    state: Home = Home.UNCACHED
    owner: int = -1
    sharers: set[int] = field(default_factory=set)
    awaited: int = 0  # reports without which the transaction is not over
    queue: deque[Message] = field(default_factory=deque)


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
        who, memory_cycles = message.requester, self._wires.spec.memory_cycles
        words = self.read_memory(message.line)
        forward = On.FORWARD_READ if kind is On.READ else On.FORWARD_WRITE
        tell = partial(self._tell, who, about=message)
        data = partial(tell, words=words, after_cycles=memory_cycles)
        notes: dict[Do, Callable[[], object]] = {
            Do.SEND: partial(data, kind=On.DATA, acks=acks),
            Do.SEND_ALONE: partial(data, kind=On.DATA_ALONE),
            Do.SEND_GRANT: partial(tell, kind=On.GRANT, acks=acks),
            Do.SEND_PUT_ACK: partial(tell, kind=On.PUT_ACK),
            Do.FORWARD: partial(self._tell, entry.owner, forward, message, acks=acks),
            Do.INVALIDATE: lambda: None,  # sent last, after the answer
            Do.SHARE: partial(entry.sharers.add, who),
            Do.UNSHARE: partial(entry.sharers.discard, message.sender),
            Do.OWN: partial(self._own, entry, who),
            Do.DISOWN: partial(self._own, entry, -1, entry.sharers),
            Do.OWNER_SHARES: partial(self._own, entry, -1, entry.sharers | {entry.owner}),
            Do.TAKE: partial(self._write_memory, message),
        }
        notes[deed]()

    def read_memory(self, line: int) -> tuple[int, ...]:
        """Words of a line as memory has them."""
        return self.memory.get(line, (0,) * (self._wires.line_bytes // 8))

    def _write_memory(self, message: Message) -> None:
        if message.words is not None:
            self.memory[message.line] = message.words

    @staticmethod
    def _own(entry: _Entry, owner: int, sharers: frozenset[int] | set[int] = frozenset()) -> None:
        entry.owner, entry.sharers = owner, set(sharers)

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
