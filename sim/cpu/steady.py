"""Programs of nested loops, timed exactly without walking every iteration.

A program is a tree: `Segment` (straight-line code), `Chain` (one after another), `Repeat` (a count
of the same). Running a node from a pipeline state gives a state and a cost. A `Repeat` runs its
body until a state comes back that it has had before. The state is complete: when each stage was
left, when each register is ready, the phase of each memory stream within its cache line, all
relative to now. So the same state means the same future, which proves the period; whatever lies
beyond is continued from it, exactly, and counted as extrapolated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np

from sim.cpu import inorder_compiled as compiled
from sim.cpu.inorder_compiled import Ints
from sim.cpu.inorder_rules import PipelineRules, Step
from sim.cpu.isa import Instruction, Kind
from sim.stalls import CycleStack, StallCause

CYCLES, INSTRUCTIONS, LOST = 0, 1, 2
EXTRAPOLATED = LOST + compiled.CAUSES
LOADED, STORED = EXTRAPOLATED + 1, EXTRAPOLATED + 2
COST = STORED + 1
"""Entries of a cost: cycles, retired instructions, lost cycles by cause, the extrapolated part of
the cycles, bytes loaded and stored.
"""

CAUSE_ORDER = (
    StallCause.DATA_DEPENDENCY,
    StallCause.STRUCTURAL,
    StallCause.CONTROL,
    StallCause.CACHE,
    StallCause.DRAM,
    StallCause.FILL_DRAIN,
)
"""Causes in the compiled twin's order."""

_numbers = count()


@dataclass(frozen=True, slots=True)
class LineCost:
    """What the first touch of a cache line costs a stream beyond a hit in L1."""

    cycles: int = 0
    cause: StallCause = StallCause.CACHE


LineCosts = Mapping[int, LineCost]
"""By base register; none for streams that hit L1."""


class Segment:
    """Straight-line code, of which only the last instruction may be a taken branch."""

    def __init__(
        self,
        instructions: Sequence[Instruction],
        *,
        taken: bool,
        fp_latency_cycles: int,
        lines: LineCosts,
    ) -> None:
        self.number = next(_numbers)
        steps = [step_of(each, fp_latency_cycles, lines) for each in instructions]
        self.table = step_table(steps)
        if taken:
            self.table[-1, compiled.TAKEN] = 1
        self.streams = np.array([_stream(each) for each in instructions], dtype=np.int64)
        self.streams = self.streams.reshape(len(steps), 6)
        self.miss_cycles = np.zeros(32, dtype=np.int64)
        for base, line in lines.items():
            self.miss_cycles[base] = line.cycles
        self.loaded_bytes = sum(i.bytes for i in instructions if i.kind is Kind.LOAD)
        self.stored_bytes = sum(i.bytes for i in instructions if i.kind is Kind.STORE)


class Chain:
    """Nodes one after another."""

    def __init__(self, *parts: Node) -> None:
        self.number = next(_numbers)
        self.parts = parts


class Repeat:
    """A node a number of times, perhaps none."""

    def __init__(self, body: Node, times: int) -> None:
        self.number = next(_numbers)
        self.body = body
        self.times = times


Node = Segment | Chain | Repeat


def step_table(steps: Sequence[Step]) -> Ints:
    """Return steps as the compiled twin takes them."""
    table = np.zeros((len(steps), compiled.COLUMNS), dtype=np.int64)
    for row, step in zip(table, steps, strict=True):
        row[compiled.DEST] = -1 if step.dest is None else step.dest
        sources = (*step.sources, -1, -1, -1)[:3]
        row[compiled.SOURCE : compiled.SOURCE + 3] = sources
        row[compiled.LATENCY] = step.latency_cycles
        row[compiled.ACCESSES] = step.accesses_memory
        row[compiled.FROM_MEMORY] = step.result_from_memory
        row[compiled.MISS] = step.miss_cycles
        row[compiled.TO_DRAM] = step.missed_to is StallCause.DRAM
        row[compiled.TAKEN] = step.taken
        row[compiled.UNIT] = step.unit
        row[compiled.BUSY] = step.busy_cycles
    return table


def step_of(
    instruction: Instruction, fp_latency_cycles: int, lines: LineCosts | None = None
) -> Step:
    """Return what the pipeline must know of an instruction, misses aside."""
    lines = lines or {}
    line = LineCost() if instruction.base is None else lines.get(instruction.base, LineCost())
    return Step(
        dest=instruction.dest,
        sources=instruction.sources,
        latency_cycles=instruction.latency_cycles
        or (fp_latency_cycles if instruction.kind is Kind.FP else 1),
        accesses_memory=instruction.kind in (Kind.LOAD, Kind.STORE),
        result_from_memory=instruction.kind is Kind.LOAD,
        missed_to=line.cause,
        branch=instruction.kind is Kind.BRANCH,
        floating=instruction.kind is Kind.FP,
        tile=instruction.kind is Kind.TILE,
        busy_cycles=instruction.busy_cycles,
    )


