"""Products of bfloat16 in AMX's tile registers: the loop, and what stands around it."""

from __future__ import annotations

from functools import cache

from sim.cpu.kernelcores import Kernel, parse_kernel
from sim.cpu.kernelmachines.kernels import Flavour, Tile, tile_kernel

AMX = frozenset({"amx_tile", "amx_bf16"})
"""Extensions that a core needs."""
TILE_ROWS, TILE_COLUMNS, TILE_DEPTH = 16, 16, 32
"""Of one product of tiles: rows and columns of C in float32, bfloat16 numbers along k."""
ROW_BYTES, TILE_BYTES = 64, 1024
BLOCK = Tile("gemm_tiles_2x2", 2, 2)
"""The packaged loop, counted in tiles."""
PLAIN = Flavour("x86_64", 256)
"""A flavour whose text is taken as it is written."""


def loop_kernel(rows: int, columns: int) -> Kernel:
    """Return the loop over k for the first `rows` and `columns` of C's block, in whole tiles.

    Models: loads of tiles of A and B, a product for each pair; the unit's occupancy.
    Ignores: that a product of a tile with fewer rows is shorter, and its load too.
    Source: Intel 64 and IA-32 Architectures Optimization Reference Manual, 248966, chapter 20,
    Intel Advanced Matrix Extensions: blocking in two by two tiles, layout of B.
    """
    return tile_kernel(BLOCK, PLAIN, -(-rows // TILE_ROWS), -(-columns // TILE_COLUMNS))


@cache
def end_kernel(flavour: Flavour, rows: int, columns: int, *, adds: bool, narrows: bool) -> Kernel:
    """Return what stands around the loop: accumulators stored, loaded or cleared for the next.

    Tiles are stored as float32; `narrows` then rounds C's rows, vector by vector, to the
    flavour's dtype. `adds`: accumulators begin as the sum over earlier k.

    Models: the stores, loads and conversions.
    Ignores: that the rounding waits for the tiles' stores; `ldtilecfg`, once a product.
    Source: as of `loop_kernel`.
    """
    down, across = -(-rows // TILE_ROWS), -(-columns // TILE_COLUMNS)
    places = [2 * row + column for row in range(down) for column in range(across)]
    lines = [f"tilestored [r12+r9+{place * TILE_BYTES}], tmm{place}" for place in places]
    lines += _narrowing(flavour, rows, across) if narrows else []
    for place in places:
        where = f"[r12+r9+{place * TILE_BYTES}]"
        lines.append(f"tileloadd tmm{place}, {where}" if adds else f"tilezero tmm{place}")
    lines += ["add r12, 4096", *flavour.dialect.close("r12")]
    return parse_kernel("loop:\n" + "\n".join(lines), "x86_64", name="a generated block's end")


def _narrowing(flavour: Flavour, rows: int, across: int) -> list[str]:
    """Return lines that read C's rows from the tiles' buffer and store them rounded."""
    lines: list[str] = []
    vectors = ROW_BYTES * across // (flavour.bits // 8)
    for number in range(rows * vectors):
        value, spare = number % 8, 8 + number % 8
        lines.append(flavour.dialect.load(value, "r12", number * flavour.bits // 8, flavour.bits))
        lines += flavour.store(value, spare, "r13", number * flavour.vector_bytes)
    return [*lines, f"add r13, {rows * vectors * flavour.vector_bytes}"]
