"""The readable superscalar core: one clock, and in each cycle the oldest work first.

In each cycle the core retires, issues, renames and fetches, in this order, so that what one stage
does is seen by the stage before it in the same cycle and by the stage after it in the next. Which
thread comes first in a stage changes every cycle.
"""

from __future__ import annotations

import numpy as np

from sim.cpu.cores.memory import NEVER, Memory, StoreBuffer
from sim.cpu.cores.predictor import Guess
from sim.cpu.cores.retired import Unit
from sim.cpu.cores.spec import CoreSpec
from sim.cpu.cores.stream import Stream
from sim.cpu.cores.thread import Thread, threads_of
from sim.cpu.cores.timing import Timing
from sim.stalls import StallCause


class SuperscalarCore:
    """A core of any width, in order or out of order, of one or more hardware threads.

    Models: fetch groups that end at taken branches, lines and mispredictions; redirects; rename
    into a reorder buffer, an issue queue, a load queue and a store buffer; oldest-first issue on
    functional units; loads that forward from stores; misses that overlap; retirement in order. In
    order: issue stops at the first instruction that cannot, and after control flow. Threads: one
    fetches a cycle, chosen by ICOUNT or in turn; all rename, issue (oldest first) and retire within
    the width; buffers shared or parted; units, caches and predictor shared.
    Ignores: which thread reaches a shared cache or predictor first (they go by place in their
    programs, instruction by instruction); wrong-path execution but for the time its removal takes;
    physical register limits; result buses; memory-order violations (loads wait for just the store
    they need).
    Source: Smith and Sohi, The Microarchitecture of Superscalar Processors, Proceedings of the
    IEEE 83(12), 1995; Tullsen et al., Exploiting Choice: Instruction Fetch and Issue on an
    Implementable Simultaneous Multithreading Processor, ISCA 1996.

    A wider core may be slower where younger work takes from older: it has more wrong-path
    instructions to remove, starts fills of younger loads first, or divides out of turn.
    """

    def __init__(self, spec: CoreSpec, stream: Stream) -> None:
        self.spec = spec
        self.stream = stream
        self.now = 0
        self.memory = Memory(spec, stream)
        self.stores = StoreBuffer(self.memory)
        self.fetched, self.renamed, self.issued, self.done, self.retired = (
            np.full(len(stream), NEVER, dtype=np.int64) for _ in range(5)
        )
        self.threads = threads_of(stream)
        self._queue: list[int] = []
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

    def run(self) -> Timing:
        """Clock the core until everything has retired."""
        while not all(thread.finished for thread in self.threads):
            first = self.now % len(self.threads)
            turns = self.threads[first:] + self.threads[:first]
            self._retire(turns)
            self.stores.drain(self.now)
            self._issue()
            self._rename(turns)
            self._fetch(turns)
            self.now += 1
        return Timing(
            fetched=self.fetched,
            renamed=self.renamed,
            issued=self.issued,
            done=self.done,
            retired=self.retired,
            stacks=tuple(thread.stack for thread in self.threads),
        )

    def _retire(self, turns: list[Thread]) -> None:
        width = self.spec.width
        for thread in turns:
            if thread.finished:
                continue
            count = 0
            while count < width and thread.held and self.done[thread.next_retire] <= self.now:
                self._retire_one(thread)
                count += 1
            width -= count
            if count:
                thread.busy += 1
            else:
                thread.stalls[self._cause(thread)] += 1

    def _retire_one(self, thread: Thread) -> None:
        oldest = thread.next_retire
        self.retired[oldest] = self.now
        thread.loads -= int(self.stream.unit[oldest] == Unit.LOAD)
        if self.stream.unit[oldest] == Unit.STORE:
            self.stores.retire(oldest)
        thread.next_retire += 1

    def _cause(self, thread: Thread) -> StallCause:
        """Why nothing of a thread retires in this cycle."""
        oldest = thread.next_retire
        if not thread.held:
            return self._empty_cause(thread)
        if self.done[oldest] <= self.now:  # another thread had the width
            return StallCause.STRUCTURAL
        if self.done[oldest] == NEVER:
            ready = self._operands_ready(oldest)
            return StallCause.STRUCTURAL if ready else StallCause.DATA_DEPENDENCY
        usual = self.issued[oldest] + self.spec.units.address.latency_cycles
        usual += self.memory.hit_cycles
        if self.stream.unit[oldest] == Unit.LOAD and self.done[oldest] > usual:
            return StallCause.DRAM if self.memory.slow(oldest) else StallCause.CACHE
        return StallCause.DATA_DEPENDENCY

    def _empty_cause(self, thread: Thread) -> StallCause:
        """Why a thread holds nothing: what its next instruction was kept by."""
        stream, following = self.stream, thread.next_retire
        before = max(following - 1, thread.first)
        if stream.guess[before] != Guess.RIGHT:
            return StallCause.CONTROL
        if stream.alone[following] or stream.alone[before]:
            return StallCause.SYNCHRONISATION
        if stream.fetch_stall[following]:
            return StallCause.CACHE
        unfetched = thread.next_fetch == following
        since = thread.fetch_at if unfetched else self._renameable_at(following)
        return StallCause.STRUCTURAL if since < self.now else StallCause.FILL_DRAIN

    def _renameable_at(self, number: int) -> int:
        return int(self.fetched[number]) + self.spec.front_end.cycles

    def _issue(self) -> None:
        spec, units = self.spec, self.spec.units
        ports = {
            **{number: unit.count for number, unit in enumerate(self._units)},
            Unit.LOAD: units.loads_per_cycle,
            Unit.STORE: units.stores_per_cycle,
        }
        addresses, width = units.address.count, spec.width
        kept: list[int] = []
        stopped: set[int] = set()  # threads that issue nothing more in this cycle
        for place, number in enumerate(self._queue):
            if not width:
                kept += self._queue[place:]
                break
            unit = int(self.stream.unit[number])
            thread = self.threads[self.stream.thread_of(number)]
            memory = unit in (Unit.LOAD, Unit.STORE)
            free = thread.number not in stopped
            free = free and ports[unit] > 0 and (addresses > 0 or not memory)
            issues = free and self._operands_ready(number) and self._start(number, thread)
            if issues:
                width -= 1
                ports[unit] -= 1
                addresses -= memory
                thread.queued -= 1
            else:
                kept.append(number)
            if spec.order == "in-order" and (not issues or unit == Unit.BRANCH):
                stopped.add(thread.number)
        self._queue = kept

    def _operands_ready(self, number: int) -> bool:
        needed = self.stream.producers[number]
        return all(self.done[producer] <= self.now for producer in needed if producer >= 0)

    def _start(self, number: int, thread: Thread) -> bool:
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
            self._redirect(number, thread)
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
            done = reached + self.memory.hit_cycles  # from the store buffer
        elif self.memory.can_take(number, self.now):
            done = self.memory.data_at(number, reached)
        else:
            return NEVER
        self.memory.prefetch(number, reached)
        return done

    def _redirect(self, number: int, thread: Thread) -> None:
        front = self.spec.front_end
        squash = int(self.done[number]) + front.redirect_cycles
        thread.fetch_at = squash + 1
        if front.squash_per_cycle is not None:
            since = int(self.renamed[number]) + 1
            room = self.spec.part(self.spec.reorder_buffer) - (number + 1 - thread.next_retire)
            wrong = min(max(squash - since, 0) * self.spec.width, room)
            thread.rename_at = squash + -(-wrong // front.squash_per_cycle) + 1

    def _rename(self, turns: list[Thread]) -> None:
        width = self.spec.width
        for thread in turns:
            while width and self._can_rename(thread):
                number = thread.next_rename
                self.renamed[number] = self.now
                unit = self.stream.unit[number]
                thread.loads += int(unit == Unit.LOAD)
                self.stores.held[thread.number] += int(unit == Unit.STORE)
                thread.queued += 1
                self._queue.append(number)
                thread.next_rename += 1
                width -= 1

    def _can_rename(self, thread: Thread) -> bool:
        number = thread.next_rename
        if self.now < thread.rename_at or not thread.in_front:
            return False
        if self._renameable_at(number) > self.now:
            return False
        if self.stream.alone[number] and (thread.held or self.stores.held[thread.number]):
            return False
        return not (thread.held and self.stream.alone[number - 1]) and self._has_room(thread)

    def _has_room(self, thread: Thread) -> bool:
        """Whether the next instruction of a thread finds a place in all that it needs."""
        spec, unit = self.spec, self.stream.unit[thread.next_rename]
        if self._full(spec.reorder_buffer, thread.held, sum(t.held for t in self.threads)):
            return False
        if self._full(spec.issue_queue, thread.queued, len(self._queue)):
            return False
        if unit == Unit.LOAD:
            loads = sum(t.loads for t in self.threads)
            return not self._full(spec.load_queue, thread.loads, loads)
        if unit == Unit.STORE:
            held = self.stores.held
            return not self._full(spec.store_buffer, held[thread.number], sum(held))
        return True

    def _full(self, places: int, own: int, everyone: int) -> bool:
        """Whether a thread finds no place: in its own part, or among those of everyone."""
        return (own if self.spec.partitioned else everyone) >= self.spec.part(places)

    def _fetch(self, turns: list[Thread]) -> None:
        front = self.spec.front_end
        able = [
            thread
            for thread in turns
            if self.now >= thread.fetch_at
            and thread.group < thread.last_group
            and thread.in_front <= self.spec.width * front.cycles
        ]
        if not able:
            return
        icount = self.spec.fetch_policy == "icount"
        self._fetch_group(min(able, key=lambda thread: thread.not_issued) if icount else able[0])

    def _fetch_group(self, thread: Thread) -> None:
        stream = self.stream
        first, end = int(stream.groups[thread.group]), int(stream.groups[thread.group + 1])
        stall = int(stream.fetch_stall[first])
        self.fetched[first:end] = self.now + stall
        thread.next_fetch = end
        thread.group += 1
        guess = stream.guess[end - 1]
        thread.fetch_at = self.now + stall + 1
        if guess == Guess.WRONG:
            thread.fetch_at = NEVER
        elif guess == Guess.LATE:
            thread.fetch_at += self.spec.branches.target_miss_cycles
