"""The one mechanism: stages joined by bounded latches, through which uops flow in order.

On a CPU the uop is an instruction, on an accelerator a tile, between host and device a kernel. A
latch has *places*; a uop takes a place when the stage before hands it over, and gives it back only
when the stage behind it has handed the uop on. One place is therefore a pipeline register, and it
is also double buffering: the stage before fills its own buffer while the stage behind empties the
other. Fill, drain, back-pressure and bubbles follow, and for stages of constant latency

    total = sum(L) + (n - 1) * max(L)

`Latch` and `Stage` are the readable specification, over SimPy. `pipeline_compiled` computes the
same times as a recurrence; `run_pipeline` picks one, and a property test holds them equal.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import simpy

from sim.clock import Clock, run_to_completion
from sim.pipeline_compiled import recurrence
from sim.stalls import CycleStack, StallCause

Cycles = npt.NDArray[np.int64]
Engine = Literal["auto", "simpy", "compiled"]

AUTO_SIMPY_HOPS = 2_000
"""`auto` takes SimPy up to this many uop-stage hops; beyond, the compiled twin (same times)."""

ONE_HERTZ_PER_TICK = 10**15
"""A clock whose cycle is one tick, for pipelines that live in a single domain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSpec:
    """One stage of a pipeline and the words for its lost cycles."""

    name: str
    places: int = 1
    """Places of the latch in front of the stage: 1 is a pipeline register, or double buffering."""
    starved_as: StallCause = StallCause.DATA_DEPENDENCY
    """What it means here that nothing arrives."""
    blocked_as: StallCause = StallCause.STRUCTURAL
    """What it means here that the next latch has no place."""
    fenced_as: StallCause = StallCause.SYNCHRONISATION
    """What it means here that a fence keeps the next uop from entering."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """The uops that pass through a pipeline, in order."""

    cycles: Cycles
    """[uops, stages]: how long each stage holds each uop; 0 passes through in no time."""
    fences: npt.NDArray[np.bool_]
    """[uops]: True where a uop enters only after the one before has left the last stage."""


class Latch:
    """Places between two stages; a uop keeps its place until the stage behind hands it on.

    Models: bounded buffering and the back-pressure it makes.
    Ignores: the values in it.
    Source: pipeline registers in Hennessy and Patterson, Computer Architecture, appendix C.
    """

    def __init__(self, env: simpy.Environment, places: int) -> None:
        if places < 1:
            raise ValueError(f"a latch needs at least one place, not {places}")
        self._free = simpy.Container(env, capacity=places, init=places)
        self._uops = simpy.Store(env)

    def give(self, uop: Any) -> Generator[simpy.Event, Any, None]:
        """Wait for a place, then put the uop in it."""
        yield self._free.get(1)
        yield self._uops.put(uop)

    def take(self) -> simpy.Event:
        """Event whose value is the next uop; its place stays taken."""
        return self._uops.get()

    def vacate(self) -> None:
        """Give back the place of the oldest uop taken."""
        self._free.put(1)


class Stage:
    """Takes uops in order, works on each, hands it on; one uop at a time.

    Subclasses say how long in `work`, and may hold a uop before (`admit`) or after it
    (`release`), as a hazard unit does.

    Models: occupancy, order, back-pressure, why the stage waited.
    Ignores: signal values; an idle stage costs no events.
    Source: as Latch.
    """

    def __init__(self, name: str, clock: Clock, source: Latch | None, sink: Latch | None) -> None:
        self.name = name
        self.clock = clock
        self.source = source
        """Latch in front; None for the first stage, whose uops are simply there."""
        self.sink = sink
        """Latch behind; None for the last stage."""
        self.waiting_for = ""
        """For DeadlockError: what keeps the stage from going on; empty while it works."""
        self.times: list[tuple[int, int, int]] = []
        """(start, done, leave) of every uop, in cycles."""

    def work(self, uop: Any) -> int:
        """Cycles for which the stage is busy with the uop."""
        raise NotImplementedError(f"{type(self).__name__} must say how long its work takes")

    def admit(self, uop: Any) -> Iterator[simpy.Event]:  # noqa: ARG002 - a hook's parameter
        """Events to wait for before the work starts; none unless a subclass says so."""
        return iter(())

    def release(self, uop: Any) -> Iterator[simpy.Event]:  # noqa: ARG002 - a hook's parameter
        """Events to wait for between the work and handing on; none unless a subclass says so."""
        return iter(())

    def run(self, uops: Sequence[Any]) -> Generator[simpy.Event, Any, None]:
        """Process every uop; a SimPy process."""
        for uop in uops:
            if self.source is not None:
                self.waiting_for = "input"
                yield self.source.take()
            self.waiting_for = "admission"
            yield from self.admit(uop)
            start, self.waiting_for = self.clock.now, ""
            cycles = self.work(uop)
            if cycles:
                yield self.clock.cycles(cycles)
            done, self.waiting_for = self.clock.now, "release"
            yield from self.release(uop)
            if self.sink is not None:
                self.waiting_for = "room downstream"
                yield from self.sink.give(uop)
            self.times.append((start, done, self.clock.now))
            if self.source is not None:
                self.source.vacate()
        self.waiting_for = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When each uop was where; every array is [uops, stages], in cycles from 0."""

    stages: tuple[StageSpec, ...]
    flow: Flow
    start: Cycles
    """When the stage began to work on the uop."""
    done: Cycles
    """When the work was finished."""
    leave: Cycles
    """When the uop had been handed on."""

    @property
    def total(self) -> int:
        """Cycles until the last uop has left the last stage."""
        return int(self.leave[-1, -1]) if len(self.leave) else 0

    def waits(self, stage: int) -> tuple[Cycles, Cycles]:
        """[uops] cycles waited before each uop's start, and after its work until handed on."""
        left_before = np.concatenate(([0], self.leave[:-1, stage]))
        return self.start[:, stage] - left_before, self.leave[:, stage] - self.done[:, stage]

    def wait_causes(self, stage: int) -> list[StallCause]:
        """Why the stage waited before each uop: to fill, at a fence, or starved."""
        spec = self.stages[stage]
        causes = [spec.fenced_as if f else spec.starved_as for f in self.flow.fences]
        if causes:
            causes[0] = StallCause.FILL_DRAIN
        return causes

    def account(self, stage: int) -> CycleStack:
        """Where the stage's cycles went, from 0 to `total`."""
        before, after = self.waits(stage)
        stalls = {self.stages[stage].blocked_as: int(after.sum())}
        for cause, cycles in zip(self.wait_causes(stage), before.tolist(), strict=True):
            stalls[cause] = stalls.get(cause, 0) + cycles
        drained = self.total - int(self.leave[-1, stage]) if len(self.leave) else 0
        stalls[StallCause.FILL_DRAIN] = stalls.get(StallCause.FILL_DRAIN, 0) + drained
        return CycleStack(busy=int(self.flow.cycles[:, stage].sum()), stalls=stalls)


