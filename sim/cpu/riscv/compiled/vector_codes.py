"""Decoded vector instructions: rows of numbers beside those of `codes`.

Whether an instruction is legal depends on the vtype only, so each row keeps one bit for each.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sim.cpu.riscv.compiled.codes import (
    FLE,
    FLT,
    INTEGER_CODES,
    MOVES,
    ROUNDED,
    Ints,
)
from sim.cpu.riscv.operation import Kind
from sim.cpu.riscv.program import Instruction, Program
from sim.cpu.riscv.vector.configuration import FIELD_BITS, VectorType, decode_vtype
from sim.cpu.riscv.vector.elements import MASK_LOGIC
from sim.cpu.riscv.vector.legality import problem
from sim.cpu.riscv.vector.operation import Form, Scalar, VectorOperation

(FORM, DOES, ORDER, VD, VS2, VS1, MASKED, SCALAR, FROM, NUMBER) = range(10)
(DEST_WIDTH, VS2_WIDTH, VS1_WIDTH, VS2_SIGNED, VS1_SIGNED, FLOATING) = range(10, 16)
(ADDRESSING, ELEMENT_BITS, WHOLE, SCALAR_DEST, SECOND, LEGAL, READS_VD, LIKE) = range(16, 24)
"""Columns: `FROM` and `SECOND` are scalar registers (base and stride), `NUMBER` the immediate."""
VECTOR_COLUMNS = 24

SET, ELEMENTWISE, COMPARE, CONVERT = (
    int(form) for form in (Form.SET, Form.ELEMENTWISE, Form.COMPARE, Form.CONVERT)
)
REDUCE, MASK, COUNT, FIRST = (
    int(form) for form in (Form.REDUCE, Form.MASK, Form.COUNT, Form.FIRST)
)
SLIDE_UP, SLIDE_DOWN = int(Form.SLIDE_UP), int(Form.SLIDE_DOWN)
SLIDE_ONE_UP, SLIDE_ONE_DOWN = int(Form.SLIDE_ONE_UP), int(Form.SLIDE_ONE_DOWN)
GATHER, MERGE, INDEX, COPY = (
    int(form) for form in (Form.GATHER, Form.MERGE, Form.INDEX, Form.COPY)
)
TO_SCALAR, FROM_SCALAR = int(Form.TO_SCALAR), int(Form.FROM_SCALAR)
LOAD, STORE = int(Form.LOAD), int(Form.STORE)
"""What may stand in `FORM`."""
INTEGER_SCALAR, FLOAT_SCALAR = int(Scalar.INTEGER), int(Scalar.FLOAT)
"""What may stand in `SCALAR`, of what is in a register."""

(AS_WRITTEN, SWAPPED, ADD_TO_DEST, MULTIPLY_DEST, DEST_MINUS, MINUS_DEST_TIMES) = range(6)
"""Order of the operands: (vs2, vs1), (vs1, vs2), (vs1, vs2, vd), (vs1, vd, vs2); the last two are
`nmsac` and `nmsub` of integers."""

MOVE_FLOAT = 32
"""Added to the code of what moves or compares floating-point patterns."""
MIN, MAX, MINU, MAXU, FIRST_OPERAND, SECOND_OPERAND = range(18, 24)
"""Codes of integer elements behind those of scalars."""
_PLAIN = ("first", "second")
"""What moves patterns, whatever they stand for."""
_OTHERS = {"min": MIN, "max": MAX, "minu": MINU, "maxu": MAXU}
_OTHERS |= {"first": FIRST_OPERAND, "second": SECOND_OPERAND}
EQ, NE, LTU, LEU, GTU, LT, LE, GT = range(8)
FLOAT_NE, FLOAT_EQ = 8, 9
_COMPARISONS = {"eq": EQ, "ne": NE, "ltu": LTU, "leu": LEU, "gtu": GTU, "lt": LT, "le": LE}
_COMPARISONS |= {"gt": GT}
_FLOAT_COMPARISONS: Mapping[str, tuple[int, int]] = {
    "feq": (FLOAT_EQ, AS_WRITTEN),
    "fne": (FLOAT_NE, AS_WRITTEN),
    "flt": (FLT, AS_WRITTEN),
    "fle": (FLE, AS_WRITTEN),
    "fgt": (FLT, SWAPPED),
    "fge": (FLE, SWAPPED),
}
_MULTIPLY_ADDS: Mapping[str, tuple[str, int]] = {
    "macc": ("mul", ADD_TO_DEST),
    "madd": ("mul", MULTIPLY_DEST),
    "nmsac": ("mul", DEST_MINUS),
    "nmsub": ("mul", MINUS_DEST_TIMES),
    "fmacc": ("fmadd", ADD_TO_DEST),
    "fnmacc": ("fnmadd", ADD_TO_DEST),
    "fmsac": ("fmsub", ADD_TO_DEST),
    "fnmsac": ("fnmsub", ADD_TO_DEST),
    "fmadd": ("fmadd", MULTIPLY_DEST),
    "fnmadd": ("fnmadd", MULTIPLY_DEST),
    "fmsub": ("fmsub", MULTIPLY_DEST),
    "fnmsub": ("fnmsub", MULTIPLY_DEST),
}
_REVERSED = {"rsub": "sub", "frsub": "fsub", "frdiv": "fdiv"}
TO_UNSIGNED, TRUNCATING, OF_FLOAT, TO_FLOAT = 1, 2, 4, 8
"""Bits of the code of a conversion; `TO_UNSIGNED` of integers on either side."""
LIKES = tuple(Kind)
"""Kinds by the number in `LIKE`."""
ORDERED = 1
"""In `ORDER` of a reduction that must take elements in order."""


def vector_rows(program: Program, vlen_bits: int) -> Ints:
    """Return a row for each instruction of a program; scalar ones have an empty row."""
    table = np.full((len(program.instructions), VECTOR_COLUMNS), -1, dtype=np.int64)
    if uses_vectors(program):
        for row, instruction in zip(table, program.instructions, strict=True):
            if isinstance(instruction.operation, VectorOperation):
                _fill(row, instruction, instruction.operation, vlen_bits)
    return table


def _fill(row: Ints, instruction: Instruction, operation: VectorOperation, vlen_bits: int) -> None:
    operands = instruction.vector
    assert operands is not None  # noqa: S101 - as the operation says
    row[FORM] = operation.form
    row[DOES], row[ORDER] = _what(instruction, operation)
    row[VD], row[VS2], row[VS1] = operands.vd, operands.vs2, operands.vs1
    row[MASKED] = operands.masked
    row[SCALAR] = operation.scalar
    row[FROM : FROM + 1] = instruction.sources[:1] or (-1,)
    row[SECOND : SECOND + 1] = instruction.sources[1:2] or (-1,)
    row[NUMBER] = instruction.immediate
    row[DEST_WIDTH : VS1_WIDTH + 1] = operation.widths
    row[VS2_SIGNED : VS1_SIGNED + 1] = operation.signed
    row[FLOATING] = any(operation.floating) and operation.does not in _PLAIN
    row[ADDRESSING], row[ELEMENT_BITS] = operation.addressing, operation.element_bits
    row[WHOLE] = operation.whole_registers
    row[SCALAR_DEST] = -1 if instruction.dest is None else instruction.dest
    row[READS_VD] = operation.reads_vd
    row[LIKE] = LIKES.index(operation.like)
    row[LEGAL] = 0
    for field in range(1 << FIELD_BITS):
        vtype = decode_vtype(field, vlen_bits)
        if not operation.needs_vtype:
            vtype = VectorType(element_bits=8, group_log2=0)
        if vtype is not None and not problem(operation, operands, vtype, vlen_bits):
            row[LEGAL] |= np.int64(np.uint64(1 << field))


def _what(  # noqa: PLR0911 - a switch
    instruction: Instruction, operation: VectorOperation
) -> tuple[int, int]:
    """Return the code of what is done with elements, and the order of its operands."""
    form, does = operation.form, operation.does
    if form is Form.SET:
        return ("vsetvli", "vsetivli", "vsetvl").index(instruction.mnemonic), AS_WRITTEN
    if form is Form.MASK:
        return tuple(MASK_LOGIC).index(does), AS_WRITTEN
    if form is Form.COMPARE:
        return _FLOAT_COMPARISONS.get(does) or (_COMPARISONS[does], AS_WRITTEN)
    if form is Form.CONVERT:
        to, of = does.split(".")[-2:]
        return (
            TO_UNSIGNED * ("xu" in does)
            + TRUNCATING * does.startswith("rtz")
            + OF_FLOAT * (of == "f")
            + TO_FLOAT * (to == "f")
        ), AS_WRITTEN
    if form not in (Form.ELEMENTWISE, Form.REDUCE):
        return 0, AS_WRITTEN
    does, order = _MULTIPLY_ADDS.get(does, (does, AS_WRITTEN))
    if does in _REVERSED:
        does, order = _REVERSED[does], SWAPPED
    if instruction.mnemonic == "vfredosum.vs":
        order = ORDERED
    if not any(operation.floating) or does in _PLAIN:
        return _OTHERS[does] if does in _OTHERS else INTEGER_CODES[does], order
    return ROUNDED.index(does) if does in ROUNDED else MOVE_FLOAT + MOVES.index(does), order


def uses_vectors(program: Program) -> bool:
    """Whether a program has vector instructions."""
    return any(instruction.vector is not None for instruction in program.instructions)
