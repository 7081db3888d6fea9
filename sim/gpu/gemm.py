"""Matrix products: every tile shape and split of k is timed, and the fastest taken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sim.gpu.kernel import TENSOR, Device, Kernel, ceil_div
from sim.gpu.sm import SmTimes, SmWork, run_sm
from sim.gpu.spec import TileSpec, resident_blocks
from workloads.trace import DTYPE_BYTES, Op

SWIZZLE_WIDTHS = (1, 2, 4, 8)
"""Tile columns (or rows) that a wave walks side by side: CUTLASS's
`GemmIdentityThreadblockSwizzle<N>`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """`batch` products C[m,n] = A[m,k] x B[k,n] and the bytes they must move."""

    batch: int
    m: int
    n: int
    k: int
    dtype: str
    missed_bytes: int
    """Distinct operand bytes that L2 does not hold."""
    written_bytes: int

    @classmethod
    def of(cls, op: Op, missed_bytes: int) -> Product:
        """Read a matmul's dims."""
        return cls(
            **op.dims,
            dtype=op.dtype,
            missed_bytes=missed_bytes,
            written_bytes=op.bytes_written,
        )

    @property
    def row_bytes(self) -> int:
        """One row of A, or one column of B."""
        return self.k * DTYPE_BYTES[self.dtype]


class GemmPlanner:
    """Chooses and times the kernel of a matrix product.

    Models: thread-block tiles with padding to the full tile, a k loop over a ring of shared-memory
    buffers, operand panels shared through L2 within a wave and re-read from HBM when a product's
    operands outgrow L2, split k with its partial results added in turn.
    Ignores: warp tiles and shared-memory bandwidth inside a thread block, operand layouts and
    alignment, operands narrower than the arithmetic once they are in L2, what a product fuses
    beyond its sums (such as the scales of narrow weights), sparse tensor cores, stream-k, what a
    library's heuristic picks in place of the fastest kernel.
    Source: NVIDIA, CUTLASS documentation, "Efficient GEMM in CUDA"; NVIDIA, Matrix Multiplication
    Background User's Guide.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self.spec = device.spec

    def fastest(self, product: Product) -> tuple[Kernel, SmTimes]:
        """Time the candidates that could still win, best lower bound first."""
        candidates: list[tuple[int, int, Kernel, SmWork]] = []
        for kernel in self.kernels(product):
            work = self.device.work(kernel)
            candidates.append((work.bound_cycles, len(candidates), kernel, work))
        candidates.sort(key=lambda candidate: candidate[:2])
        best: tuple[Kernel, SmTimes] | None = None
        for bound, _, kernel, work in candidates:
            if best is not None and bound >= best[1].total:
                break
            times = run_sm(work)
            if best is None or times.total < best[1].total:
                best = kernel, times
        if best is None:
            raise ValueError(f"no tile shape of {self.spec.name} fits {product}")
        return best

    def kernels(self, product: Product) -> Iterator[Kernel]:
        """Every tile shape that fits an SM, whole and with k split over more blocks."""
        for tile in self.spec.tiles.shapes:
            resident = resident_blocks(self.spec.sm, tile)
            tile_k = tile.k_bytes // DTYPE_BYTES[product.dtype]
            if not resident or not tile_k:
                continue
            tiles = product.batch * ceil_div(product.m, tile.m) * ceil_div(product.n, tile.n)
            chunks = ceil_div(product.k, tile_k)
            split = 1
            # All parts must be on the device at once: one that waits keeps its place on an SM.
            places = self.spec.sm_count * resident
            while split == 1 or (tiles * split <= places and split <= chunks):
                yield self._kernel(product, tile, split)
                split *= 2

    def _kernel(self, product: Product, tile: TileSpec, split: int) -> Kernel:
        rate = self.spec.sm.tensor_flops_per_cycle[product.dtype]
        tile_k = tile.k_bytes // DTYPE_BYTES[product.dtype]
        tiles_m = ceil_div(product.m, tile.m)
        tiles_n = ceil_div(product.n, tile.n)
        tiles = product.batch * tiles_m * tiles_n
        resident = resident_blocks(self.spec.sm, tile)
        panels = product.batch * (tiles_n * product.m + tiles_m * product.n) * product.row_bytes
        missed = product.missed_bytes + self._reread_bytes(product, tile, resident)
        turns = split - 1
        adding = turns * product.written_bytes
        return Kernel(
            blocks=tiles * split,
            chunks=ceil_div(ceil_div(product.k, tile_k), split),
            math_cycles=ceil_div(2 * tile.m * tile.n * tile_k, rate),
            buffers=tile.stages,
            resident=resident,
            l2_read_bytes=max(panels, missed) + adding,
            dram_read_bytes=missed,
            l2_written_bytes=product.written_bytes * split,
            dram_written_bytes=product.written_bytes * split,
            unit=TENSOR,
            useful_cycles=2 * product.batch * product.m * product.n * product.k // rate,
            synchronisation_cycles=turns * self._turn_cycles(product, tiles) if turns else 0,
            choice=f"tile {tile.m}x{tile.n}x{tile_k}, {tile.stages} stages"
            + (f", k split in {split}" if turns else ""),
        )

    def _turn_cycles(self, product: Product, tiles: int) -> int:
        """One part of a split k: see that its turn has come, fetch the sum so far, write it."""
        moved = self.device.transfer_cycles(
            2 * product.written_bytes, pieces=tiles, sms=min(tiles, self.spec.sm_count)
        )
        return 2 * self.spec.l2.latency_cycles + moved

    def _reread_bytes(self, product: Product, tile: TileSpec, resident: int) -> int:
        """Operand bytes fetched from HBM again because L2 cannot keep them between waves."""
        tiles_m = ceil_div(product.m, tile.m)
        tiles_n = ceil_div(product.n, tile.n)
        at_once = self.spec.sm_count * resident
        a_bytes = product.m * product.row_bytes
        b_bytes = product.n * product.row_bytes
        if tiles_m * tiles_n <= at_once or a_bytes + b_bytes <= self.spec.l2.capacity_bytes:
            return 0
        a = _Operand(tiles=tiles_m, total_bytes=a_bytes, tile_bytes=tile.m * product.row_bytes)
        b = _Operand(tiles=tiles_n, total_bytes=b_bytes, tile_bytes=tile.n * product.row_bytes)
        return product.batch * min(
            self._walk_bytes(kept, streamed, width, at_once)
            for kept, streamed in ((a, b), (b, a))
            for width in SWIZZLE_WIDTHS
        )

    def _walk_bytes(self, kept: _Operand, streamed: _Operand, width: int, at_once: int) -> int:
        """Bytes read again if waves walk along `streamed`, `width` tiles of `kept` side by side."""
        capacity = self.spec.l2.capacity_bytes
        width = min(width, kept.tiles)
        length = min(streamed.tiles, ceil_div(at_once, width))
        strip = width * kept.tile_bytes
        walks = ceil_div(kept.tiles, width)
        if strip + streamed.total_bytes <= capacity:
            return 0
        again = (walks - 1) * streamed.total_bytes
        if strip + length * streamed.tile_bytes > capacity:
            again += (ceil_div(streamed.tiles, length) - 1) * kept.total_bytes
        return again


@dataclass(frozen=True, slots=True, kw_only=True)
class _Operand:
    """One operand of one product, in tiles along its side of the result."""

    tiles: int
    total_bytes: int
    tile_bytes: int
