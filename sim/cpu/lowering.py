"""From an operation to instructions: how it is shared out, which loop nest, what it moves.

A matrix product is cut along columns of C, rows of C or the batch, whichever loads the cores most
evenly; anything else along its rows or, where rows need not stay whole, its elements. Each distinct
share becomes a program, whose walks say which bytes come from which level.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from sim.cpu import kernels
from sim.cpu.executed import ExecutedKernels
from sim.cpu.hierarchy import Hierarchy, Operand
from sim.cpu.kernel_rows import Sources
from sim.cpu.passes import deal, row_extents, spread
from sim.cpu.plan import Operands, Plan, Share, Walk
from sim.cpu.programs import Product, RowWork
from sim.cpu.spec import CpuSpec
from sim.cpu.steady import LineCost
from sim.cpu.tiles import programs_of
from sim.errors import UnsupportedOpError
from workloads.trace import Family, Op, Trace

WORD_BYTES = 4
"""What `lw` and `sw` move."""

Complain = Callable[[Op, str], UnsupportedOpError]


def require_supported(op: Op, trace: Trace, complain: Complain) -> None:
    """Raise the error that `complain` makes of an operation for which there is no kernel."""
    if op.family is Family.ATTENTION:
        raise complain(op, f"no kernel for the family '{op.family}'")
    if op.dtype not in kernels.STORAGE_BYTES:
        known = ", ".join(kernels.STORAGE_BYTES)
        raise complain(op, f"no kernel for {op.dtype}, only for {known}")
    if op.family is Family.MATMUL and len(op.reads) != 2:
        raise complain(op, f"a product of {len(op.reads)} operands")
    most_reads, most_writes = len(kernels.READ_BASES), len(kernels.WRITE_BASES)
    if len(op.reads) > most_reads or len(op.writes) > most_writes:
        raise complain(op, f"a pass streams at most {most_reads} operands in and {most_writes} out")
    streamed = op.reads if op.family is Family.MATMUL else op.reads[:1]
    for access in streamed:
        dtype = trace.tensors[access.tensor].dtype
        if dtype != op.dtype:
            raise complain(op, f"an operand of {dtype} in arithmetic on {op.dtype}")


class Lowering:
    """Plans operations for one machine's cores.

    Models: static partition of the work over cores; loop nests as in `Programs`.
    Ignores: partition along k, and balancing at run time.
    Source: static scheduling as in OpenMP Application Programming Interface 5.2, section 11.5.
    """

    def __init__(self, hierarchy: Hierarchy, spec: CpuSpec) -> None:
        self._hierarchy = hierarchy
        self._cores = spec.core.count
        self._lanes = spec.core.lanes
        self._programs = programs_of(spec)
        self._executed = ExecutedKernels(hierarchy, spec.core, self._programs.cut)

    def start(self, trace: Trace) -> None:
        """Take the trace whose operations follow."""
        self._executed.start(trace)

    def find(self, op: Op, layer: int | None, trace: Trace) -> Operands:
        """Look an operation's operands up in the caches, and leave them there."""
        hierarchy = self._hierarchy
        own = self._executed.runs(op, trace)
        reads = tuple(hierarchy.read(trace, access, layer, op) for access in op.reads)
        if own and op.kind == "matmul":
            hierarchy.walked_again(trace, op.reads[0], layer, self._executed.rows_level(op))
        return Operands(
            reads=reads,
            writes=tuple(hierarchy.write(trace, access, layer, op) for access in op.writes),
            data=self._executed.data(op) if own else (),
            phases=self._executed.phases(op, trace) if own else (),
        )

    def plan(self, op: Op, operands: Operands, trace: Trace) -> Plan:
        """Share an operation out and build each core's program."""
        if operands.phases:
            return self._executed.plan(op, operands)
        if op.family is Family.MATMUL:
            return self._plan_matmul(op, operands)
        return self._plan_rows(op, operands, trace)

    def _plan_matmul(self, op: Op, operands: Operands) -> Plan:
        batch, m, n, k = (op.dims[key] for key in ("batch", "m", "n", "k"))
        width = max(panel.padded_columns for panel in self._programs.panels(m, n))
        cuts = {
            "columns": deal(n, width, self._cores),
            "rows": deal(m, self._programs.block_rows, self._cores),
            "batch": deal(batch, 1, self._cores),
        }
        whole = {"columns": n, "rows": m, "batch": batch}
        along = min(cuts, key=lambda axis: cuts[axis][0] / whole[axis])
        built: dict[int, Share] = {}
        for part in set(cuts[along]):
            extents = whole | {along: part}
            built[part] = self._product(
                Product(
                    batch=extents["batch"],
                    m=extents["rows"],
                    n=extents["columns"],
                    k=k,
                    dtype=op.dtype,
                    a=self._sources(operands.reads[0]),
                    b=self._sources(operands.reads[1]),
                    c=self._hierarchy.line_cost(
                        operands.writes[0].level, spilled=operands.writes[0].spilled_bytes > 0
                    ),
                ),
                operands,
            )
        tiles = "+".join(
            f"{rows}x{panel.columns}"
            for panel in self._programs.panels(m, n)
            for rows, _ in panel.row_blocks
        )
        shares = tuple(built[part] for part in cuts[along])
        return Plan(shares=shares, choice=f"tiles {tiles}{spread(along, len(shares))}")

    def _sources(self, operand: Operand) -> Sources:
        """Lines of an operand that is walked once, or whose later walks are not known yet."""
        line = self._hierarchy.line_cost(operand.level)
        return Sources(line, line)

    def _product(self, work: Product, operands: Operands) -> Share:
        """Build one core's products: find out from where A and B are walked again."""
        element = kernels.STORAGE_BYTES[work.dtype]
        batch, m, n, k = work.batch, work.m, work.n, work.k
        cut = self._programs.panels(m, n)
        a_bytes = m * k * element
        panel_bytes = max(panel.padded_columns for panel in cut) * k * element
        block_bytes = min(m, self._programs.block_rows) * k * element
        a_again = self._hierarchy.reuse_level(a_bytes + 2 * panel_bytes)
        b_again = self._hierarchy.reuse_level(panel_bytes + 2 * block_bytes)
        work = replace(
            work,
            a=replace(work.a, again=self._hierarchy.line_cost(a_again)),
            b=replace(work.b, again=self._hierarchy.line_cost(b_again)),
        )
        a_walks = sum(panel.count for panel in cut) - 1
        b_walked = sum(p.count * (p.calls - 1) * p.columns for p in cut) * k * element
        written = batch * m * n * element
        a, b = operands.reads
        walks = (
            Walk(level=a.level, bytes=batch * a_bytes, again=False),
            Walk(level=b.level, bytes=batch * n * k * element, again=False),
            Walk(level=operands.writes[0].level, bytes=written, again=False),
            Walk(level=a_again, bytes=batch * a_walks * a_bytes, again=True),
            Walk(level=b_again, bytes=batch * b_walked, again=True),
        )
        return Share(program=self._programs.matmul(work), walks=walks, written_bytes=written)

    def _plan_rows(self, op: Op, operands: Operands, trace: Trace) -> Plan:
        work, row_sources = self._row_work(op, operands, trace)
        whole_rows = op.family is Family.ROWWISE
        by_rows = whole_rows or work.rows >= self._cores
        along = "rows" if by_rows else "elements"
        unit = 1 if by_rows else self._lanes
        parts = deal(work.rows if by_rows else work.cols, unit, self._cores)
        built: dict[int, Share] = {}
        for part in set(parts):
            if by_rows:
                local = replace(work, rows=part)
            else:
                local = replace(
                    work,
                    cols=part,
                    row_flops=-(-work.row_flops * part // work.cols),
                    row_transcendentals=-(-work.row_transcendentals * part // work.cols),
                )
            built[part] = self._rows(local, row_sources, operands)
        shares = tuple(built[part] for part in parts)
        choice = f"{work.rows} rows of {work.cols} in {work.passes} passes"
        return Plan(shares=shares, choice=f"{choice}{spread(along, len(shares))}")

    def _row_work(
        self, op: Op, operands: Operands, trace: Trace
    ) -> tuple[RowWork, tuple[Operand, ...]]:
        """Tell what is walked element by element from what a row touches once."""
        element = kernels.STORAGE_BYTES[op.dtype]
        rows, cols, passes = row_extents(op, element)
        cost = self._hierarchy.line_cost
        again = cost(self._hierarchy.reuse_level(cols * element * (len(op.reads) + len(op.writes))))
        walked: list[Operand] = []
        per_row: list[bool] = []
        row_bytes = {"load": 0, "store": 0}
        row_line = LineCost()
        for index, (access, found) in enumerate(zip(op.reads, operands.reads, strict=True)):
            same_type = trace.tensors[access.tensor].dtype == op.dtype
            if index == 0 or (same_type and access.bytes >= cols * element):
                walked.append(found)
                per_row.append(rows > 1 and index > 0 and access.bytes < rows * cols * element)
            else:
                row_bytes["load"] += access.bytes
                row_line = max(row_line, cost(found.level), key=lambda line: line.cycles)
        writes: list[LineCost] = []
        for access, found in zip(op.writes, operands.writes, strict=True):
            line = cost(found.level, spilled=found.spilled_bytes > 0)
            if access.bytes >= rows * cols * element:
                writes.append(line)
            else:
                row_bytes["store"] += access.bytes
                row_line = max(row_line, line, key=lambda line: line.cycles)
        work = RowWork(
            rows=rows,
            cols=cols,
            passes=passes,
            dtype=op.dtype,
            row_flops=-(-op.flops // rows),
            row_transcendentals=-(-op.transcendentals // rows),
            reads=tuple(Sources(cost(found.level), again) for found in walked),
            per_row=tuple(per_row),
            scattered=op.family is Family.GATHER,
            writes=tuple(writes),
            row_loads=-(-row_bytes["load"] // (rows * WORD_BYTES)),
            row_stores=-(-row_bytes["store"] // (rows * WORD_BYTES)),
            row_line=row_line,
        )
        return work, tuple(walked)

    def _rows(self, work: RowWork, walked: Sequence[Operand], operands: Operands) -> Share:
        element = kernels.STORAGE_BYTES[work.dtype]
        row_bytes = work.cols * element
        once = [1 if per_row else work.rows for per_row in work.per_row]
        passes = [work.passes, *(1 for _ in once[1:])]
        level = self._hierarchy.reuse_level(row_bytes * (len(once) + len(work.writes)))
        again = sum(
            row_bytes * (work.rows * times - first)
            for first, times in zip(once, passes, strict=True)
        )
        written = len(work.writes) * work.rows * row_bytes
        written += work.rows * work.row_stores * WORD_BYTES
        walks = [
            Walk(level=found.level, bytes=first * row_bytes, again=False)
            for found, first in zip(walked, once, strict=True)
        ]
        walks.append(
            Walk(
                level=max((found.level for found in operands.writes), default=0),
                bytes=written,
                again=False,
            )
        )
        walks.append(Walk(level=level, bytes=again, again=True))
        return Share(program=self._programs.rows(work), walks=tuple(walks), written_bytes=written)
