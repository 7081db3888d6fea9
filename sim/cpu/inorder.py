"""A scalar in-order five-stage pipeline: the readable specification, over SimPy.

    IF -> ID -> EX -> MEM -> WB          one pipeline register between each two

The uop is a `Step`: one executed instruction. It is held in ID until its operands are there; a
taken branch is known at the end of EX, and the next fetch starts then; a cache miss holds MEM.
With one memory port a fetch waits while MEM uses it. `inorder_compiled` computes the same times.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import simpy
from simpy.events import NORMAL, EventPriority

from sim.clock import Clock, run_to_completion
from sim.pipeline import ONE_HERTZ_PER_TICK, Latch, Stage
from sim.stalls import CycleStack, StallCause

STAGES = ("IF", "ID", "EX", "MEM", "WB")
IF, ID, EX, MEM, WB = range(5)
START, DONE, LEAVE = range(3)

Stamps = npt.NDArray[np.int64]
"""[steps, stages, 3]: start, done and leave of each step in each stage, in cycles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineRules:
    """What tells one five-stage pipeline from another."""

    forwarding: bool
    """Whether a result goes straight to the next EX, or through the register file."""
    shared_port: bool
    """Whether fetches and data accesses share one memory port (von Neumann), or not (Harvard)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One executed instruction, with all that its time depends on."""

    dest: int | None = None
    sources: tuple[int, ...] = ()
    latency_cycles: int = 1
    """From the start of EX until a forwarded result can enter EX; its unit is pipelined."""
    accesses_memory: bool = False
    result_from_memory: bool = False
    """A load: the result is there at the end of MEM."""
    miss_cycles: int = 0
    """By which a miss lengthens MEM."""
    missed_to: StallCause = StallCause.CACHE
    """Where the miss was served: CACHE or DRAM."""
    taken: bool = False
    """A branch that goes elsewhere."""


class MemoryPort:
    """One port to memory; data accesses come first, since they are the older instructions'.

    Models: one access a cycle, whole misses included; fixed priority.
    Ignores: fetches on the wrong path of a branch, which would take the port too.
    Source: structural hazards in Hennessy and Patterson, Computer Architecture, appendix C.
    """

    def __init__(self, env: simpy.Environment) -> None:
        self._env = env
        self._freed: simpy.Event | None = None

    def take(self) -> None:
        """Occupy the port for data."""
        self._freed = self._env.event()

    def free(self) -> None:
        """End the data access."""
        if self._freed is not None:
            self._freed.succeed()
            self._freed = None

    def wait_for_a_free_cycle(self) -> Iterator[simpy.Event]:
        """Events until a fetch may use the port."""
        yield _Settled(self._env)
        while self._freed is not None:
            yield self._freed
            yield _Settled(self._env)


class _Settled(simpy.Event):
    """Happens now, but after all else that happens now: MEM has had its say."""

    def __init__(self, env: simpy.Environment) -> None:
        super().__init__(env)
        self._ok = True
        self._value = None
        env.schedule(self, priority=EventPriority(NORMAL + 1))


class _Core:
    """What the stages share: who makes which operand, when, and the port."""

    def __init__(self, env: simpy.Environment, steps: Sequence[Step], rules: PipelineRules) -> None:
        self.clock = Clock(env, ONE_HERTZ_PER_TICK)
        self.steps = steps
        self.rules = rules
        self.port = MemoryPort(env)
        self.ready = [env.event() for _ in steps]
        self.resolved = [env.event() for _ in steps]
        self.producers = _producers(steps)

    def make_ready(self, number: int, cycles: int) -> None:
        """Let the result be there in some cycles."""

        def succeed(_: simpy.Event) -> None:
            self.ready[number].succeed()

        self.clock.cycles(cycles).callbacks.append(succeed)


def _producers(steps: Sequence[Step]) -> list[list[int]]:
    """For each step the last writers of its sources."""
    writer: dict[int, int] = {}
    producers = []
    for number, step in enumerate(steps):
        producers.append([writer[source] for source in step.sources if source in writer])
        if step.dest is not None:
            writer[step.dest] = number
    return producers


class _CoreStage(Stage):
    """A stage of the core: one cycle of work unless it says otherwise."""

    def __init__(self, index: int, core: _Core, source: Latch | None, sink: Latch | None) -> None:
        super().__init__(STAGES[index], core.clock, source, sink)
        self.core = core

    def work(self, uop: int) -> int:  # noqa: ARG002 - a hook's parameter
        return 1


class Fetch(_CoreStage):
    """IF: one instruction a cycle.

    Models: the wait for a taken branch, and for the shared port.
    Ignores: instruction cache misses: a kernel's loop fits.
    Source: Hennessy and Patterson, Computer Architecture, appendix C.
    """

    def admit(self, uop: int) -> Iterator[simpy.Event]:
        """Wait for the branch before, then for the port."""
        if uop > 0 and self.core.steps[uop - 1].taken:
            yield self.core.resolved[uop - 1]
        if self.core.rules.shared_port:
            yield from self.core.port.wait_for_a_free_cycle()


