"""Flat memory of the compiled machine: regions of addresses in one array of bytes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sim.cpu.riscv.compiled.state import Content
from sim.cpu.riscv.machine import POWER_OFF_ADDRESS, POWER_OFF_VALUE
from sim.cpu.riscv.memory import ExecutionError

_ALIGNMENT_BYTES = 16


class FlatMemory:
    """Regions that a program may touch, zeroed.

    Models: contents, and which addresses there are.
    Ignores: what lies between regions.
    Source: The RISC-V Instruction Set Manual, Volume I, section 1.4.
    """

    def __init__(self, regions: Sequence[tuple[int, int]], *, power_off: bool = True) -> None:
        """Take each region's first address and length; ExecutionError where two overlap.

        The power-off register is there unless told.
        """
        device = [(POWER_OFF_ADDRESS, 4)] if power_off else []
        wanted = [(begin, length) for begin, length in regions if length]
        self.regions = tuple(sorted(wanted + device))
        for (begin, length), (after, _) in zip(self.regions, self.regions[1:], strict=False):
            if begin + length > after:
                raise ExecutionError(
                    f"memory from {begin:#x} to {begin + length - 1:#x} overlaps that from "
                    f"{after:#x}; move one"
                )
        rows, size = [], 0
        for begin, length in self.regions:
            place = size + begin % _ALIGNMENT_BYTES
            rows.append((begin, begin + length, place))
            size = -(-(place + length) // _ALIGNMENT_BYTES) * _ALIGNMENT_BYTES
        self._numbers = np.zeros(size // 8, dtype=np.int64)
        largest_first = sorted(rows, key=lambda row: row[0] - row[1])
        self._rows = np.array(largest_first, dtype=np.int64).reshape(len(rows), 3)
        self.content = Content(
            numbers=self._numbers,
            regions=self._rows,
            power_off=(POWER_OFF_ADDRESS if power_off else -1, POWER_OFF_VALUE),
        )

    def view(self, address: int, size: int) -> npt.NDArray[np.uint8]:
        """Return the bytes at an address, to read or to write; ExecutionError outside."""
        for begin, end, place in self._rows.tolist():
            if begin <= address and address + size <= end:
                start = place + address - begin
                return self._numbers.view(np.uint8)[start : start + size]
        raise ExecutionError(f"no memory holds {size} bytes at {address:#x}; {self.known}")

    @property
    def known(self) -> str:
        """The regions, for messages."""
        regions = ", ".join(f"{begin:#x} to {begin + n - 1:#x}" for begin, n in self.regions)
        return f"the program has {regions or 'no data'}"
