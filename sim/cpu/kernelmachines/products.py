"""From a matrix product to loops: blocks that stay in the caches, tiles, and what they move."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sim.cpu.hierarchy import Hierarchy
from sim.cpu.kernelmachines import kernels
from sim.cpu.kernelmachines.kernels import Flavour
from sim.cpu.kernelmachines.multipliers import Multiplier, fastest, why_not_tiles
from sim.cpu.kernelmachines.shares import Loop, Work
from sim.cpu.passes import deal, spread
from sim.cpu.plan import Operands, Walk
from workloads.trace import Op

SUM_BYTES = 4
"""Of a sum over a part of k: float32, whatever is stored in the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """`batch` products C[m,n] = A[m,k] x B[k,n]."""

    batch: int
    m: int
    n: int
    k: int


class ProductPlanner:
    """Plans matrix products for one machine's cores.

    Models: BLIS's blocking from cache sizes, register tiles cut to size at C's edges, a static
    partition over cores; A widened by each core where kernels need float32.
    Ignores: packing (operands lie in the order in which kernels walk them, edges padded to whole
    vectors, pairs or tiles); partition along k; balancing at run time.
    Source: Van Zee and van de Geijn, BLIS, ACM TOMS 41(3), 2015; Low et al., Analytical Modeling
    Is Enough for High-Performance BLIS, ACM TOMS 43(2), 2016.
    """

    def __init__(self, hierarchy: Hierarchy, flavour: Flavour, core: str, cores: int) -> None:
        self._hierarchy = hierarchy
        self._flavour = flavour
        self._core = core
        self._cores = cores

    def product(self, op: Op, operands: Operands) -> tuple[tuple[Work, ...], str]:
        """Share a matrix product out along columns, rows or the batch; also say how."""
        batch, m, n, k = (op.dims[key] for key in ("batch", "m", "n", "k"))
        by = fastest(self._flavour, self._core, one_row=m == 1)
        whole = {"columns": n, "rows": m, "batch": batch}
        units = {"columns": by.column_unit, "rows": by.rows, "batch": 1}
        cuts = {axis: deal(whole[axis], units[axis], self._cores) for axis in whole}
        along = min(cuts, key=lambda axis: cuts[axis][0] / whole[axis])
        built: dict[int, Work] = {}
        for part in set(cuts[along]):
            size = whole | {along: part}
            product = Product(batch=size["batch"], m=size["rows"], n=size["columns"], k=k)
            built[part] = self._multiply(by, product, operands)
        how = f"{by.name}{why_not_tiles(self._flavour)}{spread(along, len(cuts[along]))}"
        return tuple(built[part] for part in cuts[along]), how

    def _multiply(self, by: Multiplier, work: Product, operands: Operands) -> Work:
        deep = self._k_block(by, work)
        depths = [deep] * (work.k // deep) + [work.k % deep] * (work.k % deep > 0)
        loops = list(self._widening(by, work))
        for columns, panels in _parts(work.n, by.columns):
            for rows, blocks in _parts(work.m, by.rows):
                calls = work.batch * panels * blocks
                loop = by.loop(rows, columns)
                loops += [
                    Loop(loop, -(-depth // by.depth), calls * depths.count(depth))
                    for depth in dict.fromkeys(depths)
                ]
                for adds, last, times in _ends(len(depths)):
                    end = by.end(rows, columns, adds=adds, last=last)
                    loops.append(Loop(end, 1, calls * times))
        written = work.batch * work.m * work.n * self._flavour.element_bytes
        walks = self._walks(by, work, operands, (deep, len(depths)))
        return Work(loops=tuple(loops), walks=walks, written_bytes=written)

    def _widening(self, by: Multiplier, work: Product) -> Iterator[Loop]:
        """Yield the pass that makes A float32; each core does it for what it reads."""
        if not by.widens:
            return
        vectors = -(-work.batch * work.m * work.k // self._flavour.lanes)
        whole, rest = divmod(vectors, kernels.UNROLL)
        for unroll, times in ((kernels.UNROLL, whole), (1, rest)):
            if times:
                yield Loop(kernels.widen_kernel(self._flavour, unroll=unroll), times, 1)

    def _k_block(self, by: Multiplier, work: Product) -> int:
        """Return how much of k a panel of B may have to stay in half of L1 while it is reused."""
        if work.m <= by.rows:
            return work.k
        half = self._hierarchy.spec.levels[0].capacity_bytes // 2
        fitting = half // (by.columns * self._flavour.element_bytes) // by.depth * by.depth
        return max(by.depth, min(work.k, fitting)) if work.k > fitting else work.k

    def _m_block(self, by: Multiplier, deep: int) -> int:
        """Return how many rows of A may have to stay in half of a core's part of L2."""
        spec = self._hierarchy.spec
        level = spec.levels[1]
        own = level.capacity_bytes // (spec.core_count if level.shared else 1)
        return max(by.rows, own // 2 // (deep * by.a_bytes) // by.rows * by.rows)

    def _walks(
        self, by: Multiplier, work: Product, operands: Operands, blocks_of_k: tuple[int, int]
    ) -> tuple[Walk, ...]:
        deep, count = blocks_of_k
        a, b = by.a_bytes, self._flavour.element_bytes
        height = self._m_block(by, deep)
        panels, tiles = -(-work.n // by.columns), -(-work.m // by.rows)
        blocks_of_m = -(-work.m // height)
        panel, block = deep * by.columns * b, min(work.m, height) * deep * a
        elements = work.batch * work.m * work.k, work.batch * work.k * work.n
        results = work.batch * work.m * work.n
        again = (
            (block + 2 * panel, elements[0] * a * (panels - 1)),
            (panel + 2 * by.rows * deep * a, elements[1] * b * (tiles - blocks_of_m)),
            (deep * work.n * b + block, elements[1] * b * (blocks_of_m - 1)),
            (
                work.m * work.n * SUM_BYTES + deep * work.n * b,
                2 * results * SUM_BYTES * (count - 1),
            ),
        )
        levels = (operands.reads[0].level, operands.reads[1].level, operands.writes[0].level)
        first = zip(levels, (elements[0] * b, elements[1] * b, results * b), strict=True)
        reuse = self._hierarchy.reuse_level
        return (
            *(Walk(level=level, bytes=moved, again=False) for level, moved in first),
            *(Walk(level=reuse(held), bytes=moved, again=True) for held, moved in again),
        )


def _parts(extent: int, whole: int) -> Iterator[tuple[int, int]]:
    """Yield (size, how many) of the blocks that make up an extent: whole ones, and a rest."""
    if extent // whole:
        yield whole, extent // whole
    if extent % whole:
        yield extent % whole, 1


def _ends(blocks_of_k: int) -> Iterator[tuple[bool, bool, int]]:
    """Yield (adds to an earlier sum, the sum is whole, how often) for a block of C."""
    if blocks_of_k == 1:
        yield False, True, 1
        return
    yield False, False, 1
    if blocks_of_k > 2:
        yield True, False, blocks_of_k - 2
    yield True, True, 1
