"""One product on several arrays: cut by rows, by columns, by the reduction, or by all three.

C[M,N] = A[M,K] x B[K,N] on a grid of p x q x r arrays: M is cut into p parts, N into q, K into r,
as evenly as whole numbers allow. Cuts of M and N cost nothing but the operands that are then read
by several arrays; a cut of K leaves r partial sums of each result, which have to be added.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, product

from sim.tpu.array.systolic import FULL_RATE, ArraySpec, Gemm, Rate, SystolicSchedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """One way to cut a product, and what it costs.

    Models: the slowest array, which has the largest part of each extent; then the addition of
    partial sums: the arrays of a reduction share its results out among them, and each adds the
    partial sums of its share in its adders, `adds_per_cycle` at a time.
    Ignores: moving operands to the arrays and partial sums between them (`moved_sums` says how
    many), additions that begin before the last array is done.
    Source: Samajdar et al., A Systematic Methodology for Characterizing Scalability of DNN
    Accelerators using SCALE-Sim, ISPASS 2020 (scale-out); Raj et al., SCALE-Sim v3,
    arXiv:2504.15377, 2025 (spatial and spatio-temporal partitions).
    """

    gemm: Gemm
    rows: int
    """Parts of M."""
    columns: int
    """Parts of N."""
    reduction: int
    """Parts of K."""
    compute_cycles: int
    """Of the slowest array."""
    addition_cycles: int
    """To add the partial sums; 0 where K is whole."""

    @property
    def arrays(self) -> int:
        """Arrays that have work."""
        return self.rows * self.columns * self.reduction

    @property
    def cycles(self) -> int:
        """Until the last result is complete."""
        return self.compute_cycles + self.addition_cycles

    @property
    def moved_sums(self) -> int:
        """Partial sums that an array adds but did not make: for each result, all but its own."""
        return self.gemm.m * self.gemm.n * (self.reduction - 1)

    @property
    def name(self) -> str:
        """The cut, for people."""
        return f"{self.rows} x {self.columns} x {self.reduction} (rows x columns x reduction)"

    def slices(self) -> Iterator[tuple[slice, slice, slice]]:
        """Yield each array's part of M, N and K."""
        extents = (self.gemm.m, self.gemm.n, self.gemm.k)
        cuts = (self.rows, self.columns, self.reduction)
        yield from product(*map(_parts, extents, cuts))


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionChoice:
    """The best partition beside the simple ones."""

    best: Partition
    whole: Partition
    """All on one array."""
    by_rows: Partition
    """As many parts of M as there are arrays, or as M has rows; the next two likewise."""
    by_columns: Partition
    by_reduction: Partition

    @property
    def why(self) -> str:
        """Say what was chosen, and what the simple cuts would have cost."""
        others = {
            "rows": self.by_rows,
            "columns": self.by_columns,
            "the reduction": self.by_reduction,
        }
        costs = [f"{cost.cycles} by {cut} alone" for cut, cost in others.items()]
        best = self.best
        adding = f", {best.addition_cycles} of them adding partial sums" * (best.reduction > 1)
        return (
            f"{best.name}: {best.cycles} cycles{adding}, on {best.arrays} arrays; "
            f"{', '.join(costs)}, {self.whole.cycles} on one array"
        )


class Partitioner:
    """Cuts products over equal arrays.

    `adds_per_cycle` are the adders beside one array, by default one below each column, which
    already add the sums of successive folds. Raises ValueError without arrays or adders.
    """

    def __init__(
        self,
        array: ArraySpec,
        arrays: int,
        *,
        rate: Rate = FULL_RATE,
        overlapped: bool = True,
        adds_per_cycle: int | None = None,
    ) -> None:
        self.array = array
        self.arrays = arrays
        self.rate = rate
        self.overlapped = overlapped
        """Whether each array overlaps its folds."""
        self.adds_per_cycle = array.cols if adds_per_cycle is None else adds_per_cycle
        if min(arrays, self.adds_per_cycle) < 1:
            raise ValueError(
                f"a partition needs arrays and adders, not {arrays} and {self.adds_per_cycle}"
            )

    def partition(self, gemm: Gemm, rows: int, columns: int, reduction: int) -> Partition:
        """Cost one cut. Raises ValueError where it needs more parts than an extent has."""
        if not (1 <= rows <= gemm.m and 1 <= columns <= gemm.n and 1 <= reduction <= gemm.k):
            raise ValueError(
                f"{gemm.m}x{gemm.n}x{gemm.k} cannot be cut {rows} x {columns} x {reduction}"
            )
        part = Gemm(m=-(-gemm.m // rows), n=-(-gemm.n // columns), k=-(-gemm.k // reduction))
        schedule = SystolicSchedule(self.array, part, self.rate)
        share = -(-part.m * part.n // reduction)
        return Partition(
            gemm=gemm,
            rows=rows,
            columns=columns,
            reduction=reduction,
            compute_cycles=(
                schedule.overlapped_cycles if self.overlapped else schedule.serial_cycles
            ),
            addition_cycles=-(-share * (reduction - 1) // self.adds_per_cycle),
        )

    def partitions(self, gemm: Gemm) -> Iterator[Partition]:
        """Yield every cut that these arrays can hold; some may leave arrays idle."""
        for rows in range(1, min(self.arrays, gemm.m) + 1):
            for columns in range(1, min(self.arrays // rows, gemm.n) + 1):
                for reduction in range(1, min(self.arrays // (rows * columns), gemm.k) + 1):
                    yield self.partition(gemm, rows, columns, reduction)

    def choose(self, gemm: Gemm) -> PartitionChoice:
        """Find the cut with the fewest cycles; of equals, fewest sums moved, then fewest arrays."""
        return PartitionChoice(
            best=min(self.partitions(gemm), key=lambda p: (p.cycles, p.moved_sums, p.arrays)),
            whole=self.partition(gemm, 1, 1, 1),
            by_rows=self.partition(gemm, min(self.arrays, gemm.m), 1, 1),
            by_columns=self.partition(gemm, 1, min(self.arrays, gemm.n), 1),
            by_reduction=self.partition(gemm, 1, 1, min(self.arrays, gemm.k)),
        )


def _parts(extent: int, count: int) -> list[slice]:
    """Cut an extent into parts that differ by one at most, the largest first."""
    least, more = divmod(extent, count)
    edges = [part * least + min(part, more) for part in range(count + 1)]
    return [slice(begin, end) for begin, end in pairwise(edges)]
