"""Machines that finish an instruction before they start the next: single- and multi-cycle."""

from __future__ import annotations

from sim.cpu.pipelines.decode import Decoded, decode
from sim.cpu.pipelines.observe import Observe, View
from sim.cpu.pipelines.result import Flight, PipelineRun
from sim.cpu.pipelines.spec import PipelineSpec
from sim.cpu.riscv.machine import Machine
from sim.cpu.riscv.memory import ExecutionError
from sim.cpu.riscv.program import INSTRUCTION_BYTES, Program
from sim.errors import SpecError
from sim.stalls import CycleStack, StallCause


def run_sequential(
    spec: PipelineSpec, program: Program, *, limit: int, observe: Observe | None = None
) -> PipelineRun:
    """Run a program, one instruction after the other.

    An instruction acts in its last cycle; an exit call on entry into `exit_state`, if there is one.
    ExecutionError after `limit` cycles, and as the functional machine does.
    """
    machine = Machine(program)
    decoded = decode(program, vectors=True)
    flights: list[Flight] = []
    cycle = 0
    while machine.exit_code is None:
        instruction = machine.fetch(machine.address)
        place = (instruction.address - program.text_base) // INSTRUCTION_BYTES
        flight = Flight(decoded=decoded[place], number=len(flights), entered=cycle, retired=True)
        flights.append(flight)
        stages = stages_of(spec, program, flight.decoded)
        acts = stages[-1]
        if flight.decoded.is_call and spec.exit_state in stages:
            acts = spec.exit_state
        for stage in stages:
            if stage == acts:
                machine.step()
                if flight.decoded.is_call and machine.exit_code is not None and spec.exit_state:
                    break
            if observe is not None:
                observe(cycle, _view(spec, machine, stage, flight))
            flight.leave(stage, cycle)
            cycle += 1
        if cycle > limit:
            raise ExecutionError(
                f"{program.where(instruction)}: still running after {limit} cycles"
            )
    if spec.exit_state and flights[-1].decoded.is_call:
        flights[-1].leave(spec.exit_state, cycle)
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


def stages_of(spec: PipelineSpec, program: Program, decoded: Decoded) -> tuple[str, ...]:
    """Return the stages, a cycle each, that an instruction passes."""
    if spec.organisation == "single-cycle":
        return spec.stages
    mnemonic, kind = decoded.instruction.mnemonic, decoded.instruction.operation.kind
    stages = spec.visits.get(mnemonic, spec.visits.get(kind, ()))
    if not stages:
        raise SpecError(
            f"{program.where(decoded.instruction)}: `visits` of {spec.name} does not say which "
            f"stages '{kind}' passes; add it"
        )
    return stages


def _view(spec: PipelineSpec, machine: Machine, stage: str, flight: Flight) -> View:
    return View(
        machine=machine,
        stages={name: (flight,) if name == stage else () for name in spec.stages},
        bubbles=dict.fromkeys((s for s in spec.stages if s != stage), StallCause.STRUCTURAL),
    )
