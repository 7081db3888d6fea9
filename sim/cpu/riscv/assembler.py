"""The assembler: text to a `Program`, in two passes.

The first pass cuts lines into labels and statements, expands pseudo-instructions and gives each
statement its address; the second evaluates operands, for which all symbols are known by then.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sim.cpu.riscv import directives, pseudo
from sim.cpu.riscv.encoding import read_instruction
from sim.cpu.riscv.expressions import Evaluator
from sim.cpu.riscv.program import (
    INSTRUCTION_BYTES,
    AssemblyError,
    Instruction,
    Program,
    Xlen,
)
from sim.cpu.riscv.semantics import OPERATIONS
from sim.errors import did_you_mean

TEXT_BASE, DATA_BASE = 0, 0x1000_0000
"""Where text and data begin unless told."""
ENTRIES = ("_start", "main")
"""Labels at which a program begins, if it has them; else at its first instruction."""

_LABEL = re.compile(r"\s*([A-Za-z_.$][\w.$]*|\d+)\s*:")
_COMMENT = re.compile(
    r"""("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])')|(#[^\n]*|//[^\n]*|/\*.*?\*/)""", re.DOTALL
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Statement:
    """A directive or real instruction with its place."""

    name: str
    operands: tuple[str, ...]
    address: int
    line: int
    nearby: Mapping[str, int]
    """What `1b` and the like mean here; `1f` is looked up in the label's list."""


def assemble_file(
    path: Path,
    *,
    xlen: Xlen = 32,
    symbols: Mapping[str, int] | None = None,
    text_base: int = TEXT_BASE,
) -> Program:
    """Assemble a file; AssemblyError also where it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AssemblyError(f"{path}: cannot be read ({error})") from error
    return assemble(text, xlen=xlen, name=str(path), symbols=symbols, text_base=text_base)


def assemble(
    text: str,
    *,
    xlen: Xlen = 32,
    name: str = "assembly",
    symbols: Mapping[str, int] | None = None,
    text_base: int = TEXT_BASE,
    data_base: int = DATA_BASE,
) -> Program:
    """Assemble a text for registers of `xlen` bits.

    `symbols` are constants given from outside. AssemblyError names file, line and remedy.
    """
    pass_one = Layout(xlen, name, dict(symbols or {}), text_base, data_base)
    for number, line in enumerate(_without_comments(text).split("\n"), start=1):
        pass_one.line(number, line)
    return pass_one.program(tuple(text.split("\n")))


def _without_comments(text: str) -> str:
    """Blank comments out and keep line numbers."""
    return _COMMENT.sub(lambda match: match[1] or "\n" * match[2].count("\n"), text)


class Layout:
    """Gives every statement of a text its address, then its content.

    Models: two segments, text and data; labels, numeric ones too; constants.
    Ignores: compressed instructions: every instruction takes four bytes; relocation, macros.
    Source: RISC-V Assembly Programmer's Manual.
    """

    def __init__(
        self, xlen: Xlen, name: str, symbols: dict[str, int], text_base: int, data_base: int
    ) -> None:
        self.xlen: Xlen = xlen
        self.name = name
        self.symbols = symbols
        self.bases = {".text": text_base, ".data": data_base}
        self.ends = dict(self.bases)
        self.segment = ".text"
        self.statements: dict[str, list[_Statement]] = {".text": [], ".data": []}
        self.numeric: dict[str, list[int]] = {}
        self.waiting: list[tuple[str, str]] = []
        self.number = 0

    @property
    def where(self) -> str:
        """Name the line at hand, for messages."""
        return f"{self.name}, line {self.number}"

    def line(self, number: int, text: str) -> None:
        """Take in one line; statements are separated by `;`."""
        self.number = number
        for part in re.split(r""";(?=(?:[^"]*"[^"]*")*[^"]*$)""", text):
            rest = part
            while match := _LABEL.match(rest):
                self.waiting.append((match[1], self.segment))
                rest = rest[match.end() :]
            words = rest.strip()
            if words:
                name, _, operands = words.replace("\t", " ").partition(" ")
                self._statement(name.lower(), _split(operands))
        self._place_labels()

    def _place_labels(self) -> None:
        for label, segment in self.waiting:
            if label.isdigit():
                self.numeric.setdefault(label, []).append(self.ends[segment])
            elif label in self.symbols:
                raise AssemblyError(f"{self.where}: label '{label}' is there twice; rename one")
            else:
                self.symbols[label] = self.ends[segment]
        self.waiting.clear()

    def _statement(self, name: str, operands: tuple[str, ...]) -> None:
        if not name.startswith("."):
            self._place_labels()
            self._instruction(name, operands)
        elif name in directives.SECTIONS or name == ".section":
            self._section(operands[0] if name == ".section" and operands else name)
        elif name in directives.CONSTANTS:
            self._constant(operands)
        elif name not in directives.WITHOUT_EFFECT:
            self._data(name, operands)

    def _section(self, name: str) -> None:
        self._place_labels()
        known = [known for known in directives.SECTIONS if (name + ".").startswith(known + ".")]
        if not known:
            hint = did_you_mean(name, directives.SECTIONS)
            raise AssemblyError(f"{self.where}: unknown section '{name}'{hint}")
        self.segment = directives.SECTIONS[known[0]]

    def _constant(self, operands: tuple[str, ...]) -> None:
        if len(operands) != 2:
            raise AssemblyError(f"{self.where}: write .equ NAME, value")
        self.symbols[operands[0]] = self._known(operands[1])

    def _known(self, text: str) -> int:
        """Evaluate what the layout depends on: with the symbols so far."""
        return self._evaluator(self.ends[self.segment], self.where, {}).value(text)

    def _evaluator(self, address: int, where: str, nearby: Mapping[str, int]) -> Evaluator:
        return Evaluator(partial(self._symbol, address, nearby), address, where)

    def _symbol(self, address: int, nearby: Mapping[str, int], name: str) -> int | None:
        if name == ".":
            return address
        if name[0].isdigit():
            seen = nearby.get(name[:-1], 0)
            places = self.numeric.get(name[:-1], [])
            index = seen if name[-1] == "f" else seen - 1
            return places[index] if 0 <= index < len(places) else None
        return self.symbols.get(name)

    def _add(self, name: str, operands: tuple[str, ...], size: int) -> None:
        seen = {label: len(places) for label, places in self.numeric.items()}
        address = self.ends[self.segment]
        self.statements[self.segment].append(
            _Statement(name=name, operands=operands, address=address, line=self.number, nearby=seen)
        )
        self.ends[self.segment] = address + size

    def _instruction(self, name: str, operands: tuple[str, ...]) -> None:
        if self.segment != ".text":
            raise AssemblyError(f"{self.where}: an instruction among data; write .text before it")
        if name == "li" and len(operands) == 2:
            lines = pseudo.load_immediate(operands[0], self._known(operands[1]), self.xlen)
        else:
            if name in OPERATIONS and OPERATIONS[name].kind.value == "fence":
                operands = ()
            lines = pseudo.expand(name, operands) or ()
        for line in lines:
            real, _, rest = line.partition(" ")
            self._add(real, _split(rest), INSTRUCTION_BYTES)
        if not lines:
            self._add(name, operands, INSTRUCTION_BYTES)

    def _data(self, name: str, operands: tuple[str, ...]) -> None:
        if name not in directives.KNOWN:
            hint = did_you_mean(name, directives.KNOWN)
            raise AssemblyError(f"{self.where}: unknown directive '{name}'{hint}")
        if not operands:
            raise AssemblyError(f"{self.where}: '{name}' needs a value")
        try:
            if name in directives.POWER_ALIGNMENTS or name in directives.BYTE_ALIGNMENTS:
                self._align(name, operands[0])
                self._place_labels()
                return
            self._place_labels()
            size = directives.size_of(name, operands, self._known)
        except AssemblyError:
            raise
        except ValueError as error:
            raise AssemblyError(f"{self.where}: '{name}': {error}") from error
        if self.segment == ".text":
            raise AssemblyError(f"{self.where}: '{name}' among instructions; write .data before it")
        self._add(name, operands, size)

    def _align(self, name: str, operand: str) -> None:
        amount = self._known(operand)
        if name in directives.POWER_ALIGNMENTS:
            amount = 1 << amount if 0 <= amount <= 20 else 0
        if amount <= 0 or amount & (amount - 1):
            raise ValueError(f"'{operand}' is no alignment; write a power of two")
        gap = -self.ends[self.segment] % amount
        if self.segment == ".data":
            self._add(".zero", (str(gap),), gap)
        for _ in range(gap // INSTRUCTION_BYTES if self.segment == ".text" else 0):
            self._add("addi", ("x0", "x0", "0"), INSTRUCTION_BYTES)

    def program(self, source: tuple[str, ...]) -> Program:
        """Evaluate all operands."""
        instructions = tuple(self._read(statement) for statement in self.statements[".text"])
        data = b"".join(self._bytes(statement) for statement in self.statements[".data"])
        if not instructions:
            raise AssemblyError(f"{self.name}: the text has no instruction")
        entries = [self.symbols[label] for label in ENTRIES if label in self.symbols]
        return Program(
            name=self.name,
            xlen=self.xlen,
            instructions=instructions,
            text_base=self.bases[".text"],
            data_base=self.bases[".data"],
            data=data,
            symbols=dict(self.symbols),
            entry=entries[0] if entries else self.bases[".text"],
            source=source,
        )

    def _read(self, statement: _Statement) -> Instruction:
        where = f"{self.name}, line {statement.line}"
        evaluator = self._evaluator(statement.address, where, statement.nearby)
        return read_instruction(
            statement.name,
            statement.operands,
            address=statement.address,
            line=statement.line,
            where=where,
            xlen=self.xlen,
            value=evaluator.value,
        )

    def _bytes(self, statement: _Statement) -> bytes:
        where = f"{self.name}, line {statement.line}"
        evaluator = self._evaluator(statement.address, where, statement.nearby)
        try:
            return directives.content_of(statement.name, statement.operands, evaluator.value)
        except AssemblyError:
            raise
        except ValueError as error:
            raise AssemblyError(f"{where}: '{statement.name}': {error}") from error


def _split(operands: str) -> tuple[str, ...]:
    """Cut at commas outside of strings."""
    parts = re.split(r""",(?=(?:[^"]*"[^"]*")*[^"]*$)""", operands)
    return tuple(part.strip() for part in parts if part.strip())
