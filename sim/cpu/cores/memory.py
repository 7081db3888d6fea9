"""What a core's loads and stores meet: fills of the first data cache, and the store buffer."""

from __future__ import annotations

from collections import deque

from sim.cpu.cores.main_memory import MainMemory
from sim.cpu.cores.spec import CoreSpec
from sim.cpu.cores.stream import Stream

NEVER = 1 << 60
"""Later than any cycle."""


class Memory:
    """The data caches' fills and what is behind them, as a core's accesses meet them.

    Models: latencies by the level that has a line; accesses and fills that join a fill under way;
    a bounded number of fills in every level, for which those of the level in front wait; prefetches
    of loads into the first and the second level, which never take the last place: of the first
    level they are dropped, of the second tried again with the stream's next load.
    Ignores: write-backs, hits held up by a full level, ports of lower levels, store prefetchers,
    the instruction cache's part in the lower levels, address translation.
    Source: Kroft, Lockup-Free Instruction Fetch/Prefetch Cache Organization, ISCA 1981; Arm,
    Cortex-A72 MPCore Processor Technical Reference Manual, r0p3, section 6.4.9.
    """

    def __init__(self, spec: CoreSpec, stream: Stream) -> None:
        self.spec = spec.memory
        self.stream = stream
        self.hit_cycles = self.spec.levels[0].hit_cycles
        self._lines = stream.data
        self._arrives = [NEVER] * len(self._lines.home)
        self._busy_until = [[0] * level.miss_places for level in self.spec.levels]
        self._main_memory = MainMemory(self.spec)
        self._next_early = self._lines.early_starts.tolist()

    def can_take(self, access: int, now: int) -> bool:
        """Whether an access hits, joins a fill, or finds a place for a fill of its own."""
        return self._started(int(self._lines.fill[access])) or self._places(0, now) > 0

    def data_at(self, access: int, now: int) -> int:
        """Return when the first cache has done an access that reaches it now."""
        fill = int(self._lines.fill[access])
        if not self._started(fill):
            self._fetch(fill, now)
        return max(now + self.hit_cycles, self._arrives[fill])

    def prefetch(self, load: int, now: int) -> None:
        """Start the fills that a load asks for ahead of time, while two places are free."""
        lines = self._lines
        if len(lines.asks):
            begin, end = lines.asks[load : load + 2]
            for fill in lines.prefetches[begin:end].tolist():
                if not self._started(fill) and self._places(0, now) > 1:
                    self._fetch(fill, now)
        if len(lines.run) and lines.run[load] >= 0:
            self._run_ahead(int(lines.run[load]), int(lines.until[load]), now + self.hit_cycles)

    def slow(self, access: int) -> bool:
        """Whether main memory has the access's line."""
        level = self._lines.fill_level[self._lines.fill[access]]
        return bool(level == len(self.spec.levels))

    def _run_ahead(self, run: int, until: int, now: int) -> None:
        """Start a stream's fills of the second level in order, as far as it has asked."""
        while self._next_early[run] < until:
            fill = int(self._lines.early[self._next_early[run]])
            if not self._started(fill):
                if self._places(1, now) <= 1:
                    return
                self._fetch(fill, now)
            self._next_early[run] += 1

    def _started(self, fill: int) -> bool:
        return self._arrives[fill] < NEVER

    def _places(self, level: int, now: int) -> int:
        """Return how many fills of a level could start now."""
        return sum(busy <= now for busy in self._busy_until[level])

    def _fetch(self, fill: int, now: int) -> None:
        """Start a fill whose request reaches its level now, and those behind it that it needs."""
        level = int(self._lines.home[fill])
        busy_until, behind = self._busy_until[level], int(self._lines.behind[fill])
        place = busy_until.index(min(busy_until))
        at = max(now, busy_until[place]) + self.spec.levels[level].hit_cycles
        if level + 1 == len(self.spec.levels):
            at = self._main_memory.line_back(int(self._lines.row[fill]), at)
        else:
            hit = at + self.spec.levels[level + 1].hit_cycles
            if behind >= 0 and not self._started(behind):
                self._fetch(behind, at)
            at = max(hit, self._arrives[behind]) if behind >= 0 else hit
        at += self.spec.fill_cycles if level == 0 else 0
        busy_until[place] = self._arrives[fill] = at


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
