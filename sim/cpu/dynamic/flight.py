"""One issued instruction on its way, and what a whole run leaves."""

from __future__ import annotations

from dataclasses import dataclass, field

from sim.cpu.dynamic.spec import Spec
from sim.cpu.riscv.machine import Machine
from sim.cpu.riscv.operation import Kind
from sim.cpu.riscv.program import Instruction
from sim.stalls import CycleStack


def before(stamp: int, cycle: int) -> bool:
    """Whether what a stamp dates has happened in an earlier cycle; 0 is not yet."""
    return 0 < stamp < cycle


@dataclass(slots=True, kw_only=True, eq=False)
class Operand:
    """A source register: a value, or who will produce it."""

    register: int
    value: int
    producer: Flight | None = None

    def ready(self, cycle: int) -> bool:
        """Whether the value was there at the end of the cycle before."""
        return self.producer is None or before(self.producer.write, cycle)

    def read(self) -> int:
        """Return the value; the producer's where there is one."""
        return self.value if self.producer is None else self.producer.result


@dataclass(slots=True, kw_only=True, eq=False)
class Flight:
    """One issued instruction; stamps are cycles from 1, 0 is not yet."""

    instruction: Instruction
    number: int
    """In order of issue, from 0."""
    unit: str
    """Name of the functional unit or reservation station that holds it; empty for none."""
    issue: int
    fetch: int = 0
    read: int = 0
    """When operands were read."""
    begin: int = 0
    """First cycle of execution."""
    complete: int = 0
    """Last cycle of execution; of loads and stores with reservation stations, of the address."""
    memory: int = 0
    """Last cycle of the access to memory."""
    write: int = 0
    """When the result was written, or broadcast."""
    commit: int = 0
    done: int = 0
    """Last cycle in its unit or station."""
    squashed: int = 0
    """When a wrong prediction undid it."""
    operands: list[Operand] = field(default_factory=list)
    result: int = 0
    """Written to the destination."""
    address: int = 0
    """Of a load's or store's data."""
    next_address: int = 0
    predicted: int | None = None
    """Where fetching went on after a branch or jump; None where it waited."""
    fault: str = ""
    """Why its access cannot be done; an error once it commits."""

    @property
    def kind(self) -> Kind:
        """What it asks of a machine."""
        return self.instruction.operation.kind

    @property
    def dest(self) -> int | None:
        """Register written."""
        return self.instruction.dest

    def squash(self, cycle: int) -> None:
        """Undo it in a cycle: what it was still to do will not happen."""
        self.squashed = cycle
        for stamp in ("begin", "complete", "memory", "write", "done"):
            if getattr(self, stamp) > cycle:
                setattr(self, stamp, 0)

    @property
    def last(self) -> int:
        """The latest of its stamps."""
        return max(
            self.fetch, self.issue, self.read, self.complete, self.memory, self.write, self.commit
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamicRun:
    """A whole run."""

    spec: Spec
    cycles: int
    """To the last stamp of any instruction; the closing call takes none."""
    flights: tuple[Flight, ...]
    """All issued instructions, squashed ones too, but not the closing call."""
    stack: CycleStack
    """Every cycle: something was issued, or why nothing was."""
    machine: Machine
    """Registers and memory at the end."""

    @property
    def retired(self) -> int:
        """Instructions that were not squashed."""
        return sum(not flight.squashed for flight in self.flights)

    @property
    def cpi(self) -> float:
        """Cycles per retired instruction."""
        return self.cycles / self.retired if self.retired else float("inf")
