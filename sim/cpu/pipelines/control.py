"""What changes the way of instructions: wrong guesses, environment calls and the program's end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.cpu.pipelines.stages import BUBBLES, Stage
from sim.cpu.riscv.integers import wrap
from sim.cpu.riscv.operation import Kind
from sim.cpu.riscv.semantics import is_taken
from sim.stalls import StallCause

if TYPE_CHECKING:
    from sim.cpu.pipelines.engine import Pipeline
    from sim.cpu.pipelines.result import Flight


class Control:
    """Checks next addresses, makes calls, and squashes what was fetched in vain.

    Models: everything younger is squashed in the cycle of the check; fetch goes on in the next.
    Ignores: exceptions other than the closing call.
    Source: Hennessy and Patterson, Computer Architecture, 6th ed., appendix C.2 (branch hazards).
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def resolve(self, stage: Stage) -> None:
        """Hold next addresses against what was guessed; teach the predictor."""
        pipeline = self._pipeline
        for flight in stage.packet.flights:
            if not flight.decoded.transfers_control:
                continue
            correct = flight.next_address == flight.predicted_address
            if pipeline.predictor is not None:
                self._teach(flight, correct=correct)
            if not correct:
                self._squash_before(stage, StallCause.CONTROL)
                pipeline.fetch.address = flight.next_address

    def _teach(self, flight: Flight, *, correct: bool) -> None:
        pipeline, instruction = self._pipeline, flight.instruction
        xlen, target = pipeline.program.xlen, flight.next_address
        conditional = instruction.operation.kind is Kind.BRANCH
        if conditional:
            target = wrap(xlen, instruction.address + instruction.immediate)
        if pipeline.predictor is not None:
            pipeline.predictor.update(
                instruction.address,
                target,
                conditional=conditional,
                taken=is_taken(instruction, flight.values, xlen),
                correct=correct,
            )

    def make_calls(self, stage: Stage) -> None:
        """Make an environment call that has not to wait; an exit call ends the program."""
        machine = self._pipeline.machine
        for flight in stage.packet.flights:
            if flight.decoded.is_call and machine.exit_code is None and not stage.holds():
                machine.call(flight.decoded.instruction)
                if machine.exit_code is not None:
                    self.end(stage)

    def end(self, stage: Stage) -> None:
        """Squash what follows the program's last instruction, and fetch no more."""
        self._squash_before(stage, StallCause.FILL_DRAIN)
        self._pipeline.fetch.address = None

    def _squash_before(self, stage: Stage, cause: StallCause) -> None:
        for younger in self._pipeline.stages:
            if younger is stage:
                return
            for flight in younger.packet.flights:
                flight.leave(younger.name, self._pipeline.cycle)
            younger.packet = BUBBLES[cause]
