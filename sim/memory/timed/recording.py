"""What the caches do for an access, as a tree of requests that can then take their time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sim.memory.cache.counts import HierarchyCounts
from sim.memory.cache.hierarchy import Cache, CacheEvent, MainMemory, Write
from sim.memory.cache.spec import HierarchySpec


@dataclass(slots=True, kw_only=True)
class Request:
    """Bytes of one line that a level is asked for or given, and what that makes it ask behind."""

    order: int
    """Among all requests of a run, as the program makes them."""
    first: int
    last: int
    write: bool
    first_use: bool = False
    """Whether it is the first demand for a line that its level fetched by itself."""
    fetches: list[Request] = field(default_factory=list)
    """What must come from behind before it is done."""
    leaving: list[Request] = field(default_factory=list)
    """Lines written back to make room for it, and stores passed on."""
    prefetches: list[Request] = field(default_factory=list)
    """What its level fetches by itself once it has looked this one up."""

    @property
    def size_bytes(self) -> int:
        """How many bytes."""
        return self.last - self.first + 1


class Recorder:
    """Keeps the request that is being served while those that it causes are recorded in it."""

    def __init__(self) -> None:
        self._made = 0
        self._open = [Request(order=0, first=0, last=0, write=False)]

    @contextmanager
    def request(self, first: int, last: int, *, write: bool) -> Iterator[Request]:
        """Record a request; what is recorded inside belongs to it."""
        made = self._make(first, last, write=write)
        asking = self._open[-1]
        (asking.leaving if write else asking.fetches).append(made)
        self._open.append(made)
        yield made
        self._open.pop()

    def begin_prefetch(self, trigger: Request, first: int, last: int) -> None:
        """Record a prefetch, and what comes until its end as what it causes."""
        self.end_prefetch()
        made = self._make(first, last, write=False)
        trigger.prefetches.append(made)
        self._open.append(made)

    def end_prefetch(self) -> None:
        """End the prefetch that was begun last, if any: levels prefetch one after the other."""
        del self._open[1:]

    def take(self) -> Request:
        """Return what the core asked last."""
        asked = self._open[0]
        return (asked.leaving or asked.fetches).pop()

    def _make(self, first: int, last: int, *, write: bool) -> Request:
        self._made += 1
        return Request(order=self._made, first=first, last=last, write=write)


class RecordedCache(Cache):
    """A `Cache` that says what it is asked.

    Models: as `Cache`.
    Ignores: as `Cache`.
    Source: as `Cache`.
    """

    def __init__(self, recorder: Recorder, below: Cache | MainMemory, **description: Any) -> None:
        super().__init__(below, **description)
        self._recorder = recorder
        self._looked_up: Request | None = None
        """The last demand request."""
        self.observer = self._note

    def load(self, first: int, last: int) -> tuple[int, bool]:
        """Read bytes as `Cache` does."""
        with self._recorder.request(first, last, write=False) as self._looked_up:
            used_before = self.counts.useful
            answer = super().load(first, last)
            self._looked_up.first_use = self.counts.useful > used_before
            return answer

    def store(self, first: int, last: int, write: Write) -> int:
        """Write bytes as `Cache` does."""
        with self._recorder.request(first, last, write=True) as request:
            used_before = self.counts.useful
            depth = super().store(first, last, write)
            request.first_use = self.counts.useful > used_before
            if write is Write.STORE:
                self._looked_up = request
            return depth

    def prefetch(self) -> None:
        """Fetch as `Cache` does."""
        super().prefetch()
        self._recorder.end_prefetch()

    def _note(self, _: Cache, event: CacheEvent, first: int, last: int) -> None:
        if event is CacheEvent.PREFETCH and self._looked_up is not None:
            self._recorder.begin_prefetch(self._looked_up, first, last)


class RecordedMemory(MainMemory):
    """A `MainMemory` that says what it is asked.

    Models: as `MainMemory`.
    Ignores: as `MainMemory`.
    Source: as `MainMemory`.
    """

    def __init__(self, recorder: Recorder, latency_cycles: int) -> None:
        super().__init__(latency_cycles)
        self._recorder = recorder

    def load(self, first: int, last: int) -> tuple[int, bool]:
        """Count a fetch."""
        with self._recorder.request(first, last, write=False):
            return super().load(first, last)

    def store(self, first: int, last: int, write: Write) -> int:
        """Count a write."""
        with self._recorder.request(first, last, write=True):
            return super().store(first, last, write)


class RecordedHierarchy:
    """The readable hierarchy, whose accesses return what they made the levels do.

    Models: as `CacheHierarchy`; an access to several lines is one to each of them.
    Ignores: as `CacheHierarchy`.
    Source: as `Cache`.
    """

    def __init__(self, spec: HierarchySpec) -> None:
        self._recorder = Recorder()
        self._memory = RecordedMemory(self._recorder, spec.memory_cycles)
        self._levels: list[Cache] = []
        below: Cache | MainMemory = self._memory
        for level in reversed(spec.levels):
            below = RecordedCache(self._recorder, below, **dict(level))
            self._levels.insert(0, below)
        self._line_bytes = spec.levels[0].line_bytes

    def access(self, address: int, *, write: bool, size_bytes: int) -> list[Request]:
        """Read or write bytes; return the request to the first level for each line."""
        end = address + size_bytes
        first_level = self._levels[0]
        made = []
        while address < end:
            part = min(end, (address // self._line_bytes + 1) * self._line_bytes) - address
            if write:
                first_level.store(address, address + part - 1, Write.STORE)
            else:
                first_level.load(address, address + part - 1)
            made.append(self._recorder.take())
            address += part
        for level in self._levels:
            level.prefetch()
        return made

    @property
    def counts(self) -> HierarchyCounts:
        """Counters so far."""
        return HierarchyCounts(
            levels=tuple(level.counts for level in self._levels), memory=self._memory.counts
        )
