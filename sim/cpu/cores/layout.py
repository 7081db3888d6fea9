"""Where instructions lie when the C extension's two-byte forms are used wherever they exist.

Fetch groups depend on addresses: a loop of two-byte forms spans fewer lines.
"""

from __future__ import annotations

import re

from sim.cpu.riscv.operation import Kind
from sim.cpu.riscv.program import INSTRUCTION_BYTES, Instruction, Program
from sim.cpu.riscv.registers import SP, ZERO, F

_ALIGN = re.compile(r"(?:\w+:)?\s*\.(?:((?:p2)?align)|balign)\s+(\d+)")
_SECTION = re.compile(r"\.(?:section\s+)?\.?(text|data|rodata|bss|sdata|sbss)\b")
_POPULAR = frozenset(range(8, 16)) | frozenset(range(F + 8, F + 16))
"""x8 to x15 and f8 to f15, which three-bit fields name."""
_TWO_OPERANDS = frozenset({"and", "or", "xor", "sub", "addw", "subw"})
_COMMUTE = frozenset({"and", "or", "xor", "addw", "add"})


def byte_addresses(program: Program, *, compressed: bool) -> list[int]:
    """Return where each instruction lies and, last, where the text ends."""
    if not compressed:
        count = len(program.instructions)
        return [program.text_base + INSTRUCTION_BYTES * i for i in range(count + 1)]
    alignments = _text_alignments(program)
    addresses, at, read = [], program.text_base, 0
    for instruction in program.instructions:
        for line in range(read + 1, instruction.line + 1):
            at = -(-at // alignments.get(line, 1)) * alignments.get(line, 1)
        read = max(read, instruction.line)
        addresses.append(at)
        if instruction.line not in alignments:  # else padding, which is counted
            at += 2 if is_compressible(instruction) else INSTRUCTION_BYTES
    return [*addresses, at]


def _text_alignments(program: Program) -> dict[int, int]:
    """Return the bytes that the directives of the text ask for, by line."""
    alignments, in_text = {}, True
    for number, line in enumerate(program.source, start=1):
        words = line.split("#")[0].strip()
        if section := _SECTION.match(words):
            in_text = section[1] == "text"
        elif in_text and (found := _ALIGN.match(words)):
            alignments[number] = 1 << int(found[2]) if found[1] else int(found[2])
    return alignments


def is_compressible(instruction: Instruction) -> bool:
    """Whether RV64GC has a two-byte form of an instruction.

    Source: The RISC-V Instruction Set Manual, Volume I, version 20240411, chapter 26 ("C").
    """
    kind, name = instruction.operation.kind, instruction.mnemonic
    sources, value = instruction.sources, instruction.immediate
    if kind in (Kind.LOAD, Kind.STORE):
        return _memory_form(instruction)
    if kind is Kind.BRANCH:
        near = -256 <= value < 256 and sources[1] == ZERO and sources[0] in _POPULAR
        return name in ("beq", "bne") and near
    if kind is Kind.JUMP:
        return instruction.dest is None and -2048 <= value < 2048
    if kind is Kind.INDIRECT:
        return value == 0 and instruction.dest in (None, 1) and sources[0] != ZERO
    if instruction.dest is None:
        return name == "addi" and value == 0  # c.nop
    return _register_form(instruction) or _immediate_form(instruction)


def _memory_form(instruction: Instruction) -> bool:
    size, offset = instruction.operation.bytes, instruction.immediate
    base = instruction.sources[-1]
    load = instruction.operation.kind is Kind.LOAD
    data = instruction.dest if load else instruction.sources[0]
    known = ("lw", "ld", "sw", "sd", "fld", "fsd")
    if instruction.mnemonic not in known or offset < 0 or offset % size:
        return False
    if base == SP:
        return offset < 64 * size and not (load and data is None)
    return base in _POPULAR and data in _POPULAR and offset < 32 * size


def _register_form(instruction: Instruction) -> bool:
    name, dest, sources = instruction.mnemonic, instruction.dest, instruction.sources
    if name not in _TWO_OPERANDS and name != "add":
        return False
    first, second = sources
    if name in _COMMUTE and first != dest and second == dest:
        first, second = second, first
    if name == "add":  # c.mv, c.add
        return (first in (ZERO, dest)) and second != ZERO
    return first == dest and dest in _POPULAR and second in _POPULAR


def _immediate_form(instruction: Instruction) -> bool:
    name, dest, value = instruction.mnemonic, instruction.dest, instruction.immediate
    if name == "lui":
        number = value - (1 << 20) if value >= 1 << 19 else value
        return dest != SP and -32 <= number < 32 and number != 0
    if not instruction.operation.has_immediate or len(instruction.sources) != 1:
        return False
    source, small = instruction.sources[0], -32 <= value < 32
    if name == "addi":
        moved = source not in (ZERO, dest) and value == 0  # c.mv
        stack = source == SP and dest == SP and value % 16 == 0 and -512 <= value < 512
        pointer = source == SP and dest in _POPULAR and 0 < value < 1024 and value % 4 == 0
        return moved or stack or pointer or (small and source in (ZERO, dest))
    forms = {
        "addiw": small,
        "slli": True,
        "srli": dest in _POPULAR,
        "srai": dest in _POPULAR,
        "andi": small and dest in _POPULAR,
    }
    return source == dest and forms.get(name, False)
