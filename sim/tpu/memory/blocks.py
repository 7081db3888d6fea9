"""A matrix product cut into blocks that on-chip memories hold, in an order of loops.

C[M,N] = A[M,K] x B[K,N]. A *block* is one tile of each extent: the operands' tiles that lie in the
SRAMs together, on which the arrays work through one fold or several. A *blocking* is the tile and
the order of the three loops over tiles. Each operand touches two of the three extents, so one loop,
its *absent* loop, comes back to the same tiles: whether they are still there then, or have to be
moved again, is what the SRAM decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import prod

import numpy as np
import numpy.typing as npt

from sim.memory.port import MemoryPort
from sim.tpu.array.systolic import FULL_RATE, ArraySpec, Dataflow, Gemm, Rate

Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class Operand(StrEnum):
    """The three matrices of a product."""

    A = "a"
    B = "b"
    C = "c"


TOUCHES: Mapping[Operand, tuple[str, str]] = {
    Operand.A: ("m", "k"),
    Operand.B: ("k", "n"),
    Operand.C: ("m", "n"),
}
"""Extents of an operand."""

ABSENT: Mapping[Operand, str] = {Operand.A: "n", Operand.B: "m", Operand.C: "k"}
"""The extent that an operand does not have; for C the one that is summed over."""

STAYS: Mapping[Dataflow, Operand] = {
    Dataflow.WEIGHT_STATIONARY: Operand.B,
    Dataflow.INPUT_STATIONARY: Operand.A,
    Dataflow.OUTPUT_STATIONARY: Operand.C,
}

LIES: Mapping[Dataflow, tuple[str, str, str]] = {
    Dataflow.WEIGHT_STATIONARY: ("k", "n", "m"),
    Dataflow.INPUT_STATIONARY: ("k", "m", "n"),
    Dataflow.OUTPUT_STATIONARY: ("m", "n", "k"),
}
"""Extents on the array's rows, on its columns, and streaming; as `systolic.PLACEMENTS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayUnit:
    """The arrays that work on a product, and how their folds follow each other.

    Raises ValueError where there is no array.
    """

    array: ArraySpec
    count: int = 1
    """Arrays that share the folds of a block."""
    rate: Rate = FULL_RATE
    overlapped: bool = False
    """Whether a fold's stationary operand loads while the fold before streams."""

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"a product needs an array, not {self.count}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocking:
    """Tile extents and the order of the loops over tiles, outermost first.

    Raises ValueError where the order is none of m, n and k, or a tile is empty.
    """

    m: int
    n: int
    k: int
    order: str

    def __post_init__(self) -> None:
        if sorted(self.order) != ["k", "m", "n"] or min(self.m, self.n, self.k) < 1:
            raise ValueError(f"no blocking: {self.m}x{self.n}x{self.k} in the order '{self.order}'")


@dataclass(frozen=True, slots=True, kw_only=True)
class OperandStore:
    """Where one operand's tiles lie on chip, and what moving them costs. ValueError if negative."""

    element_bytes: int
    """Moved between main memory and SRAM for an element; 0 where the operand lives on chip."""
    sram_bytes: int | None = None
    """Capacity of the operand's SRAM, both halves of it; None where it never runs out."""

    def __post_init__(self) -> None:
        if self.element_bytes < 0 or (self.sram_bytes is not None and self.sram_bytes < 1):
            raise ValueError(f"no store of {self.sram_bytes} bytes for {self.element_bytes} each")


