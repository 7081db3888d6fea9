"""What no network can beat, in closed form and apart from the simulation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from fractions import Fraction

from sim.memory.network.spec import NetworkSpec

Flow = tuple[int, int]


def zero_load_cycles(spec: NetworkSpec, source: int, target: int, payload_bytes: int) -> int:
    """Cycles from sending until the last flit has arrived, with nobody else under way.

    With C channels on the way (injection and ejection among them), F flits of s cycles each:
    (C - 1) router + C (link + s - 1) + (F - 1) s. Buffers must cover a credit's round trip
    (`round_trip_flits`); smaller ones stretch a packet of several flits.

    Source: Dally and Towles, Principles and Practices of Interconnection Networks, section 3.3.
    """
    channels = len(spec.topology.route(source, target)) + 2
    wires = spec.link_cycles + spec.flit_cycles - 1
    head = (channels - 1) * spec.router_cycles + channels * wires
    return head + (spec.flits(payload_bytes) - 1) * spec.flit_cycles


def round_trip_flits(spec: NetworkSpec) -> int:
    """Places that a buffer needs for a channel to carry flits without pause.

    Source: Dally and Towles, section 13.3.1: the credit round trip over the time of a flit.
    """
    travel = spec.router_cycles + spec.link_cycles + spec.flit_cycles - 1
    return -(-(travel + spec.credit_cycles) // spec.flit_cycles)


def uniform_saturation(spec: NetworkSpec) -> Fraction:
    """Flits a cycle and node that uniform traffic (self included) can at most reach.

    Half of all flits cross the bisection; a node's own channel is a limit too.
    Source: Dally and Towles, section 3.2, equations of throughput and bisection.
    """
    cut = spec.topology.bisection()
    nodes = spec.topology.nodes
    own = Fraction(1, spec.flit_cycles)
    if not cut.near_nodes or not cut.far_nodes:
        return own
    crossing = Fraction(2 * cut.near_nodes * cut.far_nodes, nodes)  # flits at rate 1
    return min(own, own * cut.channels / crossing)


def paths(spec: NetworkSpec, flows: Iterable[Flow]) -> dict[Flow, list[Hashable]]:
    """Return the channels that each flow uses, injection and ejection among them."""
    return {
        (a, b): [
            ("into", a),
            *((hop.source, hop.target) for hop in spec.topology.route(a, b)),
            ("out of", b),
        ]
        for a, b in flows
    }


def max_min_rates(spec: NetworkSpec, flows: Sequence[Flow]) -> Mapping[Flow, Fraction]:
    """Flits a cycle of each flow, all always sending, so that none can gain but from a poorer one.

    Filling: raise all rates alike until a channel is full, fix its flows, go on with the others.
    Source: Bertsekas and Gallager, Data Networks, section 6.5.2.
    """
    ways = paths(spec, flows)
    left: dict[Hashable, Fraction] = {}
    for way in ways.values():
        left.update(dict.fromkeys(way, Fraction(1, spec.flit_cycles)))
    rates: dict[Flow, Fraction] = {}
    while len(rates) < len(ways):
        users = Counter(c for flow, way in ways.items() if flow not in rates for c in way)
        full = min(users, key=lambda channel: left[channel] / users[channel])
        share = left[full] / users[full]
        for flow, way in ways.items():
            if flow not in rates and full in way:
                rates[flow] = share
                for channel in way:
                    left[channel] -= share
    return rates
