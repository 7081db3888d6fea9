"""What a mnemonic is: how it is written, what unit it needs, and the function it computes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What an instruction asks of a core."""

    ALU = "alu"
    UPPER = "upper"
    """`lui` and `auipc`, which read no register."""
    MULTIPLY = "multiply"
    DIVIDE = "divide"
    LOAD = "load"
    STORE = "store"
    BRANCH = "branch"
    JUMP = "jump"
    """`jal`, whose target is known from the instruction alone."""
    INDIRECT = "indirect jump"
    """`jalr`, whose target is in a register."""
    FLOAT = "float"
    """Additions, comparisons, conversions and moves."""
    FLOAT_MULTIPLY = "float multiply"
    """Fused multiply-adds too."""
    FLOAT_DIVIDE = "float divide"
    """Square roots too."""
    ATOMIC = "atomic"
    CONTROL_REGISTER = "control register"
    FENCE = "fence"
    ENVIRONMENT = "environment"
    """`ecall` and `ebreak`."""
    VECTOR = "vector"


CONTROL_FLOW = frozenset({Kind.BRANCH, Kind.JUMP, Kind.INDIRECT})
MEMORY = frozenset({Kind.LOAD, Kind.STORE, Kind.ATOMIC})

Function = Callable[..., int]


def nothing(xlen: int, *values: int) -> int:  # noqa: ARG001 - a function's parameters
    """Compute nothing: for instructions that only act."""
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One row of the instruction table.

    `operands` has one letter an operand: `d` integer destination, `s` integer source (`D`, `S`
    floating point), `i` 12-bit immediate, `h` shift amount, `z` 5-bit number, `u` 20-bit number,
    `m` memory operand `offset(base)`, `a` address `(base)`, `b` and `j` targets of a branch and a
    jump, `c` control register, `r` a rounding mode that may be left out.
    """

    kind: Kind
    operands: str
    function: Function = nothing
    """Of xlen, the sources' values, the immediate where there is one, then the address of
    `auipc` and the rounding mode of what rounds. Loads: of the bytes read; stores: of the value to
    store; atomics: of the old value and the operand."""
    bytes: int = 0
    """Read or written in memory."""
    only_rv64: bool = False

    @property
    def has_immediate(self) -> bool:
        """Whether a number stands among the operands."""
        return any(letter in self.operands for letter in "ihzumbjc")

    @property
    def rounds(self) -> bool:
        """Whether a rounding mode matters."""
        return self.operands.endswith("r")

    @property
    def transfers_control(self) -> bool:
        """Whether it may go elsewhere than to the next instruction."""
        return self.kind in CONTROL_FLOW

    @property
    def accesses_memory(self) -> bool:
        """Whether it has a data address."""
        return self.kind in MEMORY
