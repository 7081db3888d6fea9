"""The state tables that textbooks print, row by row, as one, two and three cores meet in a line.

Hennessy and Patterson, Computer Architecture, 6th edition, section 5.2; Sweazey and Smith, A Class
of Compatible Cache Consistency Protocols and their Support by the IEEE Futurebus, ISCA 1986.
"""

import pytest
import simpy

from sim.clock import Clock
from sim.memory.coherent.cache import PrivateCacheSpec, load, store
from sim.memory.coherent.directory import DirectoryCache
from sim.memory.coherent.home import HomeNode
from sim.memory.coherent.monitor import Monitor
from sim.memory.coherent.snooping import Bus, BusSpec, SnoopingCache
from sim.memory.coherent.wires import HomeSpec, Wires
from sim.memory.network.network import Network
from sim.memory.network.spec import NetworkSpec
from sim.memory.network.topology import Crossbar

SPEC = PrivateCacheSpec(sets=1, ways=1)
R, W, X = "read", "write", "evict"


def caches(kind, protocol):
    clock = Clock(simpy.Environment(), 10**15)
    monitor = Monitor(cores=3, line_bytes=64, lines=1)
    if kind == "snooping":
        bus = Bus(clock, BusSpec(), 64)
        bus.caches += [SnoopingCache(n, bus, SPEC, protocol, monitor) for n in range(3)]
        return clock, bus.caches
    wires = Wires(Network(clock, NetworkSpec(topology=Crossbar(3))), HomeSpec(), 64)
    wires.caches += [DirectoryCache(n, wires, SPEC, protocol, monitor) for n in range(3)]
    wires.homes += [HomeNode(n, wires) for n in range(3)]
    return clock, wires.caches


def states(kind, protocol, *deeds):
    """States of line 0 in three caches after each deed."""
    clock, group = caches(kind, protocol)
    seen = []
    for core, deed in deeds:
        access = {R: load(0), W: store(0, 1), X: load(64 * (core + 1))}[deed]
        clock.env.process(group[core].access(access))
        clock.env.run()
        held = [{line.number: line.state for line in cache.copies()} for cache in group]
        seen.append("".join(h.get(0, "I") for h in held))
    return " ".join(seen)


@pytest.mark.parametrize("kind", ["snooping", "directory"])
@pytest.mark.parametrize(
    ("deeds", "mesi", "moesi"),
    [
        ([(0, R)], "EII", "EII"),
        ([(0, W)], "MII", "MII"),
        ([(0, R), (0, W)], "EII MII", "EII MII"),
        ([(0, R), (1, R)], "EII SSI", "EII SSI"),
        ([(0, R), (1, W)], "EII IMI", "EII IMI"),
        ([(0, W), (1, W)], "MII IMI", "MII IMI"),
        ([(0, W), (1, R)], "MII SSI", "MII OSI"),
        ([(0, W), (1, R), (2, R)], "MII SSI SSS", "MII OSI OSS"),
        ([(0, W), (1, R), (0, W)], "MII SSI MII", "MII OSI MII"),
        ([(0, W), (1, R), (1, W)], "MII SSI IMI", "MII OSI IMI"),
        ([(0, W), (1, R), (2, W)], "MII SSI IIM", "MII OSI IIM"),
        ([(0, W), (1, R), (0, X)], "MII SSI ISI", "MII OSI ISI"),
        ([(0, W), (0, X), (1, R)], "MII III IEI", "MII III IEI"),
        ([(0, R), (1, R), (2, W)], "EII SSI IIM", "EII SSI IIM"),
    ],
)
def test_each_access_leaves_the_states_of_the_textbook(kind, deeds, mesi, moesi):
    assert states(kind, "MESI", *deeds) == mesi
    assert states(kind, "MOESI", *deeds) == moesi
