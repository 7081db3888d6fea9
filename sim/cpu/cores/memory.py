"""What a core's loads and stores meet: fills of the first data cache, and the store buffer."""

from __future__ import annotations

from collections import deque

from sim.cpu.cores.spec import CoreSpec
from sim.cpu.cores.stream import Stream

NEVER = 1 << 60
"""Later than any cycle."""


class Memory:
    """The first data cache's fills and what is behind it, as a core's accesses meet them.

    Models: latencies by the level that has a line; accesses that join a fill under way; a bounded
    number of fills; memory that is busy with each line; prefetches of loads, which are dropped
    where they would take the last place.
    Ignores: write-backs, banks and ports of lower levels, prefetchers of the caches and into lower
    levels, address translation.
    Source: Kroft, Lockup-Free Instruction Fetch/Prefetch Cache Organization, ISCA 1981.
    """

    def __init__(self, spec: CoreSpec, stream: Stream) -> None:
        self.spec = spec.memory
        self.stream = stream
        self.hit_cycles = self.spec.levels[0].hit_cycles
        self._arrives = [NEVER] * len(stream.fill_level)
        self._busy_until = [0] * self.spec.outstanding_misses
        self._memory_free = 0

    def can_take(self, access: int, now: int) -> bool:
        """Whether an access hits, joins a fill, or finds a place for a fill of its own."""
        started = self._arrives[self.stream.fill[access]] < NEVER
        return started or min(self._busy_until) <= now

    def data_at(self, access: int, now: int) -> int:
        """Return when the first cache has done an access that reaches it now."""
        fill = self.stream.fill[access]
        if self._arrives[fill] == NEVER:
            self._arrives[fill] = self._fetch(int(self.stream.fill_level[fill]), now)
        return int(max(now + self.hit_cycles, self._arrives[fill]))

    def prefetch(self, load: int, now: int) -> None:
        """Start the fills that a load asks for ahead of time, while two places are free."""
        if not len(self.stream.asks):
            return
        begin, end = self.stream.asks[load : load + 2]
        for fill in self.stream.prefetches[begin:end].tolist():
            free = sum(busy <= now for busy in self._busy_until)
            if self._arrives[fill] == NEVER and free > 1:
                self._arrives[fill] = self._fetch(int(self.stream.fill_level[fill]), now)

    def slow(self, access: int) -> bool:
        """Whether main memory has the access's line."""
        level = self.stream.fill_level[self.stream.fill[access]]
        return bool(level == len(self.spec.levels))

    def _fetch(self, level: int, now: int) -> int:
        at = now + sum(cache.hit_cycles for cache in self.spec.levels[: level + 1])
        if level == len(self.spec.levels):
            at = max(at, self._memory_free)
            self._memory_free = at + self.spec.memory_line_cycles
            at += self.spec.memory_cycles
        at += self.spec.fill_cycles
        place = self._busy_until.index(min(self._busy_until))
        self._busy_until[place] = at
        return at


class StoreBuffer:
    """Stores from rename on; retired ones go to the first cache in order, one a cycle.

    Models: places, order, misses that overlap.
    Ignores: stores that merge, partial forwarding; forwarding goes by eight-byte word.
    Source: Hennessy and Patterson, Computer Architecture, 6th edition, section 3.6.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._waiting: deque[int] = deque()
        self._sent: deque[int] = deque()
        self.held = [0] * memory.stream.threads
        """Places that each thread has taken."""
        self.left: dict[int, int] = {}
        """When each store sent had reached the cache."""

    def retire(self, store: int) -> None:
        """Let a store go to the cache."""
        self._waiting.append(store)

    def drain(self, now: int) -> None:
        """Free places and send the oldest retired store; a step of the clock."""
        while self._sent and self.left[self._sent[0]] <= now:
            self.held[self._memory.stream.thread_of(self._sent.popleft())] -= 1
        if self._waiting and self._memory.can_take(self._waiting[0], now):
            store = self._waiting.popleft()
            self.left[store] = self._memory.data_at(store, now)
            self._sent.append(store)
