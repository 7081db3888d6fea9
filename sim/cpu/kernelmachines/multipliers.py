"""Ways to multiply matrices on a core, and which of them is the fastest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache

from sim.cpu.kernelcores import Kernel
from sim.cpu.kernelmachines import kernels, tile_kernels
from sim.cpu.kernelmachines.kernels import ROW_TILE, TILES, Flavour, Tile
from sim.cpu.kernelmachines.loops import orbit_of
from sim.cpu.kernelmachines.storage import BFLOAT16, FLOAT32, NATIVE_BFLOAT16


@dataclass(frozen=True, slots=True, kw_only=True)
class Multiplier:
    """A product's kernels: a loop over k for a block of C, and what stands around it.

    Models: multiply-adds of float32, of which a narrower B is widened as it is loaded and A once
    before; dot products of pairs of bfloat16, accumulated in float32.
    Ignores: values; the order of sums.
    Source: as of `kernels` and `storage`.
    """

    flavour: Flavour
    tile: Tile
    pairs: bool = False
    """Whether it multiplies bfloat16, two steps of k at a time."""

    @property
    def rows(self) -> int:
        """Of C, in a whole block."""
        return self.tile.rows

    @property
    def column_unit(self) -> int:
        """Columns of C by which a block can be narrower."""
        return self.flavour.lanes

    @property
    def columns(self) -> int:
        """Of C, in a whole block."""
        return self.tile.vectors * self.column_unit

    @property
    def depth(self) -> int:
        """Steps of k in an iteration."""
        return 2 if self.pairs else 1

    @property
    def widens(self) -> bool:
        """Whether A has to be made float32 first."""
        return not self.pairs and self.flavour.dtype != FLOAT32

    @property
    def a_bytes(self) -> int:
        """Of an element of A, as the loop reads it."""
        return 4 if self.widens else self.flavour.element_bytes

    @property
    def name(self) -> str:
        """What a result says of it."""
        of = f" of pairs of {self.flavour.dtype}" if self.pairs else ""
        of = f", widened from {self.flavour.dtype}" if self.widens else of
        return f"tiles {self.rows}x{self.columns}{of}"

    def loop(self, rows: int, columns: int) -> Kernel:
        """Return the loop over k for the first rows and columns of a block."""
        vectors = -(-columns // self.column_unit)
        return kernels.tile_kernel(self.tile, self.flavour, rows, vectors, pairs=self.pairs)

    def end(self, rows: int, columns: int, *, adds: bool, last: bool) -> Kernel:
        """Return what stands around the loop; `last`: over the last of k, so that C is whole."""
        vectors = -(-columns // self.column_unit)
        narrows = last and self.flavour.dtype != FLOAT32
        return kernels.tile_end(self.flavour, rows, vectors, adds=adds, narrows=narrows)


@dataclass(frozen=True, slots=True, kw_only=True)
class TileMultiplier(Multiplier):
    """Products of bfloat16 in tile registers.

    Models: blocks of two by two tiles, of which C's edges leave out whole tiles.
    Ignores: values; shorter tiles at edges; packing: B lies in pairs of k (weights are packed
    once, before the run; A needs none).
    Source: as of `tile_kernels`.
    """

    @property
    def rows(self) -> int:
        """Of C, in a whole block."""
        return self.tile.rows * tile_kernels.TILE_ROWS

    @property
    def column_unit(self) -> int:
        """Columns of C by which a block can be narrower."""
        return tile_kernels.TILE_COLUMNS

    @property
    def depth(self) -> int:
        """Steps of k in an iteration."""
        return tile_kernels.TILE_DEPTH

    @property
    def name(self) -> str:
        """What a result says of it."""
        return f"AMX tiles {self.rows}x{self.columns}"

    def loop(self, rows: int, columns: int) -> Kernel:
        """Return the loop over k for the first rows and columns of a block."""
        return tile_kernels.loop_kernel(rows, columns)

    def end(self, rows: int, columns: int, *, adds: bool, last: bool) -> Kernel:
        """Return what stands around the loop; `last`: over the last of k, so that C is whole."""
        return tile_kernels.end_kernel(self.flavour, rows, columns, adds=adds, narrows=last)


def multipliers(flavour: Flavour, *, one_row: bool) -> tuple[Multiplier, ...]:
    """Return every way that a core has; the unit for tiles only for several rows of A."""
    tile = ROW_TILE if one_row else TILES[flavour.isa, flavour.bits]
    found = [Multiplier(flavour=flavour, tile=tile)]
    if flavour.dtype == BFLOAT16 and NATIVE_BFLOAT16 in flavour.extensions:
        found.append(Multiplier(flavour=flavour, tile=tile, pairs=True))
    if _multiplies_in_tiles(flavour) and not one_row:
        found.append(TileMultiplier(flavour=flavour, tile=tile_kernels.BLOCK, pairs=True))
    return tuple(found)


def _multiplies_in_tiles(flavour: Flavour) -> bool:
    return flavour.dtype == BFLOAT16 and flavour.extensions >= tile_kernels.AMX


@cache
def fastest(flavour: Flavour, core: str, *, one_row: bool) -> Multiplier:
    """Return the one with the fewest cycles a multiply-add in the steady state of a whole block."""
    found = multipliers(flavour, one_row=one_row)

    def cycles(each: Multiplier) -> Fraction:
        steady = orbit_of(each.loop(each.rows, each.columns), core).steady_cycles
        return steady / (each.rows * each.columns * each.depth)

    return min(found, key=cycles)


def why_not_tiles(flavour: Flavour) -> str:
    """Say why a core with a unit for tiles does not use it; empty without such a unit."""
    as_bfloat16 = replace(flavour, dtype=BFLOAT16)
    if flavour.dtype == BFLOAT16 or not _multiplies_in_tiles(as_bfloat16):
        return ""
    return f" of vectors, as AMX multiplies no {flavour.dtype}"
