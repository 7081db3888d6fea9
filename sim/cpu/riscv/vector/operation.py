"""What a vector mnemonic is: how data flows, how wide each operand is, what an element becomes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from sim.cpu.riscv.operation import Kind, Operation


class Form(IntEnum):
    """How data flows through an instruction."""

    SET = 0
    """`vsetvli` and its kin."""
    ELEMENTWISE = 1
    """Element i of the result from elements i of the operands."""
    COMPARE = 2
    """The same, the result a mask."""
    CONVERT = 3
    """From one kind of number to another."""
    REDUCE = 4
    """All elements to one."""
    MASK = 5
    """Logic on masks."""
    COUNT = 6
    """`vcpop.m`."""
    FIRST = 7
    """`vfirst.m`."""
    SLIDE_UP = 8
    SLIDE_DOWN = 9
    SLIDE_ONE_UP = 10
    SLIDE_ONE_DOWN = 11
    GATHER = 12
    MERGE = 13
    TO_SCALAR = 14
    FROM_SCALAR = 15
    INDEX = 16
    """`vid.v`."""
    COPY = 17
    """`vmv1r.v` and its kin."""
    LOAD = 18
    STORE = 19


class Addressing(IntEnum):
    """Where the elements of a load or store lie."""

    UNIT = 0
    """One behind the other."""
    STRIDED = 1
    INDEXED = 2
    MASK = 3
    """The bytes of a mask."""
    WHOLE = 4
    """Whole registers, whatever the vector length is."""


class Scalar(IntEnum):
    """What stands in for the elements of vs1."""

    NONE = 0
    INTEGER = 1
    FLOAT = 2
    IMMEDIATE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorOperation(Operation):
    """One row of the vector instruction table.

    Letters of `operands` beside those of scalars: `V` vector destination, `W` vector to store, `v`
    vs2, `w` vs1, `q` 5-bit signed and `z` 5-bit unsigned number, `n` a mask v0 that must be there,
    `t` a vtype in words, `M` an optional mask `v0.t`.
    """

    kind: Kind = Kind.VECTOR
    form: Form
    like: Kind = Kind.ALU
    """The scalar kind whose latency an element takes."""
    does: str = ""
    """Key of what is done with elements."""
    widths: tuple[int, int, int] = (0, 0, 0)
    """Of an element of vd, vs2 and vs1: SEW times two to this power."""
    signed: tuple[bool, bool] = (True, True)
    """Whether vs2 and vs1 are sign-extended where they are widened."""
    floating: tuple[bool, bool] = (False, False)
    """Whether the result, and the sources, are floating point."""
    addressing: Addressing = Addressing.UNIT
    element_bits: int = 0
    """Effective element width of a load or store (of the indices, if indexed)."""
    whole_registers: int = 0
    """Of a copy, load or store of whole registers."""

    @property
    def scalar(self) -> Scalar:
        """What stands in for vs1."""
        if "S" in self.operands:
            return Scalar.FLOAT
        if "q" in self.operands or ("z" in self.operands and self.form is not Form.SET):
            return Scalar.IMMEDIATE
        return Scalar.INTEGER if "s" in self.operands else Scalar.NONE

    @property
    def reads_vd(self) -> bool:
        """Whether the old destination is an operand of every element."""
        return self.form is Form.ELEMENTWISE and self.does in MULTIPLY_ADDS

    @property
    def needs_vtype(self) -> bool:
        """Whether a valid vtype must be set."""
        return self.form is not Form.SET and self.addressing is not Addressing.WHOLE


MULTIPLY_ADDS = frozenset(
    {
        *("macc", "nmsac", "madd", "nmsub"),
        *("fmacc", "fnmacc", "fmsac", "fnmsac", "fmadd", "fnmadd", "fmsub", "fnmsub"),
    }
)
"""What adds to, or multiplies by, the old destination."""
