"""A simulated DRAM behind timed caches: lines cut into transfers, and the path to it."""

from __future__ import annotations

from collections.abc import Generator

import simpy

from sim.memory.dram.server import DramServer
from sim.memory.port import channel_of, controller_of
from sim.spec import DramSpec


class DramMemory:
    """A described DRAM as a server of the last cache.

    Models: a piece is asked for as its transfers, all at once; a read is there with the last of
    them and a path's latency later, a write is taken when the last has room in its queue.
    Ignores: the path's bandwidth.
    Source: that of `dram.DramServer`.
    """

    def __init__(self, env: simpy.Environment, spec: DramSpec, *, path_ticks: int = 0) -> None:
        """`path_ticks`: femtoseconds between the caches and the data, there and back."""
        device = channel_of(spec)
        self._env = env
        self._transfer_bytes = device.transfer_bytes
        self._path_ticks = path_ticks
        self._server = DramServer(
            env,
            device,
            channels=spec.channels,
            mapping=spec.mapping,
            spec=controller_of(spec),
        )

    @property
    def waiting_for(self) -> str:
        """What is still to come; empty where all was served."""
        return self._server.waiting_for

    def request(self, address: int, size_bytes: int, write: bool) -> simpy.Event:
        """Event at which a read's last byte is there, or a write has been taken."""
        first = address - address % self._transfer_bytes
        asked = [
            self._server.request(at, write)
            for at in range(first, address + size_bytes, self._transfer_bytes)
        ]
        if write:
            return self._env.all_of([access.accepted for access in asked])
        return self._env.process(self._read(self._env.all_of(asked)))

    def _read(self, data: simpy.Event) -> Generator[simpy.Event, object, None]:
        yield data
        yield self._env.timeout(self._path_ticks)
