"""What caches and lines' homes tell each other, and the wires that carry it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sim.memory.coherent.protocol import On
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


class Node(Protocol):
    """A cache or a home: takes messages."""

    def hear(self, message: Message) -> None:
        """Take a message from the network."""


class Wires:
    """Carries messages between nodes, each with a core's cache and the home of some lines."""

    def __init__(
        self, network: Network, spec: HomeSpec, line_bytes: int, outer_cycles: int = 0
    ) -> None:
        self.network = network
        self.spec = spec
        self.line_bytes = line_bytes
        self.outer_cycles = outer_cycles
        """Between a cache and the network, for each message."""
        self.messages: Counter[On] = Counter()
        """Messages sent, by kind."""
        self.caches: list[Node] = []
        self.homes: list[Node] = []

    def home_of(self, line: int) -> int:
        """Node at which a line has its home: lines take turns."""
        return line % len(self.homes)

    def to_home(self, message: Message, after_cycles: int = 0) -> None:
        """Send to the home of the line."""
        home = self.home_of(message.line)
        self._send(message, home, after_cycles + self.outer_cycles, self.homes[home].hear)

    def to_cache(self, target: int, message: Message, after_cycles: int = 0) -> None:
        """Send to a core's cache."""
        hear: Callable[[Message], None] = self.caches[target].hear
        if self.outer_cycles:
            hear = self._later(hear)
        self._send(message, target, after_cycles, hear)

    def _later(self, hear: Callable[[Message], None]) -> Callable[[Message], None]:
        return lambda message: self.network.after(self.outer_cycles, lambda: hear(message))

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
