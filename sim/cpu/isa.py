"""Instructions as the timing models see them, and a parser for RISC-V assembly text.

Only what the kernels use is known: parts of RV32I, F and V, and the conversions of Zfhmin, Zfbfmin,
Zvfhmin and Zvfbfmin. An immediate may be a number, a symbol, or `4*SYMBOL`, so that one text serves
several element and vector sizes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sim.errors import TokenclockError, did_you_mean

X, F, V, T = 0, 32, 64, 96
"""Where the integer, floating-point, vector and tile registers begin in one numbering."""
TILES = 8
REGISTERS = T + TILES


class AssemblyError(TokenclockError):
    """A line of assembly text cannot be understood; the message names it."""


class Kind(StrEnum):
    """What part of the core an instruction needs."""

    ALU = "alu"
    LOAD = "load"
    STORE = "store"
    BRANCH = "branch"
    FP = "fp"  # the pipelined floating-point unit, scalar or vector
    TILE = "tile"  # the unit for products of tiles


@dataclass(frozen=True, slots=True)
class Form:
    """How a mnemonic is written, and what it needs."""

    kind: Kind
    operands: str
    """One letter an operand: `d` destination, `s` source, `b` both, `i` immediate, `m` memory,
    `l` label.
    """
    element_bytes: int = 0
    """Of a load or store."""
    vector: bool = False
    """Whether it works on all lanes."""


FORMS: Mapping[str, Form] = {
    "add": Form(Kind.ALU, "dss"),
    "sub": Form(Kind.ALU, "dss"),
    "mul": Form(Kind.ALU, "dss"),
    "addi": Form(Kind.ALU, "dsi"),
    "slli": Form(Kind.ALU, "dsi"),
    "li": Form(Kind.ALU, "di"),
    "mv": Form(Kind.ALU, "ds"),
    "lw": Form(Kind.LOAD, "dm", 4),
    "sw": Form(Kind.STORE, "sm", 4),
    "beq": Form(Kind.BRANCH, "ssl"),
    "bne": Form(Kind.BRANCH, "ssl"),
    "blt": Form(Kind.BRANCH, "ssl"),
    "flw": Form(Kind.LOAD, "dm", 4),
    "fsw": Form(Kind.STORE, "sm", 4),
    "fadd.s": Form(Kind.FP, "dss"),
    "fmul.s": Form(Kind.FP, "dss"),
    "fmax.s": Form(Kind.FP, "dss"),
    "fmadd.s": Form(Kind.FP, "dsss"),
    "fnmsub.s": Form(Kind.FP, "dsss"),
    "fcvt.w.s": Form(Kind.FP, "ds"),
    "fcvt.s.w": Form(Kind.FP, "ds"),
    "fmv.w.x": Form(Kind.FP, "ds"),
    "flh": Form(Kind.LOAD, "dm", 2),
    "fsh": Form(Kind.STORE, "sm", 2),
    "fcvt.s.h": Form(Kind.FP, "ds"),
    "fcvt.h.s": Form(Kind.FP, "ds"),
    "fcvt.s.bf16": Form(Kind.FP, "ds"),
    "fcvt.bf16.s": Form(Kind.FP, "ds"),
    "vle32.v": Form(Kind.LOAD, "dm", 4, vector=True),
    "vse32.v": Form(Kind.STORE, "sm", 4, vector=True),
    "vle16.v": Form(Kind.LOAD, "dm", 2, vector=True),
    "vse16.v": Form(Kind.STORE, "sm", 2, vector=True),
    "vmv.v.i": Form(Kind.FP, "di", vector=True),
    "vmv.v.v": Form(Kind.FP, "ds", vector=True),
    "vadd.vv": Form(Kind.FP, "dss", vector=True),
    "vsll.vi": Form(Kind.FP, "dsi", vector=True),
    "vfadd.vv": Form(Kind.FP, "dss", vector=True),
    "vfmul.vv": Form(Kind.FP, "dss", vector=True),
    "vfmacc.vf": Form(Kind.FP, "bss", vector=True),
    "vfmacc.vv": Form(Kind.FP, "bss", vector=True),
    "vfmadd.vv": Form(Kind.FP, "bss", vector=True),
    "vfnmsac.vv": Form(Kind.FP, "bss", vector=True),
    "vfcvt.x.f.v": Form(Kind.FP, "ds", vector=True),
    "vfcvt.f.x.v": Form(Kind.FP, "ds", vector=True),
    "vfwcvt.f.f.v": Form(Kind.FP, "ds", vector=True),
    "vfncvt.f.f.w": Form(Kind.FP, "ds", vector=True),
    "vfwcvtbf16.f.f.v": Form(Kind.FP, "ds", vector=True),
    "vfncvtbf16.f.f.w": Form(Kind.FP, "ds", vector=True),
}

FUSED = {"fmadd.s", "fnmsub.s", "vfmacc.vf", "vfmacc.vv", "vfmadd.vv", "vfnmsac.vv"}
"""Mnemonics that multiply and add: two flops a lane."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One instruction: what it needs and what it makes, not the values.

    Models: register dependencies, memory operands as base and offset, kind and width.
    Ignores: values, so a branch's direction comes from the loop it closes.
    Source: The RISC-V Instruction Set Manual, Volume I, versions 20191213 and (V) 20240411.
    """

    mnemonic: str
    kind: Kind
    dest: int | None = None
    """Register written; register numbers as `X`, `F` and `V` say."""
    sources: tuple[int, ...] = ()
    """Registers read; x0 is none, since it never waits."""
    base: int | None = None
    """Integer register that holds the memory operand's address."""
    offset: int = 0
    """Bytes added to the base."""
    bytes: int = 0
    """Bytes loaded or stored."""
    immediate: int = 0
    busy_cycles: int = 1
    """Before its unit takes another; of a load or store, in the cache."""
    latency_cycles: int | None = None
    """Of its result, where it is not its kind's."""
    pointer: tuple[int, int] | None = None
    """Register from which a pointer is made and the bytes added, where the text alone does not say;
    (-1, 0) where it points elsewhere."""

    @property
    def steps_base(self) -> bool:
        """Whether it moves a pointer on: `addi r, r, bytes`."""
        return self.mnemonic == "addi" and self.sources == (self.dest,)