class Decode(_CoreStage):
    """ID: the hazard unit; holds an instruction until its operands are there.

    Models: read-after-write hazards on results of any latency; write before read in WB's cycle.
    Ignores: write-after-write hazards and conflicts for the register file's write port.
    Source: Hennessy and Patterson, Computer Architecture, appendix C.
    """

    def release(self, uop: int) -> Iterator[simpy.Event]:
        """Wait for every operand."""
        for producer in self.core.producers[uop]:
            yield self.core.ready[producer]


class Execute(_CoreStage):
    """EX: takes an instruction every cycle; its units are pipelined.

    Models: branches resolved at the end of EX, predicted not taken; results after their latency.
    Ignores: units that are not pipelined, as a divider.
    Source: the Ripes simulator's five-stage core (github.com/mortbopet/Ripes).
    """

    def work(self, uop: int) -> int:
        """Start the latency of a result that is forwarded from here."""
        step = self.core.steps[uop]
        if self.core.rules.forwarding and not step.result_from_memory:
            self.core.make_ready(uop, step.latency_cycles)
        return 1

    def release(self, uop: int) -> Iterator[simpy.Event]:
        """Tell IF where to go on."""
        self.core.resolved[uop].succeed()
        return iter(())


class Memory(_CoreStage):
    """MEM: a blocking data cache.

    Models: the miss's whole time; the port taken meanwhile.
    Ignores: store buffers and outstanding misses.
    Source: Hennessy and Patterson, Computer Architecture, appendices B and C.
    """

    def work(self, uop: int) -> int:
        """Hold the access for a cycle and its miss."""
        step = self.core.steps[uop]
        if step.accesses_memory:
            self.core.port.take()
        return 1 + step.miss_cycles

    def release(self, uop: int) -> Iterator[simpy.Event]:
        """Free the port; forward what was loaded."""
        step = self.core.steps[uop]
        self.core.port.free()
        if self.core.rules.forwarding and step.result_from_memory:
            self.core.ready[uop].succeed()
        return iter(())


class WriteBack(_CoreStage):
    """WB: retires one instruction a cycle.

    Models: results that only the register file passes on, where nothing is forwarded.
    Ignores: exceptions.
    Source: Hennessy and Patterson, Computer Architecture, appendix C.
    """

    def release(self, uop: int) -> Iterator[simpy.Event]:
        """Make the written register readable."""
        if not self.core.rules.forwarding:
            self.core.make_ready(uop, self.core.steps[uop].latency_cycles - 1)
        return iter(())


def simulate(steps: Sequence[Step], rules: PipelineRules) -> Stamps:
    """Run steps through the pipeline, in SimPy, and return when each was where."""
    env = simpy.Environment()
    core = _Core(env, steps, rules)
    latches = [None, *(Latch(env, 1) for _ in STAGES[1:]), None]
    kinds = (Fetch, Decode, Execute, Memory, WriteBack)
    units = [
        kind(index, core, latches[index], latches[index + 1]) for index, kind in enumerate(kinds)
    ]
    uops = range(len(steps))
    run_to_completion(env, [unit.run(uops) for unit in units], units)
    times = np.array([unit.times for unit in units], dtype=np.int64)
    return times.reshape(len(STAGES), len(steps), 3).transpose(1, 0, 2)


def account(steps: Sequence[Step], stamps: Stamps) -> CycleStack:
    """Return the CPI stack: each cycle of WB retires, or is a bubble with one cause.

    Bubbles in front of a step come from its own delays; of several, the one nearest to WB counts
    first, since an earlier one may have been hidden behind older instructions.
    """
    stalls: dict[StallCause, int] = dict.fromkeys(StallCause, 0)
    for number, step in enumerate(steps):
        bubbles = int(stamps[number, WB, START])
        if number:
            bubbles -= int(stamps[number - 1, WB, LEAVE])
        for cause, cycles in _delays(steps, stamps, number, step):
            taken = min(bubbles, cycles)
            stalls[cause] += taken
            bubbles -= taken
        stalls[StallCause.FILL_DRAIN] += bubbles
    return CycleStack(busy=len(steps), stalls=stalls)


def _delays(
    steps: Sequence[Step], stamps: Stamps, number: int, step: Step
) -> Iterator[tuple[StallCause, int]]:
    """Yield a step's own delays, from MEM back to IF."""
    yield step.missed_to, step.miss_cycles
    before = stamps[number - 1] if number else np.zeros((len(STAGES), 3), dtype=np.int64)
    own = stamps[number]
    could_leave = max(int(own[ID, DONE]), int(before[EX, LEAVE]))
    yield StallCause.DATA_DEPENDENCY, int(own[ID, LEAVE]) - could_leave
    could_start = int(before[IF, LEAVE])
    redirected = could_start
    if number and steps[number - 1].taken:
        redirected = max(could_start, int(before[EX, DONE]))
    yield StallCause.STRUCTURAL, int(own[IF, START]) - redirected
    yield StallCause.CONTROL, redirected - could_start
