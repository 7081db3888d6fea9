"""What a decoder finds out about an instruction, once for each place of a program."""

from __future__ import annotations

from dataclasses import dataclass

from sim.cpu.riscv.operation import Kind
from sim.cpu.riscv.program import Instruction, Program
from sim.errors import SpecError

FROM_MEMORY = (Kind.LOAD, Kind.ATOMIC)
"""What has its result only after the memory stage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """One instruction of a program, as the stages look at it."""

    instruction: Instruction
    dest: int
    """Register written; 0 is none."""
    sources: tuple[int, ...]
    late: bool
    """Whether its result comes from memory."""
    accesses_memory: bool
    transfers_control: bool
    is_call: bool
    """Whether it is an environment call."""
    has_dest_form: bool
    """Whether instructions of its form write a register, be it x0."""


def decode(program: Program, *, vectors: bool = False) -> tuple[Decoded, ...]:
    """Decode every instruction of a program, in order.

    SpecError names the line of a vector instruction, unless the machine executes `vectors`.
    """
    if not vectors:
        _refuse_vectors(program)
    return tuple(_decoded(instruction) for instruction in program.instructions)


def _refuse_vectors(program: Program) -> None:
    for instruction in program.instructions:
        if instruction.vector is not None:
            raise SpecError(
                f"{program.where(instruction)}: a pipelined machine here has no vector unit; give "
                "a scalar program, or take single-cycle"
            )


def _decoded(instruction: Instruction) -> Decoded:
    operation = instruction.operation
    return Decoded(
        instruction=instruction,
        dest=instruction.dest or 0,
        sources=instruction.sources,
        late=operation.kind in FROM_MEMORY,
        accesses_memory=operation.accesses_memory,
        transfers_control=operation.transfers_control,
        is_call=operation.kind is Kind.ENVIRONMENT,
        has_dest_form="d" in operation.operands.lower(),
    )
