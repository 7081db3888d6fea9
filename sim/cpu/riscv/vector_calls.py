"""From a traced operation to calls of the vector kernels in `kernels/*_vector.s`.

Most take the arguments of the scalar kernels; products walk their weights otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from sim.cpu.riscv.calls import (
    BLOCK_DEPTH,
    BLOCK_ROWS,
    FLOAT_BYTES,
    GROUP,
    WRITERS,
    Call,
    ModelNumbers,
    Places,
    Writer,
    heads_of,
)
from workloads.trace import Op


def vector_writers(panel: int) -> Mapping[str, Writer]:
    """Return writers by the operation's kind, for weights in panels of so many columns."""
    return {
        **{kind: partial(_same_arguments, writer) for kind, writer in WRITERS.items()},
        "matmul": partial(_matmul, panel),
        "attention_scores": _scores,
        "attention_mix": _mix,
    }


def _same_arguments(
    scalar: Writer, op: Op, places: Places, numbers: ModelNumbers
) -> Iterator[Call]:
    for call in scalar(op, places, numbers):
        yield Call(
            kernel=f"{call.kernel}_vector",
            places=call.places,
            numbers=call.numbers,
            constant=call.constant,
        )


def _matmul(panel: int, op: Op, places: Places, numbers: ModelNumbers) -> Iterator[Call]:
    x, weight, y = places
    m, n, k = (op.dims[key] for key in ("m", "n", "k"))
    transposed = op.name in numbers.transposed
    tiled = 0 if transposed else m // GROUP * GROUP
    yield from _tiles(x, weight, y, tiled, op, panel)
    for row in range(tiled, m):
        places = (x + row * k * FLOAT_BYTES, weight, y + row * n * FLOAT_BYTES)
        if transposed:
            yield Call(kernel="matmul_rows_vector", places=places, numbers=(n, k, FLOAT_BYTES * k))
        else:
            yield Call(kernel="matmul_panels_vector", places=places, numbers=(n, k))


def _tiles(x: int, weight: int, y: int, rows: int, op: Op, panel: int) -> Iterator[Call]:  # noqa: PLR0917 - three operands and their shape
    """Multiply rows in blocks of A, each packed and then taken through all panels of B."""
    n, k = op.dims["n"], op.dims["k"]
    whole = n // panel * panel
    for depth in range(0, k, BLOCK_DEPTH):
        deep = min(BLOCK_DEPTH, k - depth)
        kernel = "gemm_tiles_add_vector" if depth else "gemm_tiles_vector"
        for first in range(0, rows, BLOCK_ROWS):
            groups = min(BLOCK_ROWS, rows - first) // GROUP
            yield Call(
                kernel="gemm_pack",
                places=(x + (first * k + depth) * FLOAT_BYTES, "gemm_packed"),
                numbers=(groups, deep, FLOAT_BYTES * k),
            )
            for column, columns in ((0, whole), (whole, n - whole)):
                if not columns:
                    continue
                at = column * k + depth * min(panel, columns)
                yield Call(
                    kernel=kernel,
                    places=(
                        "gemm_packed",
                        weight + at * FLOAT_BYTES,
                        y + (first * n + column) * FLOAT_BYTES,
                    ),
                    numbers=(groups, columns, deep, FLOAT_BYTES * panel * k, FLOAT_BYTES * n),
                )


def _scores(op: Op, places: Places, numbers: ModelNumbers) -> Iterator[Call]:  # noqa: ARG001 - as all writers
    query, keys, scores = places
    size, context = FLOAT_BYTES * op.dims["k"], op.dims["n"]
    for head, cached in heads_of(op):
        yield Call(
            kernel="matmul_rows_vector",
            places=(
                query + head * size,
                keys + cached * size,
                scores + head * context * FLOAT_BYTES,
            ),
            numbers=(context, op.dims["k"], op.dims["batch"] * size),
        )


def _mix(op: Op, places: Places, numbers: ModelNumbers) -> Iterator[Call]:  # noqa: ARG001 - as all writers
    weights, values, result = places
    context, size = op.dims["k"], FLOAT_BYTES * op.dims["n"]
    for head, cached in heads_of(op):
        yield Call(
            kernel="matmul_vector",
            places=(
                weights + head * context * FLOAT_BYTES,
                values + cached * size,
                result + head * size,
            ),
            numbers=(op.dims["n"], context, op.dims["batch"] * size),
        )
