"""From an operation that is no matrix product to loops: passes over rows, and what they move."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sim.cpu.hierarchy import Hierarchy, Operand
from sim.cpu.kernelmachines import kernels
from sim.cpu.kernelmachines.kernels import Flavour
from sim.cpu.kernelmachines.shares import Loop, Work
from sim.cpu.kernelmachines.storage import ELEMENT_BYTES, FLOAT32
from sim.cpu.passes import RowCounts, Visit, deal, row_extents, spread
from sim.cpu.plan import Operands, Walk
from workloads.trace import Family, Op, Trace

WORD_BYTES = 8
"""Of what a row loads or stores once."""


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
        """Yield (elements, what happens to each) of a pass."""
        counts = RowCounts(
            cols=self.cols,
            passes=self.passes,
            flops=self.flops,
            transcendentals=self.transcendentals,
            reads=len(self.reads),
            writes=self.writes,
        )
        return counts.visits(number, reduces=self.reduces(number))

    def reduces(self, number: int) -> bool:
        """Whether a pass ends in one number a row."""
        return number < self.passes - 1 or not self.writes


class RowPlanner:
    """Plans everything but matrix products for one machine's cores.

    Models: passes over rows, unrolled; a static partition over cores; numbers of 16 bits that are
    only moved as words of 32.
    Ignores: balancing at run time.
    Source: Hennessy and Patterson, Computer Architecture, 6th edition, section 4.5, for strips of
    vectors.
    """

    def __init__(self, hierarchy: Hierarchy, flavour: Flavour, cores: int) -> None:
        self._hierarchy = hierarchy
        self._flavour = flavour
        self._cores = cores

    def rows(self, op: Op, operands: Operands, trace: Trace) -> tuple[tuple[Work, ...], str]:
        """Share anything else out along its rows or, where they need not stay whole, elements."""
        flavour = self._flavour
        work, walked = _row_work(op, operands, trace, flavour.element_bytes)
        if not (op.flops or op.transcendentals):  # no arithmetic: any words will do
            words = -(-work.cols * flavour.element_bytes // ELEMENT_BYTES[FLOAT32])
            work, flavour = replace(work, cols=words), replace(flavour, dtype=FLOAT32)
        by_rows = op.family is Family.ROWWISE or work.rows >= self._cores
        unit = 1 if by_rows else flavour.lanes
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
            built[part] = self._passes(flavour, local, walked, operands)
        along = "rows" if by_rows else "elements"
        how = f"{work.rows} rows of {work.cols} in {work.passes} passes"
        return tuple(built[part] for part in parts), f"{how}{spread(along, len(parts))}"

    def _passes(
        self, flavour: Flavour, work: Rows, walked: Sequence[Operand], operands: Operands
    ) -> Work:
        loops: list[Loop] = []
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
        row_bytes = work.cols * flavour.element_bytes
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


def _row_work(
    op: Op, operands: Operands, trace: Trace, element_bytes: int
) -> tuple[Rows, tuple[Operand, ...]]:
    """Tell what is walked element by element from what a row touches once."""
    rows, cols, passes = row_extents(op, element_bytes)
    walked: list[Operand] = []
    biases: list[bool] = []
    row_loads = 0
    for index, (access, found) in enumerate(zip(op.reads, operands.reads, strict=True)):
        same_type = trace.tensors[access.tensor].dtype == op.dtype
        if index == 0 or (same_type and access.bytes >= cols * element_bytes):
            walked.append(found)
            whole = access.bytes >= rows * cols * element_bytes
            biases.append(rows > 1 and index > 0 and not whole)
        else:
            row_loads += access.bytes
    elements = [access for access in op.writes if access.bytes >= rows * cols * element_bytes]
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
