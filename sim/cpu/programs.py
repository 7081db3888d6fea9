"""Loop nests: a matrix product or a pass over rows as a program of kernels with trip counts.

What an operand's line costs depends on which round of the nest touches it: the first comes from
where the operand lies, later ones from the innermost cache that holds what was touched since. A
`Sources` says so for one operand; the nests put the costs into the segments.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sim.cpu import kernels
from sim.cpu.kernel_rows import Sources
from sim.cpu.kernels import Body, Flavour
from sim.cpu.passes import RowCounts, Visit
from sim.cpu.steady import Chain, LineCost, Node, Repeat, Segment

TILE_ROWS = 4
SCALAR_TILE_COLUMNS = 4
VECTOR_TILE_VECTORS = 2
"""Extents of the register tiles in `kernels/*.s`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """`batch` products C[m,n] = A[m,k] x B[k,n], and what their operands' lines cost."""

    batch: int
    m: int
    n: int
    k: int
    dtype: str
    a: Sources
    b: Sources
    c: LineCost


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Neighbouring column panels of C that one kernel shape serves."""

    tile_columns: str
    """The kernel's name for its columns: `4` scalars, `2` vectors."""
    columns: int
    """Columns of C in one panel."""
    padded_columns: int
    """Columns that the kernel computes: whole vectors."""
    count: int
    row_blocks: tuple[tuple[int, int], ...]
    """(rows of the tile, how many of them)."""

    @property
    def calls(self) -> int:
        """Kernel calls in one panel."""
        return sum(count for _, count in self.row_blocks)


