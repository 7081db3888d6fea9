"""Main memory as a machine's DMA, cores or kernels see it: cycles for bytes, and a latency.

Two figures of a description give them, or a DRAM whose commands are simulated: once for each DRAM
and kind of stream, since a machine that moves whole tensors keeps the memory in its steady state.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import ceil, gcd
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sim.clock import period_ticks
from sim.errors import SpecError
from sim.memory.dram import (
    ControllerSpec,
    DramDevice,
    PagePolicy,
    Refresh,
    idle_read_ticks,
    load_device,
    sustained_bytes_per_second,
)
from sim.spec import DramSpec, MemorySpec

Numbers = npt.NDArray[np.int64]

COST_SCALE = 1 << 28
"""Parts of a cycle in which the cost of a byte of a simulated DRAM is counted, rounded up."""
PEAK_TOLERANCE = 0.01
"""By how much a datasheet's rounded bandwidth may differ from that of the channels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DramProfile:
    """What streams get out of a DRAM, as shares of its peak."""

    reading: float
    """One stream that is read."""
    writing: float
    """One stream that is written."""
    copying: float
    """A read and a written stream, a transfer of each in turn; both count."""

    @property
    def turnaround(self) -> float:
        """What a byte read and a byte written cost more together than apart, in bytes at peak."""
        return 2 / self.copying - 1 / self.reading - 1 / self.writing


def channel_of(spec: DramSpec) -> DramDevice:
    """Settle one channel of a described DRAM; SpecError for what its standard does not have."""
    return load_device(
        spec.standard,
        spec.organisation,
        spec.timing,
        ranks=spec.ranks,
        clock_ticks=spec.clock_ticks,
    )


def controller_of(spec: DramSpec) -> ControllerSpec:
    """Return how the controllers of a described DRAM work."""
    return ControllerSpec(
        read_queue=spec.read_queue,
        write_queue=spec.write_queue,
        page=PagePolicy(spec.page),
        refresh=Refresh(spec.refresh),
    )


@cache
def dram_profile(spec: DramSpec) -> DramProfile:
    """Simulate what streams get out of a DRAM; once for each that is asked for.

    Channels take transfers in turn, so that one of them stands for all. Raises SpecError for what
    cannot be built.
    """
    device = channel_of(spec)
    controller = controller_of(spec)

    def share(reads: int, writes: int) -> float:
        rate = sustained_bytes_per_second(
            device, 1, spec.mapping, read_streams=reads, write_streams=writes, spec=controller
        )
        return rate / device.peak_bytes_per_second

    return DramProfile(
        reading=share(1, 0),
        writing=share(0, 1),
        copying=share(1, 1),
    )


@cache
def dram_latency(spec: DramSpec) -> int:
    """Return the femtoseconds of a lone read of a closed bank, to its last data.

    Raises SpecError for what cannot be built.
    """
    device = channel_of(spec)
    return idle_read_ticks(device) * device.tick_femtoseconds


def check_peak(spec: MemorySpec, path: Path) -> None:
    """Raise SpecError where a described bandwidth is not that of the described DRAM's channels."""
    if spec.dram is None:
        return
    try:
        peak = spec.dram.channels * channel_of(spec.dram).peak_bytes_per_second
    except SpecError as error:
        raise SpecError(f"{path}: key 'memory.dram': {error}") from error
    if abs(peak / spec.bandwidth_bytes_per_second - 1) > PEAK_TOLERANCE:
        raise SpecError(
            f"{path}: key 'memory.dram': {spec.dram.channels} channels of {spec.dram.timing} make "
            f"{peak / 1e9:.6g} GB/s, bandwidth_bytes_per_second is "
            f"{spec.bandwidth_bytes_per_second / 1e9:.6g} GB/s"
        )


class MemoryPort:
    """Main memory, in cycles of the clock of the machine that it serves.

    Models: one port that moves bytes at the bandwidth that streams sustain, and the latency of a
    request that meets an idle memory. Both follow from the commands of a described DRAM: row
    changes and refresh, and what a byte read and a byte written cost more when they take turns. A
    measured `efficiency` stands in place of that bandwidth. Without a DRAM both are figures of the
    description, efficiency 1 where it has none; reads and writes cost alike.
    Ignores: queueing beyond what the caller lets wait; rows that are gathered in place of streamed;
    more than one stream in each direction; what the path from the memory takes off the bandwidth,
    other than by a measured efficiency.
    Source: Hennessy and Patterson, Computer Architecture, 6th edition, section 2.2 (latency and
    bandwidth as the two figures of a main memory); for DRAM as `memory.dram`.
    """

    def __init__(self, spec: MemorySpec, clock_hz: int, *, one_way: bool = False) -> None:
        """`one_way`: reads and writes each come in long runs, as of DMA, and do not take turns."""
        self.spec = spec
        self.clock_hz = clock_hz
        latency = spec.latency_ticks or 0
        if spec.dram is not None:
            latency = (spec.path_ticks or 0) + dram_latency(spec.dram)
        self.latency_cycles = -(-latency // period_ticks(clock_hz))
        """From a request to its data, rounded up."""
        costs = _costs(spec, clock_hz)
        common = gcd(*costs)
        self._scale, self._read, self._written, both = (cost // common for cost in costs)
        self._both = 0 if one_way else both

    def transfer_cycles(self, read_bytes: int, written_bytes: int = 0, *, parts: int = 1) -> int:
        """Cycles that one of `parts` equal parts of some bytes holds the port, rounded up."""
        both = min(read_bytes, written_bytes)
        cost = read_bytes * self._read + written_bytes * self._written + both * self._both
        return -(-cost // (parts * self._scale))

    def busy_cycles(self, read_bytes: Numbers, written_bytes: Numbers) -> Numbers:
        """Return `transfer_cycles` of many transfers."""
        both = np.minimum(read_bytes, written_bytes)
        cost = read_bytes * self._read + written_bytes * self._written + both * self._both
        cycles: Numbers = -(-cost // self._scale)
        return cycles

    @property
    def streamed_bytes_per_second(self) -> int:
        """What one stream that is read sustains."""
        return self._scale * self.clock_hz // self._read


def _costs(spec: MemorySpec, clock_hz: int) -> tuple[int, int, int, int]:
    """Return a scale, and in its parts of a cycle a byte read, written, and one of each together.

    The last comes on top of the two others.
    """
    peak = spec.bandwidth_bytes_per_second
    if spec.dram is None or spec.efficiency is not None:
        share = 1.0 if spec.efficiency is None else spec.efficiency
        return int(peak * share), clock_hz, clock_hz, 0
    profile = dram_profile(spec.dram)
    at_peak = COST_SCALE * clock_hz / peak
    return (
        COST_SCALE,
        ceil(at_peak / profile.reading),
        ceil(at_peak / profile.writing),
        ceil(at_peak * max(0.0, profile.turnaround)),
    )
