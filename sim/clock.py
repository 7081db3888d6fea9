"""Time: integer ticks of one femtosecond, clock domains over them, and a hang that says who waits.

SimPy runs with integer ticks only. A unit counts cycles of its own `Clock`; seconds exist only as
properties of results. At one tick per femtosecond a period such as 1/(1.41 GHz) is rounded by less
than one part in a million, and 2^63 ticks are two and a half hours.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any, Protocol

import simpy

from sim.errors import LawViolationError

TICKS_PER_SECOND = 10**15


class DeadlockError(RuntimeError):
    """Nothing can happen any more although work is left; the message says who waits for what."""


class Waiter(Protocol):
    """Anything that can say what it is waiting for."""

    name: str
    waiting_for: str


class Clock:
    """A clock domain: a frequency over the simulation's common ticks.

    Models: edges at whole multiples of a period.
    Ignores: jitter, skew and the cost of crossing domains.
    Source: none needed; arithmetic.
    """

    def __init__(self, env: simpy.Environment, hertz: int) -> None:
        if hertz <= 0 or hertz > TICKS_PER_SECOND:
            raise ValueError(f"a clock of {hertz} Hz has no period in whole femtoseconds")
        self.env = env
        self.period_ticks = period_ticks(hertz)
        """Femtoseconds of one cycle."""

    @property
    def now(self) -> int:
        """Completed cycles of this domain."""
        return int(self.env.now) // self.period_ticks

    def cycles(self, count: int) -> simpy.Timeout:
        """Event that happens `count` cycles from now."""
        return self.env.timeout(count * self.period_ticks)

    def next_edge(self) -> simpy.Timeout:
        """Event at the next edge of this domain, or now if now is an edge."""
        return self.env.timeout(-int(self.env.now) % self.period_ticks)


def period_ticks(hertz: int) -> int:
    """Femtoseconds of one cycle at `hertz`, to the nearest tick."""
    return (TICKS_PER_SECOND + hertz // 2) // hertz


def run_to_completion(
    env: simpy.Environment,
    processes: Iterable[Generator[simpy.Event, Any, Any]],
    waiters: Iterable[Waiter],
) -> None:
    """Run until every process has ended; DeadlockError names the waiters if that cannot be.

    SimPy by itself returns silently when its calendar runs empty.
    """
    done = simpy.AllOf(env, [env.process(process) for process in processes])
    try:
        env.run(until=done)
    except RuntimeError as error:
        if done.triggered or isinstance(error, LawViolationError):
            raise
        waits = ", ".join(f"{w.name} waits for {w.waiting_for}" for w in waiters if w.waiting_for)
        raise DeadlockError(f"tick {env.now}: {waits or 'nobody says why'}") from error