class Channel:
    """DMA between main memory and the SRAMs, one block's transfers after another.

    Models: main memory's bandwidth, shared by reads and writes; optionally a narrower port of the
    core, with one lane for each direction.
    Ignores: all that `memory.port.MemoryPort` ignores; requests on the port (only data is counted).
    Source: as `memory.port.MemoryPort`.
    """

    def __init__(self, dram: MemoryPort, *, port_bytes_per_cycle: int | None = None) -> None:
        if port_bytes_per_cycle is not None and port_bytes_per_cycle < 1:
            raise ValueError(f"a port of {port_bytes_per_cycle} bytes a cycle moves nothing")
        self.latency_cycles = dram.latency_cycles
        """From a request to its first byte."""
        self.port_bytes_per_cycle = port_bytes_per_cycle
        """In each direction; None where only main memory limits."""
        self._dram = dram

    def busy_cycles(self, read: Numbers, written: Numbers) -> Numbers:
        """Cycles that hold the channel for so many bytes in and out, each rounded up."""
        shared = self._dram.busy_cycles(read, written)
        if self.port_bytes_per_cycle is None:
            return shared
        inward = -(-read // self.port_bytes_per_cycle)
        outward = -(-written // self.port_bytes_per_cycle)
        slowest: Numbers = np.maximum(shared, np.maximum(inward, outward))
        return slowest


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayMemory:
    """SRAMs and main memory around the arrays."""

    a: OperandStore
    b: OperandStore
    c: OperandStore
    partial_bytes: int = 4
    """An element of C while it is being summed: what an accumulator holds, and a spill moves."""
    channel: Channel

    def store(self, operand: Operand) -> OperandStore:
        """Return one operand's SRAM."""
        return {Operand.A: self.a, Operand.B: self.b, Operand.C: self.c}[operand]

    def held_element_bytes(self, operand: Operand) -> int:
        """Bytes that an element takes in its SRAM."""
        return self.partial_bytes if operand is Operand.C else self.store(operand).element_bytes


class BlockNest:
    """Counts the blocks of a product, numbered from 0 in the order in which they are worked on.

    Loops over a single tile decide nothing, and count as outermost. A batch of products is a loop
    around all others.
    """

    def __init__(self, gemm: Gemm, blocking: Blocking, batch: int = 1) -> None:
        if batch < 1:
            raise ValueError(f"a product happens at least once, not {batch} times")
        self.batch = batch
        self.extent = {"m": gemm.m, "n": gemm.n, "k": gemm.k}
        tiles = {"m": blocking.m, "n": blocking.n, "k": blocking.k}
        self.tile = {d: min(tiles[d], self.extent[d]) for d in "mnk"}
        """Extents of a whole tile."""
        self.tiles = {d: -(-self.extent[d] // self.tile[d]) for d in "mnk"}
        """Tiles along each extent."""
        self.order = "".join(sorted(blocking.order, key=lambda d: self.tiles[d] > 1))
        """The loops, outermost first, those of a single tile in front."""
        self.radices = (batch, *(self.tiles[d] for d in self.order))
        self.blocks = prod(self.radices)

    def index(self, block: Numbers) -> dict[str, Numbers]:
        """Return along each extent which tile a block has."""
        found = {}
        for d in reversed(self.order):
            block, found[d] = np.divmod(block, self.tiles[d])
        return found

    def size(self, extent: str, index: Numbers) -> Numbers:
        """Extents of tiles, of which the last may be smaller."""
        last = self.extent[extent] - (self.tiles[extent] - 1) * self.tile[extent]
        return np.where(index == self.tiles[extent] - 1, last, self.tile[extent])

    def elements(self, operand: Operand, index: dict[str, Numbers]) -> Numbers:
        """Elements of an operand's tiles."""
        first, second = TOUCHES[operand]
        return self.size(first, index[first]) * self.size(second, index[second])

    def operand_elements(self, operand: Operand) -> int:
        """Elements of a whole operand, of one product of the batch."""
        return prod(self.extent[d] for d in TOUCHES[operand])

    def room_elements(self, operand: Operand, places: int, *, held: bool) -> int:
        """Elements of SRAM that an operand needs: to come back to its tiles if `held`.

        A tile that another follows needs `places` of them, one in use and the rest on their way;
        a set of tiles that another set replaces needs two halves; what stays to the end, one.
        """
        place = self.order.index(ABSENT[operand])
        inside = [d for d in self.order[place:] if d in TOUCHES[operand]] if held else []
        tile = prod(self.tile[d] for d in TOUCHES[operand])
        others = self.batch > 1 or any(
            self.tiles[d] > 1 for d in TOUCHES[operand] if d not in inside
        )
        if prod(self.tiles[d] for d in inside) == 1:
            return tile * (places if others else 1)
        whole = prod(self.extent[d] if d in inside else self.tile[d] for d in TOUCHES[operand])
        return whole * (2 if others else 1)
