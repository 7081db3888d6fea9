"""Branch prediction along the retired stream: which control flow was guessed wrong, and how.

`directions` has the schemes that say whether a branch is taken. Hardware threads share the tables;
each has its own return stack.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import IntEnum

from sim.cpu.cores.directions import DIRECTIONS, Direction, NotTaken
from sim.cpu.cores.spec import BranchSpec


class Guess(IntEnum):
    """What fetch made of one instruction."""

    RIGHT = 0
    LATE = 1
    """Right, but only once decoded: the target buffer did not know it."""
    WRONG = 2


class BranchUnit:
    """Direction predictor, target buffer and return stack together.

    Models: targets of taken control flow in a set-associative LRU buffer; direct jumps and branches
    redirected at decode where it misses; returns from a stack, one a thread; indirect jumps from
    the buffer, whose entries say which thread they are of.
    Ignores: wrong-path pollution.
    Source: Hennessy and Patterson, Computer Architecture, 6th edition, section 3.9.
    """

    def __init__(self, spec: BranchSpec, threads: int = 1) -> None:
        self.spec = spec
        self._direction: Direction = (
            DIRECTIONS[spec.scheme](spec, threads) if spec.scheme in DIRECTIONS else NotTaken()
        )
        self._sets: list[OrderedDict[tuple[int, int], int]] = [
            OrderedDict() for _ in range(spec.targets // spec.target_ways)
        ]
        self._returns: list[list[int]] = [[] for _ in range(threads)]
        self._perfect = spec.scheme == "perfect"

    def branch(self, address: int, target: int, thread: int, *, taken: bool) -> Guess:
        """Pass a conditional branch."""
        guess = taken if self._perfect else self._direction.guess(address, thread)
        self._direction.learn(address, thread, taken=taken)
        known = self._know(address, target, thread) if taken else True
        if guess != taken:
            return Guess.WRONG
        return Guess.RIGHT if known or self._perfect else Guess.LATE

    def jump(self, address: int, target: int, back: int, thread: int, *, links: bool) -> Guess:
        """Pass a direct jump, whose target decode sees; `back` is where a call returns to."""
        self._direction.pass_jump(thread)
        if links:
            self._push(back, thread)
        known = self._know(address, target, thread)
        return Guess.RIGHT if known or self._perfect else Guess.LATE

    def indirect(
        self, address: int, target: int, back: int, thread: int, *, links: bool, returns: bool
    ) -> Guess:
        """Pass an indirect jump; right where the stack or the buffer has its target."""
        self._direction.pass_jump(thread)
        known = self._know(address, target, thread)
        if returns and self._returns[thread]:
            known = self._returns[thread].pop() == target
        if links:
            self._push(back, thread)
        return Guess.RIGHT if known or self._perfect else Guess.WRONG

    def _push(self, address: int, thread: int) -> None:
        self._returns[thread] = [*self._returns[thread], address][-self.spec.return_stack :]

    def _know(self, address: int, target: int, thread: int) -> bool:
        """Whether the buffer has the target; from now on it has."""
        held = self._sets[(address >> 1) % len(self._sets)]
        key = (address, thread)
        known = held.get(key) == target
        held[key] = target
        held.move_to_end(key)
        if len(held) > self.spec.target_ways:
            held.popitem(last=False)
        return known
