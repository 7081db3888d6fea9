"""The retired stream as a core meets it: classes, producers, fetch groups, guesses, cache levels.

What does not depend on time is settled here, in program order, before the clock starts. Threads
that share a core share its caches and predictor: their accesses and branches are taken in turn, by
place in the threads' programs. The instructions of all threads are numbered through, thread by
thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from sim.cpu.cores.layout import byte_addresses
from sim.cpu.cores.predictor import BranchUnit, Guess
from sim.cpu.cores.predictor_compiled import BRANCH, INDIRECT, JUMP, guesses
from sim.cpu.cores.prefetcher import lines_ahead
from sim.cpu.cores.spec import BranchSpec, CoreSpec
from sim.cpu.cores.stream_compiled import fetch_groups, fills, producers
from sim.cpu.riscv.machine import Execution
from sim.cpu.riscv.operation import Kind
from sim.errors import SpecError
from sim.memory.cache.run import AddressTrace, run_addresses
from sim.memory.cache.spec import HierarchySpec

Ints = npt.NDArray[np.int64]
Engine = Literal["readable", "compiled"]
FETCH_BYTES = 2
WORD_BYTES = 8
LINKS = (1, 5)
"""x1 and x5, whose writing makes a jump a call.

Source: The RISC-V Instruction Set Manual, Volume I, section 2.5."""
SOURCES = 4
"""Producers of one instruction: three registers, and the store that a load takes its data from."""


class Unit(IntEnum):
    """Which functional unit an instruction needs."""

    ALU = 0
    MULTIPLY = 1
    DIVIDE = 2
    FLOAT_ADD = 3
    FLOAT_MULTIPLY = 4
    FLOAT_DIVIDE = 5
    BRANCH = 6
    LOAD = 7
    STORE = 8


UNITS: Mapping[Kind, Unit] = {
    Kind.ALU: Unit.ALU,
    Kind.UPPER: Unit.ALU,
    Kind.MULTIPLY: Unit.MULTIPLY,
    Kind.DIVIDE: Unit.DIVIDE,
    Kind.LOAD: Unit.LOAD,
    Kind.STORE: Unit.STORE,
    Kind.BRANCH: Unit.BRANCH,
    Kind.JUMP: Unit.BRANCH,
    Kind.INDIRECT: Unit.BRANCH,
    Kind.FLOAT: Unit.FLOAT_ADD,
    Kind.FLOAT_MULTIPLY: Unit.FLOAT_MULTIPLY,
    Kind.FLOAT_DIVIDE: Unit.FLOAT_DIVIDE,
    Kind.ATOMIC: Unit.LOAD,
    Kind.CONTROL_REGISTER: Unit.ALU,
    Kind.FENCE: Unit.ALU,
    Kind.ENVIRONMENT: Unit.ALU,
}
ALONE = frozenset({Kind.ATOMIC, Kind.CONTROL_REGISTER, Kind.FENCE, Kind.ENVIRONMENT})
"""Kinds that are renamed into an empty core, and let nothing in before they retire."""


DENSE, DENSE_LEAST = 4, 1 << 16
"""Values that lie closer than this many apart on average need no sorting to be numbered."""
SPACE_BITS = 48
"""Threads have memories of their own; a cache sees the thread's number above these bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """What a core meets, one entry an instruction unless said otherwise."""

    unit: Ints
    """A Unit."""
    alone: npt.NDArray[np.bool_]
    producers: Ints
    """[instructions, SOURCES] the instructions whose results it needs, -1 for none."""
    guess: Ints
    """A Guess."""
    groups: Ints
    """[groups + 1] first instruction of each fetch group, then the number of instructions."""
    starts: Ints
    """[threads + 1] first instruction of each thread, then the number of instructions."""
    group_starts: Ints
    """[threads + 1] first fetch group of each thread, then the number of groups."""
    fetch_stall: Ints
    """Cycles for which the instruction cache keeps an instruction's whole group."""
    fill: Ints
    """The number of the line fill that brings an access's line, -1 without an access."""
    fill_level: Ints
    """[fills] which level has the line; as many as there are levels: memory."""
    asks: Ints
    """[instructions + 1] where each load's prefetches begin; empty without a prefetcher."""
    prefetches: Ints
    """The fills that loads ask for ahead of time, load by load."""

    def __len__(self) -> int:
        return len(self.unit)

    @property
    def threads(self) -> int:
        """Programs that run at a time."""
        return len(self.starts) - 1

    def thread_of(self, instruction: int) -> int:
        """Return which thread an instruction belongs to."""
        return int(np.searchsorted(self.starts, instruction, side="right")) - 1

    @property
    def mispredicted(self) -> int:
        """Branches and jumps after which fetch went wrong until they were resolved."""
        return int(np.count_nonzero(self.guess == Guess.WRONG))


