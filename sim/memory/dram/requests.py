"""What a channel is asked, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

HIT, MISS, CONFLICT, FORWARDED, WAITING = 0, 1, 2, 3, -1
"""How a request found its bank: its row open, no row open, another row open; served from, or merged
with, a waiting write; no command yet."""
NEVER = -1
"""A time that has not come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """One channel's transfers, in the order in which they are offered."""

    transfers: Ints
    """Address in transfers, by which equal ones are known."""
    banks: Ints
    rows: Ints
    writes: npt.NDArray[np.bool_]
    ticks: Ints
    """When each may be offered at the earliest."""

    def __len__(self) -> int:
        return len(self.transfers)


@dataclass(frozen=True, slots=True, kw_only=True)
class DramResult:
    """What a channel did with its requests."""

    ticks: int
    """When it stopped."""
    tick_femtoseconds: int
    transfer_bytes: int
    peak_bytes_per_second: float
    writes: npt.NDArray[np.bool_]
    accepted: Ints
    """When the queue took each request."""
    done: Ints
    """When each read's last data came, or each write's last data left; NEVER if not."""
    outcomes: Ints
    """HIT, MISS, CONFLICT, FORWARDED or WAITING."""
    commands: Ints
    """[commands, 3]: tick, command, bank (of a scope, its first), in order; empty unless kept."""

    @property
    def row_hits(self) -> int:
        """Requests whose row was open at their first command."""
        return int(np.count_nonzero(self.outcomes == HIT))

    @property
    def row_misses(self) -> int:
        """Requests whose bank was closed at their first command."""
        return int(np.count_nonzero(self.outcomes == MISS))

    @property
    def row_conflicts(self) -> int:
        """Requests whose bank had another row open at their first command."""
        return int(np.count_nonzero(self.outcomes == CONFLICT))

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ticks * self.tick_femtoseconds * 1e-15

    @property
    def bytes_per_second(self) -> float:
        """Bytes of all requests over the time; 0 where none passed."""
        asked = len(self.accepted) * self.transfer_bytes
        return asked / self.seconds if self.ticks else 0.0

    @property
    def efficiency(self) -> float:
        """Bandwidth as a share of the peak."""
        return self.bytes_per_second / self.peak_bytes_per_second

    @property
    def read_latencies(self) -> Ints:
        """Ticks from acceptance to the last data, of the reads that were done in time."""
        done = (self.done != NEVER) & (self.done <= self.ticks) & ~self.writes
        latencies: Ints = self.done[done] - self.accepted[done]
        return latencies

    @property
    def mean_read_latency_ticks(self) -> float:
        """Mean over the reads done; 0 without any."""
        latencies = self.read_latencies
        return float(latencies.mean()) if len(latencies) else 0.0

    def read_latency_percentile_ticks(self, percent: float) -> float:
        """Latency that `percent` of the reads done do not exceed; 0 without any."""
        latencies = self.read_latencies
        return float(np.percentile(latencies, percent)) if len(latencies) else 0.0
