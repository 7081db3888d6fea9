"""From a traced operation to calls of the kernels in `kernels/*.s`.

One list for both who run the kernels: `decode_step` writes the calls as a program and executes it;
`sim.cpu.kernel_trees` times the same calls without values. An argument that is an address always
takes two instructions, so that where a tensor lies changes no count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sim.cpu.riscv.expressions import high, low
from sim.errors import TokenclockError
from workloads.trace import Op

GROUP = 4
"""Columns or rows that `matmul.s` and `gemm.s` take at a time."""
BLOCK_ROWS, BLOCK_DEPTH = 16, 128
"""Of A that `gemm.s` packs at a time: 8 KiB, a quarter of a first-level cache of 32 KiB. What lies
in few sets, as C's columns where its rows are a power of two apart, then has ways left, which is
how Low et al. size blocks (Analytical Modeling Is Enough for High-Performance BLIS, ACM TOMS 43(2),
2016)."""
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
class Call:
    """One call of a kernel: its arguments in a0 and on, addresses first."""

    kernel: str
    places: tuple[int | str, ...]
    """Addresses, or labels of data."""
    numbers: tuple[int, ...] = ()
    constant: float | None = None
    """In fa0."""

    def lines(self) -> Iterator[str]:
        """Yield the call's assembly."""
        for number, place in enumerate(self.places):
            yield f"lui a{number}, %hi({place})"
            yield f"addi a{number}, a{number}, %lo({place})"
        for number, value in enumerate(self.numbers, start=len(self.places)):
            yield f"li a{number}, {value}"
        if self.constant is not None:
            bits = bits_of(self.constant)
            yield f"lui t0, {high(bits)}"
            yield f"addiw t0, t0, {low(bits)}"
            yield "fmv.w.x fa0, t0"
        yield f"call {self.kernel}"


def bits_of(number: float) -> int:
    """Return a number's pattern in float32, as a signed word."""
    return int(np.float32(number).view(np.int32))


Places = Sequence[int]
Writer = Callable[[Op, Places, ModelNumbers], Iterator[Call]]
"""Writes the calls that compute an operation."""


def calls_of(
    op: Op,
    places: Places,
    numbers: ModelNumbers,
    writers: Mapping[str, Writer] | None = None,
) -> tuple[Call, ...]:
    """Return the calls that compute an operation whose reads and writes lie at `places`.

    Of scalar kernels, unless there are other writers. TokenclockError where there is no kernel.
    """
    known = WRITERS if writers is None else writers
    if op.kind not in known:
        raise TokenclockError(
            f"{op.name}: '{op.kind}' has no kernel in sim/cpu/riscv/kernels; there are "
            f"{', '.join(known)}"
        )
    return tuple(known[op.kind](op, places, numbers))


def _embedding(op: Op, places: Places, numbers: ModelNumbers) -> Iterator[Call]:  # noqa: ARG001 - as all writers
    table, ids, result = places
    yield Call(
        kernel="embedding", places=(ids, table, result), numbers=(op.dims["rows"], op.dims["cols"])
    )


def _norm(op: Op, places: Places, numbers: ModelNumbers) -> Iterator[Call]:
    yield Call(
        kernel=op.kind,
        places=tuple(places),
        numbers=(op.dims["rows"], op.dims["cols"]),
        constant=numbers.norm_eps,
    )


def _matmul(op: Op, places: Places, numbers: ModelNumbers) -> Iterator[Call]:
    x, weight, y = places
    m, n, k = (op.dims[key] for key in ("m", "n", "k"))
    transposed = op.name in numbers.transposed
    tiled = 0 if transposed else m // GROUP * GROUP
    if tiled:
        yield from _tiles(x, weight, y, tiled, op)
    for row in range(m):
        at, to = x + row * k * FLOAT_BYTES, y + row * n * FLOAT_BYTES
        if transposed:
            yield from _rows(at, weight, to, n, k, FLOAT_BYTES * k)
        else:
            yield from _row(at, weight, to, n, k, rest_only=row < tiled)


def _row(x: int, weight: int, y: int, n: int, k: int, *, rest_only: bool) -> Iterator[Call]:
    """Multiply a row with a packed weight, or with its columns that no group of four covers."""
    groups, rest = divmod(n, GROUP)
    row, panel = FLOAT_BYTES * GROUP, FLOAT_BYTES * GROUP * k
    if groups and not rest_only:
        yield Call(kernel="matmul_columns", places=(x, weight, y), numbers=(groups, k, row, panel))
    if rest:
        yield Call(
            kernel="matmul_column",
            places=(x, weight + groups * panel, y + groups * row),
            numbers=(rest, k, FLOAT_BYTES * rest, FLOAT_BYTES),
        )


