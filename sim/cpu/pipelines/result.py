"""What a run on a teaching pipeline leaves: counts, stamps, and the machine to look into."""

from __future__ import annotations

from dataclasses import dataclass, field

from sim.cpu.pipelines.decode import Decoded
from sim.cpu.pipelines.spec import PipelineSpec
from sim.cpu.riscv.machine import Machine
from sim.cpu.riscv.program import Instruction
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
