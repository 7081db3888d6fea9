"""Several cores that share a last-level cache and main memory, over SimPy.

Each core's work comes in chunks: its prefetcher brings a chunk's bytes from DRAM, then out of the
shared cache, then the core executes it while the next is on its way. The cores meet at a barrier.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import simpy

from sim.clock import Clock, run_to_completion
from sim.cpu.spec import CachedCpuSpec
from sim.memory.link import SharedLink
from sim.pipeline import ONE_HERTZ_PER_TICK, Latch, Stage
from sim.stalls import CycleStack, StallCause

CHUNKS = 8
"""Pieces of a core's work that are fetched one ahead of the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreWork:
    """What one core has to do in one operation."""

    stack: CycleStack
    """Of its instructions, all operands in its private caches."""
    shared_bytes: int = 0
    """Through the shared cache's port."""
    dram_read_bytes: int = 0
    """Over the memory bus; as the next."""
    dram_written_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """How an operation went on all cores."""

    cycles: int
    """Until all have passed the barrier."""
    stacks: tuple[CycleStack, ...]
    """Of each core, over all those cycles."""
    last: int
    """The core that arrived last."""


def barrier_cycles(spec: CachedCpuSpec) -> int:
    """Return the cost of a dissemination barrier once all have arrived.

    In each of log2(cores) rounds a core writes a flag and reads another's: two trips through the
    shared cache (Mellor-Crummey and Scott, ACM TOCS 9(1), 1991).
    """
    return 2 * (spec.core_count - 1).bit_length() * spec.levels[-1].hit_cycles


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """What one core's prefetcher moves through one channel."""

    channel: SharedLink
    user: int
    """The core's place in the round."""
    cycles: Sequence[int]
    """For which each chunk occupies the channel."""
    latency_cycles: int
    """Before the first byte."""


class Prefetch(Stage):
    """Brings chunks through a shared channel, ahead of their use.

    Models: the channel's bandwidth, one latency before the first chunk, one chunk of buffer.
    Ignores: the direction (what is written back passes with what is fetched) and wrong prefetches.
    Source: N. P. Jouppi, stream buffers, ISCA 1990.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        latches: tuple[Latch | None, Latch],
        transfer: Transfer,
    ) -> None:
        super().__init__(name, clock, *latches)
        self._transfer = transfer

    def work(self, uop: int) -> int:
        """Cycles for which the chunk occupies the channel."""
        return self._transfer.cycles[uop]

    def admit(self, uop: int) -> Iterator[simpy.Event]:
        """Wait for the first byte, then for one's turn."""
        if uop == 0:
            yield self.clock.cycles(self._transfer.latency_cycles)
        yield self._transfer.channel.turn(self._transfer.user, uop)

    def release(self, uop: int) -> Iterator[simpy.Event]:
        """Give the channel on."""
        self._transfer.channel.pass_on(self._transfer.user, uop)
        return iter(())


class Compute(Stage):
    """A core that executes chunk after chunk.

    Models: the time of a chunk's instructions, and the wait for its operands.
    Ignores: where within the operation its misses lie: chunks are equal parts.
    Source: decoupled access and execute, J. E. Smith, ISCA 1982.
    """

    def __init__(
        self, name: str, clock: Clock, source: Latch | None, cycles: Sequence[int]
    ) -> None:
        super().__init__(name, clock, source, None)
        self._cycles = cycles

    def work(self, uop: int) -> int:
        """Cycles of the chunk's instructions."""
        return self._cycles[uop]


def meet(spec: CachedCpuSpec, works: Sequence[CoreWork]) -> Meeting:
    """Run every core's work, contending for what they share, up to the barrier."""
    env = simpy.Environment()
    clock = Clock(env, ONE_HERTZ_PER_TICK)
    transfers = _transfers(spec, works, env)
    stages: list[Stage] = []
    cores: list[Compute] = []
    for number, work in enumerate(works):
        fed: Latch | None = None
        for kind, transfer in transfers[number].items():
            latches = (fed, fed := Latch(env, 1))
            stages.append(Prefetch(f"core {number}'s {kind} stream", clock, latches, transfer))
        cores.append(Compute(f"core {number}", clock, fed, _parts(work.stack.total)))
    stages.extend(cores)
    run_to_completion(env, [stage.run(range(CHUNKS)) for stage in stages], stages)
    finish = [core.times[-1][2] for core in cores]
    total = max(finish) + barrier_cycles(spec)
    stacks = tuple(
        _stack(work, core, transfers[number], total)
        for number, (work, core) in enumerate(zip(works, cores, strict=True))
    )
    return Meeting(cycles=total, stacks=stacks, last=finish.index(max(finish)))


def _transfers(
    spec: CachedCpuSpec, works: Sequence[CoreWork], env: simpy.Environment
) -> list[dict[StallCause, Transfer]]:
    """Return what each core moves: from DRAM, then from the shared cache (CACHE); or neither."""
    outer = spec.levels[-1]
    found: list[dict[StallCause, Transfer]] = [{} for _ in works]
    dram = spec.dram
    from_dram = [
        n for n, work in enumerate(works) if work.dram_read_bytes or work.dram_written_bytes
    ]
    channel = SharedLink(env, users=len(from_dram), transfers=CHUNKS)
    for user, number in enumerate(from_dram):
        found[number][StallCause.DRAM] = Transfer(
            channel=channel,
            user=user,
            cycles=[
                dram.transfer_cycles(read, written)
                for read, written in zip(
                    _parts(works[number].dram_read_bytes),
                    _parts(works[number].dram_written_bytes),
                    strict=True,
                )
            ],
            latency_cycles=dram.latency_cycles,
        )
    from_cache = [n for n, work in enumerate(works) if work.shared_bytes]
    channel = SharedLink(env, users=len(from_cache), transfers=CHUNKS)
    for user, number in enumerate(from_cache):
        parts = _parts(works[number].shared_bytes)
        found[number][StallCause.CACHE] = Transfer(
            channel=channel,
            user=user,
            cycles=[-(-part // outer.bytes_per_cycle) for part in parts],
            latency_cycles=outer.hit_cycles,
        )
    return found


def _stack(
    work: CoreWork, core: Compute, transfers: Mapping[StallCause, Transfer], total: int
) -> CycleStack:
    """Return a core's account: its instructions, its waits for operands, and for the others.

    Of the wait before the first chunk the latencies are told apart; the rest is bandwidth.
    """
    waits = {StallCause.SYNCHRONISATION: total - core.times[-1][2]}
    queued = core.times[0][0]
    for cause, transfer in transfers.items():
        waits[cause] = min(queued, transfer.latency_cycles)
        queued -= waits[cause]
    queued += sum(after[0] - before[2] for before, after in pairwise(core.times))
    waits[StallCause.BANDWIDTH] = queued
    return work.stack + CycleStack(stalls=waits)


def _parts(whole: int) -> list[int]:
    """Cut a number into CHUNKS parts that sum to it and differ by one at most."""
    return [whole * (i + 1) // CHUNKS - whole * i // CHUNKS for i in range(CHUNKS)]
