"""Branch prediction along the retired stream: which control flow was guessed wrong, and how.

Histories hold real outcomes, as a core that repairs its history after every misprediction has.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Protocol

from sim.cpu.cores.spec import BranchSpec


class Guess(IntEnum):
    """What fetch made of one instruction."""

    RIGHT = 0
    LATE = 1
    """Right, but only once decoded: the target buffer did not know it."""
    WRONG = 2


class Direction(Protocol):
    """Guesses whether a branch is taken, and learns."""

    def guess(self, address: int) -> bool:
        """Return whether the branch at an address is likely taken."""
        ...

    def learn(self, address: int, *, taken: bool) -> None:
        """Take in the outcome of the branch guessed last."""
        ...

    def pass_jump(self) -> None:
        """Take in a jump, which histories count as taken."""
        ...


class NotTaken:
    """Every branch falls through."""

    def guess(self, address: int) -> bool:  # noqa: ARG002 - an interface's parameter
        """Return False."""
        return False

    def learn(self, address: int, *, taken: bool) -> None:
        """Learn nothing."""

    def pass_jump(self) -> None:
        """Learn nothing."""


class Gshare:
    """Two-bit counters chosen by address xor global history.

    Models: one table; history of branches and jumps.
    Ignores: updates that come late, at retirement.
    Source: McFarling, Combining Branch Predictors, DEC WRL TN-36, 1993.
    """

    def __init__(self, spec: BranchSpec) -> None:
        self._mask = (1 << spec.table_bits) - 1
        self._history_mask = (1 << spec.history_bits) - 1
        self._counters = [1] * (self._mask + 1)
        self._history = 0

    def guess(self, address: int) -> bool:
        """Return the counter's upper bit."""
        return self._counters[self._place(address)] >= 2

    def learn(self, address: int, *, taken: bool) -> None:
        """Move the counter and the history."""
        place = self._place(address)
        self._counters[place] = _moved(self._counters[place], taken=taken, most=3)
        self._history = (self._history << 1 | taken) & self._history_mask

    def pass_jump(self) -> None:
        """Shift a taken outcome into the history."""
        self._history = (self._history << 1 | 1) & self._history_mask

    def _place(self, address: int) -> int:
        return (address >> 1 ^ self._history) & self._mask


class Tournament:
    """A global and a local predictor, and counters that choose between them.

    Models: three tables of two-bit counters, local histories.
    Ignores: updates that come late, at retirement.
    Source: Kessler, The Alpha 21264 Microprocessor, IEEE Micro 19(2), 1999.
    """

    def __init__(self, spec: BranchSpec) -> None:
        self._mask = (1 << spec.table_bits) - 1
        self._local_mask = (1 << spec.local_bits) - 1
        self._global = [0] * (self._mask + 1)
        self._choice = [0] * (self._mask + 1)
        self._histories = [0] * (self._local_mask + 1)
        self._local = [0] * (self._local_mask + 1)
        self._history = 0

    def guess(self, address: int) -> bool:
        """Return what the side chosen says."""
        by_global, by_local = self._sides(address)
        return by_global if self._choice[self._history] >= 2 else by_local

    def learn(self, address: int, *, taken: bool) -> None:
        """Move the counters of both sides, and the choice where they differ."""
        by_global, by_local = self._sides(address)
        now = self._history
        if by_global != by_local:
            self._choice[now] = _moved(self._choice[now], taken=by_global == taken, most=3)
        self._global[now] = _moved(self._global[now], taken=taken, most=3)
        place = address >> 1 & self._local_mask
        local = self._histories[place]
        self._local[local] = _moved(self._local[local], taken=taken, most=3)
        self._histories[place] = (local << 1 | taken) & self._local_mask
        self._history = (now << 1 | taken) & self._mask

    def pass_jump(self) -> None:
        """Shift a taken outcome into the global history."""
        self._history = (self._history << 1 | 1) & self._mask

    def _sides(self, address: int) -> tuple[bool, bool]:
        local = self._histories[address >> 1 & self._local_mask]
        return self._global[self._history] >= 2, self._local[local] >= 2


