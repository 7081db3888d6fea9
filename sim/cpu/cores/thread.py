"""What one hardware thread of a core has of its own: its place in its program, and its share."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from sim.cpu.cores.stream import Stream
from sim.stalls import CycleStack, StallCause


@dataclass(slots=True, kw_only=True)
class Thread:
    """Where one thread stands in its program; instructions are numbers in the stream."""

    number: int
    first: int
    end: int
    """Past its last instruction."""
    group: int
    """The next fetch group."""
    last_group: int
    """Past its last fetch group."""
    next_fetch: int
    next_rename: int
    next_retire: int
    fetch_at: int = 0
    """The cycle from which it may fetch."""
    rename_at: int = 0
    """The cycle from which it may rename: when its wrong path has been removed."""
    queued: int = 0
    """Instructions in the issue queue."""
    loads: int = 0
    """From rename to retirement."""
    busy: int = 0
    stalls: Counter[StallCause] = field(default_factory=Counter)

    @property
    def finished(self) -> bool:
        """Whether all has retired."""
        return self.next_retire == self.end

    @property
    def held(self) -> int:
        """Instructions in the reorder buffer."""
        return self.next_rename - self.next_retire

    @property
    def in_front(self) -> int:
        """Instructions fetched and not yet renamed."""
        return self.next_fetch - self.next_rename

    @property
    def not_issued(self) -> int:
        """Instructions fetched and not yet issued, by which ICOUNT chooses."""
        return self.in_front + self.queued

    @property
    def stack(self) -> CycleStack:
        """Each cycle until it had finished."""
        return CycleStack(busy=self.busy, stalls=self.stalls)


def threads_of(stream: Stream) -> list[Thread]:
    """Return the threads of a stream, each before its first instruction."""
    starts, groups = stream.starts.tolist(), stream.group_starts.tolist()
    return [
        Thread(
            number=number,
            first=starts[number],
            end=starts[number + 1],
            group=groups[number],
            last_group=groups[number + 1],
            next_fetch=starts[number],
            next_rename=starts[number],
            next_retire=starts[number],
        )
        for number in range(stream.threads)
    ]
