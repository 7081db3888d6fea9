"""Data directives: the bytes that each puts into memory."""

from __future__ import annotations

import ast
import struct
from collections.abc import Callable, Mapping, Sequence

from sim.cpu.riscv import floats

INTEGERS: Mapping[str, int] = {
    ".byte": 1,
    ".half": 2,
    ".short": 2,
    ".2byte": 2,
    ".word": 4,
    ".long": 4,
    ".int": 4,
    ".4byte": 4,
    ".dword": 8,
    ".quad": 8,
    ".8byte": 8,
}
"""Bytes of one value; `.half`, `.word` and `.dword` align themselves, as in the GNU assembler for
data that is written aligned."""
FLOATS: Mapping[str, floats.Format] = {
    ".float": floats.SINGLE,
    ".single": floats.SINGLE,
    ".double": floats.DOUBLE,
}
STRINGS: Mapping[str, bytes] = {".string": b"\0", ".asciz": b"\0", ".ascii": b""}
"""What follows the text."""
POWER_ALIGNMENTS = (".align", ".p2align")
BYTE_ALIGNMENTS = (".balign",)
GAPS = (".zero", ".space", ".skip")
SECTIONS: Mapping[str, str] = {
    ".text": ".text",
    ".data": ".data",
    ".rodata": ".data",
    ".bss": ".data",
    ".sdata": ".data",
    ".sbss": ".data",
}
"""Which of the two segments a section goes to."""
WITHOUT_EFFECT = (
    ".globl",
    ".global",
    ".local",
    ".type",
    ".size",
    ".file",
    ".option",
    ".attribute",
    ".ident",
    ".weak",
)
CONSTANTS = (".equ", ".set")
KNOWN = (
    *INTEGERS,
    *FLOATS,
    *STRINGS,
    *POWER_ALIGNMENTS,
    *BYTE_ALIGNMENTS,
    *GAPS,
    ".fill",
    ".section",
    *SECTIONS,
    *WITHOUT_EFFECT,
    *CONSTANTS,
)

Value = Callable[[str], int]
"""Evaluates an expression."""


def size_of(name: str, operands: Sequence[str], value: Value) -> int:
    """Return how many bytes a data directive makes; ValueError where its operands are wrong."""
    if name in INTEGERS:
        return INTEGERS[name] * len(operands)
    if name in FLOATS:
        return FLOATS[name].bits // 8 * len(operands)
    if name in STRINGS:
        return len(content_of(name, operands, value))
    if name in GAPS:
        return _count(operands[0], value)
    repeat, size = _count(operands[0], value), 1
    if len(operands) > 1:
        size = _count(operands[1], value)
    return repeat * size


def content_of(name: str, operands: Sequence[str], value: Value) -> bytes:
    """Return a data directive's bytes; ValueError where its operands are wrong."""
    if name in INTEGERS:
        return b"".join(_integer(value(text), INTEGERS[name]) for text in operands)
    if name in FLOATS:
        form = FLOATS[name]
        return b"".join(
            struct.pack(form.integer_code, floats.nearest(form, _real(text))) for text in operands
        )
    if name in STRINGS:
        return b"".join(_string(text) + STRINGS[name] for text in operands)
    if name in GAPS:
        fill = value(operands[1]) if len(operands) > 1 else 0
        return _integer(fill, 1) * _count(operands[0], value)
    size = _count(operands[1], value) if len(operands) > 1 else 1
    fill = value(operands[2]) if len(operands) > 2 else 0
    return _integer(fill, size) * _count(operands[0], value)


def _count(text: str, value: Value) -> int:
    count = value(text)
    if not 0 <= count < 1 << 30:
        raise ValueError(f"{count} bytes or times; write 0 to {(1 << 30) - 1}")
    return count


def _integer(number: int, size: int) -> bytes:
    if not -(1 << (8 * size - 1)) <= number < 1 << (8 * size):
        raise ValueError(f"{number} does not fit in {size} bytes")
    return (number % (1 << (8 * size))).to_bytes(size, "little")


def _real(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"'{text}' is no number; write 1.5, inf or nan") from None


def _string(text: str) -> bytes:
    try:
        content = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        content = None
    if not isinstance(content, str):
        raise ValueError(f'{text} is no string; write "text"')  # noqa: TRY004 - the text is wrong
    return content.encode()
