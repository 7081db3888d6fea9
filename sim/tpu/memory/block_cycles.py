"""What the arrays themselves need for the blocks of a product, were every operand there in time."""

from __future__ import annotations

from itertools import product

import numpy as np

from sim.tpu.array.systolic import Drain
from sim.tpu.memory.blocks import LIES, STAYS, ArrayUnit, BlockNest, Flags, Numbers, Operand


class BlockCycles:
    """What the arrays need for each block, were all operands there.

    Models: folds of a block one after another, or overlapped; folds shared by the arrays; a fold
    that goes on through consecutive blocks, when only its streamed extent is cut.
    Ignores: different blocks on different arrays; what `SystolicSchedule` ignores.
    Source: as `SystolicSchedule`.
    """

    def __init__(self, unit: ArrayUnit, nest: BlockNest) -> None:
        array, self.nest, self.unit = unit.array, nest, unit
        self.down, self.across, self.streamed = LIES[array.dataflow]
        self.stays = STAYS[array.dataflow]
        self.single_fold = nest.tile[self.down] <= array.rows and nest.tile[self.across] <= (
            array.cols
        )
        self.continues = self.single_fold and nest.order[-1] == self.streamed
        """Whether blocks that follow each other are parts of one fold."""
        self.ahead = unit.overlapped and array.load_cycles > 0
        """Whether the stationary operand is fetched a block further ahead."""
        self.places = {
            operand: 3 if self.ahead and operand is self.stays and not self.single_fold else 2
            for operand in Operand
        }
        """Tiles of an operand in flight; one in the array's own registers is not counted."""
        self._tabulate()

    def _tabulate(self) -> None:
        """Note rounds, stream and interval of the eight kinds of block, whole or cut."""
        array, nest = self.unit.array, self.nest
        rows = []
        for cut in product((0, 1), repeat=3):
            size = {
                d: int(nest.size(d, np.array(nest.tiles[d] - 1 if last else 0)))
                for d, last in zip("mnk", cut, strict=True)
            }
            folds = -(-size[self.down] // array.rows) * -(-size[self.across] // array.cols)
            stream = self.unit.rate.cycles(size[self.streamed])
            rows.append((-(-folds // self.unit.count), stream, array.interval_cycles(stream)))
        self._kinds = np.array(rows, dtype=np.int64).T

    def streaming(self, index: dict[str, Numbers]) -> Numbers:
        """Cycles in which a block's operands enter the arrays."""
        rounds, stream, _ = self._kind(index)
        return rounds * stream

    def cycles(self, block: Numbers, index: dict[str, Numbers]) -> Numbers:
        """Cycles for which blocks keep the arrays."""
        array, final = self.unit.array, block == self.nest.blocks - 1
        rounds, stream, interval = self._kind(index)
        begins, ends = self.borders(index)
        if self.unit.overlapped:
            passing: Numbers = np.where(ends, rounds * interval, stream)
            leaving: Numbers = stream - interval + array.crossing_cycles + array.drain_cycles
            overlapped: Numbers = passing + final * leaving
            return overlapped
        beside = array.drain_cycles if array.drain is Drain.OVERLAPPED else 0
        leave = array.crossing_cycles + array.drain_cycles - beside
        edges: Numbers = begins * array.load_cycles + ends * leave
        serial: Numbers = rounds * (stream + edges) + final * beside
        return serial

    def borders(self, index: dict[str, Numbers]) -> tuple[Flags, Flags]:
        """Whether blocks begin, and end, a fold's stay in the array."""
        at = index[self.streamed]
        if not self.continues:
            always = np.ones(at.shape, dtype=np.bool_)
            return always, always
        return at == 0, at == self.nest.tiles[self.streamed] - 1

    def _kind(self, index: dict[str, Numbers]) -> tuple[Numbers, Numbers, Numbers]:
        """Return rounds, stream and interval of blocks."""
        m, n, k = (index[d] == self.nest.tiles[d] - 1 for d in "mnk")
        rounds, stream, interval = self._kinds[:, 4 * m + 2 * n + 1 * k]
        return rounds, stream, interval
