"""A tile unit, as a core's description has it: tile registers and the products of tiles.

A tile register holds rows of bytes. One instruction multiplies a tile of A by a tile of B and adds
to a tile of float32 sums. B's tile has its k in groups of 4 bytes, one group beside the other, so
that a row of B is as long as a row of sums.
"""

from __future__ import annotations

from pydantic import Field, field_validator

from sim.cpu.isa import TILES
from sim.spec import Strict
from sim.units import Bytes

SUM_BYTES = 4
"""Of a float32 sum; also of a group of k in a tile of B."""


class TileUnitSpec(Strict):
    """A core's tile unit.

    Models: rows of A's and of B's tile that enter the unit one a cycle, side by side; a latency
    until the sums can be added to again or stored; tiles that move at the first cache's width.
    Ignores: configuring the tiles; float32 on a tile unit is an assumption (AMX has 16 and 8 bit).
    Source: Intel 64 and IA-32 Architectures Optimization Reference Manual, chapter on Intel AMX
    (a full product every 16 cycles, latency 52; blocking by 2 x 2 tiles of sums).
    """

    registers: int = Field(ge=3, le=TILES)
    """Tile registers, which bound the block of sums."""
    rows: int = Field(ge=1)
    row_bytes: Bytes
    latency_cycles: int = Field(ge=1)
    """From the start of a product until its sums can be used."""

    @field_validator("row_bytes")
    @classmethod
    def _whole_sums(cls, value: int) -> int:
        if value < SUM_BYTES or value % SUM_BYTES:
            raise ValueError(f"a row holds whole float32 sums: a multiple of {SUM_BYTES} B")
        return value

    @property
    def columns(self) -> int:
        """Sums in a row."""
        return self.row_bytes // SUM_BYTES

    @property
    def groups(self) -> int:
        """Rows of B's tile: as many as A's row has groups of k, and no more than a tile has."""
        return min(self.columns, self.rows)

    @property
    def block(self) -> tuple[int, int]:
        """Tiles of sums, down and across, that leave registers for a row of A and one of B."""
        shapes = ((2, 2), (1, 2), (1, 1))
        return next(s for s in shapes if s[0] * s[1] + s[0] + s[1] <= self.registers)

    def depth(self, element_bytes: int) -> int:
        """Elements of k that one product takes."""
        return self.groups * SUM_BYTES // element_bytes

    def flops_per_cycle(self, element_bytes: int) -> int:
        """Of one full product after the other, rounded up."""
        flops = 2 * self.rows * self.columns * self.depth(element_bytes)
        return -(-flops // max(self.rows, self.groups))
