"""Who goes next: round-robin turns, decided after everything else of a tick has happened."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import simpy
from simpy.events import EventPriority

LAST = EventPriority(2)
"""After SimPy's urgent (0) and normal (1) events of the same tick."""


class Settled(simpy.Event):
    """Happens `delay_ticks` from now, after all ordinary events of that tick.

    An arbiter that decides then has seen every request of its cycle, whatever order the requests
    were made in.
    """

    def __init__(
        self, env: simpy.Environment, delay_ticks: int, then: Callable[[simpy.Event], None]
    ) -> None:
        super().__init__(env)
        self._ok = True
        self._value = None
        self.callbacks.append(then)
        env.schedule(self, priority=LAST, delay=delay_ticks)


class RoundRobin:
    """Grants the requester that follows the one granted last.

    Models: a turn for everyone who asks before anyone has a second.
    Ignores: the arbiter's own delay; priorities.
    Source: Dally and Towles, Principles and Practices of Interconnection Networks, section 18.4.
    """

    def __init__(self) -> None:
        self._last = -1

    def pick(self, requesters: Iterable[int]) -> int:
        """Return whose turn it is among the numbers given; ValueError where there are none."""
        asking = sorted(requesters)
        if not asking:
            raise ValueError("nobody asks for a turn")
        self._last = next((r for r in asking if r > self._last), asking[0])
        return self._last
