"""The classic pipeline with multicycle floating-point units: IF, ID, execution, MEM, WB.

Instructions begin execution in program order, so when each passes each stage follows from those
before it; values are the functional machine's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from sim.cpu.dynamic.engine import check_units
from sim.cpu.dynamic.flight import DynamicRun, Flight
from sim.cpu.dynamic.spec import SERIAL, InOrderSpec
from sim.cpu.riscv.machine import INSTRUCTION_LIMIT, Machine
from sim.cpu.riscv.memory import ExecutionError
from sim.cpu.riscv.operation import Kind
from sim.cpu.riscv.program import Instruction, Program
from sim.cpu.riscv.registers import F
from sim.stalls import CycleStack, StallCause

Bound = tuple[int, StallCause]
"""First cycle that something allows, and what that is."""


class InOrder:
    """A pipeline whose instructions may spend many cycles in execution.

    Models:   stages held by what is ahead; forwarding to every stage; pipelined and unpipelined
              units; stores that wait in EX for their value; write ports; writes of one register
              in order; several instructions a cycle in slots by kind; cycles lost to taken
              branches.
    Ignores:  caches; what a wrong path fetches; branches not taken cost nothing.
    Source:   Hennessy and Patterson, Computer Architecture, 6th ed., appendix C.5 and sections
              3.1, 3.2 and 3.7.
    """

    def __init__(self, spec: InOrderSpec, program: Program, registers: Mapping[int, int]) -> None:
        check_units(spec, program)
        self.spec = spec
        self.program = program
        self.machine = Machine(program)
        for register, value in registers.items():
            self.machine.registers[register] = value
        self.flights: list[Flight] = []
        self.writers: dict[int, Flight] = {}
        """Register to the last instruction that writes it."""
        self.free = {name: [0] * unit.units for name, unit in spec.units.items()}
        """First cycle in which each unit can begin something."""
        self.slots: set[int] = set()
        """Those taken in the cycle of the last begin."""
        self.passing_memory: Counter[int] = Counter()
        """Cycle to instructions in MEM."""
        self.float_writes: Counter[int] = Counter()
        """Cycle to writes of floating-point registers."""
        self.finished = 0
        """Last cycle of anything so far."""
        self.after_taken = 0
        """First cycle of execution behind the last taken branch."""
        self.stack = Counter[StallCause]()

    def run(self, limit: int = INSTRUCTION_LIMIT) -> DynamicRun:
        """Run to the exit call; ExecutionError after `limit` instructions."""
        while True:
            instruction = self.machine.fetch(self.machine.address)
            taken = self.machine.step().taken
            if self.machine.exit_code is not None:
                break
            if len(self.flights) >= limit:
                raise ExecutionError(
                    f"{self.program.where(instruction)}: still running after {limit} "
                    "instructions; the program loops for ever, or needs a higher limit"
                )
            self._pass(instruction, taken=taken)
        busy = len({flight.begin for flight in self.flights})
        self.stack[StallCause.FILL_DRAIN] += self.finished - busy - self.stack.total()
        return DynamicRun(
            spec=self.spec,
            cycles=self.finished,
            flights=tuple(self.flights),
            stack=CycleStack(busy=busy, stalls=self.stack),
            machine=self.machine,
        )

    def _pass(self, instruction: Instruction, *, taken: bool) -> None:
        """Find out when an instruction passes which stage."""
        flight = Flight(
            instruction=instruction,
            number=len(self.flights),
            unit=self.spec.group_of(instruction.operation.kind) or "",
            issue=0,
        )
        self._fetch(flight)
        begin, cause = max(self._bounds(flight), key=lambda bound: bound[0])
        while conflict := self._conflict(flight, begin):
            begin, cause = begin + 1, conflict
        self._begin(flight, begin, cause)
        if taken:
            self.after_taken = begin + 1 + self.spec.taken_branch_cycles

    def _fetch(self, flight: Flight) -> None:
        """IF and ID each hold as many instructions as may begin together."""
        width = len(self.spec.issue_slots)
        flight.fetch, flight.read = 1, 2
        if len(self.flights) >= width:
            ahead = self.flights[-width]
            flight.fetch = max(ahead.fetch + 1, ahead.read)
            flight.read = ahead.begin
        if self.flights:
            flight.fetch = max(flight.fetch, self.flights[-1].fetch)
        lost = self.spec.taken_branch_cycles
        if self.after_taken and lost and self.flights[-1].begin + 1 + lost == self.after_taken:
            flight.fetch = max(flight.fetch, self.after_taken - 2)
        flight.read = max(flight.read, flight.fetch + 1)

    # When execution may begin

    def _bounds(self, flight: Flight) -> list[Bound]:
        """List what execution waits for; of what ends together the first is named."""
        bounds: list[Bound] = [(self.after_taken, StallCause.CONTROL)]
        if flight.kind in SERIAL:
            bounds.append((self.finished + 1, StallCause.SYNCHRONISATION))
        else:
            bounds.append((self._operands_ready(flight), StallCause.DATA_DEPENDENCY))
            bounds.append((min(self.free[flight.unit]), StallCause.STRUCTURAL))
        if self.flights:
            bounds.append((self.flights[-1].begin, StallCause.STRUCTURAL))
        return [*bounds, (flight.read + 1, StallCause.FILL_DRAIN)]

    def _operands_ready(self, flight: Flight) -> int:
        """Return the first cycle for which nothing is missing; a store needs only its address."""
        sources = flight.instruction.sources
        needed = sources[-1:] if flight.kind is Kind.STORE else sources
        ready = max(map(self._ready, needed), default=0)
        early = self.spec.branch_stage == "ID" and flight.instruction.operation.transfers_control
        return ready + early

    def _ready(self, register: int) -> int:
        """Return the first cycle in which a register's value can be used."""
        writer = self.writers.get(register)
        if writer is None:
            return 0
        return (writer.memory if writer.kind is Kind.LOAD else writer.complete) + 1

    def _conflict(self, flight: Flight, begin: int) -> StallCause | None:
        """Return what an instruction that began in a cycle would run into."""
        if self._slot(flight.kind, begin) is None:
            return StallCause.STRUCTURAL
        memory = begin + self._latency(flight)
        if flight.kind is not Kind.STORE and not self._memory_stage_free(memory):
            return StallCause.STRUCTURAL
        if flight.dest is None:
            return None
        writer, ports = self.writers.get(flight.dest), self.spec.float_write_ports
        if writer is not None and writer.write >= memory + 1:
            return StallCause.DATA_DEPENDENCY
        if ports and flight.dest >= F and self.float_writes[memory + 1] >= ports:
            return StallCause.STRUCTURAL
        return None

    def _slot(self, kind: Kind, begin: int) -> int | None:
        """Return the first free issue slot for a kind; what is done alone takes any."""
        taken = self.slots if self.flights and self.flights[-1].begin == begin else set()
        for place, kinds in enumerate(self.spec.issue_slots):
            if place not in taken and (kind in kinds or kind in SERIAL):
                return place
        return None

    def _memory_stage_free(self, cycle: int) -> bool:
        return not (self.spec.exclusive_memory_stage and self.passing_memory[cycle])

    def _latency(self, flight: Flight) -> int:
        return self.spec.units[flight.unit].latency_cycles[flight.kind] if flight.unit else 1

    # What it then occupies

    def _begin(self, flight: Flight, begin: int, cause: StallCause) -> None:
        previous = self.flights[-1].begin if self.flights else 0
        if begin > previous + 1:
            self.stack[cause] += begin - previous - 1
        slot = self._slot(flight.kind, begin)
        self.slots = (self.slots if begin == previous else set()) | {slot or 0}
        flight.begin, flight.issue = begin, begin - 1
        flight.complete = begin + self._latency(flight) - 1
        flight.memory = flight.complete + 1
        if flight.kind is Kind.STORE:
            flight.memory = max(flight.memory, self._ready(flight.instruction.sources[0]))
            while not self._memory_stage_free(flight.memory):
                flight.memory += 1
        flight.write = flight.done = flight.memory + 1
        self._occupy(flight)

    def _occupy(self, flight: Flight) -> None:
        self.passing_memory[flight.memory] += 1
        if flight.unit:
            units = self.free[flight.unit]
            pipelined = self.spec.units[flight.unit].pipelined
            until = flight.begin if pipelined else flight.complete
            if flight.kind is Kind.STORE:
                until = flight.memory - 1  # it waits in EX
            units[units.index(min(units))] = until + 1
        if flight.dest is not None:
            self.writers[flight.dest] = flight
            self.float_writes[flight.write] += flight.dest >= F
        self.finished = max(self.finished, flight.write)
        self.flights.append(flight)
