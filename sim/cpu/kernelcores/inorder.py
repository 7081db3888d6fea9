"""In-order cores: an instruction issues when it may, and the next one no earlier.

An instruction issues in the first cycle in which the issue slots suffice, its operands are there,
its units are free, and it would not write before an older instruction has written. One that has
more micro-ops than the core is wide takes what is left of its cycle and part of the next.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim.cpu.kernelcores.body import Body
from sim.cpu.kernelcores.program import Ints, Program, build_program

NEVER = -(1 << 40)
"""Before everything."""


class InOrderProgram(NamedTuple):
    """A program with what only in-order issue needs, by instruction."""

    program: Program
    slots: Ints
    first: Ints
    """[instructions + 1]: first micro-op of each."""
    earliest_write: Ints
    """Cycles from issue to the first result."""
    latest_write: Ints
    in_order: Ints
    """Whether it must not write before older instructions have."""
    leads: Ints
    """Whether it must be the first of its cycle."""


def build_in_order(body: Body) -> InOrderProgram:
    """Group micro-ops by instruction; KernelError as `build_program`."""
    program = build_program(body)
    core = body.core
    instructions = body.kernel.instructions
    ops = body.micro_ops
    count = len(instructions)
    first = np.searchsorted([op.instruction for op in ops], np.arange(count + 1)).astype(np.int64)
    rows = np.zeros((5, count), dtype=np.int64)
    for number, each in enumerate(instructions):
        own = ops[first[number] : first[number + 1]]
        classes = {each.cost_class, each.memory_class} - {""}
        latencies = [op.latency for op in own] or [0]
        rows[0, number] = sum(owner == number for owner in body.slot_instructions)
        rows[1, number] = 0 if number in body.writes_at_once else min(latencies)
        rows[2, number] = max([*latencies, *_second_results(body, number)])
        rows[3, number] = not classes & set(core.out_of_order_write_back)
        rows[4, number] = bool(classes & set(core.first_in_group))
    return InOrderProgram(program, rows[0], first, *rows[1:])


def _second_results(body: Body, number: int) -> list[int]:
    """Latencies that consumers see beyond an instruction's own, as of a pair's second register."""
    return [
        body.micro_ops[source.producer].latency - source.early_cycles
        for op in body.micro_ops
        for source in op.sources
        if body.micro_ops[source.producer].instruction == number and source.early_cycles < 0
    ]


class InOrderCore:
    """The readable model; `inorder_compiled` is its twin.

    Models: issue width, groups, operands with forwarding paths, units, write-back in order.
    Ignores: fetch and branch prediction (never wrong), caches, skewed pipelines beyond the
    forwarding that latencies express.
    Source: Arm Cortex-A55 Software Optimization Guide, EPM128372; SiFive U74 Core Complex Manual,
    21G3.02; https://llvm.org/docs/CommandGuide/llvm-mca.html on in-order issue.
    """

    def __init__(self, code: InOrderProgram) -> None:
        self.code = code
        self.program = code.program
        self.cycle = 0
        """In which the next instruction may issue."""
        self.taken = 0
        """Slots of that cycle already used."""
        self.free = [0] * self.program.units
        self.complete: list[int] = []
        """By micro-op since the start."""
        self.last_write = 0
        self.issued: list[int] = []
        """Cycle of each instruction."""

    def run(self, iterations: int) -> list[int]:
        """Run so many iterations; return the cycle in which each one's last instruction issued."""
        ends: list[int] = []
        for _ in range(iterations):
            for instruction in range(len(self.code.slots)):
                self._issue(instruction)
            ends.append(self.issued[-1])
        return ends

    def _issue(self, instruction: int) -> None:
        width = self.program.widths.rename
        wanted = int(self.code.slots[instruction])
        while True:
            room = width - self.taken
            crowded = room < min(wanted, width) if wanted <= width else room == 0
            if not crowded and not (self.code.leads[instruction] and self.taken):
                units = self._units(instruction)
                if units is not None and self._operands(instruction) and self._writes(instruction):
                    break
            self.cycle, self.taken = self.cycle + 1, max(0, self.taken - width)
        ops = range(self.code.first[instruction], self.code.first[instruction + 1])
        for op, chosen in zip(ops, units, strict=True):
            for unit, (_, cycles) in zip(chosen, self.program.needs[op], strict=False):
                self.free[unit] = self.cycle + int(cycles)
            self.complete.append(self.cycle + int(self.program.latency[op]))
        if self.code.in_order[instruction]:
            self.last_write = self.cycle + int(self.code.latest_write[instruction])
        self.issued.append(self.cycle)
        self.taken += wanted

    def _operands(self, instruction: int) -> bool:
        made = len(self.complete)
        base = made - int(self.code.first[instruction])
        for op in range(self.code.first[instruction], self.code.first[instruction + 1]):
            for back, early in self.program.sources[op]:
                producer = base + op - int(back)
                inside = producer >= made  # its own instruction's micro-ops issue together
                waits = back and producer >= 0 and not inside
                if waits and self.complete[producer] - int(early) > self.cycle:
                    return False
        return True

    def _units(self, instruction: int) -> list[list[int]] | None:
        """Choose free units, the lowest numbers first; None where some need has none."""
        taken: set[int] = set()
        result: list[list[int]] = []
        for op in range(self.code.first[instruction], self.code.first[instruction + 1]):
            chosen: list[int] = []
            for bits, _ in self.program.needs[op]:
                if bits == 0:
                    continue
                free = [
                    unit
                    for unit in range(self.program.units)
                    if bits >> unit & 1 and unit not in taken and self.free[unit] <= self.cycle
                ]
                if not free:
                    return None
                chosen.append(free[0])
                taken.add(free[0])
            result.append(chosen)
        return result

    def _writes(self, instruction: int) -> bool:
        first = self.cycle + int(self.code.earliest_write[instruction])
        return not self.code.in_order[instruction] or first >= self.last_write
