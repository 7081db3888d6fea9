"""Watches every cache: one writer or many readers, reads return the last write, why each missed."""

from __future__ import annotations

from collections import Counter, OrderedDict
from enum import StrEnum

from sim.errors import LawViolationError
from sim.memory.coherent.protocol import READABLE, WRITABLE, State

WORD_BYTES = 8


class MissClass(StrEnum):
    """Why a line was not there."""

    COLD = "cold"
    """First touch by this core."""
    CAPACITY = "capacity"
    """A fully associative LRU cache of the same capacity would have lost it too."""
    CONFLICT = "conflict"
    """Such a cache would still have had it."""
    TRUE_SHARING = "true sharing"
    """Another core's write took it, and this very word has been written since."""
    FALSE_SHARING = "false sharing"
    """Another core's write took it, but only other words of the line have been written since."""


class Monitor:
    """Checks the two invariants as states change and words are read; counts by core.

    Models: single writer or multiple readers, the data value invariant, the miss classes.
    Ignores: what the rest of a copy's life brings, by which Dubois et al. (The Detection and
    Elimination of Useless Misses in Multiprocessors, ISCA 1993) would call some misses true sharing
    that are false here, where the access that misses decides. It takes no time.
    Source: invariants: Nagarajan et al., A Primer on Memory Consistency and Cache Coherence, 2nd
    edition, section 2.4; capacity and conflict: Hill and Smith, IEEE Transactions on Computers
    38(12), 1989; sharing: Torrellas, Lam and Hennessy, False Sharing and Spatial Locality in
    Multiprocessor Caches, IEEE Transactions on Computers 43(6), 1994.
    """

    def __init__(self, *, cores: int, line_bytes: int, lines: int) -> None:
        self.hits = [0] * cores
        """Accesses that found all they needed, by core."""
        self.upgrades = [0] * cores
        """Writes that had the data but not the leave to write, by core."""
        self.misses: list[Counter[MissClass]] = [Counter() for _ in range(cores)]
        """Accesses that needed the data, by core."""
        self.invalidations = [0] * cores
        """Lines lost to another core's write, by core."""
        self.write_backs = [0] * cores
        """Dirty lines that left for memory, evicted, by core."""
        self.memory: dict[int, int] = {}
        """The last value written to each word's address."""
        self._line_bytes, self._lines = line_bytes, lines
        self._states: dict[int, dict[int, State]] = {}
        self._shadow: list[OrderedDict[int, None]] = [OrderedDict() for _ in range(cores)]
        self._seen: list[set[int]] = [set() for _ in range(cores)]
        self._lost: list[dict[int, int]] = [{} for _ in range(cores)]  # line -> write count then
        self._writes = 0
        self._written: dict[int, int] = {}  # address -> write count then

    def enter(self, core: int, line: int, state: State) -> None:
        """Note a line's new state; LawViolationError where a writer is not alone."""
        states = self._states.setdefault(line, {})
        before = states.get(core, State.I)
        states[core] = state
        if state not in READABLE or before == state:
            return
        for other, theirs in states.items():
            both = state in WRITABLE or theirs in WRITABLE
            if other != core and theirs in READABLE and both:
                raise LawViolationError(
                    f"line {line} is {state} in core {core} and {theirs} in core {other}"
                )

    def lose(self, core: int, line: int) -> None:
        """Note that another core's write takes a line from this core."""
        self.invalidations[core] += 1
        self._lost[core][line] = self._writes

    def read(self, core: int, address: int, value: int) -> None:
        """LawViolationError unless the value read is the last one written."""
        if value != (last := self.memory.get(address, 0)):
            raise LawViolationError(f"core {core} read {value} at {address}, last written {last}")

    def write(self, address: int, value: int) -> None:
        """Note the value of a word."""
        self._writes += 1
        self._written[address] = self._writes
        self.memory[address] = value

    def count(self, core: int, address: int, *, missed: bool, upgraded: bool) -> None:
        """Count one access as a hit, an upgrade or a miss of its class."""
        line = address // self._line_bytes
        if missed:
            self.misses[core][self._why(core, line, address)] += 1
        elif upgraded:
            self.upgrades[core] += 1
        else:
            self.hits[core] += 1
        self._lost[core].pop(line, None)
        self._seen[core].add(line)
        shadow = self._shadow[core]
        shadow[line] = None
        shadow.move_to_end(line)
        if len(shadow) > self._lines:
            shadow.popitem(last=False)

    def _why(self, core: int, line: int, address: int) -> MissClass:
        if line not in self._seen[core]:
            return MissClass.COLD
        if line in self._lost[core]:
            since = self._written.get(address, 0) > self._lost[core][line]
            return MissClass.TRUE_SHARING if since else MissClass.FALSE_SHARING
        return MissClass.CONFLICT if line in self._shadow[core] else MissClass.CAPACITY

    def check_copies(self, line: int, words: list[int], where: str) -> None:
        """LawViolationError unless a copy of a line has the last values written."""
        for number, value in enumerate(words):
            address = line * self._line_bytes + number * WORD_BYTES
            if value != self.memory.get(address, 0):
                raise LawViolationError(f"{where} has {value} at {address}, not the last written")
