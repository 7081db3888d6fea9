"""The readable superscalar core: one clock, and in each cycle the oldest work first.

In each cycle the core retires, issues, renames and fetches, in this order, so that what one stage
does is seen by the stage before it in the same cycle and by the stage after it in the next.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.cpu.cores.memory import NEVER, Memory, StoreBuffer
from sim.cpu.cores.predictor import Guess
from sim.cpu.cores.spec import CoreSpec
from sim.cpu.cores.stream import Stream, Unit
from sim.stalls import CycleStack, StallCause

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """When each instruction was where, in cycles from 0."""

    fetched: Ints
    renamed: Ints
    issued: Ints
    done: Ints
    retired: Ints
    stack: CycleStack
    """Every cycle: busy where something retired, else why the oldest instruction did not."""


class SuperscalarCore:
    """A core of any width, in order or out of order.

    Models: fetch groups that end at taken branches, lines and mispredictions; redirects; rename
    into a reorder buffer, an issue queue, a load queue and a store buffer; oldest-first issue on
    functional units; loads that forward from stores; misses that overlap; retirement in order. In
    order: issue stops at the first instruction that cannot, and after control flow.
    Ignores: wrong-path execution but for the time its removal takes, physical register limits,
    result buses, memory-order violations (loads wait for just the store they need).
    Source: Smith and Sohi, The Microarchitecture of Superscalar Processors, Proceedings of the
    IEEE 83(12), 1995.

    A wider core may be slower where younger work takes from older: it has more wrong-path
    instructions to remove, starts fills of younger loads first, or divides out of turn.
    """

    def __init__(self, spec: CoreSpec, stream: Stream) -> None:
        self.spec = spec
        self.stream = stream
        self.now = 0
        self.memory = Memory(spec, stream)
        self.stores = StoreBuffer(self.memory, spec.store_buffer)
        self.fetched, self.renamed, self.issued, self.done, self.retired = (
            np.full(len(stream), NEVER, dtype=np.int64) for _ in range(5)
        )
        self._next_fetch = self._next_rename = self._next_retire = 0
        self._group = 0
        self._fetch_at = 0
        self._rename_at = 0
        self._queue: list[int] = []
        self._loads = 0
        units = spec.units
        self._units = [
            units.alu,
            units.multiply,
            units.divide,
            units.float_add,
            units.float_multiply,
            units.float_divide,
            units.branch,
        ]
        self._unit_free = [[0] * unit.count for unit in self._units]
        self._busy = 0
        self._stalls: Counter[StallCause] = Counter()

    def run(self) -> Timing:
        """Clock the core until everything has retired."""
        while self._next_retire < len(self.stream):
            self._retire()
            self.stores.drain(self.now)
            self._issue()
            self._rename()
            self._fetch()
            self.now += 1
        return Timing(
            fetched=self.fetched,
            renamed=self.renamed,
            issued=self.issued,
            done=self.done,
            retired=self.retired,
            stack=CycleStack(busy=self._busy, stalls=self._stalls),
        )

    def _retire(self) -> None:
        count = 0
        while count < self.spec.width and self._next_retire < self._next_rename:
            oldest = self._next_retire
            if self.done[oldest] > self.now:
                break
            self.retired[oldest] = self.now
            unit = self.stream.unit[oldest]
            self._loads -= int(unit == Unit.LOAD)
            if unit == Unit.STORE:
                self.stores.retire(oldest)
            self._next_retire += 1
            count += 1
        if count:
            self._busy += 1
        else:
            self._stalls[self._cause()] += 1

    def _cause(self) -> StallCause:
        """Why nothing retires in this cycle."""
        oldest = self._next_retire
        if oldest == self._next_rename:
            return self._empty_cause(oldest)
        if self.done[oldest] == NEVER:
            ready = self._operands_ready(oldest)
            return StallCause.STRUCTURAL if ready else StallCause.DATA_DEPENDENCY
        usual = self.issued[oldest] + self.spec.units.address.latency_cycles
        usual += self.memory.hit_cycles
        if self.stream.unit[oldest] == Unit.LOAD and self.done[oldest] > usual:
            return StallCause.DRAM if self.memory.slow(oldest) else StallCause.CACHE
        return StallCause.DATA_DEPENDENCY

    def _empty_cause(self, following: int) -> StallCause:
        """Why the core is empty: what the next instruction was kept by."""
        stream = self.stream
        before = max(following - 1, 0)
        if stream.guess[before] != Guess.RIGHT:
            return StallCause.CONTROL
        if stream.alone[following] or stream.alone[before]:
            return StallCause.SYNCHRONISATION
        return StallCause.CACHE if stream.fetch_stall[following] else StallCause.FILL_DRAIN

    def _issue(self) -> None:
        spec, units = self.spec, self.spec.units
        ports = {
            **{number: unit.count for number, unit in enumerate(self._units)},
            Unit.LOAD: units.loads_per_cycle,
            Unit.STORE: units.stores_per_cycle,
        }
        addresses, kept, width = units.address.count, [], spec.width
        for place, number in enumerate(self._queue):
            unit = int(self.stream.unit[number])
            memory = unit in (Unit.LOAD, Unit.STORE)
            free = ports[unit] > 0 and (addresses > 0 or not memory)
            if width and free and self._operands_ready(number) and self._start(number):
                width -= 1
                ports[unit] -= 1
                addresses -= memory
                if spec.order == "in-order" and unit == Unit.BRANCH:
                    kept += self._queue[place + 1 :]
                    break
                continue
            kept.append(number)
            if spec.order == "in-order" or not width:
                kept += self._queue[place + 1 :]
                break
        self._queue = kept

    def _operands_ready(self, number: int) -> bool:
        needed = self.stream.producers[number]
        return all(self.done[producer] <= self.now for producer in needed if producer >= 0)

    def _start(self, number: int) -> bool:
        """Begin to execute, where the unit or the cache takes it now."""
        unit = int(self.stream.unit[number])
        if unit == Unit.LOAD:
            done = self._load(number)
        elif unit == Unit.STORE:
            done = self.now + self.spec.units.address.latency_cycles
        else:
            done = self._execute(unit)
        if done == NEVER:
            return False
        self.issued[number], self.done[number] = self.now, done
        if self.stream.guess[number] == Guess.WRONG:
            self._redirect(number)
        return True

    def _execute(self, unit: int) -> int:
        own, free = self._units[unit], self._unit_free[unit]
        place = free.index(min(free))
        if free[place] > self.now:
            return NEVER
        free[place] = self.now + (1 if own.pipelined else own.latency_cycles)
        return self.now + own.latency_cycles

    def _load(self, number: int) -> int:
        reached = self.now + self.spec.units.address.latency_cycles
        store = int(self.stream.producers[number, -1])
        if store >= 0 and self.stores.left.get(store, NEVER) > self.now:
            return reached + self.memory.hit_cycles  # from the store buffer
        if not self.memory.can_take(number, self.now):
            return NEVER
        return self.memory.data_at(number, reached)

    def _redirect(self, number: int) -> None:
        front = self.spec.front_end
        squash = int(self.done[number]) + front.redirect_cycles
        self._fetch_at = squash + 1
        if front.squash_per_cycle is not None:
            since = int(self.renamed[number]) + 1
            room = self.spec.reorder_buffer - (number + 1 - self._next_retire)
            wrong = min(max(squash - since, 0) * self.spec.width, room)
            self._rename_at = squash + -(-wrong // front.squash_per_cycle) + 1

    def _rename(self) -> None:
        if self.now < self._rename_at:
            return
        for _ in range(self.spec.width):
            number = self._next_rename
            if number == self._next_fetch or not self._can_rename(number):
                return
            self.renamed[number] = self.now
            unit = self.stream.unit[number]
            self._loads += int(unit == Unit.LOAD)
            self.stores.held += int(unit == Unit.STORE)
            self._queue.append(number)
            self._next_rename += 1

    def _can_rename(self, number: int) -> bool:
        spec, unit = self.spec, self.stream.unit[number]
        if self.fetched[number] + spec.front_end.cycles > self.now:
            return False
        held = number - self._next_retire
        if self.stream.alone[number] and (held or self.stores.held):
            return False
        if held and self.stream.alone[number - 1]:
            return False
        if held >= spec.reorder_buffer or len(self._queue) >= spec.issue_queue:
            return False
        if unit == Unit.LOAD and self._loads >= spec.load_queue:
            return False
        return not (unit == Unit.STORE and self.stores.full)

    def _fetch(self) -> None:
        stream, front = self.stream, self.spec.front_end
        if self.now < self._fetch_at or self._group == len(stream.groups) - 1:
            return
        first, end = int(stream.groups[self._group]), int(stream.groups[self._group + 1])
        if self._next_fetch - self._next_rename > self.spec.width * front.cycles:
            return
        stall = int(stream.fetch_stall[first])
        self.fetched[first:end] = self.now + stall
        self._next_fetch = end
        self._group += 1
        guess = stream.guess[end - 1]
        self._fetch_at = self.now + stall + 1
        if guess == Guess.WRONG:
            self._fetch_at = NEVER
        elif guess == Guess.LATE:
            self._fetch_at += self.spec.branches.target_miss_cycles
