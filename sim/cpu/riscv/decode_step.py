"""A decode step of a traced model as one RV64 program: a call of a kernel for each operation.

The trace says what is computed and where it lies; a few numbers that it leaves out, such as a
norm's epsilon, are given beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.cpu.riscv.assembler import assemble
from sim.cpu.riscv.kernels import kernel_text
from sim.cpu.riscv.program import Program
from sim.errors import TokenclockError
from workloads.trace import Access, Op, PlacedOp, Role, Trace

Floats = npt.NDArray[np.float32]

TEXT_BASE = 0x4000_0000
DATA_BASE = 0x5000_0000
"""Of the kernels' constants; tensors lie at their addresses in the trace, from 0."""
GROUP = 4
"""Columns or rows that `matmul.s` takes at a time."""
FLOAT_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelNumbers:
    """What a trace does not say of a model."""

    head_size: int
    norm_eps: float
    rope_theta: float | None
    """None without rotary positions."""
    rope_interleaved: bool
    """Whether rotary pairs are neighbours."""
    transposed: frozenset[str]
    """Products whose weight is [n, k]: a tied embedding's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepProgram:
    """A decode step's program, and the operation that begins at each mark."""

    program: Program
    ops: Mapping[int, PlacedOp]
    """By the address of its first instruction."""
    end: int
    """Address of the exit call behind the last operation."""

    @property
    def marks(self) -> tuple[int, ...]:
        """Addresses at which sections begin."""
        return (*self.ops, self.end)


def step_program(trace: Trace, step: int, numbers: ModelNumbers) -> StepProgram:
    """Write and assemble the program of a decode step, counted from 1.

    TokenclockError for what has no kernel: batches, other element types, other operations.
    """
    placed = [at for at in trace.placed_ops() if at.op.step == step]
    if step < 1 or not placed:
        raise TokenclockError(f"the trace of {trace.model} has no decode step {step}")
    if trace.batch != 1 or trace.dtype != "float32":
        raise TokenclockError(
            f"programs are written for one sequence in float32, not {trace.batch} in "
            f"{trace.dtype}; trace with batch 1 and dtype float32"
        )
    writer = _Writer(trace, numbers, trace.prompt_tokens + step - 1)
    lines = ["main:"]
    for at in placed:
        lines += [f"op_{at.index}:", *writer.lines(at)]
    lines += ["op_end:", "li a7, 10", "ecall", kernel_text(), *writer.angles()]
    program = assemble(
        "\n".join(lines),
        xlen=64,
        name=f"step {step} of {trace.model}",
        text_base=TEXT_BASE,
        data_base=DATA_BASE,
    )
    return StepProgram(
        program=program,
        ops={program.symbols[f"op_{at.index}"]: at for at in placed},
        end=program.symbols["op_end"],
    )


def _bits(number: float) -> int:
    return int(np.float32(number).view(np.int32))