def panels(m: int, n: int, lanes: int) -> tuple[Panel, ...]:
    """Cut C [m, n] into tiles that cover each element once."""
    blocks = tuple(block for block in ((TILE_ROWS, m // TILE_ROWS), (1, m % TILE_ROWS)) if block[1])
    if lanes == 1:
        whole, rest = divmod(n, SCALAR_TILE_COLUMNS)
        found = (
            Panel(tile_columns="4", columns=4, padded_columns=4, count=whole, row_blocks=blocks),
            Panel(tile_columns="1", columns=1, padded_columns=1, count=rest, row_blocks=((1, m),)),
        )
        return tuple(panel for panel in found if panel.count)
    width = VECTOR_TILE_VECTORS * lanes
    whole, rest = divmod(n, width)
    vectors = -(-rest // lanes)
    found = (
        Panel(
            tile_columns="2", columns=width, padded_columns=width, count=whole, row_blocks=blocks
        ),
        Panel(
            tile_columns=str(vectors),
            columns=rest,
            padded_columns=vectors * lanes,
            count=min(rest, 1),
            row_blocks=blocks,
        ),
    )
    return tuple(panel for panel in found if panel.count)


class Programs:
    """Builds programs of one core and keeps their segments, so that a kernel is timed once.

    Models: register-tiled outer products over packed panels; multi-pass row kernels, unrolled.
    Ignores: packing (operands lie in the order in which the kernels walk them, edges padded to
    whole vectors); blocking of k for the caches; outer loops' last branches count as taken.
    Source: Goto and van de Geijn, Anatomy of High-Performance Matrix Multiplication, ACM TOMS
    34(3), 2008; Van Zee and van de Geijn, BLIS, ACM TOMS 41(3), 2015.
    """

    def __init__(self, lanes: int, fp_latency_cycles: int) -> None:
        self._lanes = lanes
        self._latency = fp_latency_cycles
        self._segments: dict[tuple[Body, bool, tuple[tuple[int, LineCost], ...]], Segment] = {}
        self._calls: dict[tuple[str, int, str, LineCost, LineCost, LineCost], Node] = {}

    def flavour(self, dtype: str) -> Flavour:
        """Return the kernels' flavour for an element type."""
        return Flavour(dtype, self._lanes)

    @property
    def block_rows(self) -> int:
        """Rows of C that one kernel call covers at most."""
        return TILE_ROWS

    def panels(self, m: int, n: int) -> tuple[Panel, ...]:
        """Cut C [m, n] into what the kernels cover."""
        return panels(m, n, self._lanes)

    def matmul(self, work: Product) -> Node:
        """Return a program that for each panel of B goes through all blocks of A."""
        nest: list[Node] = []
        rows_of_a = work.a.first
        for panel in self.panels(work.m, work.n):
            nest.append(self._panel(panel, work, rows_of_a))
            nest.append(Repeat(self._panel(panel, work, work.a.again), panel.count - 1))
            rows_of_a = work.a.again
        return Repeat(Chain(*nest), work.batch)

    def _panel(self, panel: Panel, work: Product, a: LineCost) -> Node:
        calls: list[Node] = []
        b = work.b.first
        for rows, count in panel.row_blocks:
            calls.append(self._kernel(rows, panel, work, a, b))
            calls.append(Repeat(self._kernel(rows, panel, work, a, work.b.again), count - 1))
            b = work.b.again
        return Chain(*calls)

    def _kernel(self, rows: int, panel: Panel, work: Product, a: LineCost, b: LineCost) -> Node:
        return self._call(f"{rows}x{panel.tile_columns}", work, a, b)

    def _call(self, kernel: str, work: Product, a: LineCost, b: LineCost) -> Node:
        key = (kernel, work.k, work.dtype, a, b, work.c)
        if key not in self._calls:
            prefix = "gemm_" if self._lanes == 1 else "gemm_vector_"
            body = kernels.matrix_kernel(prefix + kernel, self.flavour(work.dtype))
            lines = {kernels.A_BASE: a, kernels.B_BASE: b, kernels.C_BASE: work.c}
            self._calls[key] = Chain(
                self.segment(body["prologue"], lines, taken=False),
                Repeat(self.segment(body["loop"], lines, taken=True), work.k - 1),
                self.segment(body["loop"], lines, taken=False),
                self.segment(body["epilogue"], lines, taken=True),
            )
        return self._calls[key]

    def segment(self, body: Body, lines: dict[int, LineCost], *, taken: bool) -> Segment:
        """Return the segment of some instructions with their streams' line costs."""
        costly = tuple((base, line) for base, line in lines.items() if line.cycles)
        key = (body, taken, costly)
        if key not in self._segments:
            self._segments[key] = Segment(
                body, taken=taken, fp_latency_cycles=self._latency, lines=dict(costly)
            )
        return self._segments[key]

    def cut(self, body: Body, lines: dict[int, LineCost], taken: bool) -> Segment:
        """Return the segment of a piece of an executed kernel."""
        used = {each.base for each in body}
        return self.segment(
            body, {base: line for base, line in lines.items() if base in used}, taken=taken
        )

    def rows(self, work: RowWork) -> Node:
        """Return a program that walks each row of an operation as often as it has passes."""
        first = self._row(work, first=True)
        return Chain(first, Repeat(self._row(work, first=False), work.rows - 1))

    def _row(self, work: RowWork, *, first: bool) -> Node:
        parts: list[Node] = []
        for number in range(work.passes):
            last = number == work.passes - 1
            reduces = not last or not work.writes
            accumulators = kernels.UNROLL if reduces else 0
            lines = work.lines(number, first_row=first)
            flavour = self.flavour(work.dtype)
            start = kernels.row_start(
                work.rewound(number), accumulators, 0 if number else work.row_loads, flavour
            )
            if start:
                parts.append(self.segment(start, lines, taken=False))
            for count, visit in work.counts.visits(number, reduces=reduces):
                parts.extend(self._visits(count, visit, flavour, lines))
            end = kernels.row_end(accumulators, work.row_stores if last else 0, flavour)
            parts.append(self.segment(end, lines, taken=True))
        return Chain(*parts)

    def _visits(
        self, count: int, visit: Visit, flavour: Flavour, lines: dict[int, LineCost]
    ) -> Iterator[Node]:
        """Yield loops over `count` elements: unrolled as far as it goes, then one by one."""
        groups = -(-count // flavour.lanes)
        for unroll, times in (
            (kernels.UNROLL, groups // kernels.UNROLL),
            (1, groups % kernels.UNROLL),
        ):
            if times:
                body = kernels.pass_body(visit, flavour, unroll=unroll)
                yield Repeat(self.segment(body, lines, taken=True), times - 1)
                yield self.segment(body, lines, taken=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowWork:
    """A pass-by-pass description of everything but a matrix product.

    The first operand is walked in every pass; the others in the last, where results are stored.
    An operation whose result is not one element per element only reduces.
    """

    rows: int
    cols: int
    passes: int
    dtype: str
    row_flops: int
    """Of one row, rounded up."""
    row_transcendentals: int
    reads: tuple[Sources, ...]
    """Operands walked element by element."""
    per_row: tuple[bool, ...]
    """For each of `reads`: whether it is one row, walked anew for each (a bias)."""
    scattered: bool
    """Whether the first operand's rows lie apart."""
    writes: tuple[LineCost, ...]
    """Results stored element by element."""
    row_loads: int
    """Words that a row loads once (a token's number), and stores once (its likeliest token)."""
    row_stores: int
    row_line: LineCost
    """Of the row's own loads and stores."""

    def rewound(self, number: int) -> tuple[int, ...]:
        """Bases whose stream begins anew in a pass."""
        anew = []
        last = number == self.passes - 1
        for operand, base in enumerate(kernels.READ_BASES[: len(self.reads)]):
            if operand == 0:
                begins = number > 0 or self.scattered
            else:
                begins = last and self.per_row[operand]
            if begins:
                anew.append(base)
        return tuple(anew)

    def lines(self, number: int, *, first_row: bool) -> dict[int, LineCost]:
        """Line costs of a pass's streams, by base register."""
        lines = dict(zip(kernels.WRITE_BASES, self.writes, strict=False))
        for operand, base in enumerate(kernels.READ_BASES[: len(self.reads)]):
            again = operand == 0 and number > 0
            again = again or (self.per_row[operand] and not first_row)
            lines[base] = self.reads[operand].again if again else self.reads[operand].first
        if self.row_loads:
            lines[kernels.ROW_BASE] = self.row_line
        if self.row_stores:
            lines[kernels.WRITE_BASES[0]] = self.row_line
        return lines

    @property
    def counts(self) -> RowCounts:
        """What a row's passes do, in counts."""
        return RowCounts(
            cols=self.cols,
            passes=self.passes,
            flops=self.row_flops,
            transcendentals=self.row_transcendentals,
            reads=len(self.reads),
            writes=len(self.writes),
        )
