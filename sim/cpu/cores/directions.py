"""Whether a branch is taken: the schemes that guess it, and learn.

Histories hold real outcomes, as a core that repairs its history after every misprediction has.
Hardware threads share the tables; each has its own histories.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from sim.cpu.cores.spec import BranchSpec


class Direction(Protocol):
    """Guesses whether a branch is taken, and learns."""

    def guess(self, address: int, thread: int) -> bool:
        """Return whether a thread's branch at an address is likely taken."""
        ...

    def learn(self, address: int, thread: int, *, taken: bool) -> None:
        """Take in the outcome of the branch guessed last."""
        ...

    def pass_jump(self, thread: int) -> None:
        """Take in a thread's jump, which histories count as taken."""
        ...


class NotTaken:
    """Every branch falls through."""

    def guess(self, address: int, thread: int) -> bool:  # noqa: ARG002 - an interface's parameters
        """Return False."""
        return False

    def learn(self, address: int, thread: int, *, taken: bool) -> None:
        """Learn nothing."""

    def pass_jump(self, thread: int) -> None:
        """Learn nothing."""


class Gshare:
    """Two-bit counters chosen by address xor global history.

    Models: one table; history of branches and jumps.
    Ignores: updates that come late, at retirement.
    Source: McFarling, Combining Branch Predictors, DEC WRL TN-36, 1993.
    """

    def __init__(self, spec: BranchSpec, threads: int = 1) -> None:
        self._mask = (1 << spec.table_bits) - 1
        self._history_mask = (1 << spec.history_bits) - 1
        self._counters = [1] * (self._mask + 1)
        self._histories = [0] * threads

    def guess(self, address: int, thread: int) -> bool:
        """Return the counter's upper bit."""
        return self._counters[self._place(address, thread)] >= 2

    def learn(self, address: int, thread: int, *, taken: bool) -> None:
        """Move the counter and the history."""
        place = self._place(address, thread)
        self._counters[place] = _moved(self._counters[place], taken=taken, most=3)
        self._shift(thread, taken=taken)

    def pass_jump(self, thread: int) -> None:
        """Shift a taken outcome into the history."""
        self._shift(thread, taken=True)

    def _place(self, address: int, thread: int) -> int:
        return (address >> 1 ^ self._histories[thread]) & self._mask

    def _shift(self, thread: int, *, taken: bool) -> None:
        self._histories[thread] = (self._histories[thread] << 1 | taken) & self._history_mask


class Tournament:
    """A global and a local predictor, and counters that choose between them.

    Models: three tables of two-bit counters, local histories.
    Ignores: updates that come late, at retirement.
    Source: Kessler, The Alpha 21264 Microprocessor, IEEE Micro 19(2), 1999.
    """

    def __init__(self, spec: BranchSpec, threads: int = 1) -> None:
        self._mask = (1 << spec.table_bits) - 1
        self._local_mask = (1 << spec.local_bits) - 1
        self._global = [0] * (self._mask + 1)
        self._choice = [0] * (self._mask + 1)
        self._patterns = [0] * (self._local_mask + 1)
        self._local = [0] * (self._local_mask + 1)
        self._histories = [0] * threads

    def guess(self, address: int, thread: int) -> bool:
        """Return what the side chosen says."""
        by_global, by_local = self._sides(address, thread)
        return by_global if self._choice[self._histories[thread]] >= 2 else by_local

    def learn(self, address: int, thread: int, *, taken: bool) -> None:
        """Move the counters of both sides, and the choice where they differ."""
        by_global, by_local = self._sides(address, thread)
        now = self._histories[thread]
        if by_global != by_local:
            self._choice[now] = _moved(self._choice[now], taken=by_global == taken, most=3)
        self._global[now] = _moved(self._global[now], taken=taken, most=3)
        place = address >> 1 & self._local_mask
        local = self._patterns[place]
        self._local[local] = _moved(self._local[local], taken=taken, most=3)
        self._patterns[place] = (local << 1 | taken) & self._local_mask
        self._histories[thread] = (now << 1 | taken) & self._mask

    def pass_jump(self, thread: int) -> None:
        """Shift a taken outcome into the global history."""
        self._histories[thread] = (self._histories[thread] << 1 | 1) & self._mask

    def _sides(self, address: int, thread: int) -> tuple[bool, bool]:
        local = self._patterns[address >> 1 & self._local_mask]
        return self._global[self._histories[thread]] >= 2, self._local[local] >= 2


