"""The pipeline over SimPy, stage by stage, executing for real: the readable specification.

Every stage is a process (`stages`); a clock that all of them wait for hands packets on at its
edges. Values travel with the instruction: without forwarding and interlock it computes with what it
has read, stale or not. All stages wait for one and the same event, so a cycle costs one event.
"""

from __future__ import annotations

from collections.abc import Generator
from itertools import pairwise

import simpy

from sim.clock import Clock, run_to_completion
from sim.cpu.pipelines.control import Control
from sim.cpu.pipelines.decode import decode
from sim.cpu.pipelines.issue import may_pair
from sim.cpu.pipelines.observe import Observe, View
from sim.cpu.pipelines.predictor import PerfectPredictor, Predictor
from sim.cpu.pipelines.result import Flight, PipelineRun
from sim.cpu.pipelines.sequential import run_sequential
from sim.cpu.pipelines.spec import PipelineSpec
from sim.cpu.pipelines.stages import (
    BUBBLES,
    Decode,
    Execute,
    Fetch,
    Memory,
    Packet,
    Stage,
    WriteBack,
)
from sim.cpu.riscv.machine import Machine
from sim.cpu.riscv.memory import ExecutionError
from sim.cpu.riscv.program import Program
from sim.pipeline import ONE_HERTZ_PER_TICK
from sim.stalls import CycleStack, StallCause

CYCLE_LIMIT = 2_000_000
"""Cycles after which a program counts as endless."""


