"""Names of the integer and floating-point registers, in one numbering."""

from __future__ import annotations

from collections.abc import Mapping

X, F = 0, 32
"""Where the integer and the floating-point registers begin."""
REGISTERS = 64
ZERO, RA, SP, A0, A7 = 0, 1, 2, 10, 17

_T = (5, 6, 7, 28, 29, 30, 31)
_S = (8, 9, *range(18, 28))
NUMBERS: Mapping[str, int] = {
    "zero": 0,
    "ra": RA,
    "sp": SP,
    "gp": 3,
    "tp": 4,
    "fp": 8,
    **{f"t{i}": n for i, n in enumerate(_T)},
    **{f"s{i}": n for i, n in enumerate(_S)},
    **{f"a{i}": A0 + i for i in range(8)},
    **{f"ft{i}": F + n for i, n in enumerate((*range(8), *range(28, 32)))},
    **{f"fs{i}": F + n for i, n in enumerate(_S)},
    **{f"fa{i}": F + 10 + i for i in range(8)},
    **{f"{bank}{i}": at + i for bank, at in (("x", X), ("f", F)) for i in range(32)},
}
"""Architectural and ABI names. Source: The RISC-V ABIs Specification 1.0, chapter 1."""


def name(number: int) -> str:
    """Return a register's architectural name, `x5` or `f10`."""
    return f"x{number}" if number < F else f"f{number - F}"
