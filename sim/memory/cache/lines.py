"""What one level holds: lines in sets, and sectors in lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sim.memory.cache.replacement import POLICIES, Lehmer
from sim.memory.cache.spec import CacheLevelSpec


@dataclass(slots=True, eq=False)
class Line:
    """One line held: which, and by bits which of its sectors are here and which were written."""

    number: int
    valid: int = 0
    dirty: int = 0
    prefetched: bool = False
    """Fetched by the level itself, and not used yet."""


class Lines:
    """The sets of one level, each with its replacement policy.

    Models: sets, ways, sectors, six replacement policies.
    Ignores: tags as bits: a line is known by its number.
    Source: Hennessy and Patterson, Computer Architecture, appendix B.
    """

    def __init__(self, spec: CacheLevelSpec) -> None:
        self._spec = spec
        self._sector_bytes = spec.line_bytes // spec.sectors
        self.all_sectors = (1 << spec.sectors) - 1
        self._sets: list[list[Line | None]] = [[None] * spec.ways for _ in range(spec.sets)]
        generator = Lehmer(spec.seed)
        policy = POLICIES[spec.replacement]
        self._policies = [policy(spec, generator) for _ in self._sets]

    def find(self, number: int) -> Line | None:
        """Return a line, None where it is not held."""
        for line in self._sets[number % self._spec.sets]:
            if line is not None and line.number == number:
                return line
        return None

    def use(self, line: Line) -> None:
        """Tell the policy of a hit."""
        index = line.number % self._spec.sets
        self._policies[index].use(self._sets[index].index(line))

    def take_out(self, line: Line) -> None:
        """Remove a line."""
        held = self._sets[line.number % self._spec.sets]
        held[held.index(line)] = None

    def place(self, number: int) -> tuple[Line, Line | None]:
        """Find a line or make room for it; return it, and the one that had to leave."""
        line = self.find(number)
        if line is not None:
            self.use(line)
            return line, None
        index = number % self._spec.sets
        held, policy = self._sets[index], self._policies[index]
        way = held.index(None) if None in held else policy.victim()
        leaving = held[way]
        held[way] = line = Line(number)
        policy.fill(way)
        return line, leaving

    def numbers(self, first: int, last: int) -> range:
        """Lines that a range of bytes touches."""
        return range(first // self._spec.line_bytes, last // self._spec.line_bytes + 1)

    def ends(self, number: int) -> tuple[int, int]:
        """First and last byte of a line."""
        first = number * self._spec.line_bytes
        return first, first + self._spec.line_bytes - 1

    def sectors(self, number: int, first: int, last: int) -> int:
        """Bits of a line's sectors that a range touches."""
        start = number * self._spec.line_bytes
        low = max(0, first - start) // self._sector_bytes
        high = min(self._spec.line_bytes - 1, last - start) // self._sector_bytes
        return (2 << high) - (1 << low)

    def covered(self, number: int, first: int, last: int) -> int:
        """Bits of a line's sectors that a range fills from end to end."""
        return sum(
            1 << sector
            for sector, (begin, end) in enumerate(self.ranges(number, self.all_sectors))
            if first <= begin and last >= end
        )

    def ranges(self, number: int, sectors: int) -> Iterator[tuple[int, int]]:
        """First and last bytes of each sector."""
        for sector in range(self._spec.sectors):
            if sectors >> sector & 1:
                first = number * self._spec.line_bytes + sector * self._sector_bytes
                yield first, first + self._sector_bytes - 1
