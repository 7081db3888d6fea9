"""Operands of x86-64 in Intel syntax: registers, addresses, and what AVX-512 adds in braces."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sim.cpu.kernelcores.text import Address, Line
from sim.errors import did_you_mean

_SIZES = {"byte": 1, "word": 2, "dword": 4, "qword": 8, "xmmword": 16, "ymmword": 32, "zmmword": 64}
_MEMORY = re.compile(r"^(?:(\w+)\s+ptr\s+)?\[([^\]]+)\]$", re.IGNORECASE)
_VECTOR_BITS = {"x": 128, "y": 256, "z": 512}
TILE_BITS = 8192
"""Of a tile register with all rows: 16 of 64 bytes."""
_BROADCAST = re.compile(r"1to(2|4|8|16|32)")
_ROUNDING = ("rn-sae", "rd-sae", "ru-sae", "rz-sae", "sae")


def _general_registers() -> dict[str, tuple[str, int]]:
    names: dict[str, tuple[str, int]] = {}
    for stem in "abcd":
        wide = f"r{stem}x"
        names |= {wide: (wide, 64), f"e{stem}x": (wide, 32), f"{stem}x": (wide, 16)}
        names |= {f"{stem}l": (wide, 8), f"{stem}h": (wide, 8)}
    for stem in ("si", "di", "bp", "sp"):
        wide = f"r{stem}"
        names |= {wide: (wide, 64), f"e{stem}": (wide, 32), stem: (wide, 16), f"{stem}l": (wide, 8)}
    for number in range(8, 16):
        wide = f"r{number}"
        bits = {"": 64, "d": 32, "w": 16, "b": 8}
        names |= {wide + suffix: (wide, size) for suffix, size in bits.items()}
    return names


REGISTERS: dict[str, tuple[str, int]] = _general_registers() | {
    f"{letter}mm{number}": (f"zmm{number}", bits)
    for letter, bits in _VECTOR_BITS.items()
    for number in range(32)
}
REGISTERS |= {f"k{number}": (f"k{number}", 0) for number in range(8)}
REGISTERS |= {f"tmm{number}": (f"tmm{number}", TILE_BITS) for number in range(8)}
"""Widest name and width in bits, by name; a mask's width is that of the vectors beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decorations:
    """What stands in braces beside an instruction's operands.

    Models: that a masked result needs the mask and, where it merges, its old value; that an element
    in memory is broadcast.
    Ignores: how many elements a mask leaves out; the rounding mode.
    Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, section 2.7.
    """

    mask: str = ""
    zeroing: bool = False
    elements: int = 0
    """Copies that are made of an element in memory; 0 for none."""
    rounding: bool = False

    @property
    def any(self) -> bool:
        """Whether there is one, so that the encoding is EVEX."""
        return self != Decorations()


def undecorated(line: Line) -> tuple[tuple[str, ...], Decorations]:
    """Return a line's operands without braces, and what these say; KernelError for nonsense."""
    bare: list[str] = []
    found: list[tuple[int, str]] = []
    for operand in line.operands:
        found += [(len(bare), each) for each in re.findall(r"\{([^}]*)\}", operand.lower())]
        rest = re.sub(r"\s*\{[^}]*\}", "", operand).strip()
        bare += [rest] if rest else []
    mask, elements, zeroing, rounding = "", 0, False, False
    for place, text in found:
        if re.fullmatch(r"k[0-7]", text):
            mask = _mask(line, place, text)
        elif text == "z":
            zeroing = True
        elif match := _BROADCAST.fullmatch(text):
            if place >= len(bare) or "[" not in bare[place]:
                raise line.error(f"'{{{text}}}' copies an element in memory; write [rsi]{{{text}}}")
            elements = int(match[1])
        elif text in _ROUNDING:
            rounding = True
        else:
            known = ("k1", "z", "1to16", *_ROUNDING)
            raise line.error(f"unknown '{{{text}}}'{did_you_mean(text, known)}")
    _check(line, bare, (mask, zeroing, rounding))
    return tuple(bare), Decorations(
        mask=mask, zeroing=zeroing, elements=elements, rounding=rounding
    )


def _mask(line: Line, place: int, text: str) -> str:
    if text == "k0":
        raise line.error("'{k0}' masks nothing; take k1 to k7")
    if place != 0:
        raise line.error(f"'{{{text}}}' stands beside the destination; write zmm0{{{text}}}")
    return text


def _check(line: Line, bare: list[str], found: tuple[str, bool, bool]) -> None:
    mask, zeroing, rounding = found
    in_memory = [place for place, operand in enumerate(bare) if "[" in operand]
    if zeroing and (not mask or in_memory == [0]):
        raise line.error("'{z}' needs a mask and a register; write zmm0{k1}{z}")
    if rounding and in_memory:
        raise line.error("rounding in braces is for registers only; load the operand first")


def uses_evex(operands: tuple[str, ...]) -> bool:
    """Whether a register among the operands exists in AVX-512 alone."""
    names = re.findall(r"\b([xyz])mm(\d+)\b", " ".join(operands).lower())
    return any(letter == "z" or int(number) > 15 for letter, number in names)


def is_number(text: str) -> bool:
    """Whether an operand is an immediate."""
    return re.fullmatch(r"[-+]?(0[xX][0-9a-fA-F]+|\d+)", text) is not None


def address_of(line: Line, operand: str) -> Address:
    """Read a memory operand; KernelError for a wrong one."""
    match = _MEMORY.match(operand)
    if match is None or (match[1] and match[1].lower() not in _SIZES):
        raise line.error(f"'{operand}' is no memory operand; write dword ptr [rdi+rcx*4+8]")
    base: list[str] = []
    index: list[str] = []
    scale, offset = 1, 0
    for sign, term in re.findall(r"([-+]?)\s*([^-+\s]+)", match[2]):
        factor = re.fullmatch(r"(\w+)\*([1248])", term)
        name = (factor[1] if factor else term).lower()
        if is_number(term):
            offset += int(term, 0) * (-1 if sign == "-" else 1)
        elif name not in REGISTERS:
            raise line.error(f"unknown register '{name}'{did_you_mean(name, REGISTERS)}")
        elif factor:
            index.append(REGISTERS[name][0])
            scale = int(factor[2])
        else:
            (index if base else base).append(REGISTERS[name][0])
    if len(index) > 1:
        raise line.error(f"'{operand}' has more than a base and an index; write [rdi+rcx*4+8]")
    size = _SIZES[match[1].lower()] if match[1] else 0
    return Address(registers=(*base, *index), scale=scale, offset=offset, bytes=size)
