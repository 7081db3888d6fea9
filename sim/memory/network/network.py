"""Packets cut into flits that wait, contend and move on, channel by channel, over SimPy.

A flit leaves a buffer when the channel is free, the buffer beyond has room (a credit) and it is its
turn. Decisions of a cycle rest only on what earlier cycles sent, so their order does not matter.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial

import simpy

from sim.clock import Clock
from sim.memory.network.arbiter import RoundRobin, Settled
from sim.memory.network.spec import NetworkSpec
from sim.stalls import CycleStack, StallCause

Lane = Hashable


@dataclass(slots=True, kw_only=True, eq=False)
class Packet:
    """One message under way; times in cycles."""

    source: int
    target: int
    flits: int
    channels: list[Channel]
    """From injection to ejection."""
    lanes: list[Lane]
    """The lane taken on each."""
    sent: int
    delivered: int = -1
    """When the last flit arrived; -1 before."""
    arrived: simpy.Event
    """Happens when the last flit has arrived; its value is the packet."""


@dataclass(slots=True)
class _Flit:
    packet: Packet
    number: int
    hop: int = 0


class _Buffer:
    """Flits waiting at a channel's far end; the first one asks for its next channel."""

    def __init__(self, number: int, upstream: Channel | None, lane: Lane) -> None:
        self.number = number
        self.upstream = upstream
        self.lane = lane
        self.flits: deque[_Flit] = deque()

    def push(self, flit: _Flit) -> None:
        self.flits.append(flit)
        if len(self.flits) == 1:
            self.ask()

    def ask(self) -> None:
        if self.flits:
            flit = self.flits[0]
            flit.packet.channels[flit.hop].request(self)


class Channel:
    """One-way wires into a buffer: a flit at a time, by turns, when there is room beyond.

    Models: occupancy by width, latency, credits, turns by flow or by port, wormhole holding.
    Ignores: bit errors, sleep states, clock crossing.
    Source: Dally and Towles, Principles and Practices of Interconnection Networks, chapters 12-13.
    """

    def __init__(self, network: Network, name: str, latency_cycles: int) -> None:
        self.name = name
        self.latency_cycles = latency_cycles
        self.flits = 0
        """Flits carried."""
        self.blocked_cycles = 0
        """Cycles in which a flit waited here, the wires were free, and no buffer had room."""
        self._network = network
        self._turns = RoundRobin()
        self._asking: dict[int, _Buffer] = {}
        self._room: dict[Lane, int] = {}
        self._credits: deque[tuple[int, Lane]] = deque()  # under way: (cycle of arrival, lane)
        self._holder: dict[Lane, Packet] = {}
        self._free_at = 0
        self._alarm = -1
        self._blocked_since = -1

    def request(self, buffer: _Buffer) -> None:
        """Note that a buffer's first flit wants to pass."""
        self._asking[buffer.number] = buffer
        self._wake()

    def credit(self, lane: Lane, at: int) -> None:
        """Note that at a cycle to come there is a free place more in the buffer beyond.

        It is counted when the channel next decides, and wakes the channel only if blocked.
        """
        self._credits.append((at, lane))
        if self._blocked_since >= 0:
            self._wake(at)

    def account(self, total_cycles: int) -> CycleStack:
        """Where the channel's cycles went, from 0 to `total_cycles`."""
        busy = self.flits * self._network.spec.flit_cycles
        still = total_cycles - self._blocked_since if self._blocked_since >= 0 else 0
        blocked = self.blocked_cycles + still
        return CycleStack(
            busy=busy,
            stalls={StallCause.BANDWIDTH: blocked},
            idle=total_cycles - busy - blocked,
        )

    def _wake(self, at: int = 0) -> None:
        """Decide as soon as the wires are free, and not before a cycle."""
        clock = self._network.clock
        now = clock.now
        at = max(at, now, self._free_at)
        if self._alarm != at:
            self._alarm = at
            Settled(clock.env, (at - now) * clock.period_ticks, self._arbitrate)

    def _may_pass(self, flit: _Flit) -> bool:
        lane = flit.packet.lanes[flit.hop]
        if self._network.spec.arbitration == "port":
            holder = self._holder.get(lane)
            if holder is not None and holder is not flit.packet:
                return False
        if flit.hop + 1 == len(flit.packet.channels):
            return True
        return self._room.setdefault(lane, self._network.spec.buffer_flits) > 0

    def _arbitrate(self, _event: simpy.Event) -> None:
        now = self._network.clock.now
        if self._alarm == now:
            self._alarm = -1
        if not self._asking or now < self._free_at:
            return
        while self._credits and self._credits[0][0] <= now:
            self._room[self._credits.popleft()[1]] += 1
        able = [n for n, buffer in self._asking.items() if self._may_pass(buffer.flits[0])]
        if not able:
            if self._blocked_since < 0:
                self._blocked_since = now
            if self._credits:
                self._wake(self._credits[0][0])
            return
        if self._blocked_since >= 0:
            self.blocked_cycles += now - self._blocked_since
            self._blocked_since = -1
        self._pass(self._asking.pop(self._turns.pick(able)), now)
        if self._asking:
            self._wake()

    def _pass(self, buffer: _Buffer, now: int) -> None:
        network, flit = self._network, buffer.flits.popleft()
        packet, lane = flit.packet, flit.packet.lanes[flit.hop]
        self.flits += 1
        self._free_at = now + network.spec.flit_cycles
        if flit.hop + 1 < len(packet.channels):
            self._room[lane] -= 1
        if flit.number + 1 < packet.flits:
            self._holder[lane] = packet
        else:
            self._holder.pop(lane, None)
        network.after(self.latency_cycles, partial(network.arrive, flit))
        if buffer.upstream is not None:
            buffer.upstream.credit(buffer.lane, now + network.spec.credit_cycles)
        if buffer.flits:
            following = buffer.flits[0]
            # the buffer shows its next flit a cycle later: one read a cycle; these wires, too,
            # take a cycle at least
            if following.packet.channels[following.hop] is self:
                self._asking[buffer.number] = buffer
            else:
                network.after(1, buffer.ask)