class Tage:
    """A base table and tagged tables of growing history; the longest that matches decides.

    Models: three-bit counters, two-bit usefulness, allocation on a misprediction in the first
    longer table with a useless entry, a doubt counter for new entries.
    Ignores: the periodic reset of usefulness, loop predictors, updates that come late.
    Source: Seznec and Michaud, A Case for (Partially) Tagged Geometric History Length Branch
    Prediction, Journal of Instruction-Level Parallelism 8, 2006.
    """

    def __init__(self, spec: BranchSpec, threads: int = 1) -> None:
        self.spec = spec
        self._base = [1] * (1 << spec.table_bits)
        self._tables: list[dict[int, _Tagged]] = [{} for _ in spec.history_lengths]
        self._histories = [0] * threads
        self._doubt = 0

    def guess(self, address: int, thread: int) -> bool:
        """Return the longest match's direction, or the next one's where it is new and doubted."""
        return self._choose(address, thread)[0]

    def learn(self, address: int, thread: int, *, taken: bool) -> None:
        """Move the provider's counter; after a misprediction, allocate a longer entry."""
        guess, provider, other = self._choose(address, thread)
        if provider < 0:
            place = address >> 1 & len(self._base) - 1
            self._base[place] = _moved(self._base[place], taken=taken, most=3)
        else:
            entry = self._tables[provider][self._number(provider, address, thread)]
            own = entry.counter >= 4
            if own != other:
                entry.useful = _moved(entry.useful, taken=own == taken, most=3)
                if entry.counter in (3, 4):
                    self._doubt = _clamped(self._doubt + (1 if other == taken else -1), -8, 7)
            entry.counter = _moved(entry.counter, taken=taken, most=7)
        if guess != taken:
            self._allocate(provider, address, thread, taken=taken)
        self._shift(thread, taken=taken)

    def pass_jump(self, thread: int) -> None:
        """Shift a taken outcome into the history."""
        self._shift(thread, taken=True)

    def _choose(self, address: int, thread: int) -> tuple[bool, int, bool]:
        """Return the direction, the provider (-1: the base), and what decides without it."""
        matches = [i for i in range(len(self._tables)) if self._match(i, address, thread)]
        base = self._base[address >> 1 & len(self._base) - 1] >= 2
        if not matches:
            return base, -1, base
        entry = self._tables[matches[-1]][self._number(matches[-1], address, thread)]
        other = base
        if len(matches) > 1:
            number = self._number(matches[-2], address, thread)
            other = self._tables[matches[-2]][number].counter >= 4
        doubted = entry.counter in (3, 4) and self._doubt >= 0
        return (other if doubted else entry.counter >= 4), matches[-1], other

    def _match(self, table: int, address: int, thread: int) -> bool:
        entry = self._tables[table].get(self._number(table, address, thread))
        return entry is not None and entry.tag == self._tag(table, address, thread)

    def _allocate(self, provider: int, address: int, thread: int, *, taken: bool) -> None:
        for table in range(provider + 1, len(self._tables)):
            number = self._number(table, address, thread)
            entry = self._tables[table].get(number)
            if entry is None or entry.useful == 0:
                tag = self._tag(table, address, thread)
                self._tables[table][number] = _Tagged(tag, 4 if taken else 3)
                return
            entry.useful -= 1

    def _number(self, table: int, address: int, thread: int) -> int:
        bits = self.spec.tagged_bits
        folded = self._folded(table, bits, thread)
        return (address >> 1 ^ address >> 1 + bits ^ folded) & (1 << bits) - 1

    def _tag(self, table: int, address: int, thread: int) -> int:
        bits = self.spec.tag_bits[table]
        folded = self._folded(table, bits, thread) ^ self._folded(table, bits - 1, thread) << 1
        return (address >> 1 ^ folded) & (1 << bits) - 1

    def _folded(self, table: int, bits: int, thread: int) -> int:
        """Return the table's part of the history, folded to some bits by exclusive or."""
        rest = self._histories[thread] & (1 << self.spec.history_lengths[table]) - 1
        folded = 0
        while rest and bits:
            folded ^= rest & (1 << bits) - 1
            rest >>= bits
        return folded

    def _shift(self, thread: int, *, taken: bool) -> None:
        mask = (1 << self.spec.history_lengths[-1]) - 1
        self._histories[thread] = (self._histories[thread] << 1 | taken) & mask


class _Tagged:
    def __init__(self, tag: int, counter: int) -> None:
        self.tag = tag
        self.counter = counter  # taken from 4 on
        self.useful = 0


def _moved(counter: int, *, taken: bool, most: int) -> int:
    return _clamped(counter + (1 if taken else -1), 0, most)


def _clamped(value: int, least: int, most: int) -> int:
    return min(max(value, least), most)


DIRECTIONS: Mapping[str, Callable[[BranchSpec, int], Direction]] = {
    "gshare": Gshare,
    "tournament": Tournament,
    "tage": Tage,
}
