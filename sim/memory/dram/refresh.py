"""When refreshes fall due, and of what."""

from __future__ import annotations

from collections import deque

from sim.memory.dram.device import Command, DramDevice
from sim.memory.dram.spec import FOREVER, ControllerSpec, Refresh, check_refresh


class RefreshSchedule:
    """The refreshes of one channel, in the order in which they fall due.

    Models: all scopes at each interval, or one bank after the other at shorter ones; those that
    wait are kept in order.
    Ignores: postponed and early refreshes, self refresh, temperature.
    Source: the JEDEC document that the standard's file names, for the intervals.
    """

    def __init__(self, device: DramDevice, spec: ControllerSpec) -> None:
        check_refresh(device, spec)
        self.device = device
        self.pending: deque[tuple[Command, int]] = deque()
        """Command and first bank of each that is due."""
        self._per_bank = spec.refresh is Refresh.PER_BANK
        self._interval = (
            device.bank_refresh_interval_ticks if self._per_bank else device.refresh_interval_ticks
        )
        self.next_tick = FOREVER if spec.refresh is Refresh.NONE else self._interval
        """When the next fall due."""
        self._turn = 0

    def tick(self, now: int) -> None:
        """Queue what falls due at a tick."""
        if now != self.next_tick:
            return
        self.next_tick += self._interval
        device = self.device
        if self._per_bank:
            self.pending.append((Command.REFB, self._turn))
            self._turn = (self._turn + 1) % device.banks
        else:
            firsts = range(0, device.banks, device.banks_per_scope)
            self.pending.extend((Command.REF, first) for first in firsts)
