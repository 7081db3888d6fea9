"""Operand SRAMs around the arrays: what has to be moved for each block, and who waits for it.

**What is moved.** Each operand has an SRAM of its own, in two halves. A tile that its SRAM still
holds from an earlier block is not moved again. An operand's absent loop (`blocks`) comes back to
the same set of tiles in each of its iterations; if the set fits (in a half, or in all of the SRAM
where no other set follows) it is moved once, otherwise in every block. Sums of C that have to leave
before they are complete are written out as partial sums and read again for the next part of K.

**Who waits.** While the arrays work on block i, DMA empties the half that block i - 1 has left,
writing its finished results, and fills it for block i + 1. Neither side goes on until both are
done: that is a latch with one place between the stages (DMA, arrays) of `pipeline`, and gives

    total = dma[0] + sum over i of max(core[i], dma[i + 1]) + dma[last]

where dma[i] moves what block i needs in and what block i - 2 made out. Where the next fold's
stationary operand loads during this fold, that operand is fetched one block further ahead. Stalls
are what is left of the total when the arrays' own cycles are taken off; they cannot be negative,
and more SRAM or bandwidth can only make terms smaller. The sum has as many distinct terms as there
are kinds of neighbourhood (first, last, cut off): at most six a loop, whatever the extents, which
`DoubleBuffered` counts. `sram_reference` walks every block, and must agree exactly.

**Where SCALE-Sim 3.0.0 differs**, in its USER mode, and why it is not followed: there a positive
wait is added to the clock twice; the configured bandwidth reaches only the output port, while both
inputs are served at a bank bandwidth of another section; stationary rows, which the array wants in
reverse, are read through a ring that is prefetched forwards, so that up to 28 times the tensor's
bytes cross the port. Here every wait counts once, all three operands share the one bandwidth, and a
tile is moved once for each time that it is not on chip. On rows without stalls both agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from sim.errors import CapacityError
from sim.stalls import CycleStack, StallCause
from sim.tpu.array.systolic import Gemm
from sim.tpu.memory.block_cycles import BlockCycles
from sim.tpu.memory.blocks import (
    ABSENT,
    ArrayMemory,
    ArrayUnit,
    Blocking,
    BlockNest,
    Numbers,
    Operand,
)

NEIGHBOURHOOD = 6
"""A block's cycles depend on its neighbours from two before to two behind, so that along a loop
only the first two and the last three tiles are special; all others are alike."""


@dataclass(frozen=True, slots=True)
class Moved:
    """Bytes of one operand between main memory and its SRAM."""

    read_bytes: int
    written_bytes: int


class DoubleBuffered:
    """A product, or a batch of them, on arrays whose operands come through SRAMs; closed form.

    Raises CapacityError where an operand's tiles do not fit in its SRAM.

    Models: double-buffered operand SRAMs of given sizes, tiles that stay between blocks, partial
    sums that spill, DMA that fills for the next block while this one is worked on, the latency of
    the first access.
    Ignores: prefetch deeper than one block; SRAM banks and ports; parts of a set of tiles that
    would still fit (it stays or goes as a whole); that the last rows of an overlapped fold leave
    while its results are already being written, first rows first.
    Source: Samajdar et al., A Systematic Methodology for Characterizing Scalability of DNN
    Accelerators using SCALE-Sim, ISPASS 2020 (double-buffered operand memories); Hennessy and
    Patterson, Computer Architecture, 6th edition, section 2.3 (blocking).
    """

    def __init__(
        self,
        unit: ArrayUnit,
        memory: ArrayMemory,
        gemm: Gemm,
        blocking: Blocking,
        *,
        batch: int = 1,
    ) -> None:
        self.unit, self.memory, self.gemm, self.blocking = unit, memory, gemm, blocking
        self.nest = BlockNest(gemm, blocking, batch)
        self.core = BlockCycles(unit, self.nest)
        self.held: Mapping[Operand, bool] = {op: self._holds(op) for op in Operand}
        """Operands whose tiles are still there when their absent loop comes back to them."""
        self.moved: Mapping[Operand, Moved] = {op: self._moved(op) for op in Operand}
        self._count()

    def _holds(self, operand: Operand) -> bool:
        capacity = self.memory.store(operand).sram_bytes
        if capacity is None:
            return True
        element, places = self.memory.held_element_bytes(operand), self.core.places[operand]
        if self.nest.room_elements(operand, places, held=True) * element <= capacity:
            return True
        room = self.nest.room_elements(operand, places, held=False) * element
        if room > capacity:
            tile = "x".join(str(self.nest.tile[d]) for d in "mnk")
            raise CapacityError(
                f"operand {operand.value} of blocks {tile} needs {room} bytes of SRAM and has "
                f"{capacity}; take smaller blocks or a larger SRAM"
            )
        return False

    def _moved(self, operand: Operand) -> Moved:
        elements = self.nest.operand_elements(operand) * self.nest.batch
        again = 0 if self.held[operand] else self.nest.tiles[ABSENT[operand]] - 1
        once = elements * self.memory.store(operand).element_bytes
        if operand is not Operand.C:
            return Moved(read_bytes=once * (1 + again), written_bytes=0)
        spilled = elements * again * self.memory.partial_bytes
        return Moved(read_bytes=spilled, written_bytes=once + spilled)

    @property
    def traffic_bytes(self) -> int:
        """All bytes between main memory and the SRAMs."""
        return sum(each.read_bytes + each.written_bytes for each in self.moved.values())

    @property
    def channel_cycles(self) -> int:
        """Cycles that all bytes hold the channel, back to back."""
        read = sum(each.read_bytes for each in self.moved.values())
        written = sum(each.written_bytes for each in self.moved.values())
        return int(self.memory.channel.busy_cycles(np.array([read]), np.array([written]))[0])

    @property
    def stall_cycles(self) -> int:
        """Cycles in which the arrays wait for operands, or for room for results."""
        return self.total_cycles - self.compute_cycles

    @property
    def latency_cycles(self) -> int:
        """Of the first access; none where nothing is read."""
        reads = any(each.read_bytes for each in self.moved.values())
        return self.memory.channel.latency_cycles if reads else 0

    def stack(self) -> CycleStack:
        """Account of all cycles of the arrays."""
        filling = self.compute_cycles - self.streaming_cycles
        stalls = {
            StallCause.FILL_DRAIN: filling,
            StallCause.DRAM: self.latency_cycles,
            StallCause.BANDWIDTH: self.stall_cycles - self.latency_cycles,
        }
        return CycleStack(busy=self.streaming_cycles, stalls=stalls)

    def _count(self) -> None:
        """Sum over the kinds of neighbourhood."""
        block, times = self._kinds_of_block()
        index = self.nest.index(block)
        core = self.core.cycles(block, index)
        behind = self.dma_cycles(block + 1)
        lead = self.lead_cycles()
        end = np.array([self.nest.blocks + 1])
        self.compute_cycles = int((times * core).sum()) + (lead[1] if lead else 0)
        """Cycles of the arrays, were nothing ever late."""
        self.streaming_cycles = int((times * self.core.streaming(index)).sum())
        """Of these, those in which operands enter."""
        first = int(self.dma_cycles(np.array([0]))[0])
        before = lead[0] + max(lead[1], first) if lead else first
        during = int((times * np.maximum(core, behind)).sum())
        last = int(self.dma_cycles(end)[0])
        self.fill_cycles = self.latency_cycles + (lead[0] if lead else first)
        """Of the total, those before the arrays begin."""
        self.flush_cycles = last + max(0, int(behind[-1]) - int(core[-1]))
        """Of the total, those after the arrays have ended."""
        self.total_cycles = self.latency_cycles + before + during + last
        """Cycles from the first request until the last result is written."""

    def _kinds_of_block(self) -> tuple[Numbers, Numbers]:
        """Return one block of each kind of neighbourhood, and how many there are."""
        block, times = np.zeros(1, dtype=np.int64), np.ones(1, dtype=np.int64)
        for radix in self.nest.radices:
            if radix <= NEIGHBOURHOOD:
                at, many = np.arange(radix), np.ones(radix, dtype=np.int64)
            else:
                at = np.array([0, 1, 2, radix - 3, radix - 2, radix - 1])
                many = np.array([1, 1, radix - 5, 1, 1, 1])
            block = (block[:, None] * radix + at).ravel()
            times = (times[:, None] * many).ravel()
        return block, times

    def lead_cycles(self) -> tuple[int, int] | None:
        """DMA and load of the first stationary tile, where those run a block ahead of the rest."""
        if not self.core.ahead:
            return None
        read = self._read_bytes(self.core.stays, np.array([0]))
        dma = self.memory.channel.busy_cycles(read, np.zeros_like(read))
        return int(dma[0]), self.unit.array.load_cycles

    def dma_cycles(self, turn: Numbers) -> Numbers:
        """Cycles of the DMA turns: bytes in for block number `turn`, out of the one two before.

        Two more turns than there are blocks write the last results.
        """
        read = np.zeros_like(turn)
        for operand in Operand:
            ahead = 1 if self.core.ahead and operand is self.core.stays else 0
            read += self._read_bytes(operand, turn + ahead)
        results = self.nest.elements(Operand.C, self.nest.index(turn - 2))
        written = results * self.written_element_bytes(turn - 2)
        return self.memory.channel.busy_cycles(read, written)

    def read_element_bytes(self, operand: Operand, block: Numbers) -> Numbers:
        """Bytes read for each element of an operand's tiles; 0 where they need not come."""
        again = self.nest.index(block)[ABSENT[operand]] > 0
        inside = (block >= 0) & (block < self.nest.blocks)
        if operand is Operand.C:
            moved = inside & again & (not self.held[operand])
            return np.where(moved, self.memory.partial_bytes, 0)
        moved = inside & ~(again & self.held[operand])
        return np.where(moved, self.memory.store(operand).element_bytes, 0)

    def written_element_bytes(self, block: Numbers) -> Numbers:
        """Bytes of each element of C that leaves after blocks; 0 where it stays."""
        complete = self.nest.index(block)["k"] == self.nest.tiles["k"] - 1
        inside = (block >= 0) & (block < self.nest.blocks)
        spilled = 0 if self.held[Operand.C] else self.memory.partial_bytes
        return np.where(inside, np.where(complete, self.memory.c.element_bytes, spilled), 0)

    def _read_bytes(self, operand: Operand, block: Numbers) -> Numbers:
        elements = self.nest.elements(operand, self.nest.index(block))
        return elements * self.read_element_bytes(operand, block)


def compulsory_bytes(memory: ArrayMemory, gemm: Gemm, batch: int = 1) -> int:
    """Bytes that any blocking has to move: every operand that is not on chip, once."""
    nest = BlockNest(gemm, Blocking(m=gemm.m, n=gemm.n, k=gemm.k, order="mnk"), batch)
    return sum(
        prod((nest.operand_elements(op), batch, memory.store(op).element_bytes)) for op in Operand
    )
