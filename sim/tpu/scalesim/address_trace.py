"""Which address crosses which port in which cycle, on demand and line by line.

SRAM traces follow the serial folds of `systolic`: one line a cycle in which a port is used, one
place for each port of the array's edge, IDLE where it has nothing. DRAM traces follow the DMA turns
of a `sram` plan: one line a cycle in which words move, tile after tile. Nothing is ever held but
one line: as many words as the array has ports, or as cross in a cycle. Addresses count words, as in
SCALE-Sim: A row by row, B column by column, C row by row, each from an offset of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple, TextIO

import numpy as np

from sim.errors import UnsupportedOpError
from sim.tpu.array.systolic import ArraySpec, Dataflow, Drain, Gemm, SystolicSchedule
from sim.tpu.memory.blocks import TOUCHES, Operand
from sim.tpu.memory.sram import DoubleBuffered
from sim.tpu.scalesim.config import ScaleSimConfig
from sim.tpu.scalesim.topology import Convolution, Layer

IDLE = -1
"""In the place of an address: the port has nothing to do, or the pixel lies outside the input."""


class Line(NamedTuple):
    """What crosses in one cycle."""

    cycle: int
    addresses: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressMap:
    """Word addresses of the elements of A [M, K], B [K, N] and C [M, N]."""

    a: Callable[[int, int], int]
    b: Callable[[int, int], int]
    c: Callable[[int, int], int]

    def of(self, operand: Operand) -> Callable[[int, int], int]:
        """Return one operand's."""
        return {Operand.A: self.a, Operand.B: self.b, Operand.C: self.c}[operand]


def address_map(config: ScaleSimConfig, layer: Layer) -> AddressMap:
    """Lay out a layer's operands as SCALE-Sim does; in a convolution A's elements are pixels."""
    gemm, conv = layer.gemm, layer.convolution
    return AddressMap(
        a=_pixels(config, conv) if conv else lambda m, k: config.ifmap_offset + m * gemm.k + k,
        b=lambda k, n: config.filter_offset + n * gemm.k + k,
        c=lambda m, n: config.ofmap_offset + m * gemm.n + n,
    )


def _pixels(config: ScaleSimConfig, conv: Convolution) -> Callable[[int, int], int]:
    """Find the input pixel at place k of the window of output pixel m; channels lie together."""

    def pixel(m: int, k: int) -> int:
        place, channel = divmod(k, conv.channels)
        down, right = divmod(place, conv.filter_cols)
        row = m // conv.ofmap_cols * conv.stride_rows + down
        col = m % conv.ofmap_cols * conv.stride_cols + right
        if row >= conv.ifmap_rows or col >= conv.ifmap_cols:
            return IDLE
        return config.ifmap_offset + (row * conv.ifmap_cols + col) * conv.channels + channel

    return pixel


def sram_trace(
    array: ArraySpec, gemm: Gemm, addresses: AddressMap, operand: Operand
) -> Iterator[Line]:
    """Yield the SRAM words of one operand, cycle by cycle from 0, over all serial folds.

    Raises UnsupportedOpError where outputs stay and leave through the columns.

    Models: the cycle in which each element enters at its edge, or a result leaves the array.
    Ignores: the memory's stalls, which are between folds; SRAM banks.
    Source: Samajdar et al., A Systematic Methodology for Characterizing Scalability of DNN
    Accelerators using SCALE-Sim, ISPASS 2020 (its traces' form).
    """
    if array.dataflow is Dataflow.OUTPUT_STATIONARY and array.drain is not Drain.DIRECT:
        raise UnsupportedOpError(
            f"no address trace of a '{array.drain}' drain; "
            "it belongs in sim/tpu/scalesim/address_trace.py"
        )
    schedule = SystolicSchedule(array, gemm)
    place = schedule.placement
    begin = 0
    for left in range(0, place.on_cols, array.cols):
        for top in range(0, place.on_rows, array.rows):
            height = min(array.rows, place.on_rows - top)
            width = min(array.cols, place.on_cols - left)
            fold = _Fold(array, addresses, place.streamed, top, left, height, width)
            for cycle, line in fold.lines(operand):
                yield Line(begin + cycle, line)
            begin += schedule.fold_cycles


