"""A streaming multiprocessor at work on thread blocks: load, compute, store.

A thread block is a row of chunks. Each chunk's operands are loaded into one of a ring of buffers,
arrive a latency later, and are computed on; after its last chunk the block stores its result. While
one block loads or stores, another that is resident on the same SM may compute.

`StreamingMultiprocessor` is the readable specification, over SimPy. `sm_compiled` computes the same
times; `run_sm` picks one, and a property test holds them equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import simpy

from sim.clock import Clock, run_to_completion
from sim.gpu.sm_compiled import (
    LOAD_START,
    MATH_DONE,
    MATH_LEAVE,
    MATH_START,
    Cycles,
    sm_times,
)
from sim.pipeline import ONE_HERTZ_PER_TICK, Engine, Latch, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Consecutive thread blocks of one SM that share the memory with equally many other SMs."""

    blocks: int
    load_cycles: int
    """Of each chunk, while the load path is taken."""
    store_cycles: int
    """Of each block's result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmWork:
    """What one SM does in one kernel. Raises ValueError where it cannot be done."""

    rounds: tuple[Round, ...]
    chunks: int
    """Of each block."""
    math_cycles: int
    """Of each chunk."""
    latency_cycles: int
    """From the end of a chunk's transfer to its use."""
    buffers: int
    """Chunks that the SM has room for, of all resident blocks together."""
    resident: int
    """Blocks that are on the SM at the same time."""

    def __post_init__(self) -> None:
        if self.buffers < 2 or self.resident < 1 or self.chunks < 1 or not self.rounds:
            raise ValueError(f"an SM needs two buffers, one block and one chunk: {self}")

    @property
    def blocks(self) -> int:
        """Blocks that the SM works through."""
        return sum(r.blocks for r in self.rounds)

    @property
    def bound_cycles(self) -> int:
        """Cycles that the busier of load path and arithmetic needs at least."""
        load = sum(r.blocks * r.load_cycles for r in self.rounds) * self.chunks
        return max(load, self.blocks * self.chunks * self.math_cycles)


