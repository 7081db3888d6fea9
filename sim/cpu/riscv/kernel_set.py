"""Which kernels a core runs: scalar ones, or those that its vector registers allow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sim.cpu.riscv.calls import GROUP, WRITERS, Writer
from sim.cpu.riscv.kernels import NAMES, VECTOR_NAMES
from sim.cpu.riscv.vector.configuration import check_vlen
from sim.cpu.riscv.vector_calls import vector_writers

_PANEL_REGISTERS = 4
"""LMUL of the vector products' tiles: four rows of sums leave as many groups for operands."""
_FLOAT_BITS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelSet:
    """The kernels of one kind of core."""

    names: tuple[str, ...]
    """Files in `kernels/`."""
    panel_columns: int
    """Of packed weights."""
    writers: Mapping[str, Writer]
    """By the operation's kind: what calls compute it."""


SCALAR_KERNELS = KernelSet(names=NAMES, panel_columns=GROUP, writers=WRITERS)


def vector_kernels(vlen_bits: int) -> KernelSet:
    """Return the kernels for vector registers of a length; SpecError where there are none."""
    columns = check_vlen(vlen_bits) * _PANEL_REGISTERS // _FLOAT_BITS
    return KernelSet(names=VECTOR_NAMES, panel_columns=columns, writers=vector_writers(columns))