def _stream(instruction: Instruction) -> tuple[int, int, int, int, int, int]:
    """Return base, offset, bytes, pointer that is set, from which, plus what: `touch_lines`."""
    if instruction.base is not None:
        return instruction.base, instruction.offset, instruction.bytes, -1, -1, 0
    if instruction.dest is not None:
        if instruction.pointer is not None:
            return -1, 0, 0, instruction.dest, *instruction.pointer
        if instruction.steps_base:
            return -1, 0, 0, instruction.dest, instruction.dest, instruction.immediate
        if instruction.mnemonic == "mv":
            return -1, 0, 0, instruction.dest, -1, 0
    return -1, 0, 0, -1, -1, 0


@dataclass(slots=True)
class _Orbit:
    """What repeating one node from one state leads through."""

    states: list[int]
    """After 0, 1, 2, ... repetitions."""
    costs: list[Ints]
    """Of the first 0, 1, 2, ... repetitions."""
    seen: dict[int, int]
    """At which repetition each state was first met."""
    returns_to: int | None = None
    """Repetition whose state the last one found again; None while none has come back."""

    def after(self, times: int) -> tuple[int, Ints]:
        """State and cost after `times` repetitions, which the orbit must cover."""
        if times < len(self.costs) or self.returns_to is None:
            return self.states[times], self.costs[times]
        last, start = len(self.costs) - 1, self.returns_to
        period = last - start
        whole, rest = divmod(times - last, period)
        cost = (
            self.costs[last]
            + whole * (self.costs[last] - self.costs[start])
            + (self.costs[start + rest] - self.costs[start])
        )
        continued = cost[CYCLES] - self.costs[last][CYCLES]
        cost[EXTRAPOLATED] = self.costs[last][EXTRAPOLATED] + continued
        return self.states[start + rest], cost


class Timeline:
    """Runs programs from pipeline states, each distinct piece of work once.

    Models: the in-order pipeline of `inorder` over whole programs; the first touch of each cache
    line of each stream of addresses.
    Ignores: conflicts between streams for a cache set (see `cache.Cache`).
    Source: period search as in uiCA (Abel and Reineke, ICS 2022), here with the state as proof.
    """

    def __init__(self, rules: PipelineRules, line_bytes: int) -> None:
        self._rules = compiled.pack(rules)
        self._no_stamps = compiled.no_stamps(rules)
        self._line_bytes = line_bytes
        self._states: list[Ints] = []
        self._numbers: dict[bytes, int] = {}
        self._done: dict[tuple[int, int], tuple[int, Ints]] = {}
        self._orbits: dict[tuple[int, int], _Orbit] = {}
        self._empty = self._known(compiled.initial_state(rules))

    def cost(self, program: Node) -> Ints:
        """Return the cost of a program that starts in an empty pipeline."""
        return self.run(program, self._empty)[1].copy()

    def run(self, node: Node, state: int) -> tuple[int, Ints]:
        """Return state and cost after a node that starts in a state."""
        if isinstance(node, Repeat):
            return self._repeated(node, state)
        key = (node.number, state)
        done = self._done.get(key)
        if done is None:
            if isinstance(node, Segment):
                done = self._simulated(node, state)
            else:
                done = self._chained(node, state)
            self._done[key] = done
        return done

    def _simulated(self, segment: Segment, state: int) -> tuple[int, Ints]:
        after = self._states[state].copy()
        table = segment.table
        compiled.touch_lines(segment.streams, after, self._line_bytes, segment.miss_cycles, table)
        cost = np.zeros(COST, dtype=np.int64)
        cost[CYCLES] = compiled.advance(
            table, after, self._rules, self._no_stamps, cost[LOST:EXTRAPOLATED]
        )
        cost[INSTRUCTIONS] = len(table)
        cost[LOADED] = segment.loaded_bytes
        cost[STORED] = segment.stored_bytes
        return self._known(after), cost

    def _chained(self, chain: Chain, state: int) -> tuple[int, Ints]:
        total = np.zeros(COST, dtype=np.int64)
        for part in chain.parts:
            state, cost = self.run(part, state)
            total += cost
        return state, total

    def _repeated(self, node: Repeat, state: int) -> tuple[int, Ints]:
        key = (node.body.number, state)
        orbit = self._orbits.get(key)
        if orbit is None:
            orbit = _Orbit([state], [np.zeros(COST, dtype=np.int64)], {state: 0})
            self._orbits[key] = orbit
        while len(orbit.costs) <= node.times and orbit.returns_to is None:
            following, cost = self.run(node.body, orbit.states[-1])
            orbit.returns_to = orbit.seen.setdefault(following, len(orbit.costs))
            if orbit.returns_to == len(orbit.costs):
                orbit.returns_to = None
            orbit.states.append(following)
            orbit.costs.append(orbit.costs[-1] + cost)
        return orbit.after(node.times)

    def _known(self, state: Ints) -> int:
        """Return the number of a state, the same for the same state."""
        number = self._numbers.setdefault(state.tobytes(), len(self._states))
        if number == len(self._states):
            self._states.append(state)
        return number


def stack_of(cost: Ints) -> CycleStack:
    """Return the CPI stack that a cost holds."""
    lost = cost[LOST:EXTRAPOLATED].tolist()
    return CycleStack(
        busy=int(cost[CYCLES]) - sum(lost), stalls=dict(zip(CAUSE_ORDER, lost, strict=True))
    )
