"""For any shape and traffic: closed forms, fairness, order, and bounds hold."""

import numpy as np
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.clock import Clock
from sim.memory.network.bounds import (
    max_min_rates,
    round_trip_flits,
    uniform_saturation,
    zero_load_cycles,
)
from sim.memory.network.network import Network
from sim.memory.network.spec import NetworkSpec
from sim.memory.network.topology import Crossbar, Mesh, Ring

TOPOLOGIES = st.one_of(
    st.builds(Crossbar, st.integers(1, 8)),
    st.builds(Ring, st.integers(3, 8)),
    st.builds(Mesh, st.integers(1, 4), st.integers(1, 4)),
)


@st.composite
def specs(draw, arbitration=("flow", "port")):
    fields = {
        "topology": draw(TOPOLOGIES),
        "flit_bytes": draw(st.sampled_from([8, 16, 32])),
        "width_bytes": draw(st.sampled_from([8, 16])),
        "router_cycles": draw(st.integers(0, 3)),
        "link_cycles": draw(st.integers(1, 3)),
        "credit_cycles": draw(st.integers(1, 2)),
        "arbitration": draw(st.sampled_from(arbitration)),
    }
    room = round_trip_flits(NetworkSpec(**fields)) + draw(st.integers(0, 3))
    return NetworkSpec(buffer_flits=room, **fields)


def build(spec):
    return Network(Clock(simpy.Environment(), 10**15), spec)


@given(specs(), st.data())
@settings(deadline=None, max_examples=100)
def test_a_packet_alone_takes_the_closed_forms_cycles(spec, data):
    nodes = st.integers(0, spec.topology.nodes - 1)
    source, target, size = data.draw(nodes), data.draw(nodes), data.draw(st.integers(0, 200))
    net = build(spec)
    arrived = net.send(source, target, size)
    net.clock.env.run()
    assert arrived.value.delivered == zero_load_cycles(spec, source, target, size)


@given(specs(), st.data())
@settings(deadline=None, max_examples=60)
def test_all_packets_arrive_in_the_order_of_their_flow_and_never_early(spec, data):
    nodes = st.integers(0, spec.topology.nodes - 1)
    sends = data.draw(st.lists(st.tuples(nodes, nodes, st.integers(0, 100)), max_size=25))
    net = build(spec)
    arrivals = [net.send(*send) for send in sends]
    net.clock.env.run()
    last = {}
    for (source, target, size), arrival in zip(sends, arrivals, strict=True):
        delivered = arrival.value.delivered
        assert delivered >= zero_load_cycles(spec, source, target, size)
        assert delivered > last.get((source, target), -1)
        last[source, target] = delivered
    for channel in net.channels:
        assert channel.account(net.clock.now).total == net.clock.now


@given(specs(arbitration=("flow",)), st.data())
@settings(deadline=None, max_examples=25)
def test_flows_that_always_send_get_their_max_min_shares(spec, data):
    nodes = st.integers(0, spec.topology.nodes - 1)
    flows = sorted(data.draw(st.sets(st.tuples(nodes, nodes), min_size=1, max_size=5)))
    net = build(spec)
    horizon = 400 * spec.flit_cycles
    for flow in flows:
        net.send(*flow, 440 * spec.flit_bytes)
    net.clock.env.run(until=horizon)
    for flow, rate in max_min_rates(spec, flows).items():
        assert abs(net.delivered_flits[flow] - rate * horizon) <= 0.08 * horizon * rate + 20


@given(specs(), st.integers(0, 100))
@settings(deadline=None, max_examples=15)
def test_no_uniform_traffic_passes_the_bisection_faster_than_its_channels(spec, seed):
    dice, net = np.random.default_rng(seed), build(spec)
    nodes, packets = spec.topology.nodes, 1500
    cut = spec.topology.bisection()
    for n in range(packets):
        net.send(n % nodes, int(dice.integers(nodes)), spec.flit_bytes)
    net.clock.env.run()
    accepted = packets / nodes / net.clock.now
    assert accepted <= uniform_saturation(spec) * 1.1
    assert cut.near_nodes + cut.far_nodes == nodes
