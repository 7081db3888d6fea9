"""Networks: exact cycles alone, turns and room under contention."""

import pytest
import simpy

from sim.clock import Clock
from sim.memory.network.bounds import round_trip_flits, zero_load_cycles
from sim.memory.network.network import Network
from sim.memory.network.spec import NetworkSpec
from sim.memory.network.topology import Crossbar, Mesh, Ring


def network(topology, **fields):
    env = simpy.Environment()
    return Network(Clock(env, 10**15), NetworkSpec(topology=topology, **fields))


def deliver(net, sends):
    packets = [net.send(*send) for send in sends]
    net.clock.env.run()
    return [event.value.delivered for event in packets]


@pytest.mark.parametrize(
    ("topology", "target", "cycles"),
    [(Crossbar(16), 15, 3), (Ring(16), 8, 19), (Ring(16), 15, 5), (Mesh(4, 4), 15, 15)],
)
def test_one_flit_pays_a_cycle_a_router_and_a_cycle_a_channel(topology, target, cycles):
    assert deliver(network(topology), [(0, target, 16)]) == [cycles]


def test_a_packet_of_five_flits_takes_four_cycles_longer_than_one():
    assert deliver(network(Mesh(4, 4)), [(0, 15, 80)]) == [19]


def test_a_flit_twice_as_wide_as_the_channel_takes_two_cycles_each():
    assert deliver(network(Crossbar(2), flit_bytes=32), [(0, 1, 64)]) == [1 + 2 * 2 + 2]


def test_two_packets_to_one_port_share_it_flit_by_flit():
    assert deliver(network(Crossbar(3)), [(0, 2, 64), (1, 2, 64)]) == [9, 10]


def test_two_packets_to_one_port_follow_each_other_where_turns_are_by_packet():
    net = network(Crossbar(3), arbitration="port")
    assert deliver(net, [(0, 2, 64), (1, 2, 64)]) == [6, 10]


def test_packets_between_different_ports_of_a_crossbar_do_not_meet():
    sends = [(0, 1, 64), (1, 2, 64), (2, 0, 64)]
    assert deliver(network(Crossbar(3)), sends) == [6, 6, 6]


def test_a_packet_waits_behind_a_blocked_one_of_the_same_port_but_not_of_another_flow():
    sends = [(1, 2, 640), (0, 2, 640), (0, 3, 16)]
    by_port = deliver(network(Crossbar(4), arbitration="port", buffer_flits=2), sends)
    by_flow = deliver(network(Crossbar(4), buffer_flits=2), sends)
    assert by_flow[2] == 4
    assert by_port[2] > 40


def test_a_buffer_shorter_than_the_credits_way_back_stretches_a_packet():
    spec = NetworkSpec(topology=Mesh(4, 1))
    assert round_trip_flits(spec) == 3
    full = deliver(network(Mesh(4, 1), buffer_flits=3), [(0, 3, 160)])
    short = deliver(network(Mesh(4, 1), buffer_flits=2), [(0, 3, 160)])
    single = deliver(network(Mesh(4, 1), buffer_flits=1), [(0, 3, 160)])
    assert full == [zero_load_cycles(spec, 0, 3, 160)] == [18]
    assert short == [18 + 4]  # a pair every three cycles
    assert single == [9 + 9 * 3]  # a flit every three cycles


def test_a_late_joiner_gets_half_by_port_and_a_third_by_flow():
    """The parking lot: three nodes of a row send to the end."""
    shares = {}
    for arbitration in ("port", "flow"):
        net = network(Mesh(4, 1), arbitration=arbitration)
        for source in (0, 1, 2):
            for _ in range(600):
                net.send(source, 3, 16)
        net.clock.env.run(until=600)
        shares[arbitration] = [net.delivered_flits[source, 3] for source in (0, 1, 2)]
    assert [round(n / 600, 2) for n in shares["port"]] == [0.25, 0.25, 0.5]
    assert max(shares["flow"]) - min(shares["flow"]) <= 4


def test_a_channels_cycles_are_busy_blocked_or_idle():
    net = network(Mesh(3, 1), buffer_flits=1)
    deliver(net, [(0, 2, 64)])
    total = net.clock.now
    accounts = {channel.name: channel.account(total) for channel in net.channels}
    assert all(account.total == total for account in accounts.values())
    assert (accounts["0->1"].busy, accounts["1->0"].busy) == (4, 0)
    assert accounts["0->1"].stalled == 3  # each later flit is there a cycle before room


def test_all_to_all_on_a_ring_of_single_places_does_not_lock_up():
    net = network(Ring(5), arbitration="port", buffer_flits=1)
    sends = [(a, b, 64) for a in range(5) for b in range(5) for _ in range(5)]
    assert min(deliver(net, sends)) > 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"link_cycles": 0}, "link_cycles is 0, must be at least 1"),
        ({"buffer_flits": 0}, "buffer_flits is 0"),
        ({"arbitration": "age"}, "arbitration is 'age', must be 'flow' or 'port'"),
    ],
)
def test_numbers_that_make_no_network_are_errors(fields, message):
    with pytest.raises(ValueError, match=message):
        NetworkSpec(topology=Crossbar(2), **fields)


def test_a_node_that_is_not_there_is_an_error():
    with pytest.raises(ValueError, match="no way from 0 to 4 among 4 nodes"):
        network(Crossbar(4)).send(0, 4, 8)


def test_a_ring_of_two_is_an_error():
    with pytest.raises(ValueError, match="2 nodes: at least 3 are needed"):
        Ring(2)


@pytest.mark.parametrize("topology", [Crossbar(8), Ring(8), Mesh(4, 4), Mesh(1, 3)])
def test_every_route_follows_links_from_source_to_target(topology):
    links = set(topology.links())
    for source in range(topology.nodes):
        for target in range(topology.nodes):
            here = topology.router_of(source)
            for hop in topology.route(source, target):
                assert (hop.source, hop.target) in links
                assert hop.source == here
                here = hop.target
            assert here == topology.router_of(target)