def _tiles(x: int, weight: int, y: int, rows: int, op: Op) -> Iterator[Call]:
    """Multiply rows in blocks of A, each packed and then taken through all panels of B."""
    n, k = op.dims["n"], op.dims["k"]
    if n < GROUP:
        return
    for depth in range(0, k, BLOCK_DEPTH):
        deep = min(BLOCK_DEPTH, k - depth)
        for first in range(0, rows, BLOCK_ROWS):
            groups = min(BLOCK_ROWS, rows - first) // GROUP
            yield Call(
                kernel="gemm_pack",
                places=(x + (first * k + depth) * FLOAT_BYTES, "gemm_packed"),
                numbers=(groups, deep, FLOAT_BYTES * k),
            )
            yield Call(
                kernel="gemm_tiles_add" if depth else "gemm_tiles",
                places=(
                    "gemm_packed",
                    weight + depth * GROUP * FLOAT_BYTES,
                    y + first * n * FLOAT_BYTES,
                ),
                numbers=(groups, n // GROUP, deep, FLOAT_BYTES * GROUP * k, FLOAT_BYTES * n),
            )


def _rows(x: int, w: int, y: int, n: int, k: int, stride: int) -> Iterator[Call]:  # noqa: PLR0917 - as the kernel's registers
    """Dot x with each of n rows that lie `stride` bytes apart."""
    groups, rest = divmod(n, GROUP)
    if groups:
        yield Call(kernel="matmul_rows", places=(x, w, y), numbers=(groups, k, stride))
    if rest:
        yield Call(
            kernel="matmul_column",
            places=(x, w + groups * GROUP * stride, y + groups * GROUP * FLOAT_BYTES),
            numbers=(rest, k, FLOAT_BYTES, stride),
        )


def _rope(op: Op, places: Places, numbers: ModelNumbers) -> Iterator[Call]:
    size = numbers.head_size
    heads, pairs = op.dims["elements"] // size, size // 2
    step, apart = 2 * FLOAT_BYTES, FLOAT_BYTES
    if not numbers.rope_interleaved:
        step, apart = FLOAT_BYTES, FLOAT_BYTES * pairs
    yield Call(
        kernel="rope", places=(*places, "cosines", "sines"), numbers=(heads, pairs, step, apart)
    )


def _scores(op: Op, places: Places, numbers: ModelNumbers) -> Iterator[Call]:  # noqa: ARG001 - as all writers
    query, keys, scores = places
    size, context = FLOAT_BYTES * op.dims["k"], op.dims["n"]
    stride = op.dims["batch"] * size
    for head, cached in heads_of(op):
        x, w, y = query + head * size, keys + cached * size, scores + head * context * FLOAT_BYTES
        yield from _rows(x, w, y, context, op.dims["k"], stride)


def _softmax(op: Op, places: Places, numbers: ModelNumbers) -> Iterator[Call]:
    yield Call(
        kernel="softmax",
        places=tuple(places),
        numbers=(op.dims["rows"], op.dims["cols"]),
        constant=numbers.head_size**-0.5,
    )


def _mix(op: Op, places: Places, numbers: ModelNumbers) -> Iterator[Call]:  # noqa: ARG001 - as all writers
    weights, values, result = places
    width, context = op.dims["n"], op.dims["k"]
    stride = op.dims["batch"] * width * FLOAT_BYTES
    groups, rest = divmod(width, GROUP)
    past = groups * GROUP * FLOAT_BYTES
    for head, cached in heads_of(op):
        x = weights + head * context * FLOAT_BYTES
        w = values + cached * width * FLOAT_BYTES
        y = result + head * width * FLOAT_BYTES
        if groups:
            yield Call(
                kernel="matmul_columns",
                places=(x, w, y),
                numbers=(groups, context, stride, FLOAT_BYTES * GROUP),
            )
        if rest:
            yield Call(
                kernel="matmul_column",
                places=(x, w + past, y + past),
                numbers=(rest, context, stride, FLOAT_BYTES),
            )


def heads_of(op: Op) -> Iterator[tuple[int, int]]:
    """Each query head, and the cached head that it uses."""
    for head in range(op.dims["batch"] * op.dims["m"]):
        yield head, head // op.dims["m"]


def _elementwise(op: Op, places: Places, numbers: ModelNumbers) -> Iterator[Call]:  # noqa: ARG001 - as all writers
    kernel = {"add": "residual_add"}.get(op.kind, op.kind)
    yield Call(kernel=kernel, places=tuple(places), numbers=(op.dims["elements"],))


def _argmax(op: Op, places: Places, numbers: ModelNumbers) -> Iterator[Call]:  # noqa: ARG001 - as all writers
    yield Call(kernel="argmax", places=tuple(places), numbers=(op.dims["rows"], op.dims["cols"]))


WRITERS: Mapping[str, Writer] = {
    "embedding": _embedding,
    "rmsnorm": _norm,
    "layernorm": _norm,
    "matmul": _matmul,
    "rope": _rope,
    "cache_append": _elementwise,
    "attention_scores": _scores,
    "softmax": _softmax,
    "attention_mix": _mix,
    "add": _elementwise,
    "swiglu": _elementwise,
    "gelu": _elementwise,
    "argmax": _argmax,
}
"""By the operation's kind."""
