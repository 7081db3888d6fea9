"""Main memory in its first form: one port with a bandwidth and a latency."""

from __future__ import annotations

from sim.clock import period_ticks
from sim.spec import MemorySpec


class FlatMemory:
    """Main memory, in cycles of the clock of the machine that it serves.

    Models: one port that moves bytes at the sustained bandwidth, reads and writes alike; the
    latency of a request that meets an idle memory.
    Ignores: channels, banks, rows, refresh and read-write turnaround, other than by the sustained
    bandwidth; queueing beyond what the caller lets wait.
    Source: Hennessy and Patterson, Computer Architecture, 6th edition, section 2.2 (latency and
    bandwidth as the two figures of a main memory).
    """

    def __init__(self, spec: MemorySpec, clock_hz: int) -> None:
        self.spec = spec
        self.clock_hz = clock_hz
        self.latency_cycles = -(-spec.latency_ticks // period_ticks(clock_hz))
        """From a request to its first byte, rounded up."""

    def transfer_cycles(self, moved_bytes: int, *, parts: int = 1) -> int:
        """Cycles that one of `parts` equal parts of some bytes holds the port, rounded up."""
        return -(-moved_bytes * self.clock_hz // (parts * self.spec.sustained_bytes_per_second))
