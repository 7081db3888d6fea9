"""Decoded programs: instructions as rows of numbers, for the compiled interpreter.

Registers of 32 bits are kept sign-extended in 64: then RV32's arithmetic is RV64's `w` forms, and
one interpreter serves both.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sim.cpu.riscv.encoding import CONTROL_REGISTERS
from sim.cpu.riscv.floats import Rounding
from sim.cpu.riscv.integers import ARITHMETIC, ATOMICS, CONDITIONS, DIVISION, MULTIPLICATION, signed
from sim.cpu.riscv.memory import ExecutionError
from sim.cpu.riscv.operation import Kind
from sim.cpu.riscv.program import INSTRUCTION_BYTES, Instruction, Program
from sim.cpu.riscv.registers import REGISTERS, ZERO

Ints = npt.NDArray[np.int64]

(GROUP, CODE, TO, A, B, C, IMMEDIATE, TARGET, BYTES, LINK, MARK) = range(11)
"""Columns: what to do, registers written and read, immediate, index that a branch or jump goes to
(-1: no instruction there), bytes accessed, what a jump links, whether a section begins here."""
COLUMNS = 11
NOWHERE = REGISTERS
"""Register that takes what is written to x0."""

(INTEGER, WITH_IMMEDIATE, CONSTANT, LOAD, STORE, BRANCH, JUMP, INDIRECT, SINGLE, DOUBLE) = range(10)
MOVE, CONVERT, ATOMIC, COUNTER, NOTHING, ENVIRONMENT, HART = range(10, 17)
VECTOR, VECTOR_REGISTER = 17, 18
"""Groups: `MOVE` is all that touches single or double patterns without rounding, comparisons
too; `VECTOR_REGISTER` reads `vl`, `vtype` or `vlenb`, by its code."""

WORD = 32
"""Added to the code of the integer operations that work on 32 bits."""
INTEGER_CODES = {name: n for n, name in enumerate((*ARITHMETIC, *MULTIPLICATION, *DIVISION))}
(ADD, SUB, AND, OR, XOR, SLT, SLTU, SLL, SRL, SRA) = range(10)
(MUL, MULH, MULHSU, MULHU, DIV, DIVU, REM, REMU) = range(10, 18)
_HALVES = {"mulh", "mulhsu", "mulhu"}
_ALIKE_IN_BOTH = {"and", "or", "xor", "slt", "sltu"}
CONDITION_CODES = {name: n for n, name in enumerate(CONDITIONS)}
BEQ, BNE, BLT, BGE, BLTU, BGEU = range(6)
ATOMIC_CODES = {name: n for n, name in enumerate(ATOMICS)}
SWAP, AADD, AXOR, AAND, AOR, AMIN, AMAX, AMINU, AMAXU = range(9)

LOAD_CODES = {name: n for n, name in enumerate(("lb", "lh", "lw", "ld", "lbu", "lhu", "lwu"))}
LB, LH, LW, LD, LBU, LHU, LWU = range(7)
LOAD_CODES |= {"flw": 7, "fld": LD}
FLW = 7
STORE_CODES = {"sb": 0, "sh": 1, "sw": 2, "sd": 3, "fsw": 2, "fsd": 3}

ROUNDED = ("fadd", "fsub", "fmul", "fdiv", "fsqrt", "fmadd", "fmsub", "fnmsub", "fnmadd")
FADD, FSUB, FMUL, FDIV, FSQRT, FMADD, FMSUB, FNMSUB, FNMADD = range(9)
MOVES = ("fsgnj", "fsgnjn", "fsgnjx", "fmin", "fmax", "feq", "flt", "fle", "fclass")
(FSGNJ, FSGNJN, FSGNJX, FMIN, FMAX, FEQ, FLT, FLE, FCLASS) = range(9)
WIDE = 16
"""Added to the code of a `MOVE` of doubles."""
X_W, W_X, RAW = 9, 10, 11
"""`fmv.x.w`, `fmv.w.x`, and the moves of doubles, which change nothing."""

MODES = {mode: n for n, mode in enumerate(Rounding)}
RNE, RTZ, RDN, RUP, RMM = range(5)
INTEGER_FORMS = {"w": 0, "wu": 1, "l": 2, "lu": 3}
TO_INTEGER, FROM_INTEGER, TO_SINGLE, TO_DOUBLE = 0, 8, 16, 17
"""Codes of `CONVERT`; to and from integers plus the form, plus 4 for doubles. The mode is the
immediate."""

_READS = ("csrrs", "csrrc")
"""Which only read where their source is x0."""
_VECTOR_REGISTERS = tuple(CONTROL_REGISTERS[n] for n in ("vl", "vtype", "vlenb"))
_COUNTERS = {CONTROL_REGISTERS[n] for n in ("cycle", "time", "instret", "mcycle", "minstret")}


def decode(program: Program, marks: frozenset[int] = frozenset()) -> Ints:
    """Return a program's instructions as rows; `marks` are addresses where sections begin.

    ExecutionError names the line of what only the readable machine executes.
    """
    table = np.full((len(program.instructions), COLUMNS), -1, dtype=np.int64)
    for row, instruction in zip(table, program.instructions, strict=True):
        try:
            _fill(row, instruction, program)
        except KeyError as error:
            raise ExecutionError(
                f"{program.where(instruction)}: the compiled machine has no {error.args[0]}; "
                "use sim.cpu.riscv.execute"
            ) from error
        row[MARK] = instruction.address in marks
    return table


def _fill(row: Ints, instruction: Instruction, program: Program) -> None:
    operation = instruction.operation
    sources = instruction.sources
    row[TO] = NOWHERE if instruction.dest is None else instruction.dest
    row[A : A + len(sources)] = sources
    row[IMMEDIATE] = instruction.immediate
    row[BYTES] = operation.bytes
    if operation.kind is Kind.VECTOR:
        row[GROUP] = VECTOR
    elif operation.accesses_memory:
        row[GROUP], row[CODE] = _memory_access(instruction)
        if operation.kind is Kind.LOAD:
            row[B] = ZERO
    elif operation.transfers_control:
        _transfer(row, instruction, program)
    elif operation.kind is Kind.UPPER:
        row[GROUP] = CONSTANT
        shifted = signed(WORD, instruction.immediate << 12)
        base = instruction.address if instruction.mnemonic == "auipc" else 0
        row[IMMEDIATE] = signed(program.xlen, base + shifted)
    elif operation.kind in (Kind.ALU, Kind.MULTIPLY, Kind.DIVIDE):
        row[GROUP], row[CODE] = _integer(instruction, program.xlen)
    elif operation.kind in (Kind.FLOAT, Kind.FLOAT_MULTIPLY, Kind.FLOAT_DIVIDE):
        row[GROUP], row[CODE] = _floating(instruction)
        row[IMMEDIATE] = MODES[instruction.rounding]
    elif (
        instruction.immediate in _VECTOR_REGISTERS
        and instruction.mnemonic in _READS
        and (instruction.sources == (ZERO,))
    ):
        row[GROUP], row[CODE] = VECTOR_REGISTER, _VECTOR_REGISTERS.index(instruction.immediate)
    else:
        row[GROUP] = _special(instruction)


def _memory_access(instruction: Instruction) -> tuple[int, int]:
    name = instruction.mnemonic
    if instruction.operation.kind is Kind.LOAD:
        return LOAD, LOAD_CODES[name]
    if instruction.operation.kind is Kind.STORE:
        return STORE, STORE_CODES[name]
    return ATOMIC, ATOMIC_CODES[name.removeprefix("amo").partition(".")[0]]


def _transfer(row: Ints, instruction: Instruction, program: Program) -> None:
    kind = instruction.operation.kind
    row[LINK] = signed(program.xlen, instruction.address + INSTRUCTION_BYTES)
    if kind is Kind.INDIRECT:
        row[GROUP] = INDIRECT
        return
    row[GROUP] = JUMP if kind is Kind.JUMP else BRANCH
    row[CODE] = CONDITION_CODES.get(instruction.mnemonic, 0)
    target = program.index_of(instruction.address + instruction.immediate)
    row[TARGET] = -1 if target is None else target


def _integer(instruction: Instruction, xlen: int) -> tuple[int, int]:
    name = instruction.mnemonic
    immediate = instruction.operation.has_immediate
    on_word = name.endswith("w")
    name = name.removesuffix("w")
    if immediate:  # addi, slti, sltiu, ...
        name = name[:-2] + "u" if name == "sltiu" else name[:-1]
    code = INTEGER_CODES[name]
    if on_word or (xlen == WORD and name not in _ALIKE_IN_BOTH):
        code += WORD
    return WITH_IMMEDIATE if immediate else INTEGER, code


def _floating(instruction: Instruction) -> tuple[int, int]:
    name, *forms = instruction.mnemonic.split(".")
    wide = forms[-1] == "d"
    if name == "fmv":
        return MOVE, {("x", "w"): X_W, ("w", "x"): W_X}.get((forms[0], forms[1]), RAW)
    if name in MOVES:
        return MOVE, MOVES.index(name) + WIDE * wide
    to_integer = name == "fcvt" and forms[0] in INTEGER_FORMS
    if not to_integer and instruction.rounding is not Rounding.RNE:
        raise KeyError(f"arithmetic that rounds {instruction.rounding}")
    if name == "fcvt":
        return CONVERT, _conversion(forms[0], forms[1])
    return DOUBLE if wide else SINGLE, ROUNDED.index(name)


def _conversion(to: str, of: str) -> int:
    if to in INTEGER_FORMS:
        return TO_INTEGER + INTEGER_FORMS[to] + 4 * (of == "d")
    if of in INTEGER_FORMS:
        return FROM_INTEGER + INTEGER_FORMS[of] + 4 * (to == "d")
    return TO_SINGLE if to == "s" else TO_DOUBLE


def _special(instruction: Instruction) -> int:
    kind = instruction.operation.kind
    if kind is Kind.FENCE:
        return NOTHING
    if kind is Kind.ENVIRONMENT:
        return ENVIRONMENT
    written = instruction.mnemonic == "csrrw" or instruction.sources[0] != ZERO
    if not written and instruction.immediate in _COUNTERS:
        return COUNTER
    if not written and instruction.immediate == CONTROL_REGISTERS["mhartid"]:
        return HART
    raise KeyError("control registers but the counters and mhartid, which are read only")
