"""The one vocabulary of cycles: what a unit did with each cycle, on every machine.

A cycle of a unit is busy, idle, or lost to exactly one StallCause. The words are those of a CPU's
stall taxonomy; each also says what it means where the uop is a tile or a whole operation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


class StallCause(StrEnum):
    """Why a unit that had work coming did none."""

    DATA_DEPENDENCY = "data dependency"
    """Waits for a result that is still being computed."""
    STRUCTURAL = "structural"
    """Waits for a port, a buffer or a unit that another uop holds."""
    CONTROL = "control"
    """Waits to learn what comes next: a branch on a CPU."""
    CACHE = "cache latency"
    """Waits for a lower cache level's latency."""
    DRAM = "DRAM latency"
    """Waits for main memory's latency."""
    BANDWIDTH = "bandwidth"
    """Waits for bytes that a saturated memory or link is still delivering."""
    FILL_DRAIN = "fill/drain"
    """The pipeline, array or wave is not yet, or no longer, full."""
    SYNCHRONISATION = "synchronisation"
    """Waits at a barrier for units that are still at work."""
    LAUNCH = "launch"
    """Waits for the host to hand over the next piece of work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleStack:
    """Where the cycles of one unit over one span of time went; the parts sum to the span.

    Raises ValueError where a part is negative: an impossible account is refused when made.
    """

    busy: int = 0
    idle: int = 0
    stalls: Mapping[StallCause, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "stalls", MappingProxyType({c: n for c, n in self.stalls.items() if n})
        )
        if self.busy < 0 or self.idle < 0 or any(n < 0 for n in self.stalls.values()):
            raise ValueError(f"negative cycles in {self}")

    @property
    def stalled(self) -> int:
        """Cycles lost to all causes together."""
        return sum(self.stalls.values())

    @property
    def total(self) -> int:
        """All cycles of the span."""
        return self.busy + self.idle + self.stalled

    def __add__(self, other: CycleStack) -> CycleStack:
        return CycleStack.sum((self, other))

    def scaled(self, times: int) -> CycleStack:
        """Return the stack of `times` repetitions."""
        return CycleStack(
            busy=self.busy * times,
            idle=self.idle * times,
            stalls={cause: cycles * times for cause, cycles in self.stalls.items()},
        )

    @staticmethod
    def sum(stacks: Iterable[CycleStack]) -> CycleStack:
        """Add stacks part by part."""
        busy = idle = 0
        stalls: dict[StallCause, int] = {}
        for stack in stacks:
            busy += stack.busy
            idle += stack.idle
            for cause, cycles in stack.stalls.items():
                stalls[cause] = stalls.get(cause, 0) + cycles
        return CycleStack(busy=busy, idle=idle, stalls=stalls)
