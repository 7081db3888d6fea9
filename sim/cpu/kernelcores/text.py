"""Loop bodies as text: what the three instruction sets share when a kernel is read.

A kernel is one straight-line loop body. The branch that closes it, where there is one, comes last;
a body without one stands for code that repeats without a loop. A table of forms says of each
mnemonic which operands it reads and writes and which class of cost it belongs to.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from sim.errors import TokenclockError, did_you_mean

TABLES = Path(__file__).parent / "tables"
ISAS = ("x86_64", "aarch64", "riscv64")
"""Instruction sets, as cores' files name them."""


class KernelError(TokenclockError):
    """A kernel's text or its core cannot be used; the message names file, line and remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a mnemonic is written and what it costs."""

    operands: str
    """One letter an operand: `w` written, `r` read, `b` both, `i` immediate, `m` memory, `a` an
    address that is only computed, `l` label. `w`, `r` and `b` may be memory on x86-64."""
    cost_class: str
    memory_class: str
    """Class of the whole instruction where an operand is in memory; empty for a load or store
    beside `cost_class`."""
    idiom: str
    """`zero`: of equal registers it makes a zero; `move`: a copy between registers."""
    flags: str
    """`r`, `w`, `rw`: what it does to the flags; `vector`: only a form on vectors; `k`: only one
    that writes a mask; `n`: with no operand in memory."""
    extension: str
    """Extension that has it, or several with `|` between; empty for the base."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A memory operand."""

    registers: tuple[str, ...]
    """Base, then index."""
    scale: int = 1
    offset: int = 0
    """Bytes."""
    bytes: int = 0
    post_increment: int | None = None
    """Bytes added to the base afterwards; None without write-back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelInstruction:
    """One line of a kernel: registers by their widest name, memory, class of cost.

    Models: register and flag dependencies, sub-registers as the register that holds them.
    Ignores: values; partial-register merges; false dependencies on an old destination.
    Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2; Arm Architecture
    Reference Manual for A-profile, DDI 0487; The RISC-V Instruction Set Manual, volume I.
    """

    text: str
    line: int
    mnemonic: str
    cost_class: str
    """Empty where the instruction is a load or a store and nothing else."""
    memory_class: str = ""
    """Of its load or store; empty without one."""
    width_bits: int = 0
    """Of its widest register or lane group."""
    reads: tuple[str, ...] = ()
    """Data registers, without those of addresses."""
    writes: tuple[str, ...] = ()
    load: Address | None = None
    store: Address | None = None
    zeroes: bool = False
    moves: bool = False
    branch: bool = False
    last_read: str = ""
    """What the last of `reads` is to it: `shifted`, or the `addend` of a product; empty for any."""
    vex: bool = False
    """Whether its encoding is VEX or EVEX."""
    steps: int | None = None
    """What it adds to its own destination, where that is a constant."""
    extensions: tuple[str, ...] = ()
    """That a core must have; of an entry with `|`, one of those."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """A parsed loop body."""

    name: str
    isa: str
    instructions: tuple[KernelInstruction, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One instruction as written, before its operands are understood."""

    where: str
    """File and line, for errors."""
    number: int
    text: str
    mnemonic: str
    operands: tuple[str, ...]
    labels: frozenset[str]

    def error(self, problem: str) -> KernelError:
        """Make the error for this line."""
        return KernelError(f"{self.where}: {problem}")


@cache
def forms(isa: str) -> Mapping[str, tuple[Form, ...]]:
    """Return the forms of an instruction set by mnemonic."""
    found: dict[str, tuple[Form, ...]] = {}
    with (TABLES / f"forms_{isa}.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            form = Form(
                operands=row["operands"],
                cost_class=row["class"],
                memory_class=row["memory_class"],
                idiom=row["idiom"],
                flags=row["flags"],
                extension=row["extension"],
            )
            for mnemonic in row["mnemonics"].split():
                found[mnemonic] = (*found.get(mnemonic, ()), form)
    return found


def candidate_forms(isa: str, line: Line) -> tuple[Form, ...]:
    """Return the forms with a line's mnemonic and number of operands; KernelError for none."""
    known = forms(isa)
    if line.mnemonic not in known:
        raise line.error(f"unknown mnemonic '{line.mnemonic}'{_mnemonic_hint(isa, line.mnemonic)}")
    counts = sorted({len(form.operands) for form in known[line.mnemonic]})
    fitting = tuple(f for f in known[line.mnemonic] if len(f.operands) == len(line.operands))
    if not fitting:
        takes = " or ".join(str(count) for count in counts)
        raise line.error(
            f"'{line.mnemonic}' takes {takes} operands, not {len(line.operands)}; correct them"
        )
    return fitting


def _mnemonic_hint(isa: str, mnemonic: str) -> str:
    """Say of which other instruction set it is, which one it may mean, or where to add it."""
    others = [name for name in ISAS if name != isa and mnemonic in forms(name)]
    if others:
        return f"; {' and '.join(others)} has it: take a core of that, not of {isa}"
    near = get_close_matches(mnemonic, forms(isa), n=1)
    meant = f"did you mean '{near[0]}', or " if near else ""
    return f"; {meant}add it to {TABLES.name}/forms_{isa}.csv"


_DIRECTIVES = (".intel_syntax", ".text", ".globl", ".global", ".p2align", ".align", ".arch", ".cpu")


def read_lines(text: str, name: str, comment: str) -> list[Line]:
    """Split a text into instructions; `comment` is a pattern of what ends a line's meaning."""
    labels = frozenset(re.findall(r"^\s*([\w.$]+):", text, flags=re.MULTILINE))
    lines: list[Line] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        where = f"{name}, line {number}"
        stripped = re.split(comment, raw, maxsplit=1)[0].strip()
        stripped = re.sub(r"^[\w.$]+:\s*", "", stripped)
        if not stripped:
            continue
        if stripped.startswith("."):
            directive = stripped.split()[0]
            if directive not in _DIRECTIVES:
                hint = did_you_mean(directive, _DIRECTIVES)
                raise KernelError(f"{where}: unknown directive '{directive}'{hint}")
            continue
        mnemonic, _, rest = stripped.partition(" ")
        lines.append(
            Line(
                where=where,
                number=number,
                text=" ".join(stripped.split()),
                mnemonic=mnemonic.lower(),
                operands=split_operands(rest),
                labels=labels,
            )
        )
    if not lines:
        raise KernelError(f"{name}: holds no instruction; write a loop body")
    return lines


def split_operands(text: str) -> tuple[str, ...]:
    """Split at the commas that stand outside brackets."""
    parts = re.split(r",(?![^\[{(]*[\]})])", text)
    return tuple(part.strip() for part in parts if part.strip())


def kernel_of(
    name: str, isa: str, lines: list[Line], parse: Callable[[Line], KernelInstruction]
) -> Kernel:
    """Parse each line and check that only the last one branches."""
    instructions = tuple(parse(line) for line in lines)
    for line, instruction in zip(lines[:-1], instructions[:-1], strict=True):
        if instruction.branch:
            raise line.error(
                f"'{line.text}' branches in the middle; a kernel is one loop body that only its "
                "last instruction may close"
            )
    return Kernel(name=name, isa=isa, instructions=instructions)


def check_label(line: Line, operand: str) -> None:
    """Raise KernelError where a branch leads to no label of the text."""
    target = operand.rstrip("bf") if operand[:-1].isdigit() else operand
    if target not in line.labels:
        hint = did_you_mean(target, sorted(line.labels)) if line.labels else "; define it"
        raise line.error(f"no label '{operand}'{hint}")
