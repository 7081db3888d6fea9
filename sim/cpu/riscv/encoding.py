"""Operands of one instruction: read by the letters of its table row, ranges checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from sim.cpu.riscv import pseudo
from sim.cpu.riscv.floats import Rounding
from sim.cpu.riscv.operation import Operation
from sim.cpu.riscv.program import AssemblyError, Instruction, Xlen
from sim.cpu.riscv.registers import NUMBERS, F, X
from sim.cpu.riscv.semantics import OPERATIONS
from sim.cpu.riscv.vector.encoding import VectorReader
from sim.cpu.riscv.vector.operation import VectorOperation
from sim.cpu.riscv.vector.table import VECTOR_OPERATIONS
from sim.errors import did_you_mean

CONTROL_REGISTERS: Mapping[str, int] = {
    "fflags": 0x001,
    "frm": 0x002,
    "fcsr": 0x003,
    "mstatus": 0x300,
    "mhartid": 0xF14,
    "mcycle": 0xB00,
    "minstret": 0xB02,
    "cycle": 0xC00,
    "time": 0xC01,
    "instret": 0xC02,
    "vl": 0xC20,
    "vtype": 0xC21,
    "vlenb": 0xC22,
}
"""Source: The RISC-V Instruction Set Manual, Volume II, version 20240411, chapter 2."""

_MEMORY = re.compile(r"^(.*)\((\s*\w+\s*)\)$")
_RANGES: Mapping[str, tuple[int, int, int]] = {
    "i": (-0x800, 0x7FF, 1),
    "m": (-0x800, 0x7FF, 1),
    "z": (0, 31, 1),
    "u": (0, 0xFFFFF, 1),
    "b": (-0x1000, 0xFFE, 2),
    "j": (-0x100000, 0xFFFFE, 2),
}
"""Least, most and step of an immediate. Source: the manual's Volume I, chapter 2.3."""


def read_instruction(
    mnemonic: str,
    operands: Sequence[str],
    *,
    address: int,
    line: int,
    where: str,
    xlen: Xlen,
    value: Callable[[str], int],
) -> Instruction:
    """Make an instruction of its words; AssemblyError names line and remedy."""
    name = re.sub(r"^(amo\w+\.[wd])\.(aq|rl|aqrl)$", r"\1", mnemonic)  # one core: no ordering
    operation = OPERATIONS.get(name) or VECTOR_OPERATIONS.get(name)
    if operation is None:
        hint = did_you_mean(mnemonic, [*OPERATIONS, *VECTOR_OPERATIONS, *pseudo.NAMES])
        raise AssemblyError(f"{where}: unknown instruction '{mnemonic}'{hint}")
    if operation.only_rv64 and xlen == 32:
        raise AssemblyError(f"{where}: '{mnemonic}' needs RV64; assemble with xlen=64")
    reader = _Reader(name, operation, address=address, where=where, xlen=xlen, value=value)
    letters = operation.operands
    rounding, vector = Rounding.RNE, None
    if isinstance(operation, VectorOperation):
        vectors = VectorReader(name, operation, where=where, value=value)
        vector = vectors.read(operands)
        letters, operands, reader.immediate = vectors.letters, vectors.texts, vectors.immediate
    elif letters.endswith("r"):
        letters = letters[:-1]
        if len(operands) == len(letters) + 1:
            *operands, mode = operands
            rounding = reader.rounding(mode)
    if len(operands) != len(letters):
        raise AssemblyError(
            f"{where}: '{mnemonic}' takes {len(letters)} operands, not {len(operands)}"
        )
    for letter, text in zip(letters, operands, strict=True):
        reader.take(letter, text)
    return Instruction(
        mnemonic=name,
        operation=operation,
        address=address,
        dest=reader.dest or None,  # a write to x0 is none
        sources=tuple(reader.sources),
        immediate=reader.immediate,
        rounding=rounding,
        line=line,
        target_name=reader.target_name,
        vector=vector,
    )


