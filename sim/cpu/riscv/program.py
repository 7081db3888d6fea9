"""An assembled program: instructions with addresses, data, and where each line came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sim.cpu.riscv.floats import Rounding
from sim.cpu.riscv.operation import Operation
from sim.cpu.riscv.registers import name as register_name
from sim.cpu.riscv.vector.operands import VectorOperands
from sim.errors import TokenclockError

Xlen = Literal[32, 64]
INSTRUCTION_BYTES = 4


class AssemblyError(TokenclockError):
    """A line of assembly text cannot be used; the message names file, line and remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One instruction with its operands."""

    mnemonic: str
    operation: Operation
    address: int
    dest: int | None
    """Register written; x0 is none."""
    sources: tuple[int, ...]
    """Registers read, as written: of a store the value, then the base."""
    immediate: int
    """Also a branch's or jump's distance in bytes, and the number of a control register."""
    rounding: Rounding
    line: int
    """In the source text, from 1."""
    target_name: str = ""
    """Label that a branch or jump names."""
    vector: VectorOperands | None = None
    """Vector registers; `sources` and `dest` are the scalar ones."""

    def __str__(self) -> str:
        """Write it as a disassembler does, registers by number."""
        words = [self.mnemonic]
        if self.dest is not None or "d" in self.operation.operands.lower():
            words.append(register_name(self.dest or 0))
        words += [register_name(source) for source in self.sources]
        words += self.vector.names if self.vector else ()
        if self.operation.has_immediate:
            words.append(str(self.immediate))
        if self.target_name:
            words.append(f"<{self.target_name}>")
        return " ".join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Machine-level program: text at its addresses, data at its own."""

    name: str
    """Of the file, for messages."""
    xlen: Xlen
    instructions: tuple[Instruction, ...]
    text_base: int
    data_base: int
    data: bytes
    """Content of memory from `data_base`; zeroed parts included."""
    symbols: Mapping[str, int]
    """Labels and `.equ` constants."""
    entry: int
    """Address of the first instruction to execute."""
    source: tuple[str, ...] = ()
    """Lines of the text."""

    def index_of(self, address: int) -> int | None:
        """Return the place of the instruction at an address, None where there is none."""
        index, rest = divmod(address - self.text_base, INSTRUCTION_BYTES)
        return index if not rest and 0 <= index < len(self.instructions) else None

    def where(self, instruction: Instruction) -> str:
        """Name file, line and text of an instruction, for messages."""
        text = self.source[instruction.line - 1].split("#")[0].strip() if self.source else ""
        return f"{self.name}, line {instruction.line}: `{text or instruction}`"
