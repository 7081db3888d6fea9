"""Machines that finish an instruction before they start the next: single- and multi-cycle."""

from __future__ import annotations

from sim.cpu.pipelines.result import Flight, PipelineRun
from sim.cpu.pipelines.spec import PipelineSpec
from sim.cpu.riscv.machine import Machine
from sim.cpu.riscv.memory import ExecutionError
from sim.cpu.riscv.program import Program
from sim.errors import SpecError
from sim.stalls import CycleStack


def run_sequential(spec: PipelineSpec, program: Program, *, limit: int) -> PipelineRun:
    """Run a program, one instruction after the other.

    ExecutionError after `limit` cycles, and as the functional machine does.
    """
    machine = Machine(program)
    flights: list[Flight] = []
    cycle = 0
    while machine.exit_code is None:
        step = machine.step()
        flight = Flight(instruction=step.instruction, number=len(flights), retired=True)
        flights.append(flight)
        stages = spec.stages
        if spec.organisation == "multi-cycle":
            mnemonic, kind = step.instruction.mnemonic, step.instruction.operation.kind
            stages = spec.visits.get(mnemonic, spec.visits.get(kind, ()))
            if not stages:
                raise SpecError(
                    f"{spec.name}: `visits` does not say which stages '{kind}' passes; add it"
                )
        if machine.exit_code is not None and spec.exit_state:
            stages = stages[: stages.index(spec.exit_state)]
        for stage in stages:
            flight.stay(stage, cycle)
            cycle += 1
        if cycle > limit:
            raise ExecutionError(
                f"{program.where(step.instruction)}: still running after {limit} cycles"
            )
    if spec.exit_state:
        flights[-1].stay(spec.exit_state, cycle)
    flights[-1].retired = spec.counts_exit
    return PipelineRun(
        spec=spec,
        cycles=cycle,
        retired=len(flights) - (not spec.counts_exit),
        stall_cycles=0,
        stack=CycleStack(busy=cycle),
        flights=tuple(flights),
        machine=machine,
    )