class _Reader:
    """Collects the operands of one instruction."""

    def __init__(
        self,
        mnemonic: str,
        operation: Operation,
        *,
        address: int,
        where: str,
        xlen: Xlen,
        value: Callable[[str], int],
    ) -> None:
        self.mnemonic = mnemonic
        self.operation = operation
        self.address = address
        self.where = where
        self.xlen = xlen
        self.value = value
        self.dest: int | None = None
        self.sources: list[int] = []
        self.immediate = 0
        self.target_name = ""

    def take(self, letter: str, text: str) -> None:
        """Read one operand."""
        if letter in "dD":
            self.dest = self.register(text, F if letter == "D" else X)
        elif letter in "sS":
            self.sources.append(self.register(text, F if letter == "S" else X))
        elif letter in "ma":
            self._memory(letter, text)
        elif letter == "c":
            self.immediate = self._control_register(text)
        elif letter == "h":
            most = (32 if self.mnemonic.endswith("w") else self.xlen) - 1
            self.immediate = self._within(self.value(text), 0, most, 1)
        elif letter in "bj":
            self._target(letter, text)
        else:
            number = self.value(text)
            if letter == "u" and number < 0:
                number &= 0xFFFFF
            self.immediate = self._within(number, *_RANGES[letter])

    def register(self, name: str, bank: int) -> int:
        """Return a register's number; it must be of the bank that the operand needs."""
        number = NUMBERS.get(name.lower())
        kind = "integer" if bank == X else "floating-point"
        of_bank = [known for known, place in NUMBERS.items() if place // F == bank // F]
        if number is None:
            raise AssemblyError(
                f"{self.where}: unknown register '{name}'{did_you_mean(name, of_bank)}"
            )
        if number // F != bank // F:
            raise AssemblyError(
                f"{self.where}: '{self.mnemonic}' needs an {kind} register, not '{name}'"
                if bank == X
                else f"{self.where}: '{self.mnemonic}' needs a {kind} register, not '{name}'"
            )
        return number

    def rounding(self, mode: str) -> Rounding:
        """Return a rounding mode; `dyn` is the one that the core starts with."""
        word = mode.lower()
        if word == "dyn":
            return Rounding.RNE
        if word not in list(Rounding):
            hint = did_you_mean(word, list(Rounding))
            raise AssemblyError(f"{self.where}: unknown rounding mode '{mode}'{hint}")
        return Rounding(word)

    def _memory(self, letter: str, text: str) -> None:
        match = _MEMORY.match(text)
        if match is None and self.mnemonic == "jalr":
            match = _MEMORY.match(f"({text})")
        if match is None:
            raise AssemblyError(f"{self.where}: '{text}' is no memory operand; write 8(a0)")
        offset = match[1].strip()
        if offset:
            self.immediate = self._within(self.value(offset), *_RANGES["m"])
            if letter == "a" and self.immediate:
                kind = "an atomic" if self.mnemonic.startswith("amo") else "a vector access"
                raise AssemblyError(f"{self.where}: {kind} has no offset; write (a0)")
        self.sources.append(self.register(match[2].strip(), X))

    def _target(self, letter: str, text: str) -> None:
        """Read a label, or a distance in bytes."""
        number = self.value(text)
        if (
            re.fullmatch(r"[-+]?\w+", text)
            and text.lstrip("+-")[0].isdigit()
            and text[-1] not in "fb"
        ):
            distance = number
        else:
            distance, self.target_name = number - self.address, text
        self.immediate = self._within(distance, *_RANGES[letter])

    def _control_register(self, text: str) -> int:
        if text in CONTROL_REGISTERS:
            return CONTROL_REGISTERS[text]
        if text[:1].isdigit() and self.value(text) in CONTROL_REGISTERS.values():
            return self.value(text)
        hint = did_you_mean(text, CONTROL_REGISTERS)
        raise AssemblyError(f"{self.where}: unknown control register '{text}'{hint}")

    def _within(self, number: int, least: int, most: int, step: int) -> int:
        if not least <= number <= most or number % step:
            even = " and even" if step == 2 else ""
            raise AssemblyError(
                f"{self.where}: '{self.mnemonic}' takes a number from {least} to {most}{even}, "
                f"not {number}"
            )
        return number
