"""The folds of one operation on one array, so that any of them can be asked when it begins."""

from __future__ import annotations

from dataclasses import dataclass

from sim.stalls import CycleStack, StallCause
from sim.tpu.array.systolic import FULL_RATE, ArraySpec, Drain, Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldRun:
    """The folds that one array works through, in closed form; `SystolicSchedule` for many rounds.

    `rounds` times `folds` folds; the steps that stream in each round differ by one at most.
    """

    array: ArraySpec
    folds: int
    rounds: int = 1
    streamed: int
    """Steps that enter in all rounds together: rows of A where weights stay."""
    rate: Rate = FULL_RATE
    overlapped: bool
    """Whether a fold enters while the fold before is still in the array."""
    addition_cycles: int = 0
    """To add partial sums of cut folds, after the last has left."""

    @property
    def count(self) -> int:
        """Folds of all rounds."""
        return self.folds * self.rounds

    def spent(self, done: int) -> int:
        """Cycles until fold number `done` begins; for `count`, until all results are complete.

        A fold begins to load where folds are serial, and to stream where loads overlap.
        """
        array, last = self.array, self.rounds - 1
        turn, part = divmod(done, self.folds)
        longer = min(turn, self.streamed % self.rounds)
        steps = longer * self._step(0) + (turn - longer) * self._step(last)
        begun = self.folds * steps + part * self._step(turn)
        ended = done == self.count
        if not self.overlapped:
            return begun + ended * (self._beside + self.addition_cycles)
        leaving = array.crossing_cycles + array.drain_cycles + self.addition_cycles
        if self._beside:  # a fold too short for the port at its end waits before it enters
            return begun - self._wait(0) + (leaving if ended else self._wait(turn))
        return array.load_cycles + begun + ended * (leaving - self._wait(last))

    def stack(self) -> CycleStack:
        """Account of all cycles: operands streaming, waits for a port, fill, drain, additions."""
        array = self.array
        longer = self.streamed % self.rounds
        streaming = self.folds * (
            longer * self._stream(0) + (self.rounds - longer) * self._stream(self.rounds - 1)
        )
        edges = array.load_cycles + array.crossing_cycles + array.drain_cycles
        if not self.overlapped:
            edges = self.count * (edges - self._beside) + self._beside
        waits = self.spent(self.count) - streaming - edges - self.addition_cycles
        stalls = {
            StallCause.FILL_DRAIN: edges,
            StallCause.STRUCTURAL: waits,
            StallCause.DATA_DEPENDENCY: self.addition_cycles,
        }
        return CycleStack(busy=streaming, stalls=stalls)

    @property
    def _beside(self) -> int:
        """Cycles of a drain beside the next fold."""
        return self.array.drain_cycles if self.array.drain is Drain.OVERLAPPED else 0

    def _stream(self, turn: int) -> int:
        """Cycles in which a round's operands enter a fold; the first rounds take a step more."""
        steps = self.streamed // self.rounds + (turn < self.streamed % self.rounds)
        return self.rate.cycles(steps)

    def _step(self, turn: int) -> int:
        """Cycles between the begin of a fold and that of the next."""
        array, stream = self.array, self._stream(turn)
        if self.overlapped:
            return array.interval_cycles(stream)
        edges = array.load_cycles + array.crossing_cycles + array.drain_cycles
        return stream + edges - self._beside

    def _wait(self, turn: int) -> int:
        """Cycles of a step in which nothing enters."""
        return self._step(turn) - self._stream(turn)