class Pipeline:
    """An in-order pipeline that executes a program.

    Models: stages with values, their names and roles as data; forwarding, interlock or neither;
    branches resolved in any stage from EX to memory; prediction in the first stage; two
    instructions a cycle; the wait of environment calls for older writes.
    Ignores: caches and memory latency; multi-cycle multiplication, division and floating point;
    exceptions other than the closing call.
    Source: Hennessy and Patterson, Computer Architecture, 6th ed., appendix C; the rules of Ripes
    (github.com/mortbopet/Ripes) and QtRvSim (github.com/cvut/qtrvsim) as its fields.
    """

    def __init__(
        self, spec: PipelineSpec, program: Program, *, observe: Observe | None = None
    ) -> None:
        self.spec = spec
        self.program = program
        self.decoded = decode(program)
        # A machine that computes with stale values may go anywhere.
        self.machine = Machine(program, lenient=not spec.interlock)
        self.predictor = _predictor(spec, program)
        self.control = Control(self)
        self.env = simpy.Environment()
        self.clock = Clock(self.env, ONE_HERTZ_PER_TICK)
        self.edge = self.env.event()
        """The end of this cycle, for which every stage waits."""
        self.cycle = 0
        self.running = True
        self.flights: list[Flight] = []
        self.retired = 0
        self.stall_cycles = 0
        self.busy = 0
        self.stalls = dict.fromkeys(StallCause, 0)
        self._observe = observe
        self.stages: list[Stage] = []
        """From fetch to write-back."""
        self.fetch = self._wire()
        self._handing = list(pairwise(self.stages))[::-1]
        self._may_hold = [stage for stage in reversed(self.stages) if _may_hold(stage)]

    def _wire(self) -> Fetch:
        """Make the stages, last first, since a stage looks at those ahead; return the first."""
        spec, fetch = self.spec, Fetch(self, self.spec.stages[0])
        roles: dict[str, type[Stage]] = {
            spec.read_stage: Decode,
            spec.execute_stage: Execute,
            spec.memory_stage: Memory,
            spec.stages[-1]: WriteBack,
        }
        self.stages = [fetch] * len(spec.stages)
        for place in range(len(spec.stages) - 1, 0, -1):
            name = spec.stages[place]
            self.stages[place] = roles.get(name, Stage)(self, name)
        return fetch

    def run(self, limit: int = CYCLE_LIMIT) -> PipelineRun:
        """Run to the exit call; ExecutionError after `limit` cycles."""
        working = [self.fetch, *reversed(self.stages[1:])]
        processes = [self._tick(limit), *(stage.run() for stage in working if _works(stage))]
        run_to_completion(self.env, processes, ())
        return PipelineRun(
            spec=self.spec,
            cycles=self.cycle,
            retired=self.retired,
            stall_cycles=self.stall_cycles,
            stack=CycleStack(busy=self.busy, stalls=self.stalls),
            flights=tuple(self.flights),
            machine=self.machine,
            predictions=self.predictor.total if self.predictor else None,
            correct_predictions=self.predictor.hits if self.predictor else None,
        )

    def _tick(self, limit: int) -> Generator[simpy.Event, None, None]:
        """Hand on at every edge, before any stage works again; a SimPy process."""
        try:
            while not self._has_finished():
                if self.cycle > limit:
                    raise ExecutionError(
                        f"{self._oldest()}: still running after {limit} cycles; the program "
                        "loops for ever, or needs a higher limit"
                    )
                self.edge = self.clock.cycles(1)
                yield self.edge
                if self._observe is not None:
                    self._observe(self.cycle, self._view())
                self._hand_on()
                self.cycle += 1
        finally:
            self.running = False  # after an error too: the stages wait for this process's edges
        for stage in self.stages:  # what was held in the last cycle
            for flight in stage.packet.flights:
                if flight.entered < self.cycle:
                    flight.leave(stage.name, self.cycle - 1)

    def _oldest(self) -> str:
        """Name the oldest instruction on its way, or the program where there is none."""
        for stage in reversed(self.stages):
            for flight in stage.packet.flights:
                return self.program.where(flight.instruction)
        return self.program.name

    def _hand_on(self) -> None:
        """Hand on, from the last stage to the first; a held stage holds all before it."""
        cycle, last = self.cycle, self.stages[-1]
        for flight in last.packet.flights:
            flight.leave(last.name, cycle)
        holder, cause = self._holder()
        for stage, following in self._handing:
            if stage is holder:
                following.packet = BUBBLES[cause]
                self.stall_cycles += cause is StallCause.DATA_DEPENDENCY
                return
            if stage is self.fetch:
                self.fetch.predict()
            packet = stage.packet
            flights = packet.flights
            splits = len(flights) == 2 and stage is self.stages[1] and not _pairs(packet)
            if splits:
                packet = Packet(flights[:1], packet.cause)
                stage.packet = Packet(flights[1:], packet.cause)
            following.packet = packet
            for flight in packet.flights:
                flight.leave(stage.name, cycle)
            if splits:
                return
        self.fetch.packet = BUBBLES[StallCause.FILL_DRAIN]

    def _holder(self) -> tuple[Stage | None, StallCause]:
        """Return the stage that holds, the last of them, and why."""
        for stage in self._may_hold:
            cause = stage.holds()
            if cause is not None:
                return stage, cause
        return None, StallCause.FILL_DRAIN

    def _has_finished(self) -> bool:
        if self.machine.exit_code is not None and not self.spec.drains:
            return True
        for stage in self.stages:
            if stage.packet.flights:
                return False
        address = self.fetch.address
        if self.machine.exit_code is None:
            if address is None or self.program.index_of(address) is None:
                raise ExecutionError(
                    f"{self.program.name}: no instruction at {address or 0:#x} and none on its "
                    "way; end the program with an exit call"
                )
            return False
        return True

    def _view(self) -> View:
        return View(
            machine=self.machine,
            stages={stage.name: tuple(stage.packet.flights) for stage in self.stages},
            bubbles={s.name: s.packet.cause for s in self.stages if not s.packet.flights},
        )


def _predictor(spec: PipelineSpec, program: Program) -> Predictor | None:
    if spec.predictor is None:
        return None
    if spec.predictor.scheme == "perfect":
        return PerfectPredictor(spec.predictor, program)
    return Predictor(spec.predictor)


def _works(stage: Stage) -> bool:
    """Whether anything is done in a stage: one that only passes on needs no process."""
    return stage.resolves or stage.calls or type(stage) is not Stage


def _may_hold(stage: Stage) -> bool:
    return type(stage).holds is not Stage.holds


def _pairs(packet: Packet) -> bool:
    return may_pair(packet.flights[0].decoded, packet.flights[1].decoded)


def run_pipeline(
    spec: PipelineSpec,
    program: Program,
    *,
    limit: int = CYCLE_LIMIT,
    observe: Observe | None = None,
) -> PipelineRun:
    """Run a program on a machine; ExecutionError for what no program may do, naming the line.

    `observe(cycle, view)` is called at the end of every cycle.
    """
    if spec.organisation != "pipelined":
        return run_sequential(spec, program, limit=limit, observe=observe)
    return Pipeline(spec, program, observe=observe).run(limit)