class Tage:
    """A base table and tagged tables of growing history; the longest that matches decides.

    Models: three-bit counters, two-bit usefulness, allocation on a misprediction in the first
    longer table with a useless entry, a doubt counter for new entries.
    Ignores: the periodic reset of usefulness, loop predictors, updates that come late.
    Source: Seznec and Michaud, A Case for (Partially) Tagged Geometric History Length Branch
    Prediction, Journal of Instruction-Level Parallelism 8, 2006.
    """

    def __init__(self, spec: BranchSpec) -> None:
        self.spec = spec
        self._base = [1] * (1 << spec.table_bits)
        self._tables: list[dict[int, _Tagged]] = [{} for _ in spec.history_lengths]
        self._history = 0
        self._doubt = 0

    def guess(self, address: int) -> bool:
        """Return the longest match's direction, or the next one's where it is new and doubted."""
        return self._choose(address)[0]

    def learn(self, address: int, *, taken: bool) -> None:
        """Move the provider's counter; after a misprediction, allocate a longer entry."""
        guess, provider, other = self._choose(address)
        if provider < 0:
            place = address >> 1 & len(self._base) - 1
            self._base[place] = _moved(self._base[place], taken=taken, most=3)
        else:
            entry = self._tables[provider][self._number(provider, address)]
            own = entry.counter >= 4
            if own != other:
                entry.useful = _moved(entry.useful, taken=own == taken, most=3)
                if entry.counter in (3, 4):
                    self._doubt = _clamped(self._doubt + (1 if other == taken else -1), -8, 7)
            entry.counter = _moved(entry.counter, taken=taken, most=7)
        if guess != taken:
            self._allocate(provider, address, taken=taken)
        self._shift(taken=taken)

    def pass_jump(self) -> None:
        """Shift a taken outcome into the history."""
        self._shift(taken=True)

    def _choose(self, address: int) -> tuple[bool, int, bool]:
        """Return the direction, the provider (-1: the base), and what decides without it."""
        matches = [i for i in range(len(self._tables)) if self._match(i, address)]
        base = self._base[address >> 1 & len(self._base) - 1] >= 2
        if not matches:
            return base, -1, base
        entry = self._tables[matches[-1]][self._number(matches[-1], address)]
        other = base
        if len(matches) > 1:
            other = self._tables[matches[-2]][self._number(matches[-2], address)].counter >= 4
        doubted = entry.counter in (3, 4) and self._doubt >= 0
        return (other if doubted else entry.counter >= 4), matches[-1], other

    def _match(self, table: int, address: int) -> bool:
        entry = self._tables[table].get(self._number(table, address))
        return entry is not None and entry.tag == self._tag(table, address)

    def _allocate(self, provider: int, address: int, *, taken: bool) -> None:
        for table in range(provider + 1, len(self._tables)):
            number = self._number(table, address)
            entry = self._tables[table].get(number)
            if entry is None or entry.useful == 0:
                tag = self._tag(table, address)
                self._tables[table][number] = _Tagged(tag, 4 if taken else 3)
                return
            entry.useful -= 1

    def _number(self, table: int, address: int) -> int:
        bits = self.spec.tagged_bits
        return (address >> 1 ^ address >> 1 + bits ^ self._folded(table, bits)) & (1 << bits) - 1

    def _tag(self, table: int, address: int) -> int:
        bits = self.spec.tag_bits[table]
        folded = self._folded(table, bits) ^ self._folded(table, bits - 1) << 1
        return (address >> 1 ^ folded) & (1 << bits) - 1

    def _folded(self, table: int, bits: int) -> int:
        """Return the table's part of the history, folded to some bits by exclusive or."""
        rest, folded = self._history & (1 << self.spec.history_lengths[table]) - 1, 0
        while rest and bits:
            folded ^= rest & (1 << bits) - 1
            rest >>= bits
        return folded

    def _shift(self, *, taken: bool) -> None:
        self._history = (self._history << 1 | taken) & (1 << self.spec.history_lengths[-1]) - 1


class _Tagged:
    def __init__(self, tag: int, counter: int) -> None:
        self.tag = tag
        self.counter = counter  # taken from 4 on
        self.useful = 0


def _moved(counter: int, *, taken: bool, most: int) -> int:
    return _clamped(counter + (1 if taken else -1), 0, most)


def _clamped(value: int, least: int, most: int) -> int:
    return min(max(value, least), most)


DIRECTIONS: Mapping[str, Callable[[BranchSpec], Direction]] = {
    "gshare": Gshare,
    "tournament": Tournament,
    "tage": Tage,
}


class BranchUnit:
    """Direction predictor, target buffer and return stack together.

    Models: targets of taken control flow in a set-associative LRU buffer; direct jumps and branches
    redirected at decode where it misses; returns from a stack; indirect jumps from the buffer.
    Ignores: wrong-path pollution.
    Source: Hennessy and Patterson, Computer Architecture, 6th edition, section 3.9.
    """

    def __init__(self, spec: BranchSpec) -> None:
        self.spec = spec
        self._direction: Direction = (
            DIRECTIONS[spec.scheme](spec) if spec.scheme in DIRECTIONS else NotTaken()
        )
        self._sets: list[OrderedDict[int, int]] = [
            OrderedDict() for _ in range(spec.targets // spec.target_ways)
        ]
        self._returns: list[int] = []
        self._perfect = spec.scheme == "perfect"

    def branch(self, address: int, target: int, *, taken: bool) -> Guess:
        """Pass a conditional branch."""
        guess = taken if self._perfect else self._direction.guess(address)
        self._direction.learn(address, taken=taken)
        known = self._know(address, target) if taken else True
        if guess != taken:
            return Guess.WRONG
        return Guess.RIGHT if known or self._perfect else Guess.LATE

    def jump(self, address: int, target: int, return_address: int, *, links: bool) -> Guess:
        """Pass a direct jump, whose target decode sees."""
        self._direction.pass_jump()
        if links:
            self._push(return_address)
        return Guess.RIGHT if self._know(address, target) or self._perfect else Guess.LATE

    def indirect(
        self, address: int, target: int, return_address: int, *, links: bool, returns: bool
    ) -> Guess:
        """Pass an indirect jump; right where the stack or the buffer has its target."""
        self._direction.pass_jump()
        known = self._know(address, target)
        if returns and self._returns:
            known = self._returns.pop() == target
        if links:
            self._push(return_address)
        return Guess.RIGHT if known or self._perfect else Guess.WRONG

    def _push(self, address: int) -> None:
        self._returns = [*self._returns, address][-self.spec.return_stack :]

    def _know(self, address: int, target: int) -> bool:
        """Whether the buffer has the target; from now on it has."""
        held = self._sets[(address >> 1) % len(self._sets)]
        known = held.get(address) == target
        held[address] = target
        held.move_to_end(address)
        if len(held) > self.spec.target_ways:
            held.popitem(last=False)
        return known
