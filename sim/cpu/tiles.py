"""Matrix products on a tile unit: the program that keeps it busy.

A block of C stays in tile registers while its kernel walks along k. Instructions are named after
Intel's AMX: `tilezero`, `tileloadd`, `tdp` (a product of two tiles added to a third), `tilestored`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from sim.cpu import kernels
from sim.cpu.isa import Instruction, Kind, T, parse
from sim.cpu.kernels import A_BASE, B_BASE, C_BASE, Body
from sim.cpu.programs import Panel, Product, Programs
from sim.cpu.spec import CpuSpec
from sim.cpu.steady import Chain, LineCost, Node, Repeat
from sim.cpu.tile_unit import SUM_BYTES, TileUnitSpec

SCRATCH_BASE = 24
"""s8: sums on their way to a narrower type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block of C that stays in tile registers, and what its kernel's bodies need."""

    unit: TileUnitSpec
    cache_bytes_per_cycle: int
    rows: tuple[int, ...]
    """Of each tile down the block."""
    columns: tuple[int, ...]
    """Of each tile across it."""
    element_bytes: int

    def bodies(self, depth: int) -> tuple[Body, Body]:
        """Return the prologue, and the loop's body for `depth` elements of k."""
        return tuple(self._prologue()), tuple(self._loop(depth))

    def _prologue(self) -> Iterator[Instruction]:
        yield from parse("mv a0, s0\nmv a1, s1")[""]
        for tile in range(len(self.rows) * len(self.columns)):
            yield Instruction(mnemonic="tilezero", kind=Kind.ALU, dest=T + tile)

    def _loop(self, depth: int) -> Iterator[Instruction]:
        """Yield loads as late as they are needed, so that they pass beside the products."""
        groups = -(-depth * self.element_bytes // SUM_BYTES)
        sums = len(self.rows) * len(self.columns)
        a_tiles = [T + sums + i for i in range(len(self.rows))]
        b_tiles = [T + sums + len(self.rows) + j for j in range(len(self.columns))]
        at = {A_BASE: 0, B_BASE: 0}
        for i, rows in enumerate(self.rows):
            loaded = rows * depth * self.element_bytes
            yield self._load(a_tiles[i], A_BASE, at[A_BASE], loaded)
            at[A_BASE] += loaded
            for j, columns in enumerate(self.columns):
                if i == 0:
                    loaded = depth * columns * self.element_bytes
                    yield self._load(b_tiles[j], B_BASE, at[B_BASE], loaded)
                    at[B_BASE] += loaded
                total = T + i * len(self.columns) + j
                yield Instruction(
                    mnemonic="tdp",
                    kind=Kind.TILE,
                    dest=total,
                    sources=(total, a_tiles[i], b_tiles[j]),
                    busy_cycles=max(rows, groups),
                    latency_cycles=self.unit.latency_cycles,
                )
        for base, moved in at.items():
            yield from parse(f"addi x{base}, x{base}, {moved}")[""]
        yield from parse("bne a0, a2, loop")[""]

    def _load(self, tile: int, base: int, offset: int, size: int) -> Instruction:
        return Instruction(
            mnemonic="tileloadd",
            kind=Kind.LOAD,
            dest=tile,
            sources=(base,),
            base=base,
            offset=offset,
            bytes=size,
            busy_cycles=-(-size // self.cache_bytes_per_cycle),
        )

    def epilogue(self, dtype: str, lanes: int) -> Body:
        """Return what stores the sums: at once, or through float32 where C's type is narrower."""
        direct = self.element_bytes == SUM_BYTES
        base = C_BASE if direct else SCRATCH_BASE
        stores, offset = [], 0
        for number, size in enumerate(SUM_BYTES * r * c for r in self.rows for c in self.columns):
            stores.append(
                Instruction(
                    mnemonic="tilestored",
                    kind=Kind.STORE,
                    sources=(base, T + number),
                    base=base,
                    offset=offset,
                    bytes=size,
                    busy_cycles=-(-size // self.cache_bytes_per_cycle),
                )
            )
            offset += size
        lines = [f"addi a3, a3, {offset}"] if direct else list(self._narrow(dtype, lanes, offset))
        return (*stores, *parse("\n".join([*lines, "bne a3, a4, prologue"]), lanes=lanes)[""])

    def _narrow(self, dtype: str, lanes: int, size: int) -> Iterator[str]:
        vector = lanes > 1
        narrow = kernels.CONVERSIONS[dtype, vector][1]
        for number in range(-(-size // (SUM_BYTES * lanes))):
            register = f"{'v' if vector else 'f'}{number % kernels.UNROLL}"
            loaded, stored = number * SUM_BYTES * lanes, self.element_bytes * lanes
            if vector:
                yield f"addi t0, s8, {loaded}\nvle32.v {register}, (t0)"
                yield f"{narrow} {register}, {register}\nvse16.v {register}, (a3)"
            else:
                yield f"flw {register}, {loaded}(s8)"
                yield f"{narrow} {register}, {register}\nfsh {register}, 0(a3)"
            yield f"addi a3, a3, {stored}"


class TilePrograms(Programs):
    """Programs of a core with a tile unit: products by tiles, all else as without.

    Models: blocks of sums in tile registers, walked along k over packed panels, edges by shorter
    tiles; each tile loaded just before its first product.
    Ignores: packing; prefetching tiles across steps of k.
    Source: as `TileUnitSpec`; Van Zee and van de Geijn, BLIS, ACM TOMS 41(3), 2015.
    """

    def __init__(
        self, lanes: int, fp_latency_cycles: int, unit: TileUnitSpec, cache_bytes_per_cycle: int
    ) -> None:
        super().__init__(lanes, fp_latency_cycles)
        self._unit = unit
        self._width = cache_bytes_per_cycle
        self._blocks: dict[tuple[int, int, int, str, LineCost, LineCost, LineCost], Node] = {}

    @property
    def block_rows(self) -> int:
        """Rows of C that one block has."""
        return self._unit.block[0] * self._unit.rows

    def panels(self, m: int, n: int) -> tuple[Panel, ...]:
        """Cut C into panels as wide as a block, and each into blocks; shorter at the edges."""
        width = self._unit.block[1] * self._unit.columns
        rows = self.block_rows
        cuts = ((rows, m // rows), (m % rows, 1))
        return tuple(
            Panel(
                tile_columns=f"tiles of {columns}",
                columns=columns,
                padded_columns=columns,
                count=count,
                row_blocks=tuple(cut for cut in cuts if all(cut)),
            )
            for columns, count in ((width, n // width), (n % width, 1))
            if columns and count
        )

    def _kernel(self, rows: int, panel: Panel, work: Product, a: LineCost, b: LineCost) -> Node:
        key = (rows, panel.columns, work.k, work.dtype, a, b, work.c)
        if key not in self._blocks:
            self._blocks[key] = self._block(rows, panel.columns, work, a, b)
        return self._blocks[key]

    def _block(self, rows: int, columns: int, work: Product, a: LineCost, b: LineCost) -> Node:
        element = kernels.STORAGE_BYTES[work.dtype]
        block = Block(
            unit=self._unit,
            cache_bytes_per_cycle=self._width,
            rows=_cut(rows, self._unit.rows),
            columns=_cut(columns, self._unit.columns),
            element_bytes=element,
        )
        lines = {A_BASE: a, B_BASE: b, C_BASE: work.c}
        depths = _cut(work.k, self._unit.depth(element))
        prologue, loop = block.bodies(depths[0])
        _, last = block.bodies(depths[-1])
        return Chain(
            self.segment(prologue, lines, taken=False),
            Repeat(self.segment(loop, lines, taken=True), len(depths) - 1),
            self.segment(last, lines, taken=False),
            self.segment(_epilogue(block, work.dtype, self._lanes), lines, taken=True),
        )


def programs_of(spec: CpuSpec) -> Programs:
    """Return the programs of a machine's cores, with tiles if they have a tile unit."""
    core = spec.core
    if core.tiles is None:
        return Programs(core.lanes, core.fp_latency_cycles)
    width = spec.levels[0].bytes_per_cycle
    return TilePrograms(core.lanes, core.fp_latency_cycles, core.tiles, width)


@cache
def _epilogue(block: Block, dtype: str, lanes: int) -> Body:
    return block.epilogue(dtype, lanes)


def _cut(extent: int, part: int) -> tuple[int, ...]:
    """Cut an extent into parts, the last one perhaps shorter."""
    return (*[part] * (extent // part), *([extent % part] if extent % part else []))