def make_stream(spec: CoreSpec, *executions: Execution, engine: Engine = "compiled") -> Stream:
    """Settle what a core of this description meets in a run of one program a thread.

    Both engines guess the same. SpecError for more programs than the core has threads, or none.
    """
    if not 1 <= len(executions) <= spec.threads:
        raise SpecError(
            f"{spec.name} has {spec.threads} hardware thread(s) for {len(executions)} program(s): "
            "give one program a thread, or set `threads` in the core's file"
        )
    parts = [_Part.of(spec, number, execution) for number, execution in enumerate(executions)]
    starts = _running([len(part.first) for part in parts])
    guesses_of = _guesses(spec.branches, parts, engine)
    guess = np.concatenate(guesses_of)
    groups = [
        fetch_groups(
            part.first,
            part.size,
            part.execution.taken,
            own == Guess.WRONG,
            spec.width,
            spec.front_end.line_bytes,
        )
        for part, own in zip(parts, guesses_of, strict=True)
    ]
    fill, fill_level, asks, prefetches = _data(spec, parts, starts)
    return Stream(
        unit=np.concatenate([part.unit for part in parts]),
        alone=np.concatenate([part.alone for part in parts]),
        producers=np.concatenate(
            [part.producers(start) for part, start in zip(parts, starts[:-1], strict=True)]
        ),
        guess=guess,
        groups=np.append(
            np.concatenate([own[:-1] + start for own, start in zip(groups, starts, strict=False)]),
            starts[-1],
        ),
        starts=starts,
        group_starts=_running([len(own) - 1 for own in groups]),
        fetch_stall=_fetch_stalls(spec, parts, groups),
        fill=fill,
        fill_level=fill_level,
        asks=asks,
        prefetches=prefetches,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One thread's retired instructions, as far as no other thread touches them."""

    number: int
    execution: Execution
    at: Ints
    """Byte address of each instruction of the program, and where its text ends."""
    first: Ints
    """First byte of each retired instruction."""
    size: Ints
    """In bytes."""
    unit: Ints
    alone: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, spec: CoreSpec, number: int, execution: Execution) -> Self:
        """Look up each retired instruction's place and class."""
        program, indices = execution.program, execution.indices
        at = np.array(byte_addresses(program, compressed=spec.front_end.compressed), dtype=np.int64)
        kinds = [instruction.operation.kind for instruction in program.instructions]
        return cls(
            number=number,
            execution=execution,
            at=at,
            first=at[indices],
            size=(at[1:] - at[:-1])[indices],
            unit=np.array([UNITS[kind] for kind in kinds], dtype=np.int64)[indices],
            alone=np.array([kind in ALONE for kind in kinds])[indices],
        )

    @property
    def space(self) -> int:
        """What sets this thread's addresses apart from another's."""
        return self.number << SPACE_BITS

    def producers(self, start: int) -> Ints:
        """Return who makes what each instruction needs, numbered from `start`.

        Registers are renamed without limit.
        """
        execution, instructions = self.execution, self.execution.program.instructions
        dest = [-1 if i.dest is None else i.dest for i in instructions]
        sources = np.full((len(instructions), SOURCES - 1), -1, dtype=np.int64)
        for number, instruction in enumerate(instructions):
            needed = [source for source in instruction.sources if source != 0]
            sources[number, : len(needed)] = needed
        addresses = execution.addresses
        least = addresses[addresses >= 0].min(initial=np.iinfo(np.int64).max)
        word, words = numbered(np.maximum(addresses, least) // WORD_BYTES)
        found = producers(
            execution.indices,
            np.array(dest, dtype=np.int64),
            sources,
            self.unit == Unit.LOAD,
            self.unit == Unit.STORE,
            word,
            words,
        )
        return np.where(found >= 0, found + start, -1) if start else found

    def controls(self) -> tuple[Ints, tuple[npt.NDArray[np.generic], ...]]:
        """Return which instructions are control flow, and their columns for the predictor."""
        instructions, indices = self.execution.program.instructions, self.execution.indices
        is_control = np.array([i.operation.transfers_control for i in instructions])
        controls = np.flatnonzero(is_control[indices])
        kinds = {Kind.BRANCH: BRANCH, Kind.JUMP: JUMP, Kind.INDIRECT: INDIRECT}
        kind = np.array([kinds.get(i.operation.kind, BRANCH) for i in instructions], dtype=np.int64)
        links = np.array([i.dest in LINKS for i in instructions])
        returns = np.array(
            [
                bool(i.sources) and i.sources[0] in LINKS and i.dest != i.sources[0]
                for i in instructions
            ]
        )
        place = indices[controls]
        after = np.append(indices[1:], indices[-1:])[controls]
        return controls, (
            self.at[place],
            kind[place],
            self.at[after],
            self.at[place + 1],
            self.execution.taken[controls],
            links[place],
            returns[place],
            np.full(len(controls), self.number, dtype=np.int64),
        )


def _running(lengths: Sequence[int]) -> Ints:
    return np.cumsum([0, *lengths], dtype=np.int64)


def _in_turn(places: Sequence[Ints]) -> Ints:
    """Return the order in which threads' events happen: by place in their programs."""
    if len(places) == 1:
        return np.arange(len(places[0]))
    return np.argsort(np.concatenate(places), kind="stable")


def numbered(values: Ints) -> tuple[Ints, int]:
    """Return small numbers that tell values apart, and how many numbers may occur."""
    if not len(values):
        return values, 0
    low = int(values.min())
    span = int(values.max()) - low + 1
    if span <= max(DENSE * len(values), DENSE_LEAST):
        return values - low, span
    distinct, number = np.unique(values, return_inverse=True)
    return number.astype(np.int64).reshape(-1), len(distinct)


def _guesses(spec: BranchSpec, parts: Sequence[_Part], engine: Engine) -> list[Ints]:
    """Return a Guess for each instruction of each thread; all but control flow are RIGHT."""
    controls, columns_of = zip(*(part.controls() for part in parts), strict=True)
    order = _in_turn(controls)
    columns = tuple(np.concatenate(same)[order] for same in zip(*columns_of, strict=True))
    found = np.zeros(len(order), dtype=np.int64)
    found[order] = (
        guesses(spec, len(parts), *columns)
        if engine == "compiled"
        else _guess_each(spec, columns, len(parts))
    )
    result, begin = [], 0
    for part, own in zip(parts, controls, strict=True):
        guess = np.zeros(len(part.first), dtype=np.int64)
        guess[own] = found[begin : begin + len(own)]
        begin += len(own)
        result.append(guess)
    return result


def _guess_each(
    spec: BranchSpec, columns: tuple[npt.NDArray[np.generic], ...], threads: int
) -> list[Guess]:
    """Pass control flow through the readable predictor, one after the other."""
    predictor, found = BranchUnit(spec, threads), []
    rows = zip(*(column.tolist() for column in columns), strict=True)
    for here, kind, target, back, taken, links, returns, thread in rows:
        if kind == BRANCH:
            found.append(predictor.branch(here, target, thread, taken=taken))
        elif kind == JUMP:
            found.append(predictor.jump(here, target, back, thread, links=links))
        else:
            found.append(
                predictor.indirect(here, target, back, thread, links=links, returns=returns)
            )
    return found


def _fetch_stalls(spec: CoreSpec, parts: Sequence[_Part], groups: Sequence[Ints]) -> Ints:
    """Pass every group's first instruction, which may span two lines, through its cache."""
    memory = spec.memory
    begins = [own[:-1] for own in groups]
    order = _in_turn(begins)
    pairs = list(zip(parts, begins, strict=True))
    first = np.concatenate([part.first[own] + part.space for part, own in pairs])
    size = np.concatenate([part.size[own] for part, own in pairs])
    trace = AddressTrace.of(first[order], sizes=np.maximum(size[order], 1).astype(np.uint8))
    hierarchy = HierarchySpec(levels=(memory.instruction, *memory.levels[1:]))
    found = np.zeros(len(order), dtype=np.int64)
    found[order] = run_addresses(hierarchy, trace, where_found=True).found
    below = (level.hit_cycles for level in memory.levels[1:])
    costs = np.cumsum([0, *below, memory.memory_cycles])
    sizes = np.concatenate([np.diff(own) for own in groups])
    return np.repeat(costs[found].astype(np.int64), sizes)


def _data(spec: CoreSpec, parts: Sequence[_Part], starts: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """Return each access's fill, each fill's level, and what loads ask for ahead of time.

    Whole accesses, in program order; a prefetch is an access of the caches right after its load's.
    """
    touching = [np.flatnonzero(part.execution.addresses >= 0) for part in parts]
    order = _in_turn(touching)
    pairs = list(zip(parts, touching, strict=True))
    addresses = np.concatenate([part.execution.addresses[own] + part.space for part, own in pairs])
    stores = np.concatenate([part.unit[own] == Unit.STORE for part, own in pairs])[order]
    number = np.concatenate([own + start for own, start in zip(touching, starts, strict=False)])
    addresses, number = addresses[order], number[order]
    ahead = np.zeros(len(order), dtype=np.bool_)
    if spec.memory.load_prefetcher is not None:
        place = np.concatenate([part.first[own] + part.space for part, own in pairs])[order]
        loads = np.flatnonzero(~stores)
        asking, wanted = lines_ahead(
            spec.memory.load_prefetcher,
            spec.memory.levels[0].line_bytes,
            place[loads],
            addresses[loads],
        )
        after = loads[asking] + 1
        addresses, number = (
            np.insert(column, after, more)
            for column, more in ((addresses, wanted), (number, number[loads[asking]]))
        )
        stores, ahead = np.insert(stores, after, False), np.insert(ahead, after, True)  # noqa: FBT003 - values
    found = run_addresses(
        HierarchySpec(levels=spec.memory.levels),
        AddressTrace.of(addresses, kinds=stores.astype(np.uint8)),
        where_found=True,
    ).found.astype(np.int64)
    line, lines = numbered(addresses // spec.memory.levels[0].line_bytes)
    made = fills(line, found, lines)
    fill = np.full(int(starts[-1]), -1, dtype=np.int64)
    fill[number[~ahead]] = made[~ahead]
    starting = ahead & (found > 0)
    if not starting.any():
        return fill, found[found > 0], np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    by_load = np.argsort(number[starting], kind="stable")
    asks = np.searchsorted(number[starting][by_load], np.arange(len(fill) + 1))
    return fill, found[found > 0], asks.astype(np.int64), made[starting][by_load]
