"""SCALE-Sim's topologies: layers as products, or as convolutions that become products.

A topology is a CSV of products (`Layer, M, N, K,`) or of convolutions (`Layer, IFMAP height, IFMAP
width, filter height, filter width, channels, filters, stride,`), told apart by the header. After
these columns may come a batch (products) or a second stride (convolutions), and a sparsity ratio,
of which only dense ones (`1:1`) are taken. A convolution becomes the product of M output pixels, N
filters and K = window x channels, its input read pixel by pixel (im2col).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sim.errors import SpecError
from sim.tpu.array.systolic import Gemm
from sim.tpu.scalesim.config import Entry, read_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution:
    """Extents of a convolution's input, window and step."""

    ifmap_rows: int
    ifmap_cols: int
    filter_rows: int
    filter_cols: int
    channels: int
    filters: int
    stride_rows: int
    stride_cols: int

    @property
    def ofmap_rows(self) -> int:
        """Rows of the output; a window that hangs over the edge still counts, as in the peer."""
        return -(-(self.ifmap_rows - self.filter_rows + self.stride_rows) // self.stride_rows)

    @property
    def ofmap_cols(self) -> int:
        """Columns of the output."""
        return -(-(self.ifmap_cols - self.filter_cols + self.stride_cols) // self.stride_cols)

    @property
    def gemm(self) -> Gemm:
        """The product that computes it."""
        return Gemm(
            m=self.ofmap_rows * self.ofmap_cols,
            n=self.filters,
            k=self.filter_rows * self.filter_cols * self.channels,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One row of a topology."""

    name: str
    gemm: Gemm
    batch: int = 1
    """Equal products: heads, or the channels of a depthwise convolution."""
    convolution: Convolution | None = None
    """What the product came from; None for a row of M, N, K."""


GEMM_COLUMNS = ("M", "N", "K")
CONVOLUTION_COLUMNS = (
    "IFMAP height",
    "IFMAP width",
    "filter height",
    "filter width",
    "channels",
    "filters",
    "stride",
)


def read_topology(path: Path) -> list[Layer]:
    """Read the layers of a topology; products where the header says M, N, K, else convolutions.

    SpecError names file, line and column.
    """
    rows = _rows(path)
    _, header = next(rows, (0, []))
    gemm = tuple(name.upper() for name in header[1:4]) == GEMM_COLUMNS
    layers = [(_gemm if gemm else _convolution)(path, line, cells) for line, cells in rows]
    if not layers:
        raise SpecError(f"{path}: no layers; the first line is the header")
    return layers


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and cells, without the empty ones at the end of a line."""
    reader = csv.reader(read_text(path).splitlines())
    for cells in reader:
        kept = [cell.strip() for cell in cells]
        while kept and not kept[-1]:
            kept.pop()
        if kept:
            yield reader.line_num, kept


def _gemm(path: Path, line: int, cells: Sequence[str]) -> Layer:
    m, n, k = _extents(path, line, cells, GEMM_COLUMNS)
    more = cells[4:]
    batch = 1
    if more and ":" not in more[0]:
        batch = Entry(path, line, "batch", more[0]).whole()
        more = more[1:]
    _require_dense(path, line, more)
    return Layer(name=cells[0], gemm=Gemm(m=m, n=n, k=k), batch=batch)


def _convolution(path: Path, line: int, cells: Sequence[str]) -> Layer:
    extents = _extents(path, line, cells, CONVOLUTION_COLUMNS)
    more = cells[8:]
    across = extents[6]
    if more and ":" not in more[0]:
        across = Entry(path, line, "stride width", more[0]).whole()
        more = more[1:]
    _require_dense(path, line, more)
    for side, whole, window in zip(("height", "width"), extents[:2], extents[2:4], strict=True):
        if window > whole:
            entry = Entry(path, line, f"filter {side}", str(window))
            raise entry.error(f"is {window}, larger than the IFMAP's {whole}")
    depthwise = "DP" in cells[0]  # the peer's mark: each channel is a convolution of its own
    convolution = Convolution(
        ifmap_rows=extents[0],
        ifmap_cols=extents[1],
        filter_rows=extents[2],
        filter_cols=extents[3],
        channels=1 if depthwise else extents[4],
        filters=extents[5],
        stride_rows=extents[6],
        stride_cols=across,
    )
    batch = extents[4] if depthwise else 1
    return Layer(name=cells[0], gemm=convolution.gemm, batch=batch, convolution=convolution)


def _extents(path: Path, line: int, cells: Sequence[str], columns: Sequence[str]) -> list[int]:
    if len(cells) <= len(columns):
        raise SpecError(
            f"{path}, line {line}: {len(cells)} values; "
            f"a layer needs its name, {', '.join(columns)}"
        )
    return [
        Entry(path, line, column, cell).whole()
        for column, cell in zip(columns, cells[1:], strict=False)
    ]


def _require_dense(path: Path, line: int, more: Sequence[str]) -> None:
    for cell in more:
        entry = Entry(path, line, "sparsity", cell)
        parts = cell.split(":")
        if len(parts) != 2:
            raise entry.error(f"'{cell}' is no ratio N:M")
        if parts[0].strip() != parts[1].strip():
            raise entry.error(f"'{cell}': sparse filters are not modelled here")
