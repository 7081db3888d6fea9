"""Candidates of the mapper, with what each moves and a lower bound of its cycles.

All tilings of one loop order are computed at once, as grids over the tiles of m, n and k. A bound
is the larger of two that hold for every plan of `sram`: all DMA after one another; or the arrays'
own cycles, with the first operands before and the last results behind them. Bytes moved and the
arrays' own cycles are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations

import numpy as np

from sim.tpu.array.systolic import Drain, Gemm
from sim.tpu.memory.blocks import (
    ABSENT,
    LIES,
    STAYS,
    TOUCHES,
    ArrayMemory,
    ArrayUnit,
    Blocking,
    Flags,
    Numbers,
    Operand,
)

ORDERS = tuple("".join(order) for order in permutations("kmn"))

EQUAL_PARTS = (1, 2, 3, 4)
"""An extent is tried in so many equal parts, besides powers of two of the array's size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Blockings that fit in the SRAMs, side by side."""

    tiles: Numbers
    """[3, candidates] extents of a block along m, n and k."""
    order: Numbers
    """[candidates] index into ORDERS."""
    moved: Numbers
    """[candidates] bytes between main memory and SRAMs."""
    busy: Numbers
    """[candidates] cycles of the arrays, waits aside."""
    moving: Numbers
    """[candidates] cycles of the channel, back to back."""
    bound: Numbers
    """[candidates] cycles that the plan cannot beat."""

    def __len__(self) -> int:
        return len(self.order)

    def blocking(self, at: int) -> Blocking:
        """Return one of them."""
        m, n, k = (int(tile) for tile in self.tiles[:, at])
        return Blocking(m=m, n=n, k=k, order=ORDERS[self.order[at]])


