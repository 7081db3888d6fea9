"""What a DRAM controller is built of, and how it chooses."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sim.errors import SpecError
from sim.memory.dram.device import DramDevice

FOREVER = 2**62
"""A tick that never comes."""


class PagePolicy(StrEnum):
    """What becomes of a row after an access."""

    OPEN = "open"
    """It stays open until another row is wanted or the bank is refreshed."""
    CLOSED = "closed"
    """The access closes it, unless another waiting request wants it."""


class Refresh(StrEnum):
    """How cells are kept."""

    NONE = "none"
    ALL_BANK = "all-bank"
    PER_BANK = "per-bank"


class Stop(StrEnum):
    """When a run ends."""

    SERVED = "served"
    """With the last data."""
    ACCEPTED = "accepted"
    """When the queue takes the last request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerSpec:
    """What a controller is built of, and how it chooses."""

    read_queue: int = 32
    write_queue: int = 32
    write_high_percent: int = 80
    """Writes go first once more than this share of their queue is taken."""
    write_low_percent: int = 20
    """Reads go first again once less than this share is."""
    page: PagePolicy = PagePolicy.OPEN
    refresh: Refresh = Refresh.ALL_BANK
    stop: Stop = Stop.SERVED

    def __post_init__(self) -> None:
        if min(self.read_queue, self.write_queue) < 1:
            raise SpecError("a DRAM controller needs a queue of one request or more")
        if not 0 <= self.write_low_percent <= self.write_high_percent <= 100:
            raise SpecError("write_low_percent to write_high_percent should lie within 0 to 100")


def check_refresh(device: DramDevice, spec: ControllerSpec) -> None:
    """Raise SpecError where a standard has no refresh of single banks."""
    if spec.refresh is Refresh.PER_BANK and not device.per_bank_refresh:
        raise SpecError(f"{device.name} cannot refresh per bank; take all-bank or none")
