"""RV64IMFD kernels, scalar."""

from __future__ import annotations

import re
from dataclasses import replace

from sim.cpu.kernelcores.text import (
    Address,
    Kernel,
    KernelInstruction,
    Line,
    candidate_forms,
    check_label,
    kernel_of,
    read_lines,
)
from sim.errors import did_you_mean

ISA = "riscv64"
_MEMORY = re.compile(r"^(-?\w*)\((\w+)\)$")
_BYTES = {"b": 1, "h": 2, "w": 4, "d": 8}
ROUNDING_MODES = ("rne", "rtz", "rdn", "rup", "rmm", "dyn")
F = 32
"""Where floating-point registers begin in one numbering."""
_SAVED = (8, 9, *range(18, 28))
REGISTERS = {
    "zero": 0,
    **{name: number for number, name in enumerate(("ra", "sp", "gp", "tp"), start=1)},
    **{f"t{at}": number for at, number in enumerate((5, 6, 7, 28, 29, 30, 31))},
    **{f"s{at}": number for at, number in enumerate(_SAVED)},
    "fp": 8,
    **{f"a{at}": 10 + at for at in range(8)},
    **{f"ft{at}": F + number for at, number in enumerate((*range(8), *range(28, 32)))},
    **{f"fs{at}": F + number for at, number in enumerate(_SAVED)},
    **{f"fa{at}": F + 10 + at for at in range(8)},
    **{f"{bank}{at}": start + at for bank, start in (("x", 0), ("f", F)) for at in range(32)},
}
"""Integer registers count from 0, floating-point ones from 32."""


def parse_riscv(text: str, name: str) -> Kernel:
    """Read a kernel; KernelError names file, line and remedy."""
    return kernel_of(name, ISA, read_lines(text, name, r"#|//"), _instruction)


def _instruction(line: Line) -> KernelInstruction:
    if len(line.operands) > 1 and line.operands[-1] in ROUNDING_MODES:
        line = replace(line, operands=line.operands[:-1])
    form = candidate_forms(ISA, line)[0]
    reads: list[str] = []
    writes: list[str] = []
    address: Address | None = None
    for role, operand in zip(form.operands, line.operands, strict=True):
        if role == "l":
            check_label(line, operand)
        elif role == "m":
            address = _address(line, operand)
        elif role == "i":
            if line.mnemonic not in ("la", "auipc", "lui"):  # an address of something outside
                _number(line, operand)
        else:
            register = _register(line, operand)
            reads += [register] * (role in "rb" and register != "x0")
            writes += [register] * (role in "wb" and register != "x0")
    stores = form.memory_class.endswith("store")
    steps = None
    if line.mnemonic == "addi" and line.operands[0] == line.operands[1]:
        steps = _number(line, line.operands[2])
    return KernelInstruction(
        text=line.text,
        line=line.number,
        mnemonic=line.mnemonic,
        cost_class=form.cost_class,
        memory_class=form.memory_class,
        width_bits=64,
        reads=tuple(reads),
        writes=tuple(writes),
        load=None if stores else address,
        store=address if stores else None,
        moves=False,
        branch=form.cost_class == "branch",
        steps=steps,
        extensions=(form.extension,) if form.extension else (),
    )


def _register(line: Line, operand: str) -> str:
    if operand not in REGISTERS:
        raise line.error(f"unknown register '{operand}'{did_you_mean(operand, REGISTERS)}")
    number = REGISTERS[operand]
    return f"x{number}" if number < F else f"f{number - F}"


def _number(line: Line, operand: str) -> int:
    try:
        return int(operand, 0)
    except ValueError:
        raise line.error(f"'{operand}' is no number; write one") from None


def _address(line: Line, operand: str) -> Address:
    match = _MEMORY.match(operand)
    if match is None:
        raise line.error(f"'{operand}' is no memory operand; write 8(a0)")
    size = _BYTES[line.mnemonic.removesuffix("u")[-1]]
    base = _register(line, match[2])
    return Address(registers=(base,), offset=_number(line, match[1] or "0"), bytes=size)
