"""Why a request is not done yet, cycle by cycle, so that who waits for it can say so."""

from __future__ import annotations

from sim.stalls import StallCause


class Account:
    """What one request waited for, each cause from a cycle on until the next.

    Models: one cause a cycle; a request that waits for another one has that one's causes.
    Ignores: causes that overlap; the one that ends last counts.
    Source: Eyerman, Eeckhout, Karkhanis and Smith, A performance counter architecture for
    computing accurate CPI components, ASPLOS 2006.
    """

    def __init__(self) -> None:
        self._since: list[tuple[int, StallCause | Account]] = []

    def mark(self, cycle: int, cause: StallCause | Account) -> None:
        """From `cycle` on the cause is another one."""
        while self._since and self._since[-1][0] >= cycle:
            self._since.pop()
        self._since.append((cycle, cause))

    def charge(self, begin: int, end: int, stalls: dict[StallCause, int]) -> None:
        """Add the cycles from `begin` to before `end` to the causes that they had."""
        for number, (since, cause) in enumerate(self._since):
            until = self._since[number + 1][0] if number + 1 < len(self._since) else end
            first, last = max(begin, since), min(end, until)
            if first >= last:
                continue
            if isinstance(cause, Account):
                cause.charge(first, last, stalls)
            else:
                stalls[cause] = stalls.get(cause, 0) + last - first
