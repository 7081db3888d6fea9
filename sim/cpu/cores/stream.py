"""The retired stream as a core meets it: classes, producers, fetch groups, guesses, cache levels.

What does not depend on time is settled here, in program order, before the clock starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np
import numpy.typing as npt

from sim.cpu.cores.layout import byte_addresses
from sim.cpu.cores.predictor import BranchUnit, Guess
from sim.cpu.cores.predictor_compiled import BRANCH, INDIRECT, JUMP, guesses
from sim.cpu.cores.spec import BranchSpec, CoreSpec
from sim.cpu.cores.stream_compiled import fetch_groups, fills, producers
from sim.cpu.riscv.machine import Execution
from sim.cpu.riscv.operation import Kind
from sim.cpu.riscv.program import Instruction
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
    fetch_stall: Ints
    """Cycles for which the instruction cache keeps an instruction's whole group."""
    fill: Ints
    """The number of the line fill that brings an access's line, -1 without an access."""
    fill_level: Ints
    """[fills] which level has the line; as many as there are levels: memory."""

    def __len__(self) -> int:
        return len(self.unit)

    @property
    def mispredicted(self) -> int:
        """Branches and jumps after which fetch went wrong until they were resolved."""
        return int(np.count_nonzero(self.guess == Guess.WRONG))


def make_stream(spec: CoreSpec, execution: Execution, *, engine: Engine = "compiled") -> Stream:
    """Settle what a core of this description meets in a run; both engines guess the same."""
    program, indices = execution.program, execution.indices
    instructions = program.instructions
    for instruction in instructions:
        if instruction.vector is not None:
            raise SpecError(
                f"{program.where(instruction)}: these cores have no vector unit; time it with "
                "sim.cpu.riscv.compiled"
            )
    at = np.array(byte_addresses(program, compressed=spec.front_end.compressed), dtype=np.int64)
    units = np.array([UNITS[i.operation.kind] for i in instructions], dtype=np.int64)
    alone = np.array([i.operation.kind in ALONE for i in instructions])
    first = at[indices]
    size = (at[1:] - at[:-1])[indices]
    guess = _guesses(spec.branches, execution, at, engine)
    unit = units[indices]
    groups = fetch_groups(
        first, size, execution.taken, guess == Guess.WRONG, spec.width, spec.front_end.line_bytes
    )
    fill, fill_level = _data(spec, execution, unit)
    return Stream(
        unit=unit,
        alone=alone[indices],
        producers=_producers(execution, unit, instructions),
        guess=guess,
        groups=groups,
        fetch_stall=_fetch_stalls(spec, first, size, groups),
        fill=fill,
        fill_level=fill_level,
    )


def _producers(execution: Execution, unit: Ints, instructions: tuple[Instruction, ...]) -> Ints:
    """Return who makes what each instruction needs; registers are renamed without limit."""
    dest = [-1 if i.dest is None else i.dest for i in instructions]
    sources = np.full((len(instructions), SOURCES - 1), -1, dtype=np.int64)
    for number, instruction in enumerate(instructions):
        needed = [source for source in instruction.sources if source != 0]
        sources[number, : len(needed)] = needed
    touched = np.where(execution.addresses >= 0, execution.addresses // WORD_BYTES, -1)
    words, word = np.unique(touched, return_inverse=True)
    return producers(
        execution.indices,
        np.array(dest, dtype=np.int64),
        sources,
        unit == Unit.LOAD,
        unit == Unit.STORE,
        word.astype(np.int64).reshape(-1),
        len(words),
    )


def _guesses(spec: BranchSpec, execution: Execution, at: Ints, engine: Engine) -> Ints:
    """Return a Guess for each instruction; all but control flow are RIGHT."""
    instructions, indices = execution.program.instructions, execution.indices
    is_control = np.array([i.operation.transfers_control for i in instructions])
    controls = np.flatnonzero(is_control[indices])
    kinds = {Kind.BRANCH: BRANCH, Kind.JUMP: JUMP, Kind.INDIRECT: INDIRECT}
    kind = np.array([kinds.get(i.operation.kind, BRANCH) for i in instructions], dtype=np.int64)
    links = np.array([i.dest in LINKS for i in instructions])
    returns = np.array(
        [bool(i.sources) and i.sources[0] in LINKS and i.dest != i.sources[0] for i in instructions]
    )
    place = indices[controls]
    after = np.append(indices[1:], indices[-1:])[controls]
    columns = (
        at[place],
        kind[place],
        at[after],
        at[place + 1],
        execution.taken[controls],
        links[place],
        returns[place],
    )
    guess = np.zeros(len(indices), dtype=np.int64)
    guess[controls] = (
        guesses(spec, *columns) if engine == "compiled" else _guess_each(spec, columns)
    )
    return guess


def _guess_each(spec: BranchSpec, columns: tuple[npt.NDArray[np.generic], ...]) -> list[Guess]:
    """Pass control flow through the readable predictor, one after the other."""
    predictor, found = BranchUnit(spec), []
    rows = zip(*(column.tolist() for column in columns), strict=True)
    for here, kind, target, back, taken, links, returns in rows:
        if kind == BRANCH:
            found.append(predictor.branch(here, target, taken=taken))
        elif kind == JUMP:
            found.append(predictor.jump(here, target, back, links=links))
        else:
            found.append(predictor.indirect(here, target, back, links=links, returns=returns))
    return found


def _fetch_stalls(spec: CoreSpec, first: Ints, size: Ints, groups: Ints) -> Ints:
    """Pass every group's first instruction, which may span two lines, through its cache."""
    memory = spec.memory
    levels = (memory.instruction, *memory.levels[1:])
    begins = groups[:-1]
    trace = AddressTrace.of(first[begins], sizes=np.maximum(size[begins], 1).astype(np.uint8))
    found = run_addresses(HierarchySpec(levels=levels), trace, where_found=True).found
    costs = np.cumsum([0, *(level.hit_cycles for level in levels[1:]), memory.memory_cycles])
    return np.repeat(costs[found].astype(np.int64), np.diff(groups))


def _data(spec: CoreSpec, execution: Execution, unit: Ints) -> tuple[Ints, Ints]:
    """Return each access's fill and each fill's level; whole accesses, in program order."""
    touching = np.flatnonzero(execution.addresses >= 0)
    fill = np.full(len(unit), -1, dtype=np.int64)
    addresses = execution.addresses[touching]
    found = run_addresses(
        HierarchySpec(levels=spec.memory.levels),
        AddressTrace.of(addresses, kinds=(unit[touching] == Unit.STORE).astype(np.uint8)),
        where_found=True,
    ).found.astype(np.int64)
    lines, line = np.unique(addresses // spec.memory.levels[0].line_bytes, return_inverse=True)
    fill[touching] = fills(line.astype(np.int64).reshape(-1), found, len(lines))
    return fill, found[found > 0]
