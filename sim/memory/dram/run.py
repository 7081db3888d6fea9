"""From byte addresses to results: the call that the rest of the simulator makes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sim.errors import SpecError
from sim.memory.dram.compiled import simulate_compiled
from sim.memory.dram.device import DramDevice
from sim.memory.dram.mapping import AddressMapping
from sim.memory.dram.requests import DramResult, Ints, Requests
from sim.memory.dram.spec import ControllerSpec


def make_requests(
    mapping: AddressMapping, transfers: Ints, writes: npt.ArrayLike, ticks: Ints | None = None
) -> Requests:
    """Place one channel's transfers; without `ticks` all are offered from the start.

    Raises SpecError where the lists differ in length.
    """
    written = np.asarray(writes, dtype=np.bool_)
    when = np.zeros(len(transfers), dtype=np.int64) if ticks is None else np.asarray(ticks)
    if not len(transfers) == len(written) == len(when):
        raise SpecError("addresses, writes and ticks of DRAM requests differ in number")
    places = mapping.places(transfers)
    return Requests(
        transfers=transfers, banks=places.banks, rows=places.rows, writes=written, ticks=when
    )


def run_dram(
    device: DramDevice,
    addresses: Ints,
    writes: npt.ArrayLike,
    *,
    mapping: str,
    spec: ControllerSpec,
    ticks: Ints | None = None,
) -> DramResult:
    """Run byte addresses through one channel, compiled."""
    mapped = AddressMapping(device, mapping)
    _, transfers = mapped.transfers(addresses)
    return simulate_compiled(device, make_requests(mapped, transfers, writes, ticks), spec)


def run_channels(
    device: DramDevice,
    addresses: Ints,
    writes: npt.ArrayLike,
    *,
    channels: int,
    mapping: str,
    spec: ControllerSpec,
) -> list[DramResult]:
    """Run byte addresses through channels that take transfers in turn, each with its own queue.

    A full queue of one channel does not hold back the others.
    """
    mapped = AddressMapping(device, mapping, channels=channels)
    owners, transfers = mapped.transfers(addresses)
    written = np.asarray(writes, dtype=np.bool_)
    return [
        simulate_compiled(
            device,
            make_requests(mapped, transfers[owners == channel], written[owners == channel]),
            spec,
        )
        for channel in range(channels)
    ]
