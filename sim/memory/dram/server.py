"""The DRAM controller inside a SimPy simulation: asked at any time, answers with the data.

Two clock domains meet here: SimPy counts femtoseconds, a channel its own ticks. What is asked
between two ticks is offered at the later one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from typing import Any

import numpy as np
import simpy

from sim.errors import SpecError
from sim.memory.dram.controller import DramController
from sim.memory.dram.device import DramDevice
from sim.memory.dram.mapping import AddressMapping
from sim.memory.dram.queues import Access
from sim.memory.dram.requests import FORWARDED
from sim.memory.dram.spec import FOREVER, ControllerSpec


class DramAccess(simpy.Event):
    """What a request returns: happens at the end of its data, with that DRAM tick as its value."""

    def __init__(self, env: simpy.Environment, offered: int, access: Access) -> None:
        super().__init__(env)
        self.accepted = simpy.Event(env)
        """Happens at the end of the tick at which the queue takes the request."""
        self.offered_tick = offered
        """The first DRAM tick at or after the request."""
        self.access = access
        """Its place, and the ticks and outcome as far as they are known."""


class DramServer:
    """Channels that take transfers in turn, each with its own controller.

    Models: what `DramController` does, with the same commands at the same ticks as `simulate` for
    requests of the same ticks. A request that finds its queue full waits, and those behind it in
    its channel too. An idle channel sleeps; refreshes that fell due meanwhile are made up for, at
    their ticks, when it is next asked.
    Ignores: the path between the controller and who asks; a transfer is asked at once, so a caller
    cuts larger pieces itself.
    Source: that of `DramController`.
    """

    def __init__(
        self,
        env: simpy.Environment,
        device: DramDevice,
        *,
        channels: int,
        mapping: str,
        spec: ControllerSpec,
    ) -> None:
        """Build idle channels; SpecError for what the mapping or the device does not have."""
        self.env = env
        self.mapping = AddressMapping(device, mapping, channels=channels)
        self._channels = [_Channel(env, device, spec, number) for number in range(channels)]

    @property
    def waiting_for(self) -> str:
        """What is still to come, by channel; empty where all was served."""
        return ", ".join(
            f"channel {channel.number}: {channel.left} accesses"
            for channel in self._channels
            if channel.left
        )

    def request(self, address: int, write: bool) -> DramAccess:
        """Ask for the transfer that holds a byte address; return the event of its last data.

        Raises SpecError for an address below 0.
        """
        if address < 0:
            raise SpecError(f"a DRAM has no address {address}")
        owners, transfers = self.mapping.transfers(np.array([address]))
        places = self.mapping.places(transfers)
        return self._channels[int(owners[0])].request(
            transfer=int(transfers[0]),
            bank=int(places.banks[0]),
            row=int(places.rows[0]),
            write=write,
        )

    def commands(self, channel: int) -> list[tuple[int, int, int]]:
        """Return tick, command and bank of all that a channel issued so far."""
        return self._channels[channel].controller.commands


class _Channel:
    """One controller and the process that wakes it.

    The process takes in what was offered at a tick and issues at the next, at the time of the next:
    then all that was asked at the first is known, in whatever order SimPy ran its askers.
    """

    def __init__(
        self, env: simpy.Environment, device: DramDevice, spec: ControllerSpec, number: int
    ) -> None:
        self.env = env
        self.number = number
        self.controller = DramController(device, spec, self._served)
        self.left = 0
        """Accesses that are not served yet."""
        self._tick_femtoseconds = device.tick_femtoseconds
        self._asked = 0
        self._backlog: deque[DramAccess] = deque()
        self._taken: dict[int, DramAccess] = {}
        self._bell = env.event()
        env.process(self._run())

    def request(self, *, transfer: int, bank: int, row: int, write: bool) -> DramAccess:
        """Join the line before the queue."""
        offered = -(-int(self.env.now) // self._tick_femtoseconds)
        access = Access(age=self._asked, bank=bank, row=row, transfer=transfer, write=write)
        event = DramAccess(self.env, offered, access)
        self._asked += 1
        self.left += 1
        self._backlog.append(event)
        if not self._bell.triggered:
            self._bell.succeed()
        return event

    def _run(self) -> Generator[simpy.Event, Any, None]:
        controller = self.controller
        while True:
            if not self._backlog and controller.waiting == 0:
                self._bell = self.env.event()
                yield self._bell
                continue
            tick = self._next_tick()
            rest = (tick + 1) * self._tick_femtoseconds - int(self.env.now)
            if rest > 0:
                self._bell = self.env.event()
                yield self.env.timeout(rest) | self._bell
            else:
                controller.tick = tick
                controller.step(took=self._accept())

    def _next_tick(self) -> int:
        """Return the next tick at which something can happen, as far as is known now."""
        controller = self.controller
        offer = self._backlog[0].offered_tick if self._backlog else FOREVER
        # What was offered before now and is not taken waits for room, so for a command.
        return controller.next_tick(offer if offer >= controller.tick else FOREVER)

    def _accept(self) -> bool:
        """Take in the first of the line, if its tick has come and there is room."""
        if not self._backlog or self._backlog[0].offered_tick > self.controller.tick:
            return False
        event = self._backlog[0]
        access = event.access
        if not self.controller.accept(access):
            return False
        self._backlog.popleft()
        self._taken[access.age] = event
        event.accepted.succeed(access.accepted)
        if access.outcome == FORWARDED:
            self._served(access)
        return True

    def _served(self, access: Access) -> None:
        """Let an access's event happen at the end of its data."""
        event = self._taken.pop(access.age)

        def finish(_: simpy.Event) -> None:
            self.left -= 1
            event.succeed(access.done)

        rest = access.done * self._tick_femtoseconds - int(self.env.now)
        simpy.events.Timeout(self.env, rest).callbacks.append(finish)
