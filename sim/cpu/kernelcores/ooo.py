"""Out-of-order cores, readable: fetch, rename, wait, execute, retire.

Each cycle goes through the pipeline from its end to its beginning, so that what leaves a stage
makes room for what enters it in the cycle after. Micro-ops are numbered from the start.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from sim.cpu.kernelcores.program import Program

UNEQUAL = 3
"""Waiting micro-ops by which a port must be busier before the second-best one is not taken."""


@dataclass(slots=True)
class InFlight:
    """A micro-op on its way; cycles are None until they come."""

    number: int
    op: int
    """In the body."""
    ready: int
    """First cycle in which it may issue, its operands apart."""
    port: int | None
    renamed: int
    issued: int | None = None
    complete: int | None = None
    retired: int | None = None


@dataclass(slots=True)
class Slot:
    """Fused micro-ops that take one entry of the reorder buffer."""

    micro_ops: list[InFlight] = field(default_factory=list)


class OutOfOrderCore:
    """The readable model; `ooo_compiled` is its twin.

    Models: a queue that a micro-op cache or a loop buffer fills; rename with elimination and fusion
    done before; a reorder buffer; schedulers that issue the oldest ready micro-op first to free
    units; unpipelined dividers; load and store buffers; stores that leave for L1 after retirement;
    in-order retirement. A port is bound at rename as `bind` says, or at issue: of the free
    ones, that which was taken longest ago.
    Ignores: what `CoreSpec` ignores; replays; memory ordering; write-back ports.
    Source: A. Abel, J. Reineke: uiCA, ICS 2022, section 4; J. L. Hennessy, D. A. Patterson:
    Computer Architecture, 6th edition, sections 3.4 to 3.6.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.widths = program.widths
        self.slots = len(program.first) - 1
        self.count = len(program.latency)
        self.cycle = 0
        self.fetched = self.renamed = self.retired = 0
        self.owed = 0
        """Slots still to rename of an instruction whose first one has been."""
        self.reorder_buffer: deque[Slot] = deque()
        self.waiting: list[InFlight] = []
        self.history: dict[int, InFlight] = {}
        self.free = [0] * program.units
        self.used = [-1] * program.units
        self.loads = self.stores = self.draining = 0
        self.turn = 0

    def run(self, iterations: int) -> list[int]:
        """Run so many iterations; return the cycle in which each one's last slot retired."""
        ends: list[int] = []
        while self.retired < iterations * self.slots:
            before = self.retired // self.slots
            self._retire()
            self._issue()
            self._rename()
            self._fetch()
            ends += [self.cycle] * (self.retired // self.slots - before)
            self.cycle += 1
        return ends[:iterations]

    def _retire(self) -> None:
        leaving = min(self.draining, self.widths.stores_per_cycle)
        self.draining -= leaving
        self.stores -= leaving
        for _ in range(self.widths.retire):
            if not self.reorder_buffer or not all(
                each.complete is not None and each.complete <= self.cycle
                for each in self.reorder_buffer[0].micro_ops
            ):
                return
            for each in self.reorder_buffer.popleft().micro_ops:
                each.retired = self.cycle
                self.loads -= int(self.program.loads[each.op])
                self.draining += int(self.program.stores[each.op])
            self.retired += 1

    def _issue(self) -> None:
        still: list[InFlight] = []
        for each in self.waiting:
            units = self._free_units(each) if self._operands_ready(each) else None
            if units is None:
                still.append(each)
                continue
            cycles = [int(c) for bits, c in self.program.needs[each.op] if bits]
            for unit, busy in zip(units, cycles, strict=True):
                self.free[unit] = self.cycle + busy
                self.used[unit] = self.cycle
            each.issued = self.cycle
            each.complete = self.cycle + int(self.program.latency[each.op])
        self.waiting = still

    def _operands_ready(self, each: InFlight) -> bool:
        if each.ready > self.cycle:
            return False
        for back, early in self.program.sources[each.op]:
            if back and each.number >= back:
                complete = self.history[each.number - int(back)].complete
                if complete is None or complete - int(early) > self.cycle:
                    return False
        return True

    def _free_units(self, each: InFlight) -> list[int] | None:
        chosen: list[int] = []
        for place, (bits, _) in enumerate(self.program.needs[each.op]):
            if bits == 0:
                continue
            allowed = [u for u in range(self.program.units) if bits >> u & 1 and u not in chosen]
            if place == 0 and each.port is not None:
                allowed = [each.port]
            free = [unit for unit in allowed if self.free[unit] <= self.cycle]
            if not free:
                return None
            chosen.append(min(free, key=lambda unit: self.used[unit]))
        return chosen

    def _rename(self) -> None:
        bound = [0] * self.program.units
        for each in self.waiting:
            if each.port is not None:
                bound[each.port] += 1
        for position in range(self.widths.rename):
            if self.renamed == self.fetched:
                return
            iteration, slot = divmod(self.renamed, self.slots)
            if self.widths.whole_instructions and self.owed == 0:
                wanted = int(self.program.instruction_slots[slot])
                if min(wanted, self.widths.rename) > self.widths.rename - position:
                    return
                self.owed = wanted
            ops = range(self.program.first[slot], self.program.first[slot + 1])
            if not self._room(ops):
                return
            entry = Slot()
            for op in ops:
                each = InFlight(
                    number=iteration * self.count + op,
                    op=op,
                    ready=self.cycle + self.widths.delay,
                    port=self.bind(op, position, bound) if self.widths.bind_at_rename else None,
                    renamed=self.cycle,
                )
                self.history[each.number] = each
                entry.micro_ops.append(each)
                self.waiting.append(each)
                self.loads += int(self.program.loads[op])
                self.stores += int(self.program.stores[op])
            self.reorder_buffer.append(entry)
            self.owed = max(0, self.owed - 1)
            self.renamed += 1

    def _room(self, ops: range) -> bool:
        """Return whether all buffers take a slot's micro-ops."""
        if len(self.reorder_buffer) >= self.widths.reorder_buffer:
            return False
        for scheduler, entries in enumerate(self.program.scheduler_entries):
            taken = sum(self.program.scheduler[each.op] == scheduler for each in self.waiting)
            taken += sum(self.program.scheduler[op] == scheduler for op in ops)
            if taken > entries:
                return False
        loads = self.loads + sum(int(self.program.loads[op]) for op in ops)
        stores = self.stores + sum(int(self.program.stores[op]) for op in ops)
        return loads <= self.widths.load_buffer and stores <= self.widths.store_buffer

    def bind(self, op: int, position: int, bound: list[int]) -> int:
        """Choose a micro-op's port from how many micro-ops waited for each when the cycle began.

        Slots at even positions take the port that fewest wait for, of equals the highest; slots at
        odd positions take the second-best, unless `UNEQUAL` more wait for it. The two load ports
        are taken in turn.
        """
        bits = int(self.program.needs[op, 0, 0])
        allowed = [unit for unit in range(self.program.units) if bits >> unit & 1]
        if bits == self.program.alternating:
            self.turn = 1 - self.turn
            return allowed[0] if self.turn == 0 else allowed[-1]
        order = sorted(allowed, key=lambda unit: (bound[unit], -unit))
        if position % 2 and len(order) > 1 and bound[order[1]] - bound[order[0]] < UNEQUAL:
            return order[1]
        return order[0]

    def _fetch(self) -> None:
        widths = self.widths
        wanted = min(widths.fetch, widths.queue - (self.fetched - self.renamed))
        if widths.fetch_group:
            wanted = min(wanted, widths.fetch_group - self.fetched % widths.fetch_group)
        if widths.one_loop_per_cycle:
            inside = self.fetched % self.slots
            wanted = min(wanted, self.slots - inside + (self.slots if inside else 0))
        self.fetched += max(0, wanted)
