"""The configuration of the vector unit: element width, grouping, length.

Source: The RISC-V "V" Vector Extension, version 1.0, sections 3.4 and 6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sim.errors import SpecError

VLEN_BITS = 128
"""Unless told."""
SMALLEST_VLEN_BITS, LARGEST_VLEN_BITS = 32, 1024
LARGEST_ELEMENT_BITS = 64

WIDTHS: Mapping[str, int] = {"e8": 0, "e16": 1, "e32": 2, "e64": 3}
GROUPINGS: Mapping[str, int] = {
    "m1": 0, "m2": 1, "m4": 2, "m8": 3, "mf8": 5, "mf4": 6, "mf2": 7
}  # fmt: skip
"""Words of a vtype, and their fields."""
_RESERVED_GROUPING = 4
TAIL_AGNOSTIC, MASK_AGNOSTIC = 1 << 6, 1 << 7
FIELD_BITS = 6
"""Of grouping and width: all that decides what an instruction does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorType:
    """What a valid vtype says."""

    element_bits: int
    """SEW."""
    group_log2: int
    """LMUL as a power of two, from -3 to 3."""

    def elements(self, vlen_bits: int) -> int:
        """Return VLMAX, the elements of one register group."""
        return (vlen_bits << 3 >> (3 - self.group_log2)) // self.element_bits

    def __str__(self) -> str:
        """Write it as assembly does."""
        power = 1 << abs(self.group_log2)
        return f"e{self.element_bits}, m{'f' if self.group_log2 < 0 else ''}{power}"


def largest_element_bits(vlen_bits: int) -> int:
    """Return ELEN, the widest element that a register of this length holds."""
    return min(LARGEST_ELEMENT_BITS, vlen_bits)


def check_vlen(vlen_bits: int) -> int:
    """Return a register length; SpecError unless it is a power of two from 32 to 1024."""
    power = vlen_bits > 0 and not vlen_bits & (vlen_bits - 1)
    if not power or not SMALLEST_VLEN_BITS <= vlen_bits <= LARGEST_VLEN_BITS:
        raise SpecError(
            f"vlen_bits: {vlen_bits} is no length of a vector register; write a power of two "
            f"from {SMALLEST_VLEN_BITS} to {LARGEST_VLEN_BITS}"
        )
    return vlen_bits


def decode_vtype(vtype: int, vlen_bits: int) -> VectorType | None:
    """Return what a vtype says, None where this unit does not support it."""
    grouping, width = vtype & 7, vtype >> 3 & 7
    if vtype >> 8 or grouping == _RESERVED_GROUPING or width > max(WIDTHS.values()):
        return None
    group_log2 = grouping if grouping < _RESERVED_GROUPING else grouping - 8
    made = VectorType(element_bits=8 << width, group_log2=group_log2)
    widest = largest_element_bits(vlen_bits)
    held = widest if group_log2 >= 0 else widest >> -group_log2
    return made if made.element_bits <= held else None
