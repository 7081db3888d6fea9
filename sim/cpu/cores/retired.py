"""One thread's retired instructions: where they lie, their units, who makes what they need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

import numpy as np
import numpy.typing as npt

from sim.cpu.cores.layout import byte_addresses
from sim.cpu.cores.predictor_compiled import BRANCH, INDIRECT, JUMP
from sim.cpu.cores.spec import CoreSpec
from sim.cpu.cores.stream_compiled import producers
from sim.cpu.riscv.machine import Execution
from sim.cpu.riscv.operation import Kind

Ints = npt.NDArray[np.int64]
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
class Retired:
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
