"""What a run on a teaching pipeline leaves: counts, stamps, and the machine to look into."""

from __future__ import annotations

from dataclasses import dataclass, field

from sim.cpu.logs import O3Stages, StageStamp, StampedInstruction
from sim.cpu.pipelines.decode import Decoded
from sim.cpu.pipelines.spec import PipelineSpec
from sim.cpu.riscv.machine import Machine
from sim.cpu.riscv.program import Instruction
from sim.errors import SpecError
from sim.stalls import CycleStack


@dataclass(slots=True, kw_only=True, eq=False)
class Flight:
    """One fetched instruction on its way, and when it was where."""

    decoded: Decoded
    number: int
    """In order of fetch, from 0."""
    entered: int
    """Cycle of entry into the stage in which it stands."""
    stamps: list[tuple[str, int, int]] = field(default_factory=list)
    """Stage, first cycle and last cycle in it, of every stage that it has left."""
    retired: bool = False
    values: list[int] = field(default_factory=list)
    """Operands as read, then as forwarded."""
    result: int = 0
    """What EX computed: of a load or store the data address."""
    written: int = 0
    """What write-back writes."""
    next_address: int = 0
    """Of control flow: where it goes on."""
    predicted_address: int = 0

    @property
    def instruction(self) -> Instruction:
        """The instruction that is executed."""
        return self.decoded.instruction

    def leave(self, stage: str, cycle: int) -> None:
        """Stamp the stay in a stage, whose last cycle is `cycle`."""
        self.stamps.append((stage, self.entered, cycle))
        self.entered = cycle + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineRun:
    """A whole run."""

    spec: PipelineSpec
    cycles: int
    retired: int
    stall_cycles: int
    """Cycles in which the hazard unit held an instruction."""
    stack: CycleStack
    """Every cycle: an instruction left the pipeline, or a bubble with its cause."""
    flights: tuple[Flight, ...]
    """All fetched instructions, squashed ones too."""
    machine: Machine
    """Registers and memory at the end."""
    predictions: int | None = None
    """Branches and jumps resolved; None without a predictor."""
    correct_predictions: int | None = None

    @property
    def cpi(self) -> float:
        """Cycles per retired instruction."""
        return self.cycles / self.retired if self.retired else float("inf")

    def stamped(self) -> list[StampedInstruction]:
        """Return every instruction that entered a stage, for the exports of `sim.cpu.logs`."""
        return [
            StampedInstruction(
                number=flight.number,
                text=str(flight.instruction),
                address=flight.instruction.address,
                stamps=tuple(StageStamp(*stamp) for stamp in flight.stamps),
                retired=flight.retired,
            )
            for flight in self.flights
            if flight.stamps
        ]

    def o3_stages(self) -> O3Stages:
        """Return which stages stand for gem5's; SpecError for a machine that is not pipelined.

        Registers have no renaming here: rename is decode, dispatch is where registers are read.
        """
        spec = self.spec
        if spec.organisation != "pipelined":
            raise SpecError(
                f"{spec.name}: O3PipeView needs a pipeline; take another machine, or --kanata"
            )
        return O3Stages(
            fetch=spec.stages[0],
            decode=spec.stages[1],
            rename=spec.stages[1],
            dispatch=spec.read_stage,
            issue=spec.execute_stage,
            complete=spec.memory_stage,
            retire=spec.stages[-1],
        )