def tile_choices(extent: int, unit: int) -> list[int]:
    """Tiles to try along an extent, of which the array takes `unit` at once; ascending."""
    powers = [unit << i for i in range(max(0, (extent - 1) // unit).bit_length())]
    parts = [-(-extent // (unit * part)) * unit for part in EQUAL_PARTS]
    return sorted({min(tile, extent) for tile in (*powers, *parts)})


def candidates(unit: ArrayUnit, memory: ArrayMemory, gemm: Gemm, batch: int) -> Candidates:
    """Return every candidate of one way to use the arrays, without repetitions."""
    grid = _Grid(unit, memory, gemm, batch)
    found = [grid.of_order(number, order) for number, order in enumerate(ORDERS)]
    return Candidates(
        tiles=np.concatenate([each.tiles for each in found], axis=1),
        order=np.concatenate([each.order for each in found]),
        moved=np.concatenate([each.moved for each in found]),
        busy=np.concatenate([each.busy for each in found]),
        moving=np.concatenate([each.moving for each in found]),
        bound=np.concatenate([each.bound for each in found]),
    )


class _Grid:
    """All tilings of a product, on axes m, n, k."""

    def __init__(self, unit: ArrayUnit, memory: ArrayMemory, gemm: Gemm, batch: int) -> None:
        self.unit, self.memory, self.batch = unit, memory, batch
        array = unit.array
        self.down, self.across, self.streamed = LIES[array.dataflow]
        self.stays = STAYS[array.dataflow]
        self.extent = {"m": gemm.m, "n": gemm.n, "k": gemm.k}
        units = {self.down: array.rows, self.across: array.cols, self.streamed: array.rows}
        self.tile: dict[str, Numbers] = {}
        self.tiles: dict[str, Numbers] = {}
        self.last: dict[str, Numbers] = {}
        for axis, d in enumerate("mnk"):
            tile = np.array(tile_choices(self.extent[d], units[d]), dtype=np.int64)
            tile = tile.reshape([-1 if place == axis else 1 for place in range(3)])
            self.tile[d] = tile
            self.tiles[d] = -(-self.extent[d] // tile)
            self.last[d] = self.extent[d] - (self.tiles[d] - 1) * tile
        self._sizes = (self.tile, self.last)
        self.shape = np.broadcast_shapes(*(tile.shape for tile in self.tile.values()))
        self.single_fold = (self.tile[self.down] <= array.rows) & (
            self.tile[self.across] <= array.cols
        )
        self.ahead = unit.overlapped and array.load_cycles > 0

    def of_order(self, number: int, order: str) -> Candidates:
        """Return the candidates whose loops are in this order."""
        fits: Flags = self._distinct(order)
        read = np.zeros(self.shape, dtype=np.int64)
        written = np.zeros(self.shape, dtype=np.int64)
        for operand in Operand:
            held, possible = self._holds(operand, order)
            fits = fits & possible
            again = np.where(held, 0, self.tiles[ABSENT[operand]] - 1)
            inward, outward = self._moved(operand, again)
            read, written = read + inward, written + outward
        busy = np.broadcast_to(self._compute_cycles(order), self.shape)
        moving = self.memory.channel.busy_cycles(read, written)
        bound = self._bound(busy, moving, read)
        chosen = np.nonzero(np.broadcast_to(fits, self.shape))
        tiles = [np.broadcast_to(self.tile[d], self.shape)[chosen] for d in "mnk"]
        return Candidates(
            tiles=np.array(tiles, dtype=np.int64),
            order=np.full(len(chosen[0]), number, dtype=np.int64),
            moved=(read + written)[chosen],
            busy=busy[chosen],
            moving=moving[chosen],
            bound=bound[chosen],
        )

    def _distinct(self, order: str) -> Flags:
        """Whether the order is the first of those that mean the same: single loops decide none."""
        distinct = np.ones(self.shape, dtype=np.bool_)
        for outer, inner in pairwise(order):
            idle = self.tiles[inner] == 1
            distinct &= ~(idle & ((self.tiles[outer] > 1) | (outer > inner)))
        return distinct

    def _holds(self, operand: Operand, order: str) -> tuple[Flags, Flags]:
        """Whether an operand's tiles stay for its absent loop, and whether they fit at all."""
        capacity = self.memory.store(operand).sram_bytes
        yes = np.ones(self.shape, dtype=np.bool_)
        if capacity is None:
            return yes, yes
        element = self.memory.held_element_bytes(operand)
        held = self._room(operand, order[order.index(ABSENT[operand]) :]) * element <= capacity
        return held, held | (self._room(operand, "") * element <= capacity)

    def _room(self, operand: Operand, inside: str) -> Numbers:
        """Elements of SRAM needed to keep the tiles of the loops `inside`; as `BlockNest`."""
        three = self.ahead and operand is self.stays
        places = np.where(self.single_fold | (not three), 2, 3)
        others = np.full(self.shape, self.batch > 1)
        kept = np.ones(self.shape, dtype=np.int64)
        whole = np.ones(self.shape, dtype=np.int64)
        for d in TOUCHES[operand]:
            if d in inside:
                kept, whole = kept * self.tiles[d], whole * self.extent[d]
            else:
                others, whole = others | (self.tiles[d] > 1), whole * self.tile[d]
        return whole * np.where(others, np.where(kept == 1, places, 2), 1)

    def _moved(self, operand: Operand, again: Numbers) -> tuple[Numbers, Numbers]:
        """Bytes read and written of an operand that is moved `again` so many times more."""
        first, second = (self.extent[d] for d in TOUCHES[operand])
        elements = first * second * self.batch
        once = elements * self.memory.store(operand).element_bytes
        if operand is not Operand.C:
            return once * (1 + again), np.zeros_like(again)
        spilled = elements * self.memory.partial_bytes * again
        return spilled, once + spilled

    def _bound(self, busy: Numbers, moving: Numbers, read: Numbers) -> Numbers:
        channel = self.memory.channel
        latency = np.where(read > 0, channel.latency_cycles, 0)
        nothing = np.zeros(self.shape, dtype=np.int64)
        first = {op: nothing + self._tile_bytes(op, self.tile) for op in (Operand.A, Operand.B)}
        lead = first[self.stays] if self.ahead else first[Operand.A] + first[Operand.B]
        tail = nothing + self._tile_bytes(Operand.C, self.last)
        around = channel.busy_cycles(lead, nothing) + channel.busy_cycles(nothing, tail)
        return latency + np.maximum(moving, busy + around)

    def _tile_bytes(self, operand: Operand, size: dict[str, Numbers]) -> Numbers:
        first, second = TOUCHES[operand]
        return size[first] * size[second] * self.memory.store(operand).element_bytes

    def _compute_cycles(self, order: str) -> Numbers:
        """Cycles of the arrays, as `BlockCycles` sums to."""
        array = self.unit.array
        streams = [_each(size[self.streamed], self.unit.rate.cycles) for size in self._sizes]
        turns = self.tiles[self.streamed]
        joined = self.single_fold & self._innermost(order)
        if self.unit.overlapped:
            interval = [_each(stream, array.interval_cycles) for stream in streams]
            apart = (turns - 1) * interval[0] + interval[1]
            along = (turns - 1) * streams[0] + interval[1]
            final = streams[1] - interval[1] + array.crossing_cycles + array.drain_cycles
            passing = self._rounds() * np.where(joined, along, apart)
            edges = final + (array.load_cycles if self.ahead else 0)
            return np.asarray(self.batch * passing + edges)
        beside = array.drain_cycles if array.drain is Drain.OVERLAPPED else 0
        each = array.load_cycles + array.crossing_cycles + array.drain_cycles - beside
        passing = (turns - 1) * streams[0] + streams[1] + np.where(joined, 1, turns) * each
        return np.asarray(self.batch * self._rounds() * passing + beside)

    def _innermost(self, order: str) -> Flags:
        """Whether the streamed loop is the innermost of those that do more than one turn."""
        inner = np.full(self.shape, self.tiles[self.streamed] > 1)
        for d in order[order.index(self.streamed) + 1 :]:
            inner = inner & (self.tiles[d] == 1)
        return inner

    def _rounds(self) -> Numbers:
        """Folds that each array works through, of one turn of the streamed loop."""
        array, total = self.unit.array, np.zeros(self.shape, dtype=np.int64)
        for high, tall in self._parts(self.down, array.rows):
            for wide, broad in self._parts(self.across, array.cols):
                total = total + high * wide * -(-tall * broad // self.unit.count)
        return total

    def _parts(self, d: str, unit: int) -> Sequence[tuple[Numbers, Numbers]]:
        """How many tiles are whole, and cut, and the folds along each."""
        whole, cut = -(-self.tile[d] // unit), -(-self.last[d] // unit)
        return (self.tiles[d] - 1, whole), (np.ones_like(cut), cut)


def _each(values: Numbers, function: Callable[[int], int]) -> Numbers:
    """Apply a function of whole numbers to every one."""
    found = [function(int(value)) for value in values.ravel()]
    return np.array(found, dtype=np.int64).reshape(values.shape)
