"""An in-order pipeline of any depth and width: the readable specification, over SimPy.

    IF -> ID -> EX -> MEM -> WB          one pipeline register between each two

`PipelineRules` says how many stages each role has. The uop is a `Step`: one executed instruction.
It is held in the last decode stage until its operands and its unit are there; a taken branch is
known at the end of the last execute stage, and the next fetch starts then; a cache miss holds the
first memory stage. With one memory port a fetch waits while that stage uses it.

A core that is w instructions wide is w such pipelines side by side, which take the instructions in
turn and hand them on in order: the one before first, or both in one cycle.
`inorder_compiled` computes the same times.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Any

import numpy as np
import simpy
from simpy.events import NORMAL, EventPriority

from sim.clock import Clock, run_to_completion
from sim.cpu.inorder_account import Stamps, account
from sim.cpu.inorder_rules import PipelineRules, Step, users_before
from sim.pipeline import ONE_HERTZ_PER_TICK, Latch, Stage

__all__ = ["PipelineRules", "Stamps", "Step", "account", "simulate"]


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
    """What the stages share: who makes which operand, when, who left where, and the port."""

    def __init__(self, env: simpy.Environment, steps: Sequence[Step], rules: PipelineRules) -> None:
        self.clock = Clock(env, ONE_HERTZ_PER_TICK)
        self.steps = steps
        self.rules = rules
        self.port = MemoryPort(env)
        self.fetching = [env.event() for _ in steps]
        self.ready = [env.event() for _ in steps]
        self.unit_free = [env.event() for _ in steps]
        self.resolved = [env.event() for _ in steps]
        self.accessed = [env.event() for _ in steps]
        self.left = [[env.event() for _ in steps] for _ in range(rules.write)]
        self.producers = _producers(steps)
        self.unit_users = users_before(steps)

    def later(self, event: simpy.Event, cycles: int) -> None:
        """Let an event happen in some cycles."""

        def succeed(_: simpy.Event) -> None:
            event.succeed()

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


class _InOrder(Latch):
    """A pipeline register that an instruction enters no earlier than the one before its own."""

    def __init__(self, env: simpy.Environment, left: Sequence[simpy.Event]) -> None:
        super().__init__(env, 1)
        self._left = left

    def give(self, uop: int) -> Generator[simpy.Event, Any, None]:
        if uop > 0:
            yield self._left[uop - 1]
        yield from super().give(uop)
        self._left[uop].succeed()


class _CoreStage(Stage):
    """A stage of the core: one cycle of work unless it says otherwise."""

    def __init__(self, index: int, core: _Core, source: Latch | None, sink: Latch | None) -> None:
        super().__init__(core.rules.stage_names[index], core.clock, source, sink)
        self.index = index
        self.core = core

    def work(self, uop: int) -> int:  # noqa: ARG002 - a hook's parameter
        return 1


class Fetch(_CoreStage):
    """IF: a group of instructions a cycle.

    Models: the wait for a taken branch, and for the shared port, in the first fetch stage.
    Ignores: instruction cache misses: a kernel's loop fits.
    Source: Hennessy and Patterson, Computer Architecture, appendix C.
    """

    def admit(self, uop: int) -> Iterator[simpy.Event]:
        """Wait for the instruction or the branch before, then for the port."""
        if self.index > 0:
            return
        if uop > 0:
            yield self.core.fetching[uop - 1]
            if self.core.steps[uop - 1].taken:
                yield self.core.resolved[uop - 1]
        if self.core.rules.shared_port:
            yield from self.core.port.wait_for_a_free_cycle()
        self.core.fetching[uop].succeed()


class Decode(_CoreStage):
    """ID: the hazard unit; its last stage holds an instruction until it may issue.

    Models: read-after-write hazards on results of any latency; write before read in WB's cycle;
    units that take one instruction in a cycle, or in several.
    Ignores: write-after-write hazards and conflicts for the register file's write port.
    Source: Hennessy and Patterson, Computer Architecture, appendix C.
    """

    def release(self, uop: int) -> Iterator[simpy.Event]:
        """Wait for every operand and for the unit."""
        if self.index < self.core.rules.issue:
            return
        for producer in self.core.producers[uop]:
            yield self.core.ready[producer]
        user = self.core.unit_users[uop]
        if user is not None:
            yield self.core.unit_free[user]


class Execute(_CoreStage):
    """EX: takes a group every cycle; its units are pipelined.

    Models: branches resolved at the end of the last stage, predicted not taken; results after their
    latency, and no earlier than the last stage.
    Ignores: dividers that are not pipelined.
    Source: the Ripes simulator's five-stage core (github.com/mortbopet/Ripes).
    """

    def work(self, uop: int) -> int:
        """Start the latency of a result that is forwarded from here; the unit is free again."""
        step, rules = self.core.steps[uop], self.core.rules
        if self.index == rules.issue + 1:
            self.core.later(self.core.unit_free[uop], step.unit_cycles)
            if rules.forwarding and not step.result_from_memory:
                cycles = max(step.latency_cycles, rules.execute_stages)
                self.core.later(self.core.ready[uop], cycles)
        return 1

    def release(self, uop: int) -> Iterator[simpy.Event]:
        """Tell IF where to go on."""
        if self.index == self.core.rules.resolve:
            self.core.resolved[uop].succeed()
        return iter(())


class Memory(_CoreStage):
    """MEM: a blocking data cache, pipelined for hits.

    Models: the miss's whole time in the first stage; the port taken meanwhile.
    Ignores: store buffers and outstanding misses.
    Source: Hennessy and Patterson, Computer Architecture, appendices B and C.
    """

    def admit(self, uop: int) -> Iterator[simpy.Event]:
        """Wait for the access before, which may be in the same stage of a wider core."""
        before = self.core.unit_users[uop]
        if self._accesses(uop) and before is not None:
            yield self.core.accessed[before]

    def work(self, uop: int) -> int:
        """Hold the access for as long as its bytes take, and for its miss."""
        if not self._accesses(uop):
            return 1
        self.core.port.take()
        return self.core.steps[uop].busy_cycles + self.core.steps[uop].miss_cycles

    def release(self, uop: int) -> Iterator[simpy.Event]:
        """Free the port; forward what was loaded."""
        step, rules = self.core.steps[uop], self.core.rules
        if self._accesses(uop):
            self.core.port.free()
            self.core.accessed[uop].succeed()
        if self.index == rules.loaded and rules.forwarding and step.result_from_memory:
            self.core.ready[uop].succeed()
        return iter(())

    def _accesses(self, uop: int) -> bool:
        first = self.index == self.core.rules.resolve + 1
        return first and self.core.steps[uop].accesses_memory


class Check(_CoreStage):
    """TC: where a tag is compared after its data were already passed on.

    Models: the cycle that it takes before the register file is written.
    Ignores: going back after a miss: the miss is known, and held, in the first memory stage.
    Source: J. Heinrich, MIPS R4000 Microprocessor User's Manual, chapter 3.
    """


class WriteBack(_CoreStage):
    """WB: retires a group of instructions a cycle.

    Models: results that only the register file passes on, where nothing is forwarded.
    Ignores: exceptions.
    Source: Hennessy and Patterson, Computer Architecture, appendix C.
    """

    def release(self, uop: int) -> Iterator[simpy.Event]:
        """Make the written register readable."""
        if not self.core.rules.forwarding:
            beyond = self.core.steps[uop].latency_cycles - self.core.rules.execute_stages
            self.core.later(self.core.ready[uop], max(beyond, 0))
        return iter(())


def _kinds(rules: PipelineRules) -> list[type[_CoreStage]]:
    """Return what each stage is, in order."""
    counts: dict[type[_CoreStage], int] = {
        Fetch: rules.fetch_stages,
        Decode: rules.decode_stages,
        Execute: rules.execute_stages,
        Memory: rules.memory_stages,
        Check: rules.check_stages,
        WriteBack: 1,
    }
    return [kind for kind, count in counts.items() for _ in range(count)]


def simulate(steps: Sequence[Step], rules: PipelineRules) -> Stamps:
    """Run steps through the pipeline, in SimPy, and return when each was where."""
    env = simpy.Environment()
    core = _Core(env, steps, rules)
    kinds, width = _kinds(rules), rules.issue_width
    stamps = np.zeros((len(steps), len(kinds), 3), dtype=np.int64)
    units, processes = [], []
    for side in range(width):
        latches = [None, *(_InOrder(env, left) for left in core.left), None]
        for index, kind in enumerate(kinds):
            units.append(kind(index, core, latches[index], latches[index + 1]))
            processes.append(units[-1].run(range(side, len(steps), width)))
    run_to_completion(env, processes, units)
    for number, unit in enumerate(units):
        if unit.times:
            stamps[number // len(kinds) :: width, unit.index] = unit.times
    return stamps