@dataclass(frozen=True, slots=True, kw_only=True)
class SmTimes:
    """When the SM did what, in cycles from the kernel's first thread block."""

    work: SmWork
    chunks: Cycles
    """[chunks of all blocks, 4]: columns LOAD_START, MATH_START, MATH_DONE, MATH_LEAVE."""
    store_leave: Cycles
    """[blocks]."""

    @property
    def total(self) -> int:
        """Cycles until the last result is stored."""
        return int(self.store_leave[-1])

    def account(self) -> SmAccount:
        """Say where the arithmetic's cycles went."""
        load = np.repeat(
            [r.load_cycles for r in self.work.rounds],
            [r.blocks * self.work.chunks for r in self.work.rounds],
        )
        left_before = np.concatenate(([0], self.chunks[:-1, MATH_LEAVE]))
        done_before = np.concatenate(([0], self.chunks[:-1, MATH_DONE]))
        wait = self.chunks[:, MATH_START] - left_before
        # A block that begins to load only when the arithmetic has run dry fills the pipeline anew.
        filling = self.chunks[:, LOAD_START] >= done_before
        filling &= np.arange(len(wait)) % self.work.chunks == 0
        moving = np.where(filling, 0, np.minimum(wait, load))
        stored = self.chunks[:, MATH_LEAVE] - self.chunks[:, MATH_DONE]
        fill = int(wait[filling].sum())
        bandwidth = int(moving.sum())
        return SmAccount(
            math_cycles=len(wait) * self.work.math_cycles,
            behind_bytes_cycles=int((moving > 0).sum()) * self.work.math_cycles,
            bandwidth_cycles=bandwidth + int(stored.sum()),
            latency_cycles=int(wait.sum()) - fill - bandwidth,
            fill_cycles=fill,
            drain_cycles=self.total - int(self.chunks[-1, MATH_LEAVE]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SmAccount:
    """Where the cycles of an SM's arithmetic went over one kernel."""

    math_cycles: int
    behind_bytes_cycles: int
    """Part of `math_cycles` spent on chunks that had kept the arithmetic waiting: were it shorter,
    the waits would be longer by as much."""
    bandwidth_cycles: int
    """Waits for a transfer that was under way, in or out."""
    latency_cycles: int
    """Waits for bytes already asked for, beyond their own transfer."""
    fill_cycles: int
    """Waits for the first chunk of blocks for which nothing could be loaded ahead."""
    drain_cycles: int
    """From the last arithmetic to the end of the last store."""


def run_sm(work: SmWork, *, engine: Engine = "compiled") -> SmTimes:
    """Work through an SM's blocks; `simpy` runs the specification, anything else its twin."""
    if engine == "simpy":
        return StreamingMultiprocessor(work).run()
    rounds = [(r.blocks, r.load_cycles, r.store_cycles) for r in work.rounds]
    chunks, store_leave = sm_times(
        np.array(rounds, dtype=np.int64),
        work.chunks,
        (work.math_cycles, work.latency_cycles),
        (work.buffers, work.resident),
    )
    return SmTimes(work=work, chunks=chunks, store_leave=store_leave)


@dataclass(slots=True)
class _Chunk:
    """One chunk on its way through the SM."""

    block: int
    first: bool
    last: bool
    load_cycles: int
    store_cycles: int
    arrives: int = 0


class _LoadStage(Stage):
    """Loads chunks; a block's first one only once the block has a place on the SM."""

    def __init__(
        self, clock: Clock, ring: Latch, work: SmWork, stored: Sequence[simpy.Event]
    ) -> None:
        super().__init__("load", clock, None, ring)
        self._resident = work.resident
        self._latency = work.latency_cycles
        self._stored = stored  # one event a block: its result has been stored

    def admit(self, uop: _Chunk) -> Iterator[simpy.Event]:
        if uop.first and uop.block >= self._resident:
            yield self._stored[uop.block - self._resident]

    def work(self, uop: _Chunk) -> int:
        uop.arrives = self.clock.now + uop.load_cycles + self._latency
        return uop.load_cycles


class _MathStage(Stage):
    """Computes on chunks that have arrived; hands a block's result on after its last chunk."""

    def __init__(self, clock: Clock, ring: Latch, results: Latch, work: SmWork) -> None:
        super().__init__("math", clock, ring, None)
        self._cycles = work.math_cycles
        self._results = results

    def admit(self, uop: _Chunk) -> Iterator[simpy.Event]:
        if uop.arrives > self.clock.now:
            yield self.clock.cycles(uop.arrives - self.clock.now)

    def work(self, uop: _Chunk) -> int:  # noqa: ARG002 - every chunk takes as long
        return self._cycles

    def release(self, uop: _Chunk) -> Iterator[simpy.Event]:
        if uop.last:
            yield from self._results.give(uop)


class _StoreStage(Stage):
    """Stores a block's result, which ends the block."""

    def __init__(self, clock: Clock, results: Latch, stored: Sequence[simpy.Event]) -> None:
        super().__init__("store", clock, results, None)
        self._stored = stored

    def work(self, uop: _Chunk) -> int:
        return uop.store_cycles

    def release(self, uop: _Chunk) -> Iterator[simpy.Event]:
        self._stored[uop.block].succeed()
        return iter(())


class StreamingMultiprocessor:
    """One SM: a load path, arithmetic units and a store path, joined by buffers.

    Models: a ring of operand buffers filled ahead of use, load latency with many loads in flight,
    several resident thread blocks that hide each other's first loads and stores.
    Ignores: warps and their scheduling, shared-memory bank conflicts, instruction issue; resident
    blocks take turns, with all their buffers in one ring.
    Source: NVIDIA, CUTLASS documentation, "Efficient GEMM in CUDA" (software pipelining of the
    k loop over shared-memory stages).
    """

    def __init__(self, work: SmWork) -> None:
        self.work = work
        self._env = simpy.Environment()
        clock = Clock(self._env, ONE_HERTZ_PER_TICK)
        ring = Latch(self._env, work.buffers - 1)  # one more chunk is in the load path itself
        results = Latch(self._env, 1)
        stored = [self._env.event() for _ in range(work.blocks)]
        self._load = _LoadStage(clock, ring, work, stored)
        self._math = _MathStage(clock, ring, results, work)
        self._store = _StoreStage(clock, results, stored)

    def run(self) -> SmTimes:
        """Work through all blocks; DeadlockError names a stage that waits for ever."""
        blocks = [r for r in self.work.rounds for _ in range(r.blocks)]
        chunks = [
            _Chunk(block, c == 0, c == self.work.chunks - 1, r.load_cycles, r.store_cycles)
            for block, r in enumerate(blocks)
            for c in range(self.work.chunks)
        ]
        flows = {
            self._load: chunks,
            self._math: chunks,
            self._store: [chunk for chunk in chunks if chunk.last],
        }
        run_to_completion(self._env, [s.run(flow) for s, flow in flows.items()], flows)
        times = np.zeros((len(chunks), 4), dtype=np.int64)
        times[:, LOAD_START] = [start for start, _, _ in self._load.times]
        times[:, [MATH_START, MATH_DONE, MATH_LEAVE]] = self._math.times
        leaves = np.array([leave for _, _, leave in self._store.times], dtype=np.int64)
        return SmTimes(work=self.work, chunks=times, store_leave=leaves)