def run_pipeline(stages: Sequence[StageSpec], flow: Flow, *, engine: Engine = "auto") -> Schedule:
    """Pass a flow through stages and return when each uop was where.

    Raises ValueError where the flow's shape and the stages disagree or a time is negative.
    """
    if flow.cycles.ndim != 2 or flow.cycles.shape[1] != len(stages):
        raise ValueError(f"flow of shape {flow.cycles.shape} for {len(stages)} stages")
    if flow.fences.shape != flow.cycles.shape[:1] or (flow.cycles < 0).any():
        raise ValueError("a flow needs one fence flag a uop, and no negative cycles")
    if engine == "auto":
        engine = "simpy" if flow.cycles.size <= AUTO_SIMPY_HOPS else "compiled"
    if engine == "simpy":
        start, done, leave = _run_in_simpy(stages, flow)
    else:
        places = np.array([stage.places for stage in stages], dtype=np.int64)
        start, done, leave = recurrence(flow.cycles.astype(np.int64), flow.fences, places)
    return Schedule(stages=tuple(stages), flow=flow, start=start, done=done, leave=leave)


class _FlowStage(Stage):
    """A stage whose times come from a table, and whose first stage honours fences."""

    def __init__(
        self,
        name: str,
        clock: Clock,
        source: Latch | None,
        sink: Latch | None,
        *,
        cycles: list[int],
        left: list[simpy.Event],
        fences: list[bool],
    ) -> None:
        super().__init__(name, clock, source, sink)
        self._cycles = cycles
        self._left = left  # one event a uop: it has left the last stage
        self._fences = fences

    def work(self, uop: int) -> int:
        return self._cycles[uop]

    def admit(self, uop: int) -> Iterator[simpy.Event]:
        if self.source is None and uop > 0 and self._fences[uop]:
            yield self._left[uop - 1]

    def release(self, uop: int) -> Iterator[simpy.Event]:
        if self.sink is None:
            self._left[uop].succeed()
        return iter(())


def _run_in_simpy(stages: Sequence[StageSpec], flow: Flow) -> tuple[Cycles, Cycles, Cycles]:
    env = simpy.Environment()
    clock = Clock(env, ONE_HERTZ_PER_TICK)
    latches = [None, *(Latch(env, stage.places) for stage in stages[1:]), None]
    uops = range(len(flow.cycles))
    left = [env.event() for _ in uops]
    fences = flow.fences.tolist()
    units = [
        _FlowStage(
            spec.name,
            clock,
            latches[s],
            latches[s + 1],
            cycles=flow.cycles[:, s].tolist(),
            left=left,
            fences=fences,
        )
        for s, spec in enumerate(stages)
    ]
    run_to_completion(env, [unit.run(uops) for unit in units], units)
    times = np.array([unit.times for unit in units], dtype=np.int64)  # [stages, uops, 3]
    times = times.reshape(len(stages), len(uops), 3).transpose(2, 1, 0)
    return times[0], times[1], times[2]
