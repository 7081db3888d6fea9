"""Operations that a scalar core runs by the kernels of `riscv/kernels/*.s`: which, and from where.

The calls are those of the program that `tokenclock execute` executes; each address of a call is an
operand, whose lines cost what the caches say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import groupby

from sim.cpu.hierarchy import L1, Hierarchy, Operand
from sim.cpu.kernel_code import Cut
from sim.cpu.kernel_rows import Sources
from sim.cpu.kernel_trees import KernelTrees, Placed
from sim.cpu.plan import Operands, Plan, Share, Walk
from sim.cpu.riscv.calls import (
    BLOCK_DEPTH,
    BLOCK_ROWS,
    FLOAT_BYTES,
    GROUP,
    WRITERS,
    Call,
    ModelNumbers,
    calls_of,
)
from sim.cpu.spec import CoreSpec
from workloads.trace import ANSWERING, Family, Op, Phase, Role, Trace

_APART = 40
"""Bits of an address below an operand's number."""
_READS: Mapping[str, int] = {"embedding": 2, "rmsnorm": 2, "layernorm": 3, "softmax": 1, "rope": 1}
_ONE_TOKEN = ("rope", "attention_scores", "softmax", "attention_mix")
"""Kinds whose kernels take one token of one sequence, without a mask."""
_OF_ONE_SHAPE = ("add", "swiglu", "gelu")
_WITH_EXPONENTIALS = ("softmax", "swiglu", "gelu")
_TABLE_BYTES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """What the kernels must know of a trace's model."""

    head_size: int
    transposed: frozenset[str]
    """Names of products whose weight is also gathered from: a tied embedding's, [n, k]."""