class Network:
    """Nodes that send packets to each other over shared channels.

    Models: routes, flits, serialisation, credits, contention by turns; order within a flow.
    Ignores: limits on what a receiver takes in; lanes beyond those that keep a ring from deadlock.
    Source: Dally and Towles, Principles and Practices of Interconnection Networks, chapters 12-19;
    flow turns: E. L. Hahne, Round-Robin Scheduling for Max-Min Fairness in Data Networks, IEEE
    Journal on Selected Areas in Communications 9(7), 1991.
    """

    def __init__(self, clock: Clock, spec: NetworkSpec) -> None:
        self.clock = clock
        self.spec = spec
        self.delivered_flits: dict[tuple[int, int], int] = {}
        """Flits that arrived, by (source, target)."""
        wires = spec.link_cycles + spec.flit_cycles - 1
        through = spec.router_cycles + wires
        topology = spec.topology
        self._inject = [Channel(self, f"into {n}", wires) for n in range(topology.nodes)]
        self._eject = [Channel(self, f"out of {n}", through) for n in range(topology.nodes)]
        self._links = {
            pair: Channel(self, "{}->{}".format(*pair), through) for pair in topology.links()
        }
        self._buffers: dict[Hashable, _Buffer] = {}
        self._ways: dict[tuple[int, int], tuple[list[Channel], list[Lane]]] = {}

    @property
    def channels(self) -> list[Channel]:
        """All channels: into the network, between routers, out of it."""
        return [*self._inject, *self._links.values(), *self._eject]

    def send(self, source: int, target: int, payload_bytes: int) -> simpy.Event:
        """Send a packet now; the event happens, with the Packet, when its last flit is there.

        Raises ValueError for a node that is not there.
        """
        nodes = self.spec.topology.nodes
        if not (0 <= source < nodes and 0 <= target < nodes):
            raise ValueError(f"no way from {source} to {target} among {nodes} nodes")
        flow = (source, target)
        if flow not in self._ways:
            self._ways[flow] = self._way(source, target)
        channels, lanes = self._ways[flow]
        packet = Packet(
            source=source,
            target=target,
            flits=self.spec.flits(payload_bytes),
            channels=channels,
            lanes=lanes,
            sent=self.clock.now,
            arrived=self.clock.env.event(),
        )
        buffer = self._buffer(None, flow if self.spec.arbitration == "flow" else source)
        for number in range(packet.flits):
            buffer.push(_Flit(packet, number))
        return packet.arrived

    def after(self, cycles: int, then: Callable[[], None]) -> None:
        """Do something some cycles from now."""
        self.clock.cycles(cycles).callbacks.append(lambda _event: then())

    def arrive(self, flit: _Flit) -> None:
        """Take a flit off the channel it has passed: into the buffer there, or out."""
        packet = flit.packet
        if flit.hop + 1 < len(packet.channels):
            channel, lane = packet.channels[flit.hop], packet.lanes[flit.hop]
            flit.hop += 1
            self._buffer(channel, lane).push(flit)
            return
        flow = (packet.source, packet.target)
        self.delivered_flits[flow] = self.delivered_flits.get(flow, 0) + 1
        if flit.number + 1 == packet.flits:
            packet.delivered = self.clock.now
            packet.arrived.succeed(packet)

    def _way(self, source: int, target: int) -> tuple[list[Channel], list[Lane]]:
        """Return the channels from node to node, and the lane on each."""
        hops = self.spec.topology.route(source, target)
        links = (self._links[hop.source, hop.target] for hop in hops)
        channels = [self._inject[source], *links, self._eject[target]]
        if self.spec.arbitration == "flow":
            return channels, [(source, target)] * len(channels)
        return channels, [0, *(hop.lane for hop in hops), 0]

    def _buffer(self, upstream: Channel | None, lane: Lane) -> _Buffer:
        key = (upstream, lane)
        if key not in self._buffers:
            self._buffers[key] = _Buffer(len(self._buffers), upstream, lane)
        return self._buffers[key]
