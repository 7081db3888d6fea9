"""Which way of a full set is given up: the readable policies, one object for each set."""

from __future__ import annotations

from collections.abc import Callable

from sim.memory.cache.spec import CacheLevelSpec, Replacement

LEHMER_FACTOR, LEHMER_MODULUS = 48271, 2**31 - 1
"""Park, Miller and Stockmeyer, Communications of the ACM 36(7), 1993."""

SRRIP_DISTANT, SRRIP_LONG = 3, 2
"""Re-reference predictions of two bits: what leaves, and with what a new line comes in."""


class Lehmer:
    """A small seeded generator, the same in Python and compiled."""

    def __init__(self, seed: int) -> None:
        self.state = seed

    def below(self, count: int) -> int:
        """Draw a whole number from 0 to count - 1."""
        self.state = self.state * LEHMER_FACTOR % LEHMER_MODULUS
        return self.state % count


class SetPolicy:
    """What one set remembers of the uses of its ways; a way is a number from 0.

    Models: the order of uses as each policy sees it.
    Ignores: the cost of the bookkeeping; sampling of policies against each other.
    Source: Hennessy and Patterson, Computer Architecture, appendix B (LRU, FIFO, random).
    """

    def use(self, way: int) -> None:
        """Take note of a hit."""

    def fill(self, way: int) -> None:
        """Take note of a new line."""

    def victim(self) -> int:
        """Choose the way to give up when all are taken."""
        raise NotImplementedError(f"{type(self).__name__} must choose")


class Fifo(SetPolicy):
    """First in, first out."""

    def __init__(self, spec: CacheLevelSpec, _: Lehmer) -> None:
        self._order = list(range(spec.ways))

    def fill(self, way: int) -> None:
        """Become the last in the queue."""
        self._order.remove(way)
        self._order.append(way)

    def victim(self) -> int:
        """Choose the first in the queue."""
        return self._order[0]


class Lru(Fifo):
    """Least recently used: a queue in which a use counts as coming in anew."""

    def use(self, way: int) -> None:
        """Become the last in the queue."""
        self.fill(way)


class Mru(Lru):
    """Most recently used."""

    def victim(self) -> int:
        """Choose the last in the queue."""
        return self._order[-1]


class Random(SetPolicy):
    """Any way, by the level's generator."""

    def __init__(self, spec: CacheLevelSpec, generator: Lehmer) -> None:
        self._ways, self._generator = spec.ways, generator

    def victim(self) -> int:
        """Draw."""
        return self._generator.below(self._ways)


class TreePlru(SetPolicy):
    """A binary tree whose nodes say which half was not used last.

    Models: one bit a node, ways - 1 nodes.
    Ignores: what a tree forgets: it is LRU for two ways only.
    Source: Handy, The Cache Memory Book, 2nd edition, chapter 2.
    """

    def __init__(self, spec: CacheLevelSpec, _: Lehmer) -> None:
        self._ways = spec.ways
        self._right = [False] * spec.ways  # node n has children 2n and 2n + 1; node 0 is none

    def use(self, way: int) -> None:
        """Turn all nodes above away."""
        node = self._ways + way
        while node > 1:
            self._right[node // 2] = node % 2 == 0
            node //= 2

    def fill(self, way: int) -> None:
        """Count as a use."""
        self.use(way)

    def victim(self) -> int:
        """Follow the nodes."""
        node = 1
        while node < self._ways:
            node = 2 * node + self._right[node]
        return node - self._ways


class Srrip(SetPolicy):
    """Re-reference interval prediction with two bits, hit priority.

    Models: insertion at a long interval, promotion to near at a hit, ageing until one is distant.
    Ignores: bimodal insertion and set duelling.
    Source: Jaleel et al., High performance cache replacement using RRIP, ISCA 2010.
    """

    def __init__(self, spec: CacheLevelSpec, _: Lehmer) -> None:
        self._interval = [SRRIP_DISTANT] * spec.ways

    def use(self, way: int) -> None:
        """Predict a near use."""
        self._interval[way] = 0

    def fill(self, way: int) -> None:
        """Predict a long interval."""
        self._interval[way] = SRRIP_LONG

    def victim(self) -> int:
        """Age all until one is distant; choose the first."""
        older = SRRIP_DISTANT - max(self._interval)
        self._interval = [interval + older for interval in self._interval]
        return self._interval.index(SRRIP_DISTANT)


POLICIES: dict[Replacement, Callable[[CacheLevelSpec, Lehmer], SetPolicy]] = {
    Replacement.LRU: Lru,
    Replacement.FIFO: Fifo,
    Replacement.MRU: Mru,
    Replacement.PLRU: TreePlru,
    Replacement.RANDOM: Random,
    Replacement.SRRIP: Srrip,
}
