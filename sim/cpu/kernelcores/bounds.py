"""What each part of a core alone would allow: lower bounds on cycles an iteration, exact."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

from sim.cpu.kernelcores.body import Body
from sim.cpu.kernelcores.streams import new_bytes
from sim.cpu.kernelcores.text import KernelError
from sim.errors import did_you_mean

MASKS_AT_MOST = 14
"""Distinct port groups up to which every union of them is tried; beyond, every pair is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Cycles an iteration if only one thing limited; the largest is the bottleneck.

    Models: rename and fetch width; the best possible distribution of micro-ops over units; the
    slowest cycle of dependencies; units that a micro-op occupies for several cycles; bytes from a
    level of cache.
    Ignores: buffers, and that ports are not bound as well as they could be.
    Source: A. Abel, J. Reineke: Facile, IISWC 2023; the largest load of any set of units is the
    optimum of the linear program, by P. Hall's theorem on distinct representatives, 1935.
    """

    front_end: Fraction
    ports: Fraction
    ports_of: tuple[str, ...]
    """The units that give `ports`."""
    dependencies: Fraction
    chain: tuple[int, ...]
    """Lines of the instructions on the slowest cycle of dependencies."""
    divider: Fraction
    memory: Fraction
    """Ports of loads and stores."""
    bandwidth: Fraction = Fraction(0)
    """Bytes that come from `level` over what it delivers a cycle."""
    level: str = "l1"

    def as_dict(self) -> dict[str, Fraction]:
        """Return the bounds by name; that of a cache only where operands come from it."""
        further = {f"{self.level} bandwidth": self.bandwidth} if self.level != "l1" else {}
        return {
            "front end": self.front_end,
            "ports": self.ports,
            "dependencies": self.dependencies,
            "divider": self.divider,
            "memory": self.memory,
            **further,
        }

    @property
    def largest(self) -> Fraction:
        """No run can be faster."""
        return max(self.as_dict().values())

    def bottleneck(self, cycles: Fraction, *, in_order: bool) -> str:
        """Name what limits a run that took so many cycles an iteration.

        A run more than 2 % above all bounds is limited by what none of them holds.
        """
        if cycles > self.largest * Fraction(102, 100):
            return "in-order issue" if in_order else "scheduling"
        named = self.as_dict()
        parts = [name for name, bound in named.items() if bound == self.largest]
        specific = {"divider", "memory"} & set(parts)
        return ", ".join(part for part in parts if not (part == "ports" and specific))


def bounds_of(body: Body, level: str = "l1") -> Bounds:
    """Compute the bounds of a body on its core; KernelError for an unknown cache level."""
    core = body.core
    demands = [(frozenset(need.units), need.cycles) for op in body.micro_ops for need in op.needs]
    ports, ports_of = _busiest(demands)
    dependencies, chain = _slowest_cycle(body)
    memory = [d for d in demands if d[0] <= set(core.memory_ports)]
    divides = [
        (frozenset(need.units), need.cycles)
        for op in body.micro_ops
        for need in op.needs
        if need.cycles > 1 and op.cost_class.removeprefix("f").startswith(("div", "sqrt"))
    ]
    return Bounds(
        front_end=_front_end(body),
        ports=ports,
        ports_of=ports_of,
        dependencies=dependencies,
        chain=chain,
        divider=_busiest(divides)[0],
        memory=_busiest(memory)[0],
        bandwidth=_bandwidth(body, level),
        level=level,
    )


def _bandwidth(body: Body, level: str) -> Fraction:
    """Return cycles an iteration to bring what is new from a level of cache."""
    if level == "l1":
        return Fraction(0)
    rates = body.core.cache_bytes_per_cycle
    if level not in rates:
        hint = did_you_mean(level, ["l1", *rates])
        raise KernelError(
            f"{body.core.name}: no bandwidth from '{level}' is known{hint}; add it to the core's "
            "cache_bytes_per_cycle"
        )
    return Fraction(new_bytes(body.kernel), rates[level])


def _front_end(body: Body) -> Fraction:
    core = body.core
    issue = Fraction(body.slots, core.issue_width)
    if core.order == "in":
        return issue
    fetch = Fraction(body.slots, core.fetch_width)
    if body.kernel.instructions[-1].branch and body.slots > core.loop_buffer_micro_ops:
        fetch = max(fetch, Fraction(1))
    return max(issue, fetch, Fraction(body.slots, core.retire_width))


def _busiest(demands: Iterable[tuple[frozenset[str], int]]) -> tuple[Fraction, tuple[str, ...]]:
    """Return the largest load of a set of units by micro-ops that can go nowhere else."""
    totals: dict[frozenset[str], int] = {}
    for units, cycles in demands:
        totals[units] = totals.get(units, 0) + cycles
    groups = list(totals)
    sizes = range(1, len(groups) + 1) if len(groups) <= MASKS_AT_MOST else (1, 2)
    unions = {frozenset().union(*some) for size in sizes for some in combinations(groups, size)}
    best, units = Fraction(0), frozenset[str]()
    for union in sorted(unions, key=lambda each: (len(each), sorted(each))):
        load = Fraction(sum(c for group, c in totals.items() if group <= union), len(union))
        if load > best:
            best, units = load, union
    return best, tuple(sorted(units))


def _slowest_cycle(body: Body) -> tuple[Fraction, tuple[int, ...]]:
    """Return the largest ratio of latency to iterations of any cycle, and its lines.

    Starts from zero and, as long as some cycle has a larger ratio, takes that one's (Dinkelbach's
    method); cycles are found as those of positive weight, by relaxation.
    """
    ops = body.micro_ops
    edges = [
        (s.producer, at, ops[s.producer].latency - s.early_cycles, s.distance)
        for at, op in enumerate(ops)
        for s in op.sources
    ]
    ratio, lines = Fraction(0), tuple[int, ...]()
    while cycle := _positive_cycle(len(ops), edges, ratio):
        ratio = Fraction(sum(e[2] for e in cycle), sum(e[3] for e in cycle))
        instructions = body.kernel.instructions
        lines = tuple(sorted({instructions[ops[e[1]].instruction].line for e in cycle}))
    return ratio, lines


Edge = tuple[int, int, int, int]


def _positive_cycle(count: int, edges: list[Edge], ratio: Fraction) -> list[Edge]:
    """Return a cycle of positive latency less `ratio` an iteration; empty for none.

    Lengths count in parts of a cycle of which `ratio` is a whole number.
    """
    scale, less = ratio.denominator, ratio.numerator
    length = [0] * count
    into: list[Edge | None] = [None] * count
    changed = -1
    for _ in range(count + 1):
        changed = -1
        for edge in edges:
            reached = length[edge[0]] + scale * edge[2] - less * edge[3]
            if reached > length[edge[1]]:
                length[edge[1]], into[edge[1]], changed = reached, edge, edge[1]
        if changed < 0:
            return []
    at = changed
    for _ in range(count):  # walk back until surely inside the cycle
        edge_in = into[at]
        assert edge_in is not None  # noqa: S101 - what was relaxed has an edge into it
        at = edge_in[0]
    cycle: list[Edge] = []
    start = at
    while not cycle or at != start:
        edge_in = into[at]
        assert edge_in is not None  # noqa: S101 - as above
        cycle.append(edge_in)
        at = edge_in[0]
    return cycle[::-1]
