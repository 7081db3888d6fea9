"""Cores with programs, their caches, and what keeps the caches one memory; run and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import simpy

from sim.clock import Clock, run_to_completion
from sim.errors import LawViolationError
from sim.memory.coherent.cache import Access, PrivateCache, PrivateCacheSpec
from sim.memory.coherent.core import Core, Program
from sim.memory.coherent.directory import DirectoryCache
from sim.memory.coherent.home import HomeNode
from sim.memory.coherent.monitor import MissClass, Monitor
from sim.memory.coherent.protocol import READABLE, STABLE, On
from sim.memory.coherent.snooping import Bus, BusSpec, SnoopingCache
from sim.memory.coherent.wires import HomeSpec, Wires
from sim.memory.network.network import Network
from sim.memory.network.spec import NetworkSpec
from sim.pipeline import ONE_HERTZ_PER_TICK
from sim.stalls import CycleStack


@dataclass(frozen=True, slots=True, kw_only=True)
class CoherenceSpec:
    """How caches are kept coherent; ValueError for an unknown protocol or misfitting parts."""

    fabric: BusSpec | NetworkSpec
    """A bus is snooped; a network carries a directory's messages, with a home at every node."""
    protocol: Literal["MESI", "MOESI"] = "MESI"
    cache: PrivateCacheSpec = field(default_factory=PrivateCacheSpec)
    home: HomeSpec = field(default_factory=HomeSpec)
    """Used with a network."""

    def __post_init__(self) -> None:
        if self.protocol not in ("MESI", "MOESI"):
            raise ValueError(f"protocol is '{self.protocol}', must be 'MESI' or 'MOESI'")
        if self.cache.outer_cycles and isinstance(self.fabric, BusSpec):
            raise ValueError("outer_cycles go with a network; a bus's snoop_cycles have them")


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreCounts:
    """What one core met with."""

    accesses: int
    """Loads, stores and atomics of its program."""
    forwarded: int
    """Loads served from its own store buffer."""
    hits: int
    upgrades: int
    """Writes to a line shared till then, which needed leave but no data."""
    misses: Mapping[MissClass, int]
    invalidations: int
    """Lines taken by other cores' writes."""
    write_backs: int
    """Dirty lines evicted."""
    finished: int
    """When its program had ended and its stores were done, in cycles."""
    account: CycleStack


@dataclass(frozen=True, slots=True, kw_only=True)
class CoherenceResult:
    """A run's outcome."""

    cycles: int
    """Until the last program had ended."""
    cores: tuple[CoreCounts, ...]
    memory: Mapping[int, int]
    """The last value written to each address."""
    messages: Mapping[str, int]
    """Bus transactions, or messages, by kind."""
    busy_cycles: Mapping[str, int]
    """For which the bus, or each channel of the network, was taken, by name."""

    @property
    def accesses(self) -> int:
        """Loads, stores and atomics of all cores."""
        return sum(core.accesses for core in self.cores)

    @property
    def stack(self) -> CycleStack:
        """Where the cycles of all cores together went."""
        return CycleStack.sum(core.account for core in self.cores)

    @property
    def misses(self) -> Counter[MissClass]:
        """Misses of all cores by class."""
        return sum((Counter(core.misses) for core in self.cores), Counter())


def straight(accesses: Iterable[Access]) -> Program:
    """Return a program that does one thing after the other, whatever it reads."""
    for access in accesses:
        _answer = yield access  # an iterator takes no answers


def run_coherent(spec: CoherenceSpec, programs: Sequence[Program]) -> CoherenceResult:
    """Run one program a core until all have ended; the invariants are checked throughout.

    Raises ValueError for more cores than the network has nodes, LawViolationError where two caches
    could write at once or a read does not return the last write.
    """
    if not programs:
        raise ValueError("no programs, so nothing to run")
    clock = Clock(simpy.Environment(), ONE_HERTZ_PER_TICK)
    cache = spec.cache
    monitor = Monitor(
        cores=len(programs), line_bytes=cache.line_bytes, lines=cache.sets * cache.ways
    )
    wired = _wire(spec, clock, monitor, len(programs))
    cores = [Core(clock, c, p) for c, p in zip(wired.caches, programs, strict=False)]
    run_to_completion(clock.env, [core.run() for core in cores], wired.caches)
    cycles = clock.now
    busy = {name: min(taken, cycles) for name, taken in wired.busy_cycles().items()}
    clock.env.run()  # messages still under way
    _check_copies(wired, monitor)
    return CoherenceResult(
        cycles=cycles,
        cores=tuple(_counts(core, monitor, cycles) for core in cores),
        memory=dict(monitor.memory),
        messages={str(kind): count for kind, count in wired.messages.items()},
        busy_cycles=busy,
    )


@dataclass(slots=True)
class _Wired:
    """The caches, whatever joins them, and what memory holds."""

    caches: list[PrivateCache]
    messages: Counter[On]
    read_memory: Callable[[int], Sequence[int]]
    busy_cycles: Callable[[], dict[str, int]]


def _wire(spec: CoherenceSpec, clock: Clock, monitor: Monitor, cores: int) -> _Wired:
    if isinstance(spec.fabric, BusSpec):
        bus = Bus(clock, spec.fabric, spec.cache.line_bytes)
        bus.caches += [
            SnoopingCache(n, bus, spec.cache, spec.protocol, monitor) for n in range(cores)
        ]
        return _Wired(
            [*bus.caches], bus.messages, bus.read_memory, lambda: {"bus": bus.busy_cycles}
        )
    nodes = spec.fabric.topology.nodes
    if cores > nodes:
        raise ValueError(f"{cores} programs for a network of {nodes} nodes")
    network = Network(clock, spec.fabric)
    wires = Wires(network, spec.home, spec.cache.line_bytes, spec.cache.outer_cycles)
    caches = [DirectoryCache(n, wires, spec.cache, spec.protocol, monitor) for n in range(cores)]
    homes = [HomeNode(n, wires) for n in range(nodes)]
    wires.caches += caches
    wires.homes += homes

    def read_memory(line: int) -> Sequence[int]:
        return homes[wires.home_of(line)].read_memory(line)

    def busy_cycles() -> dict[str, int]:
        flit_cycles = network.spec.flit_cycles
        return {channel.name: channel.flits * flit_cycles for channel in network.channels}

    return _Wired([*caches], wires.messages, read_memory, busy_cycles)


def _check_copies(wired: _Wired, monitor: Monitor) -> None:
    """Every copy has the last values; so has memory, where no cache answers for the line."""
    answered = set()
    for cache in wired.caches:
        for line in cache.copies():
            if line.state not in STABLE:
                raise LawViolationError(f"{cache.name}: line {line.number} stayed in {line.state}")
            if line.state in READABLE:
                monitor.check_copies(line.number, line.words, cache.name)
                answered |= {line.number} if line.state in ("M", "O", "E") else set()
    for number in {address // wired.caches[0].spec.line_bytes for address in monitor.memory}:
        if number not in answered:
            monitor.check_copies(number, list(wired.read_memory(number)), "memory")


def _counts(core: Core, monitor: Monitor, cycles: int) -> CoreCounts:
    n = core.cache.core
    return CoreCounts(
        accesses=core.accesses,
        forwarded=core.forwarded,
        hits=monitor.hits[n],
        upgrades=monitor.upgrades[n],
        misses=dict(monitor.misses[n]),
        invalidations=monitor.invalidations[n],
        write_backs=monitor.write_backs[n],
        finished=core.finished,
        account=core.account(cycles),
    )