_ABI = {
    "zero": 0,
    "ra": 1,
    "sp": 2,
    **{f"t{i}": n for i, n in enumerate((5, 6, 7, 28, 29, 30, 31))},
    **{f"s{i}": n for i, n in enumerate((8, 9, *range(18, 28)))},
    **{f"a{i}": 10 + i for i in range(8)},
    **{f"ft{i}": F + n for i, n in enumerate((*range(8), *range(28, 32)))},
    **{f"fs{i}": F + n for i, n in enumerate((8, 9, *range(18, 28)))},
    **{f"fa{i}": F + 10 + i for i in range(8)},
    **{f"{bank}{i}": at + i for bank, at in (("x", X), ("f", F), ("v", V)) for i in range(32)},
}
_MEMORY = re.compile(r"^([^()]*)\((\w+)\)$")
_IMMEDIATE = re.compile(r"^(?:(-?\d+)(?:\*([A-Z_]+))?|([A-Z_]+))$")


def parse(
    text: str, *, symbols: Mapping[str, int] | None = None, lanes: int = 1, where: str = "assembly"
) -> dict[str, tuple[Instruction, ...]]:
    """Return a text's instructions by label; what stands before the first label is under "".

    `lanes` is the number of elements in a vector register. AssemblyError names line and remedy.
    """
    sections: dict[str, list[Instruction]] = {"": []}
    section = sections[""]
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.split("#")[0].strip()
        if line.endswith(":"):
            section = sections.setdefault(line[:-1], [])
        elif line:
            section.append(_instruction(line, symbols or {}, lanes, f"{where}, line {number}"))
    return {label: tuple(body) for label, body in sections.items()}


def _instruction(line: str, symbols: Mapping[str, int], lanes: int, where: str) -> Instruction:
    mnemonic, _, rest = line.partition(" ")
    form = FORMS.get(mnemonic)
    if form is None:
        hint = did_you_mean(mnemonic, FORMS)
        raise AssemblyError(f"{where}: unknown mnemonic '{mnemonic}'{hint}")
    operands = [part.strip() for part in rest.split(",") if part.strip()]
    if len(operands) != len(form.operands):
        raise AssemblyError(
            f"{where}: '{mnemonic}' takes {len(form.operands)} operands, not {len(operands)}"
        )
    dest: int | None = None
    base: int | None = None
    sources: list[int] = []
    offset = immediate = 0
    for code, operand in zip(form.operands, operands, strict=True):
        if code in "db":
            dest = _register(operand, where)
        if code in "sb":
            sources.append(_register(operand, where))
        if code == "i":
            immediate = _number(operand, symbols, where)
        if code == "m":
            match = _MEMORY.match(operand)
            if match is None:
                raise AssemblyError(f"{where}: '{operand}' is no memory operand; write 8(a0)")
            offset = _number(match[1] or "0", symbols, where)
            base = _register(match[2], where)
            sources.append(base)
    return Instruction(
        mnemonic=mnemonic,
        kind=form.kind,
        dest=dest or None,  # a write to x0 is none
        sources=tuple(s for s in sources if s != X),
        base=base,
        offset=offset,
        bytes=form.element_bytes * (lanes if form.vector else 1),
        immediate=immediate,
    )


def _register(name: str, where: str) -> int:
    if name not in _ABI:
        raise AssemblyError(f"{where}: unknown register '{name}'{did_you_mean(name, _ABI)}")
    return _ABI[name]


def _number(text: str, symbols: Mapping[str, int], where: str) -> int:
    match = _IMMEDIATE.match(text)
    if match is None:
        raise AssemblyError(f"{where}: '{text}' is no number, symbol or multiple of a symbol")
    times, multiplied, alone = match.groups()
    symbol = multiplied or alone
    if symbol is not None and symbol not in symbols:
        raise AssemblyError(f"{where}: unknown symbol '{symbol}'{did_you_mean(symbol, symbols)}")
    return int(times or 1) * (symbols[symbol] if symbol else 1)