class ExecutedKernels:
    """Plans operations as calls of the executed kernels, on one scalar core in float32.

    Models: the calls' own instructions; first touches of lines by operand; what an operand costs
    when it is walked again, by how much was touched since.
    Ignores: packing of weights, which is done once beforehand; masks and sequences side by side,
    which the generated passes and register tiles of `programs` do.
    Source: Goto and van de Geijn, Anatomy of High-Performance Matrix Multiplication, ACM TOMS
    34(3), 2008; Van Zee and van de Geijn, BLIS, ACM TOMS 41(3), 2015.
    """

    def __init__(self, hierarchy: Hierarchy, core: CoreSpec, cut: Cut) -> None:
        self._hierarchy = hierarchy
        self._core = core
        self._line = hierarchy.spec.line_bytes
        self._trees = KernelTrees(cut)
        self._shape = _Shape(head_size=0, transposed=frozenset())

    def start(self, trace: Trace) -> None:
        """Take a trace's model."""
        ops = [op for block in trace.blocks for op in block.ops]
        gathered = {op.reads[0].tensor for op in ops if op.family is Family.GATHER}
        self._shape = _Shape(
            head_size=next((op.dims["k"] for op in ops if op.kind == "attention_scores"), 0),
            transposed=frozenset(
                op.name for op in ops if op.kind == "matmul" and op.reads[1].tensor in gathered
            ),
        )

    def runs(self, op: Op, trace: Trace) -> bool:
        """Whether there is a kernel for an operation of this kind and shape."""
        core = self._core
        if core.count > 1 or core.lanes > 1 or core.prefetch or op.phase not in ANSWERING:
            return False
        if op.kind not in WRITERS or len(op.writes) != 1:
            return False
        typed = {trace.tensors[access.tensor].dtype for access in (*op.reads, *op.writes)}
        if op.dtype != "float32" or not typed <= {"float32", "int64"}:
            return False
        return len(op.reads) == _READS.get(op.kind, len(op.reads)) and self._fits(op, trace)

    def _fits(self, op: Op, trace: Trace) -> bool:
        if op.kind in _ONE_TOKEN:
            size = self._shape.head_size
            whole = size > 0 and (op.kind != "rope" or op.dims["elements"] % size == 0)
            return op.phase is Phase.DECODE and trace.batch == 1 and whole
        if op.kind == "cache_append":
            return trace.batch == 1  # positions one behind the other
        if op.kind in _OF_ONE_SHAPE:
            return all(access.bytes == op.writes[0].bytes for access in op.reads)
        if op.kind == "matmul":
            weight = trace.tensors[op.reads[1].tensor]
            one_row = op.dims["m"] == 1 or op.name not in self._shape.transposed
            alone = self._core.tiles is None  # a tile unit takes the products
            return alone and op.dims["batch"] == 1 and weight.role is Role.WEIGHT and one_row
        return True

    def data(self, op: Op) -> tuple[Operand, ...]:
        """Look up what the kernel has of its own, and leave it in the caches."""
        found = self._hierarchy.data
        if op.kind in _WITH_EXPONENTIALS:
            return (found("exponentials", _TABLE_BYTES * (2 if op.kind == "gelu" else 1)),)
        if op.kind == "rope":
            return (found("angles", self._shape.head_size * FLOAT_BYTES),)
        if op.kind == "matmul" and op.dims["m"] >= GROUP:
            rows = min(op.dims["m"] // GROUP * GROUP, BLOCK_ROWS)  # of the longest block
            return (found("packed", rows * min(op.dims["k"], BLOCK_DEPTH) * FLOAT_BYTES),)
        return ()

    def rows_level(self, op: Op) -> int:
        """Return the level in which a product's rows stay while the weights stream by."""
        panel = GROUP * op.dims["k"] * FLOAT_BYTES
        return self._hierarchy.reuse_level(op.reads[0].bytes + 2 * panel)

    def phases(self, op: Op, trace: Trace) -> tuple[int, ...]:
        """Return where in a cache line each operand begins."""
        return tuple(
            (trace.tensors[access.tensor].address + access.offset_bytes) % self._line
            for access in (*op.reads, *op.writes)
        )

    def plan(self, op: Op, operands: Operands) -> Plan:
        """Return the one core's program."""
        calls = calls_of(
            op,
            [(number << _APART) + at for number, at in enumerate(operands.phases)],
            ModelNumbers(
                head_size=self._shape.head_size,
                norm_eps=1.0,
                rope_theta=None,
                rope_interleaved=False,
                transposed=self._shape.transposed,
            ),
        )
        costs = _Costs(self._hierarchy, op, operands)
        placed = [
            Placed(call=costs.within_line(call), costs=costs.of(call), line_bytes=self._line)
            for call in calls
        ]
        written = sum(access.bytes for access in op.writes)
        kernels = [
            f"{len(list(run))} {name}" for name, run in groupby(calls, key=lambda call: call.kernel)
        ]
        shown = ", ".join(kernels[:4]) + (", ..." if len(kernels) > 4 else "")
        share = Share(
            program=self._trees.program(placed), walks=costs.walks(), written_bytes=written
        )
        return Plan(shares=(share,), choice=f"executed kernels: {shown}")


class _Costs:
    """What the operands' lines cost, call by call."""

    def __init__(self, hierarchy: Hierarchy, op: Op, operands: Operands) -> None:
        self._hierarchy = hierarchy
        self._op = op
        self._operands = operands
        found = (*operands.reads, *operands.writes)
        self._first = [hierarchy.first_cost(each) for each in found]
        self._recent: dict[int | str, int] = {}
        """Bytes that the last call walked from each address, in order of last use."""
        self._tiled_until = [0] * (len(operands.reads) + len(operands.writes))
        self._again: dict[int, int] = {}
        self._last_lines: set[int] = set()

    def within_line(self, call: Call) -> Call:
        """Return the call with addresses as offsets within a line, less a line if it is touched."""
        line = self._hierarchy.spec.line_bytes
        places: list[int | str] = []
        for index, place in enumerate(call.places):
            if isinstance(place, str):
                places.append(place)
                continue
            touched = place // line in self._last_lines
            places.append(place % line - (line if touched else 0))
            self._last_lines.add((place + max(_walked_bytes(call, index), 1) - 1) // line)
        return replace(call, places=tuple(places))

    def of(self, call: Call) -> tuple[Sources, ...]:
        """Return the costs by address, then those of the kernel's data."""
        data = [self._known(found) for found in self._operands.data]
        costs: list[Sources] = []
        for index, place in enumerate(call.places):
            if not isinstance(place, str):
                costs.append(self._place(call, index, place))
            elif call.kernel.startswith("gemm"):
                known = place in self._recent
                costs.append(Sources(data[0].again, data[0].again) if known else data[0])
        for index, place in enumerate(call.places):
            self._recent.pop(place, None)
            self._recent[place] = _walked_bytes(call, index)
        of_its_own = call.kernel == "rope" or call.kernel in _WITH_EXPONENTIALS
        labels = sum(isinstance(place, str) for place in call.places)
        return (*costs, *(data * max(labels, 1) if of_its_own else ()))

    def walks(self) -> tuple[Walk, ...]:
        """Return the bytes that all calls so far take, and from where."""
        found = (*self._operands.reads, *self._operands.writes)
        first = [Walk(level=each.level, bytes=each.bytes, again=False) for each in found]
        again = [Walk(level=at, bytes=count, again=True) for at, count in self._again.items()]
        return (*first, *again)

    def _known(self, found: Operand) -> Sources:
        return Sources(self._hierarchy.first_cost(found), self._hierarchy.line_cost(L1))

    def _place(self, call: Call, index: int, place: int) -> Sources:
        """Return the costs of an operand as one call walks it."""
        number = place >> _APART
        cost, reuse_level = self._hierarchy.line_cost, self._hierarchy.reuse_level
        within = reuse_level(_footprint(call, self._op, self._hierarchy))
        first = self._first[number]
        touched_since = self._touched_since(place, number)
        if touched_since is not None:
            walked = _walked_bytes(call, index)
            level = reuse_level(touched_since + walked)
            first = cost(level)
            self._count(level, walked)
        self._count(within, _walked_again(call, index))
        if call.kernel.startswith("gemm") and number != 1:
            rows = call.numbers[0] * GROUP
            row = call.numbers[2 if call.kernel == "gemm_pack" else 4]
            self._tiled_until[number] = max(self._tiled_until[number], place + (rows - 1) * row + 1)
        return Sources(first, cost(within))

    def _touched_since(self, place: int, number: int) -> int | None:
        """Return the bytes that calls touched since one walked an address; None if none did."""
        if place in self._recent:
            touched = 0
            for other, count in reversed(self._recent.items()):
                if other == place:
                    return touched
                touched += count
        if place < self._tiled_until[number]:  # rows that tiles took together
            return self._op.bytes_read + self._op.bytes_written
        return None

    def _count(self, level: int, count: int) -> None:
        if count:
            self._again[level] = self._again.get(level, 0) + count


def _footprint(call: Call, op: Op, hierarchy: Hierarchy) -> int:
    """Return the bytes that a call touches before it walks an operand again."""
    if call.kernel in ("matmul_columns", "matmul_column"):
        _, k, row, step = call.numbers
        touched = max(GROUP * FLOAT_BYTES, hierarchy.spec.line_bytes if step < row else 0)
        return k * (touched + FLOAT_BYTES)
    if call.kernel == "matmul_rows":
        return (GROUP + 1) * call.numbers[1] * FLOAT_BYTES
    if call.kernel.startswith("gemm_tiles"):
        groups, _, deep, *_ = call.numbers
        return FLOAT_BYTES * GROUP * (groups * (deep + GROUP) + 2 * deep)
    return op.dims.get("cols", 0) * FLOAT_BYTES * (len(op.reads) + len(op.writes))


def _walked_bytes(call: Call, place: int) -> int:
    """Return the distinct bytes of an operand, by the place of its address, that a call walks."""
    if call.kernel in ("matmul_columns", "matmul_column", "matmul_rows"):
        count, k, *_ = call.numbers
        width = 1 if call.kernel == "matmul_column" else GROUP
        return FLOAT_BYTES * (k, count * width * k, count * width)[place]
    if call.kernel.startswith("gemm_tiles"):
        groups, panels, deep, *_ = call.numbers
        return FLOAT_BYTES * GROUP * (groups * deep, panels * deep, groups * panels * GROUP)[place]
    if call.kernel == "gemm_pack":
        groups, deep, _ = call.numbers
        return FLOAT_BYTES * GROUP * groups * deep
    return 0


def _walked_again(call: Call, place: int) -> int:
    """Return the bytes of an operand that a call walks beyond the first time."""
    if call.kernel in ("matmul_columns", "matmul_column", "matmul_rows"):
        count, k, *_ = call.numbers
        return (count - 1) * k * FLOAT_BYTES if place == 0 else 0
    if call.kernel.startswith("gemm_tiles") and place == 1:
        groups, panels, deep, *_ = call.numbers
        return (groups - 1) * panels * deep * GROUP * FLOAT_BYTES
    if call.kernel in ("rmsnorm", "layernorm", "softmax") and place == 0:
        rows, columns = call.numbers
        return (1 if call.kernel == "rmsnorm" else 2) * rows * columns * FLOAT_BYTES
    return 0
