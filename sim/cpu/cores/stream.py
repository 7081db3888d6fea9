"""The retired stream as a core meets it: classes, producers, fetch groups, guesses, cache levels.

What does not depend on time is settled here, in program order, before the clock starts. Threads
that share a core share its caches and predictor: their accesses and branches are taken in turn, by
place in the threads' programs. The instructions of all threads are numbered through, thread by
thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from sim.cpu.cores.fills import DataLines, Touches, data_lines
from sim.cpu.cores.predictor import BranchUnit, Guess
from sim.cpu.cores.predictor_compiled import BRANCH, JUMP, guesses
from sim.cpu.cores.retired import Retired, Unit
from sim.cpu.cores.spec import BranchSpec, CoreSpec
from sim.cpu.cores.stream_compiled import fetch_groups
from sim.cpu.riscv.machine import Execution
from sim.cpu.riscv.program import Program
from sim.errors import SpecError
from sim.memory.cache.run import AddressTrace, run_addresses
from sim.memory.cache.spec import HierarchySpec

Ints = npt.NDArray[np.int64]
Engine = Literal["readable", "compiled"]


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
    data: DataLines
    """Line fills of the data caches."""

    @property
    def fill(self) -> Ints:
        """The number of the line fill that brings an access's line, -1 without an access."""
        return self.data.fill

    @property
    def fill_level(self) -> Ints:
        """[fills of the first level] which level has the line; the number of levels: memory."""
        return self.data.fill_level

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


def _refuse_vectors(program: Program) -> None:
    for instruction in program.instructions:
        if instruction.vector is not None:
            raise SpecError(
                f"{program.where(instruction)}: these cores have no vector unit; give a "
                "scalar program"
            )


def make_stream(spec: CoreSpec, *executions: Execution, engine: Engine = "compiled") -> Stream:
    """Settle what a core of this description meets in a run of one program a thread.

    Both engines guess the same. SpecError for more programs than the core has threads, or none,
    and for vector instructions.
    """
    if not 1 <= len(executions) <= spec.threads:
        raise SpecError(
            f"{spec.name} has {spec.threads} hardware thread(s) for {len(executions)} program(s): "
            "give one program a thread, or set `threads` in the core's file"
        )
    for execution in executions:
        _refuse_vectors(execution.program)
    parts = [Retired.of(spec, number, execution) for number, execution in enumerate(executions)]
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
        data=_data(spec, parts, starts),
    )


def _running(lengths: Sequence[int]) -> Ints:
    return np.cumsum([0, *lengths], dtype=np.int64)


def _in_turn(places: Sequence[Ints]) -> Ints:
    """Return the order in which threads' events happen: by place in their programs."""
    if len(places) == 1:
        return np.arange(len(places[0]))
    return np.argsort(np.concatenate(places), kind="stable")


def _guesses(spec: BranchSpec, parts: Sequence[Retired], engine: Engine) -> list[Ints]:
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


def _fetch_stalls(spec: CoreSpec, parts: Sequence[Retired], groups: Sequence[Ints]) -> Ints:
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


def _data(spec: CoreSpec, parts: Sequence[Retired], starts: Ints) -> DataLines:
    """Pass loads and stores, whole accesses, through the data caches in turn."""
    touching = [np.flatnonzero(part.execution.addresses >= 0) for part in parts]
    order = _in_turn(touching)
    pairs = list(zip(parts, touching, strict=True))
    numbers = [own + start for own, start in zip(touching, starts, strict=False)]
    touches = Touches(
        number=np.concatenate(numbers)[order],
        address=np.concatenate([part.execution.addresses[own] + part.space for part, own in pairs])[
            order
        ],
        store=np.concatenate([part.unit[own] == Unit.STORE for part, own in pairs])[order],
        place=np.concatenate([part.first[own] + part.space for part, own in pairs])[order],
    )
    return data_lines(spec.memory, int(starts[-1]), touches)
