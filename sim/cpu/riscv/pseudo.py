"""Pseudo-instructions: what the assembler writes in their place.

Source: RISC-V Assembly Programmer's Manual, "Pseudo Instructions"; a `call` is one `jal`, as
linkers leave it when the function is near.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sim.cpu.riscv.expressions import high, low
from sim.cpu.riscv.program import Xlen
from sim.cpu.riscv.vector.pseudo import VECTOR_TEMPLATES

_CONDITIONS_WITH_ZERO = {
    "beqz": "beq {0}, x0, {1}",
    "bnez": "bne {0}, x0, {1}",
    "blez": "bge x0, {0}, {1}",
    "bgez": "bge {0}, x0, {1}",
    "bltz": "blt {0}, x0, {1}",
    "bgtz": "blt x0, {0}, {1}",
}
_SWAPPED = {"bgt": "blt", "ble": "bge", "bgtu": "bltu", "bleu": "bgeu"}
_GLOBAL_LOADS = ("lb", "lbu", "lh", "lhu", "lw", "lwu", "ld")
_GLOBALS_WITH_SCRATCH = ("sb", "sh", "sw", "sd", "flw", "fld", "fsw", "fsd")

_TEMPLATES: Mapping[tuple[str, int], tuple[str, ...]] = {
    ("nop", 0): ("addi x0, x0, 0",),
    ("mv", 2): ("addi {0}, {1}, 0",),
    ("not", 2): ("xori {0}, {1}, -1",),
    ("neg", 2): ("sub {0}, x0, {1}",),
    ("negw", 2): ("subw {0}, x0, {1}",),
    ("sext.w", 2): ("addiw {0}, {1}, 0",),
    ("zext.b", 2): ("andi {0}, {1}, 255",),
    ("seqz", 2): ("sltiu {0}, {1}, 1",),
    ("snez", 2): ("sltu {0}, x0, {1}",),
    ("sltz", 2): ("slt {0}, {1}, x0",),
    ("sgtz", 2): ("slt {0}, x0, {1}",),
    ("sgt", 3): ("slt {0}, {2}, {1}",),
    ("sgtu", 3): ("sltu {0}, {2}, {1}",),
    **{(name, 2): (text,) for name, text in _CONDITIONS_WITH_ZERO.items()},
    **{(name, 3): (f"{plain} {{1}}, {{0}}, {{2}}",) for name, plain in _SWAPPED.items()},
    ("j", 1): ("jal x0, {0}",),
    ("jal", 1): ("jal x1, {0}",),
    ("jr", 1): ("jalr x0, 0({0})",),
    ("jalr", 1): ("jalr x1, 0({0})",),
    ("jalr", 3): ("jalr {0}, {2}({1})",),
    ("ret", 0): ("jalr x0, 0(x1)",),
    ("call", 1): ("jal x1, {0}",),
    ("tail", 1): ("jal x0, {0}",),
    ("la", 2): ("auipc {0}, %hi({1} - .)", "addi {0}, {0}, %lo({1} - . + 4)"),
    ("lla", 2): ("auipc {0}, %hi({1} - .)", "addi {0}, {0}, %lo({1} - . + 4)"),
    **{
        (f"{name}.{letter}", 2): (f"{plain}.{letter} {{0}}, {{1}}, {{1}}",)
        for letter in "sd"
        for name, plain in (("fmv", "fsgnj"), ("fneg", "fsgnjn"), ("fabs", "fsgnjx"))
    },
    **{
        (f"{name}.{letter}", 3): (f"{plain}.{letter} {{0}}, {{2}}, {{1}}",)
        for letter in "sd"
        for name, plain in (("fgt", "flt"), ("fge", "fle"))
    },
    ("fmv.x.s", 2): ("fmv.x.w {0}, {1}",),
    ("fmv.s.x", 2): ("fmv.w.x {0}, {1}",),
    ("csrr", 2): ("csrrs {0}, {1}, x0",),
    ("csrw", 2): ("csrrw x0, {0}, {1}",),
    ("csrs", 2): ("csrrs x0, {0}, {1}",),
    ("csrc", 2): ("csrrc x0, {0}, {1}",),
    ("rdcycle", 1): ("csrrs {0}, cycle, x0",),
    ("rdtime", 1): ("csrrs {0}, time, x0",),
    ("rdinstret", 1): ("csrrs {0}, instret, x0",),
    **VECTOR_TEMPLATES,
}
NAMES = frozenset(name for name, _ in _TEMPLATES) | {"li"}
"""Mnemonics that are pseudo-instructions, in one of their forms at least."""


def expand(mnemonic: str, operands: Sequence[str]) -> tuple[str, ...] | None:
    """Return the lines that stand for a pseudo-instruction, None for a real one; not for `li`."""
    template = _TEMPLATES.get((mnemonic, len(operands)))
    if template is None:
        template = _of_global(mnemonic, operands)
    return template and tuple(line.format(*operands) for line in template)


def _of_global(mnemonic: str, operands: Sequence[str]) -> tuple[str, ...] | None:
    """Return the two lines of a load or store that names a symbol instead of a base register."""
    if len(operands) < 2 or operands[1].endswith(")"):
        return None
    if mnemonic in _GLOBAL_LOADS and len(operands) == 2:
        scratch = "{0}"
    elif mnemonic in _GLOBALS_WITH_SCRATCH and len(operands) == 3:
        scratch = "{2}"
    else:
        return None
    return (
        f"auipc {scratch}, %hi({{1}} - .)",
        f"{mnemonic} {{0}}, %lo({{1}} - . + 4)({scratch})",
    )


def load_immediate(register: str, value: int, xlen: Xlen) -> tuple[str, ...]:
    """Return the shortest plain sequence that loads a constant: `lui`, `addi`, shifts."""
    value = (value + (1 << (xlen - 1))) % (1 << xlen) - (1 << (xlen - 1))
    if -0x800 <= value < 0x800:
        return (f"addi {register}, x0, {value}",)
    rest = low(value)
    if -(1 << 31) <= value < 1 << 31:
        add = "addi" if xlen == 32 else "addiw"
        lines: tuple[str, ...] = (f"lui {register}, {high(value)}",)
        return (*lines, f"{add} {register}, {register}, {rest}") if rest else lines
    upper = (value - rest) >> 12
    zeros = (upper & -upper).bit_length() - 1
    lines = (
        *load_immediate(register, upper >> zeros, xlen),
        f"slli {register}, {register}, {12 + zeros}",
    )
    return (*lines, f"addi {register}, {register}, {rest}") if rest else lines
