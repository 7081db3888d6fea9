"""The requests that wait in a controller, and which of them have the channel's ear."""

from __future__ import annotations

from dataclasses import dataclass

from sim.memory.dram.requests import NEVER, WAITING
from sim.memory.dram.spec import ControllerSpec


@dataclass(slots=True, eq=False)
class Access:
    """One transfer on its way through a controller."""

    age: int
    """Its number in the order of offers."""
    bank: int
    row: int
    transfer: int
    write: bool
    accepted: int = NEVER
    """The tick at which the queue took it."""
    done: int = NEVER
    """The tick of its last data."""
    outcome: int = WAITING
    """How it found its bank, of `requests`."""


class RequestQueues:
    """Reads, writes, and those of both whose row was opened for them.

    Models: two queues of bounded length; write mode, which begins above one mark or without reads
    and ends below another; a write served to later accesses of the same transfer.
    Ignores: priorities of sources, starvation limits.
    Source: Ramulator 2.1 (Luo et al., IEEE CAL 2023): marks of 80 and 20 % of the write queue.
    """

    def __init__(self, spec: ControllerSpec) -> None:
        self.spec = spec
        self.reads: list[Access] = []
        self.writes: list[Access] = []
        self.opened: list[Access] = []
        """They left their queue when their row was opened."""
        self._write_mode = False

    def __len__(self) -> int:
        return len(self.reads) + len(self.writes) + len(self.opened)

    def holds_write_of(self, transfer: int) -> bool:
        """Whether a write of a transfer waits, which serves or takes in another access of it."""
        return any(waiting.transfer == transfer for waiting in self.writes)

    def take(self, access: Access) -> bool:
        """Take an access into its queue; False where that is full."""
        queue = self.writes if access.write else self.reads
        if len(queue) == (self.spec.write_queue if access.write else self.spec.read_queue):
            return False
        queue.append(access)
        return True

    def served_now(self) -> list[Access]:
        """Return the queue that goes first, after a look at the write queue's marks."""
        spec, full = self.spec, 100 * len(self.writes)
        if not self._write_mode:
            above = full > spec.write_high_percent * spec.write_queue
            self._write_mode = above or not self.reads
        elif full < spec.write_low_percent * spec.write_queue and self.reads:
            self._write_mode = False
        return self.writes if self._write_mode else self.reads

    def wants_same_row(self, access: Access) -> bool:
        """Whether another access waits for the same row."""
        return any(
            other is not access and (other.bank, other.row) == (access.bank, access.row)
            for other in (*self.reads, *self.writes, *self.opened)
        )

    def opened_in(self, first: int, end: int) -> bool:
        """Whether a row of one of some banks was opened for an access that still waits."""
        return any(first <= access.bank < end for access in self.opened)
