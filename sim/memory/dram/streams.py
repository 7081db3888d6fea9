"""What sequential streams and scattered accesses get out of a DRAM in the long run.

A machine model that does not send every access through a controller takes its bandwidth from here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import lcm

import numpy as np

from sim.errors import SpecError
from sim.memory.dram.compiled import simulate_compiled
from sim.memory.dram.controller import simulate
from sim.memory.dram.device import DramDevice
from sim.memory.dram.mapping import AddressMapping, Ints
from sim.memory.dram.requests import FORWARDED, DramResult
from sim.memory.dram.run import make_requests
from sim.memory.dram.spec import ControllerSpec, Refresh

REQUESTS = 1 << 17
"""To begin with; more where these last for less than `PERIODS`."""
PERIODS = 4
WARM_UP_SHARE = 8
"""One request of so many is not counted, to fill the queues first."""


@cache
def sustained_bytes_per_second(
    device: DramDevice,
    channels: int,
    mapping: str,
    *,
    read_streams: int,
    write_streams: int,
    spec: ControllerSpec,
) -> float:
    """Return the steady bandwidth of sequential streams that take turns access by access.

    Each stream has its own part of the memory and starts as many transfers as a row holds further
    on than the one before, as arrays do that are not all aligned to the same bank. Requests are
    always waiting. Channels take transfers in turn, so that all see the same; one is simulated.
    Raises SpecError for counts that cannot be, for a mapping that is not known and for a refresh
    that the device does not have.
    """
    _check_channels(channels)
    if min(read_streams, write_streams) < 0 or read_streams + write_streams == 0:
        raise SpecError(
            f"{read_streams} read and {write_streams} write streams: one or more should be"
        )
    streams = read_streams + write_streams
    one_pass = device.banks * device.columns
    capacity = one_pass * device.rows
    starts = [
        device.rows // streams * one_pass * stream + device.columns * stream
        for stream in range(streams)
    ]

    def transfers(steps: Ints) -> Ints:
        begin = np.array(starts, dtype=np.int64)[steps % streams]
        return (begin + steps // streams) % capacity

    return channels * _steady(device, mapping, transfers, (read_streams, streams), spec)


@cache
def random_bytes_per_second(
    device: DramDevice,
    channels: int,
    mapping: str,
    *,
    granule_bytes: int,
    spec: ControllerSpec,
) -> float:
    """Return the steady bandwidth of reads of aligned granules scattered over the whole memory.

    Only the bytes of the granules count: a granule smaller than a transfer wastes the rest of it.
    A granule of several transfers is spread over the channels, which take transfers in turn; that
    one channel may have more to do than another for a while is left out. Raises SpecError for a
    granule that is no whole number of transfers a channel, and as `sustained_bytes_per_second`.
    """
    _check_channels(channels)
    if granule_bytes < 1:
        raise SpecError(f"granule_bytes is {granule_bytes}, should be 1 or more")
    moved = -(-granule_bytes // device.transfer_bytes)
    if moved > channels and moved % channels:
        raise SpecError(
            f"granule_bytes: {moved} transfers cannot be spread evenly over {channels} channels"
        )
    piece = max(1, moved // channels)
    places = device.banks * device.columns * device.rows // piece
    useful = granule_bytes / (moved * device.transfer_bytes)

    def transfers(steps: Ints) -> Ints:
        return _scatter(steps // piece) % places * piece + steps % piece

    return channels * useful * _steady(device, mapping, transfers, (1, 1), spec)


@cache
def idle_read_ticks(device: DramDevice) -> int:
    """Return the ticks from the acceptance of a lone read of a closed bank to its last data."""
    mapping = AddressMapping(device, "RoBaRaCoCh")
    one = make_requests(mapping, np.zeros(1, dtype=np.int64), np.zeros(1))
    return int(simulate(device, one, ControllerSpec(refresh=Refresh.NONE)).read_latencies[0])


def _check_channels(channels: int) -> None:
    if channels < 1 or channels & (channels - 1):
        raise SpecError(f"channels is {channels}, should be a power of two")


def _scatter(numbers: Ints) -> Ints:
    """Mix the bits of each number (the finalizer of Steele et al., SplittableRandom, 2014)."""
    mixed = (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(1)).astype(np.int64)


def _steady(
    device: DramDevice,
    mapping: str,
    transfers: Callable[[Ints], Ints],
    reads: tuple[int, int],
    spec: ControllerSpec,
) -> float:
    """Return one channel's bytes per second on its data bus, with requests always waiting.

    Of each `reads[1]` requests the first `reads[0]` are reads. What is counted lasts for a whole
    number of periods, each a whole number of refresh rounds and of bursts: so each round counts as
    often as any other, and no more bursts can end within it than the bus has room for.
    """
    mapped = AddressMapping(device, mapping)
    interval = device.refresh_interval_ticks
    if spec.refresh is Refresh.PER_BANK:
        interval = device.bank_refresh_interval_ticks * device.banks
    period = lcm(interval, device.burst_ticks)
    count = REQUESTS
    while True:
        steps = np.arange(count)
        requests = make_requests(mapped, transfers(steps), steps % reads[1] >= reads[0])
        result = simulate_compiled(device, requests, spec)
        begin = int(result.accepted[count // WARM_UP_SHARE])
        periods = (int(result.accepted[-1]) - begin) // period
        if periods >= PERIODS:
            return _bytes_per_second(result, begin, begin + periods * period)
        count *= 2


def _bytes_per_second(result: DramResult, begin: int, end: int) -> float:
    within = (result.done > begin) & (result.done <= end) & (result.outcomes != FORWARDED)
    moved = int(np.count_nonzero(within)) * result.transfer_bytes
    return moved / ((end - begin) * result.tick_femtoseconds * 1e-15)