class _Writer:
    """Writes the calls of one step."""

    def __init__(self, trace: Trace, numbers: ModelNumbers, position: int) -> None:
        self.trace = trace
        self.numbers = numbers
        self.position = position

    def lines(self, at: PlacedOp) -> Iterator[str]:
        """Return an operation's assembly; TokenclockError where it has no kernel."""
        writers: Mapping[str, Callable[[Op, int | None], Iterator[str]]] = {
            "embedding": self._embedding,
            "rmsnorm": self._norm,
            "layernorm": self._norm,
            "matmul": self._matmul,
            "rope": self._rope,
            "cache_append": self._append,
            "attention_scores": self._scores,
            "softmax": self._softmax,
            "attention_mix": self._mix,
            "add": self._add,
            "swiglu": self._swiglu,
            "gelu": self._gelu,
            "argmax": self._argmax,
        }
        if at.op.kind not in writers:
            raise TokenclockError(
                f"{at.op.name}: '{at.op.kind}' has no kernel in sim/cpu/riscv/kernels; there are "
                f"{', '.join(writers)}"
            )
        return writers[at.op.kind](at.op, at.layer)

    def angles(self) -> Iterator[str]:
        """Return the position's cosines and sines as data."""
        if self.numbers.rope_theta is None:
            return
        pairs = self.numbers.head_size // 2
        turns = self.position * self.numbers.rope_theta ** (-np.arange(pairs) / pairs)
        yield ".data"
        for label, values in (("cosines", np.cos(turns)), ("sines", np.sin(turns))):
            yield ".align 6"
            yield f"{label}: .word " + ", ".join(str(_bits(value)) for value in values)

    def _call(self, kernel: str, *arguments: int | str, number: float | None = None) -> list[str]:
        lines = []
        for place, argument in enumerate(arguments):
            load = "la" if isinstance(argument, str) else "li"
            lines.append(f"{load} a{place}, {argument}")
        if number is not None:
            lines += [f"li t0, {_bits(number)}", "fmv.w.x fa0, t0"]
        return [*lines, f"call {kernel}"]

    def _at(self, access: Access, layer: int | None) -> int:
        return self.trace.tensors[access.tensor].address_in(layer) + access.offset_bytes

    def _places(self, op: Op, layer: int | None) -> list[int]:
        return [self._at(access, layer) for access in (*op.reads, *op.writes)]

    def _embedding(self, op: Op, layer: int | None) -> Iterator[str]:
        table, ids, result = self._places(op, layer)
        yield from self._call("embedding", ids, table, result, op.dims["rows"], op.dims["cols"])

    def _norm(self, op: Op, layer: int | None) -> Iterator[str]:
        yield from self._call(
            op.kind,
            *self._places(op, layer),
            op.dims["rows"],
            op.dims["cols"],
            number=self.numbers.norm_eps,
        )

    def _matmul(self, op: Op, layer: int | None) -> Iterator[str]:
        x, weight, y = self._places(op, layer)
        k, n = op.dims["k"], op.dims["n"]
        if op.name in self.numbers.transposed:
            yield from self._rows(x, weight, y, n, k, FLOAT_BYTES * k)
            return
        groups, rest = divmod(n, GROUP)
        row, panel = FLOAT_BYTES * GROUP, FLOAT_BYTES * GROUP * k
        if groups:
            yield from self._call("matmul_columns", x, weight, y, groups, k, row, panel)
        if rest:
            weight, y = weight + groups * panel, y + groups * row
            yield from self._call(
                "matmul_column", x, weight, y, rest, k, FLOAT_BYTES * rest, FLOAT_BYTES
            )

    def _rows(  # noqa: PLR0917 - as the kernel's registers
        self, x: int, w: int, y: int, n: int, k: int, stride: int
    ) -> Iterator[str]:
        """Dot x with each of n rows that lie `stride` bytes apart."""
        groups, rest = divmod(n, GROUP)
        if groups:
            yield from self._call("matmul_rows", x, w, y, groups, k, stride)
        if rest:
            w, y = w + groups * GROUP * stride, y + groups * GROUP * FLOAT_BYTES
            yield from self._call("matmul_column", x, w, y, rest, k, FLOAT_BYTES, stride)

    def _rope(self, op: Op, layer: int | None) -> Iterator[str]:
        size = self.numbers.head_size
        heads, pairs = op.dims["elements"] // size, size // 2
        step, apart = 2 * FLOAT_BYTES, FLOAT_BYTES
        if not self.numbers.rope_interleaved:
            step, apart = FLOAT_BYTES, FLOAT_BYTES * pairs
        x, y = self._places(op, layer)
        yield from self._call("rope", x, y, "cosines", "sines", heads, pairs, step, apart)

    def _append(self, op: Op, layer: int | None) -> Iterator[str]:
        yield from self._call("cache_append", *self._places(op, layer), op.dims["elements"])

    def _heads(self, op: Op) -> Iterator[tuple[int, int]]:
        """Each query head, and the cached head that it uses."""
        for head in range(op.dims["batch"] * op.dims["m"]):
            yield head, head // op.dims["m"]

    def _scores(self, op: Op, layer: int | None) -> Iterator[str]:
        query, keys, scores = self._places(op, layer)
        size, context = FLOAT_BYTES * op.dims["k"], op.dims["n"]
        stride = op.dims["batch"] * size
        for head, cached in self._heads(op):
            x, w, y = query + head * size, keys + cached * size, scores + head * context * 4
            yield from self._rows(x, w, y, context, op.dims["k"], stride)

    def _softmax(self, op: Op, layer: int | None) -> Iterator[str]:
        yield from self._call(
            "softmax",
            *self._places(op, layer),
            op.dims["rows"],
            op.dims["cols"],
            number=self.numbers.head_size**-0.5,
        )

    def _mix(self, op: Op, layer: int | None) -> Iterator[str]:
        weights, values, result = self._places(op, layer)
        width, context = op.dims["n"], op.dims["k"]
        stride = op.dims["batch"] * width * FLOAT_BYTES
        groups, rest = divmod(width, GROUP)
        for head, cached in self._heads(op):
            x = weights + head * context * FLOAT_BYTES
            w = values + cached * width * FLOAT_BYTES
            y = result + head * width * FLOAT_BYTES
            if groups:
                yield from self._call("matmul_columns", x, w, y, groups, context, stride, 16)
            if rest:
                past = groups * GROUP * FLOAT_BYTES
                yield from self._call(
                    "matmul_column", x, w + past, y + past, rest, context, stride, FLOAT_BYTES
                )

    def _add(self, op: Op, layer: int | None) -> Iterator[str]:
        yield from self._call("residual_add", *self._places(op, layer), op.dims["elements"])

    def _swiglu(self, op: Op, layer: int | None) -> Iterator[str]:
        yield from self._call("swiglu", *self._places(op, layer), op.dims["elements"])

    def _gelu(self, op: Op, layer: int | None) -> Iterator[str]:
        yield from self._call("gelu", *self._places(op, layer), op.dims["elements"])

    def _argmax(self, op: Op, layer: int | None) -> Iterator[str]:
        logits, token = self._places(op, layer)
        yield from self._call("argmax", logits, token, op.dims["rows"], op.dims["cols"])


def packed(weight: Floats) -> Floats:
    """Pack a weight [k, n] as `matmul_columns` walks it: columns in groups of four, then the rest.

    Source: Goto and van de Geijn, Anatomy of High-Performance Matrix Multiplication, ACM TOMS
    34(3), 2008.
    """
    whole = weight.shape[1] // GROUP * GROUP
    panels = weight[:, :whole].reshape(weight.shape[0], -1, GROUP).transpose(1, 0, 2)
    return np.concatenate([panels.ravel(), weight[:, whole:].ravel()])


def packed_weights(trace: Trace, numbers: ModelNumbers) -> frozenset[str]:
    """Names of the weights that lie packed: those of products that are not transposed."""
    return frozenset(
        trace.tensors[access.tensor].name
        for block in trace.blocks
        for op in block.ops
        if op.kind == "matmul" and op.name not in numbers.transposed
        for access in op.reads
        if trace.tensors[access.tensor].role is Role.WEIGHT
    )


def tensor_bytes(trace: Trace) -> int:
    """Length of the memory that holds all tensors, from address 0."""
    return max(t.address_in(t.layers - 1) + t.bytes for t in trace.tensors)
