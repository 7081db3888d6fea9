"""From an operation to loops: tiles of a matrix product, passes over rows, and what they move.

A product goes through BLIS's five loops: blocks of k and of rows that stay in the inner caches,
panels of columns, tiles. Anything else goes over its rows pass by pass. A share is one core's part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from sim.cpu.hierarchy import Hierarchy, Operand
from sim.cpu.kernelcores import Kernel
from sim.cpu.kernelmachines import kernels
from sim.cpu.kernelmachines.kernels import Flavour, Tile, Visit
from sim.cpu.plan import Operands, Walk
from workloads.trace import Family, Op, Trace

ELEMENT_BYTES = 4
"""Of float32."""
WORD_BYTES = 8
"""Of what a row loads or stores once."""


@dataclass(frozen=True, slots=True)
class Loop:
    """A kernel's loop, so many times."""

    kernel: Kernel
    iterations: int
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One core's part of an operation."""

    loops: tuple[Loop, ...]
    walks: tuple[Walk, ...]
    written_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """`batch` products C[m,n] = A[m,k] x B[k,n]."""

    batch: int
    m: int
    n: int
    k: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Everything but a matrix product, pass by pass.

    The first operand is walked in every pass, the others in the last, where results are stored. An
    operation whose result is not one element per element only reduces.
    """

    rows: int
    cols: int
    passes: int
    flops: int
    """Of one row, rounded up."""
    transcendentals: int
    reads: tuple[bool, ...]
    """Operands walked element by element: whether each is one row, walked anew for all (a bias)."""
    writes: int
    """Results stored element by element."""
    loads: int
    """Words that a row loads once (a token's number), and stores once (its likeliest token)."""
    stores: int

    def visits(self, number: int) -> Iterator[tuple[int, Visit]]:
        """Yield (elements, what happens to each) of a pass, so that flops add up exactly.

        Flops are spread evenly over the row's visits; the first ones take what is left over.
        """
        total = self.cols * self.passes
        flops, more_flops = divmod(self.flops, total)
        exps, more_exps = divmod(self.transcendentals, total)
        begin, end = number * self.cols, (number + 1) * self.cols
        last = number == self.passes - 1
        cuts = sorted({begin, end, *(c for c in (more_flops, more_exps) if begin < c < end)})
        for start, stop in pairwise(cuts):
            yield (
                stop - start,
                Visit(
                    reads=len(self.reads) if last else 1,
                    flops=flops + (start < more_flops),
                    transcendentals=exps + (start < more_exps),
                    writes=self.writes if last else 0,
                    reduces=self.reduces(number),
                ),
            )

    def reduces(self, number: int) -> bool:
        """Whether a pass ends in one number a row."""
        return number < self.passes - 1 or not self.writes


def deal(extent: int, unit: int, cores: int) -> tuple[int, ...]:
    """Deal `extent` out in whole units, the last one perhaps short; largest parts first."""
    units = -(-extent // unit)
    used = min(units, cores)
    parts = [unit * (units // used + (core < units % used)) for core in range(used)]
    parts[-1] -= units * unit - extent
    return tuple(parts)


class Planner:
    """Plans operations for one machine's cores.

    Models: BLIS's blocking from cache sizes, register tiles cut to size at C's edges, a static
    partition over cores; passes over rows, unrolled.
    Ignores: packing (operands lie in the order in which kernels walk them, edges padded to whole
    vectors); partition along k; balancing at run time.
    Source: Van Zee and van de Geijn, BLIS, ACM TOMS 41(3), 2015; Low et al., Analytical Modeling
    Is Enough for High-Performance BLIS, ACM TOMS 43(2), 2016.
    """

    def __init__(self, hierarchy: Hierarchy, flavour: Flavour, cores: int) -> None:
        self._hierarchy = hierarchy
        self._flavour = flavour
        self._cores = cores

    def product(self, op: Op, operands: Operands) -> tuple[tuple[Work, ...], str]:
        """Share a matrix product out along columns, rows or the batch; also say how."""
        batch, m, n, k = (op.dims[key] for key in ("batch", "m", "n", "k"))
        tile = self._tile(m)
        whole = {"columns": n, "rows": m, "batch": batch}
        units = {"columns": self._flavour.lanes, "rows": tile.rows, "batch": 1}
        cuts = {axis: deal(whole[axis], units[axis], self._cores) for axis in whole}
        along = min(cuts, key=lambda axis: cuts[axis][0] / whole[axis])
        built: dict[int, Work] = {}
        for part in set(cuts[along]):
            size = whole | {along: part}
            product = Product(batch=size["batch"], m=size["rows"], n=size["columns"], k=k)
            built[part] = self._multiply(product, operands)
        columns = tile.vectors * self._flavour.lanes
        how = f"tiles {tile.rows}x{columns}{_spread(along, len(cuts[along]))}"
        return tuple(built[part] for part in cuts[along]), how

    def _tile(self, m: int) -> Tile:
        """Return the product's kernel; a decode step's single row has one of its own."""
        flavour = self._flavour
        return kernels.ROW_TILE if m == 1 else kernels.TILES[flavour.isa, flavour.bits]

    def _multiply(self, work: Product, operands: Operands) -> Work:
        tile, lanes = self._tile(work.m), self._flavour.lanes
        width = tile.vectors * lanes
        deep = self._k_block(work, width)
        wide, narrow = divmod(work.n, width)
        tall, short = divmod(work.m, tile.rows)
        depths = ((deep, work.k // deep), (work.k % deep, int(work.k % deep > 0)))
        blocks_of_k = sum(count for _, count in depths)
        loops: list[Loop] = []
        for vectors, panels in ((tile.vectors, wide), (-(-narrow // lanes), int(narrow > 0))):
            for rows, blocks in ((tile.rows, tall), (short, int(short > 0))):
                calls = work.batch * panels * blocks
                if not calls:
                    continue
                loop = kernels.tile_kernel(tile, self._flavour, rows, vectors)
                loops += [Loop(loop, depth, calls * times) for depth, times in depths if times]
                for adds, times in ((False, 1), (True, blocks_of_k - 1)):
                    end = kernels.tile_end(self._flavour, rows, vectors, adds=adds)
                    loops += [Loop(end, 1, calls * times)] if times else []
        written = work.batch * work.m * work.n * ELEMENT_BYTES
        walks = self._product_walks(work, operands, deep, blocks_of_k)
        return Work(loops=tuple(loops), walks=walks, written_bytes=written)

    def _k_block(self, work: Product, width: int) -> int:
        """Return how much of k a panel of B may have to stay in half of L1 while it is reused."""
        if work.m <= self._tile(work.m).rows:
            return work.k
        half = self._hierarchy.spec.levels[0].capacity_bytes // 2
        return max(1, min(work.k, half // (width * ELEMENT_BYTES)))

    def _m_block(self, work: Product, deep: int) -> int:
        """Return how many rows of A may have to stay in half of a core's part of L2."""
        spec = self._hierarchy.spec
        level, rows = spec.levels[1], self._tile(work.m).rows
        own = level.capacity_bytes // (spec.core_count if level.shared else 1)
        return max(rows, own // 2 // (deep * ELEMENT_BYTES) // rows * rows)

    def _product_walks(
        self, work: Product, operands: Operands, deep: int, blocks_of_k: int
    ) -> tuple[Walk, ...]:
        tile = self._tile(work.m)
        width = tile.vectors * self._flavour.lanes
        height = self._m_block(work, deep)
        panels, tiles = -(-work.n // width), -(-work.m // tile.rows)
        blocks_of_m = -(-work.m // height)
        panel, block = deep * width, min(work.m, height) * deep
        a_bytes = work.batch * work.m * work.k * ELEMENT_BYTES
        b_bytes = work.batch * work.k * work.n * ELEMENT_BYTES
        c_bytes = work.batch * work.m * work.n * ELEMENT_BYTES
        again = (
            (block + 2 * panel, a_bytes * (panels - 1)),
            (panel + 2 * tile.rows * deep, b_bytes * (tiles - blocks_of_m)),
            (deep * work.n + block, b_bytes * (blocks_of_m - 1)),
            (work.m * work.n + deep * work.n, 2 * c_bytes * (blocks_of_k - 1)),
        )
        levels = (operands.reads[0].level, operands.reads[1].level, operands.writes[0].level)
        first = zip(levels, (a_bytes, b_bytes, c_bytes), strict=True)
        reuse = self._hierarchy.reuse_level
        return (
            *(Walk(level=level, bytes=moved, again=False) for level, moved in first),
            *(
                Walk(level=reuse(held * ELEMENT_BYTES), bytes=moved, again=True)
                for held, moved in again
            ),
        )

    def rows(self, op: Op, operands: Operands, trace: Trace) -> tuple[tuple[Work, ...], str]:
        """Share anything else out along its rows or, where they need not stay whole, elements."""
        work, walked = _row_work(op, operands, trace)
        by_rows = op.family is Family.ROWWISE or work.rows >= self._cores
        unit = 1 if by_rows else self._flavour.lanes
        parts = deal(work.rows if by_rows else work.cols, unit, self._cores)
        built: dict[int, Work] = {}
        for part in set(parts):
            if by_rows:
                local = replace(work, rows=part)
            else:
                local = replace(
                    work,
                    cols=part,
                    flops=-(-work.flops * part // work.cols),
                    transcendentals=-(-work.transcendentals * part // work.cols),
                )
            built[part] = self._passes(local, walked, operands)
        along = "rows" if by_rows else "elements"
        how = f"{work.rows} rows of {work.cols} in {work.passes} passes"
        return tuple(built[part] for part in parts), f"{how}{_spread(along, len(parts))}"

    def _passes(self, work: Rows, walked: Sequence[Operand], operands: Operands) -> Work:
        loops: list[Loop] = []
        flavour = self._flavour
        for number in range(work.passes):
            for elements, visit in work.visits(number):
                vectors = -(-elements // flavour.lanes)
                whole, rest = divmod(vectors, kernels.UNROLL)
                for unroll, times in ((kernels.UNROLL, whole), (1, rest)):
                    if times:
                        kernel = kernels.pass_kernel(visit, flavour, unroll=unroll)
                        loops.append(Loop(kernel, times, work.rows))
            last = number == work.passes - 1
            end = kernels.row_kernel(
                flavour,
                reduces=work.reduces(number),
                loads=0 if number else work.loads,
                stores=work.stores if last else 0,
            )
            loops.append(Loop(end, 1, work.rows))
        row_bytes = work.cols * ELEMENT_BYTES
        once = [1 if bias else work.rows for bias in work.reads]
        walks_of = [work.passes, *(1 for _ in once[1:])]
        held = self._hierarchy.reuse_level(row_bytes * (len(once) + work.writes))
        again = sum(work.rows * t - first for first, t in zip(once, walks_of, strict=True))
        written = work.writes * work.rows * row_bytes + work.rows * work.stores * WORD_BYTES
        levels = [found.level for found in walked]
        farthest = max((found.level for found in operands.writes), default=0)
        walks = [
            *(
                Walk(level=level, bytes=first * row_bytes, again=False)
                for level, first in zip(levels, once, strict=True)
            ),
            Walk(level=farthest, bytes=written, again=False),
            Walk(level=held, bytes=again * row_bytes, again=True),
        ]
        return Work(loops=tuple(loops), walks=tuple(walks), written_bytes=written)


def _row_work(op: Op, operands: Operands, trace: Trace) -> tuple[Rows, tuple[Operand, ...]]:
    """Tell what is walked element by element from what a row touches once."""
    rows, cols, passes = _extents(op)
    walked: list[Operand] = []
    biases: list[bool] = []
    row_loads = 0
    for index, (access, found) in enumerate(zip(op.reads, operands.reads, strict=True)):
        same_type = trace.tensors[access.tensor].dtype == op.dtype
        if index == 0 or (same_type and access.bytes >= cols * ELEMENT_BYTES):
            walked.append(found)
            whole = access.bytes >= rows * cols * ELEMENT_BYTES
            biases.append(rows > 1 and index > 0 and not whole)
        else:
            row_loads += access.bytes
    elements = [access for access in op.writes if access.bytes >= rows * cols * ELEMENT_BYTES]
    row_stores = sum(access.bytes for access in op.writes if access not in elements)
    work = Rows(
        rows=rows,
        cols=cols,
        passes=passes,
        flops=-(-op.flops // rows),
        transcendentals=-(-op.transcendentals // rows),
        reads=tuple(biases),
        writes=len(elements),
        loads=-(-row_loads // (rows * WORD_BYTES)),
        stores=-(-row_stores // (rows * WORD_BYTES)),
    )
    return work, tuple(walked)


def _extents(op: Op) -> tuple[int, int, int]:
    """Return rows, columns and passes; an operand repeated under a batch makes the rows."""
    if op.family in (Family.ROWWISE, Family.GATHER):
        return op.dims["rows"], op.dims["cols"], op.dims.get("passes", 1)
    elements = op.dims["elements"]
    shortest = min((access.bytes // ELEMENT_BYTES for access in op.reads), default=elements)
    if 0 < shortest < elements and elements % shortest == 0:
        return elements // shortest, shortest, 1
    return 1, elements, 1


def _spread(along: str, shares: int) -> str:
    return f", {along} over {shares} cores" if shares > 1 else ""
