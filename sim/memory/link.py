"""A link or port that several users share, in its first form: round-robin turns, over SimPy."""

from __future__ import annotations

import simpy


class SharedLink:
    """A port that serves its users in turn: first everyone's first transfer, then the second.

    Models: bandwidth, and waiting for one's turn.
    Ignores: reordering for fairness or row hits; a turn is not passed on while its user is busy.
    Source: round-robin arbitration, Dally and Towles, Principles and Practices of
    Interconnection Networks, chapter 18.
    """

    def __init__(self, env: simpy.Environment, *, users: int, transfers: int) -> None:
        self._users = users
        self._turns = [env.event() for _ in range(users * transfers + 1)]
        self._turns[0].succeed()

    def turn(self, user: int, transfer: int) -> simpy.Event:
        """Event at which a user's transfer may pass."""
        return self._turns[transfer * self._users + user]

    def pass_on(self, user: int, transfer: int) -> None:
        """Let the next one go."""
        self._turns[transfer * self._users + user + 1].succeed()
