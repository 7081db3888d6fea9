"""Who is joined to whom: crossbar, ring and mesh, the way through them, and their narrowest cut.

A node hangs on its router by an injection and an ejection channel; between routers run one-way
channels. A route is the routers' channels only, each with the lane (virtual channel) taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Hop:
    """One channel between two routers on a way."""

    source: int
    target: int
    lane: int = 0
    """Virtual channel; a way may climb to the next lane, never down, so that lanes form no loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The channels, both directions together, between two parts of the nodes."""

    channels: int
    near_nodes: int
    far_nodes: int


class Topology(Protocol):
    """What a network needs to know of its shape."""

    @property
    def nodes(self) -> int:
        """Places that send and receive."""

    def router_of(self, node: int) -> int:
        """Return the router a node hangs on."""

    def links(self) -> list[tuple[int, int]]:
        """Return all one-way channels between routers."""

    def route(self, source: int, target: int) -> list[Hop]:
        """Return the channels between routers on the way from node to node."""

    def bisection(self) -> Cut:
        """Return the cut into halves, as equal as can be, that the fewest channels cross."""


def check_nodes(nodes: int, least: int) -> None:
    """Raise ValueError for too few nodes."""
    if nodes < least:
        raise ValueError(f"{nodes} nodes: at least {least} are needed")


@dataclass(frozen=True, slots=True)
class Crossbar:
    """One router joins all nodes.

    Models: every pair of ports at once, one sender per receiver.
    Ignores: the area that grows with the square of the ports.
    Source: Dally and Towles, Principles and Practices of Interconnection Networks, section 6.2.
    """

    nodes: int

    def __post_init__(self) -> None:
        check_nodes(self.nodes, 1)

    def router_of(self, node: int) -> int:  # noqa: ARG002 - as Topology's
        """Return the only router."""
        return 0

    def links(self) -> list[tuple[int, int]]:
        """Return no channel: there is one router."""
        return []

    def route(self, source: int, target: int) -> list[Hop]:  # noqa: ARG002 - as Topology's
        """Return the empty way: from injection to ejection through one router."""
        return []

    def bisection(self) -> Cut:
        """Return the cut through the ejection channels of one half and the other's."""
        near = self.nodes // 2
        return Cut(channels=self.nodes, near_nodes=near, far_nodes=self.nodes - near)


@dataclass(frozen=True, slots=True)
class Ring:
    """Routers in a circle, channels both ways; the shorter way, clockwise when equal.

    Models: shortest-way routing; two lanes with a dateline, so that no circle of waits closes.
    Ignores: adaptive choice between the two directions.
    Source: Dally and Towles, Principles and Practices of Interconnection Networks, sections 8.2
    and 14.2.
    """

    nodes: int

    def __post_init__(self) -> None:
        check_nodes(self.nodes, 3)

    def router_of(self, node: int) -> int:
        """Return the router of the same number."""
        return node

    def links(self) -> list[tuple[int, int]]:
        """Return clockwise, then counter-clockwise channels."""
        n = self.nodes
        return [(r, (r + 1) % n) for r in range(n)] + [(r, (r - 1) % n) for r in range(n)]

    def route(self, source: int, target: int) -> list[Hop]:
        """Return the shorter way; past the dateline between the last and first router, lane 1."""
        n = self.nodes
        clockwise = (target - source) % n
        step, count = (1, clockwise) if clockwise <= n - clockwise else (-1, n - clockwise)
        hops, here, lane = [], source, 0
        for _ in range(count):
            there = (here + step) % n
            lane |= int({here, there} == {0, n - 1} and abs(here - there) == n - 1)
            hops.append(Hop(here, there, lane))
            here = there
        return hops

    def bisection(self) -> Cut:
        """Return the cut at two places, each with a channel each way."""
        near = self.nodes // 2
        return Cut(channels=4, near_nodes=near, far_nodes=self.nodes - near)


@dataclass(frozen=True, slots=True)
class Mesh:
    """Routers in rows and columns, channels to the four neighbours; first along x, then y.

    Models: dimension-order (XY) routing, whose turns cannot close a circle.
    Ignores: adaptive routing.
    Source: Dally and Towles, Principles and Practices of Interconnection Networks, section 8.4.
    """

    columns: int
    rows: int

    def __post_init__(self) -> None:
        check_nodes(min(self.columns, self.rows), 1)

    @property
    def nodes(self) -> int:
        """One node a router, numbered along the rows."""
        return self.columns * self.rows

    def router_of(self, node: int) -> int:
        """Return the router of the same number."""
        return node

    def links(self) -> list[tuple[int, int]]:
        """Return both directions between neighbours."""
        across = [(r, r + 1) for r in range(self.nodes) if (r + 1) % self.columns]
        down = [(r, r + self.columns) for r in range(self.nodes - self.columns)]
        pairs = across + down
        return pairs + [(b, a) for a, b in pairs]

    def route(self, source: int, target: int) -> list[Hop]:
        """Return the way along the row, then along the column."""
        hops, here = [], source
        while here % self.columns != target % self.columns:
            there = here + (1 if here % self.columns < target % self.columns else -1)
            hops.append(Hop(here, there))
            here = there
        while here != target:
            there = here + (self.columns if here < target else -self.columns)
            hops.append(Hop(here, there))
            here = there
        return hops

    def bisection(self) -> Cut:
        """Return the cut across the longer side."""
        longer, shorter = max(self.columns, self.rows), min(self.columns, self.rows)
        near = longer // 2 * shorter
        return Cut(channels=2 * shorter, near_nodes=near, far_nodes=self.nodes - near)