@dataclass(frozen=True, slots=True)
class _Fold:
    """One fold: which part of the product it holds."""

    array: ArraySpec
    addresses: AddressMap
    steps: int
    top: int
    left: int
    height: int
    width: int

    def lines(self, operand: Operand) -> Iterator[Line]:
        """Yield the cycles of this fold in which the operand crosses the array's edge."""
        return self._edges()[operand]

    def _edges(self) -> dict[Operand, Iterator[Line]]:
        """Say where each operand crosses the edge."""
        a, b, c = self.addresses.a, self.addresses.b, self.addresses.c
        if self.array.dataflow is Dataflow.WEIGHT_STATIONARY:
            return {
                Operand.A: self._enters(lambda row, step: a(step, row)),
                Operand.B: self._stays(b),
                Operand.C: self._leaves(c),
            }
        if self.array.dataflow is Dataflow.INPUT_STATIONARY:
            return {
                Operand.A: self._stays(lambda row, col: a(col, row)),
                Operand.B: self._enters(b),
                Operand.C: self._leaves(lambda step, col: c(col, step)),
            }
        return {
            Operand.A: self._enters(a),
            Operand.B: self._falls(b),
            Operand.C: self._completes(c),
        }

    def _stays(self, address: Callable[[int, int], int]) -> Iterator[Line]:
        """Shift in from the top, a row of the array a cycle, the bottom row first."""
        for row in reversed(range(self.height)):
            line = [address(self.top + row, self.left + col) for col in range(self.width)]
            yield Line(self.array.rows - 1 - row, self._filled(line, self.array.cols))

    def _enters(self, address: Callable[[int, int], int]) -> Iterator[Line]:
        """Enter at the left edge, row r of the array r cycles behind the first: (row, step)."""
        yield from self._skewed(
            self.height, self.array.rows, lambda row, step: address(self.top + row, step)
        )

    def _falls(self, address: Callable[[int, int], int]) -> Iterator[Line]:
        """Enter at the top edge, column c of the array c cycles behind the first: (step, col)."""
        yield from self._skewed(
            self.width, self.array.cols, lambda col, step: address(step, self.left + col)
        )

    def _leaves(self, address: Callable[[int, int], int]) -> Iterator[Line]:
        """Leave at the bottom, R - 1 cycles after the step, and c more at column c: (step, col)."""
        for cycle, line in self._skewed(
            self.width, self.array.cols, lambda col, step: address(step, self.left + col)
        ):
            yield Line(cycle + self.array.rows - 1, line)

    def _completes(self, address: Callable[[int, int], int]) -> Iterator[Line]:
        """Be complete at (row, col) with the last step's arrival, one place for each column."""
        for late in range(self.height + self.width - 1):
            line = [
                address(self.top + late - col, self.left + col)
                if 0 <= late - col < self.height
                else IDLE
                for col in range(self.width)
            ]
            yield Line(self.steps - 1 + late, self._filled(line, self.array.cols))

    def _skewed(self, used: int, ports: int, address: Callable[[int, int], int]) -> Iterator[Line]:
        """Pass `steps` through each of `used` ports, every port a cycle behind its neighbour."""
        for time in range(self.steps + used - 1):
            line = [
                address(port, time - port) if 0 <= time - port < self.steps else IDLE
                for port in range(used)
            ]
            yield Line(self.array.load_cycles + time, self._filled(line, ports))

    @staticmethod
    def _filled(line: list[int], ports: int) -> tuple[int, ...]:
        return (*line, *(IDLE for _ in range(ports - len(line))))


def dram_trace(plan: DoubleBuffered, addresses: AddressMap, operand: Operand) -> Iterator[Line]:
    """Yield the words of one operand that cross main memory's port, cycle by cycle.

    A word's cycle is the one in which its last byte crosses. Turns write first, then read A, B and
    partial sums of C, each tile along its second extent first. The addresses of a batch's products
    are those of the first.

    Models: the DMA turns of the plan, back to back words within a turn.
    Ignores: bursts, rows and banks; the core's port, whose width only stretches a turn.
    Source: as `sram_trace`.
    """
    begin = plan.latency_cycles
    turns = _Turns(plan, addresses.of(operand), operand)
    lead = plan.lead_cycles()
    core = 0
    if lead:
        yield from turns.lines(begin, lead[0], [(plan.core.stays, 0, False)])
        begin, core = begin + lead[0], lead[1]
    for turn in range(plan.nest.blocks + 2):
        number = np.array([turn])
        cycles = int(plan.dma_cycles(number)[0])
        parts = [(Operand.C, turn - 2, True)]
        for each in Operand:
            ahead = 1 if plan.core.ahead and each is plan.core.stays else 0
            parts.append((each, turn + ahead, False))
        yield from turns.lines(begin, cycles, parts)
        begin += max(cycles, core)
        inside = turn < plan.nest.blocks
        core = int(plan.core.cycles(number, plan.nest.index(number))[0]) if inside else 0


@dataclass(frozen=True, slots=True)
class _Turns:
    """Spreads the words of DMA turns over their cycles; knows the operand that is wanted."""

    plan: DoubleBuffered
    address: Callable[[int, int], int]
    wanted: Operand

    def lines(
        self, begin: int, cycles: int, parts: Iterable[tuple[Operand, int, bool]]
    ) -> Iterator[Line]:
        """Yield the wanted operand's words of a turn, whose parts are (operand, block, out)."""
        moved = []
        for operand, block, out in parts:
            size = self._element_bytes(operand, block, out=out)
            if size:
                moved.append((operand, size, self._tile(operand, block)))
        total = sum(size * len(rows) * len(cols) for _, size, (rows, cols) in moved)
        done = 0
        line: list[int] = []
        at = begin
        for operand, size, (rows, cols) in moved:
            if operand is not self.wanted:
                done += size * len(rows) * len(cols)
                continue
            for first, second in product(rows, cols):
                done += size
                cycle = begin + -(-done * cycles // total) - 1
                if line and cycle != at:
                    yield Line(at, tuple(line))
                    line = []
                at = cycle
                line.append(self.address(first, second))
        if line:
            yield Line(at, tuple(line))

    def _element_bytes(self, operand: Operand, block: int, *, out: bool) -> int:
        number = np.array([block])
        if out:
            return int(self.plan.written_element_bytes(number)[0])
        return int(self.plan.read_element_bytes(operand, number)[0])

    def _tile(self, operand: Operand, block: int) -> tuple[range, range]:
        """Return the elements of a block's tile of an operand, along both its extents."""
        nest = self.plan.nest
        index = nest.index(np.array([block]))
        spans = []
        for d in TOUCHES[operand]:
            start = int(index[d][0]) * nest.tile[d]
            spans.append(range(start, start + int(nest.size(d, index[d])[0])))
        return spans[0], spans[1]


def write_trace(lines: Iterable[Line], file: TextIO) -> int:
    """Write lines as `cycle, address, ...,`, as SCALE-Sim does; return how many."""
    count = 0
    for cycle, addresses in lines:
        file.write(f"{cycle}, {', '.join(map(str, addresses))},\n")
        count += 1
    return count
