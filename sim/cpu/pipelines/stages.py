"""The stages of a pipeline, five short pieces: each a SimPy process on the common clock.

A stage works on the packet that stands in the latch in front of it, once in every cycle, then waits
for the edge of the clock. Within a cycle fetch works first, for it needs nothing of the others;
then the stages from the last to the first, so that a register that write-back writes is read in the
same cycle, and a squashed instruction does no work.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

import simpy

from sim.cpu.pipelines.result import Flight
from sim.cpu.riscv.memory import ExecutionError
from sim.cpu.riscv.program import INSTRUCTION_BYTES
from sim.cpu.riscv.semantics import data_address, next_address
from sim.stalls import StallCause

if TYPE_CHECKING:
    from sim.cpu.pipelines.engine import Pipeline


class Packet:
    """Instructions that stand in one stage together, in order; or a bubble, and its cause."""

    __slots__ = ("cause", "flights")

    def __init__(self, flights: Sequence[Flight], cause: StallCause) -> None:
        self.flights = flights
        self.cause = cause


BUBBLES = {cause: Packet((), cause) for cause in StallCause}


class Stage:
    """A stage that only passes on, as the cycles in which a memory is on its way.

    Models: one cycle of latency; in the stages that the machine names, the check of the next
    address and environment calls.
    Ignores: how long its logic takes.
    Source: Hennessy and Patterson, Computer Architecture, 6th ed., appendix C.
    """

    __slots__ = ("calls", "name", "packet", "pipeline", "resolves")

    def __init__(self, pipeline: Pipeline, name: str) -> None:
        self.pipeline = pipeline
        self.name = name
        self.packet = BUBBLES[StallCause.FILL_DRAIN]
        """What stands in the latch in front of it, on which it works."""
        self.resolves = name == pipeline.spec.resolve_stage
        self.calls = name == pipeline.spec.call_stage

    def run(self) -> Generator[simpy.Event, None, None]:
        """Work once a cycle while the program runs; a SimPy process."""
        pipeline = self.pipeline
        while pipeline.running:
            self.work()
            if self.resolves:
                pipeline.control.resolve(self)
            if self.calls:
                pipeline.control.make_calls(self)
            yield pipeline.edge

    def work(self) -> None:
        """Do one cycle's work on the packet."""

    def holds(self) -> StallCause | None:
        """Return why the packet stays for a further cycle, None where it goes on."""
        return None


class Fetch(Stage):
    """Fetches what stands at the next address, and guesses what follows.

    Models: as many neighbours as the machine is wide; a predictor, or the next in memory.
    Ignores: instruction cache, alignment of neighbours.
    Source: as Stage.
    """

    __slots__ = ("address",)

    def __init__(self, pipeline: Pipeline, name: str) -> None:
        super().__init__(pipeline, name)
        self.address: int | None = pipeline.program.entry
        """Of what is fetched next; None once the program has ended."""

    def work(self) -> None:
        """Fetch, unless the last packet is still here."""
        if self.packet.flights or self.address is None:
            return
        pipeline, fetched = self.pipeline, []
        for place in range(pipeline.spec.width):
            index = pipeline.program.index_of(self.address + place * INSTRUCTION_BYTES)
            if index is None:
                break
            flight = Flight(
                decoded=pipeline.decoded[index],
                number=len(pipeline.flights),
                entered=pipeline.cycle,
            )
            pipeline.flights.append(flight)
            fetched.append(flight)
        self.packet = Packet(fetched, StallCause.FILL_DRAIN)

    def predict(self) -> None:
        """Guess what follows each instruction, in its last cycle here; drop what does not."""
        predictor = self.pipeline.predictor
        flights = self.packet.flights
        for place, flight in enumerate(flights):
            following = flight.decoded.instruction.address + INSTRUCTION_BYTES
            guess = (
                following
                if predictor is None
                else predictor.predict(flight.decoded.instruction.address)
            )
            flight.predicted_address = self.address = guess
            if guess != following and place + 1 < len(flights):
                for dropped in flights[place + 1 :]:
                    dropped.leave(self.name, self.pipeline.cycle)
                self.packet = Packet(flights[: place + 1], self.packet.cause)
                return


class Decode(Stage):
    """Reads registers; with an interlock, waits for those whose values are on their way.

    Models: the hazard unit: a value is there once written, or where a forwarding path will find it
    in the next cycle.
    Ignores: structural hazards; no unit is shared.
    Source: Hennessy and Patterson, Computer Architecture, 6th ed., appendix C.2.
    """

    __slots__ = ("_ahead",)

    def __init__(self, pipeline: Pipeline, name: str) -> None:
        super().__init__(pipeline, name)
        spec = pipeline.spec
        read, memory = spec.stages.index(spec.read_stage), spec.stages.index(spec.memory_stage)
        self._ahead = [
            (pipeline.stages[place], following in paths, following in paths and place >= memory)
            for paths in [spec.forward_from]
            for place, following in enumerate(spec.stages[1:])
            if place > read
        ]
        """Stages between this and write-back, nearest first; whether what stands there now can be
        forwarded in the next cycle: a computed result, one from memory."""

    def work(self) -> None:
        """Read registers; what is held reads again in the next cycle."""
        registers = self.pipeline.machine.registers
        for flight in self.packet.flights:
            flight.values = [registers[source] for source in flight.decoded.sources]

    def holds(self) -> StallCause | None:
        """Wait for operands that are not there in the next cycle."""
        if self.pipeline.spec.interlock:
            for flight in self.packet.flights:
                for source in flight.decoded.sources:
                    if source and self._is_missing(source):
                        return StallCause.DATA_DEPENDENCY
        return None

    def _is_missing(self, source: int) -> bool:
        """Whether the nearest packet that writes a register has a result that comes too late."""
        for stage, has_result, has_data in self._ahead:
            found = False
            for flight in stage.packet.flights:
                if flight.decoded.dest == source:
                    if not (has_data if flight.decoded.late else has_result):
                        return True
                    found = True
            if found:
                return False
        return False


class Execute(Stage):
    """Computes: results, data addresses, and where control flow goes on.

    Models: forwarding from the stages that the machine names; the wait of an environment call for
    older writes.
    Ignores: multiplication, division and floating point of more than one cycle.
    Source: as Decode.
    """

    __slots__ = ("_older", "_paths", "_xlen")

    def __init__(self, pipeline: Pipeline, name: str) -> None:
        super().__init__(pipeline, name)
        stages = pipeline.spec.stages
        memory = stages.index(pipeline.spec.memory_stage)
        self._older = pipeline.stages[stages.index(name) + 1 :]
        self._paths = [
            (pipeline.stages[place], place > memory)
            for place, source in enumerate(stages)
            if source in pipeline.spec.forward_from
        ]
        """Stages that results are forwarded from, nearest first; whether loaded data is there."""
        self._xlen = pipeline.program.xlen

    def work(self) -> None:
        """Take what is forwarded, and compute."""
        for flight in self.packet.flights:
            decoded = flight.decoded
            instruction = decoded.instruction
            if self._paths:
                for place, source in enumerate(decoded.sources):
                    if source:
                        self._forward(flight, place, source)
            if decoded.accesses_memory:
                flight.result = data_address(instruction, flight.values, self._xlen)
            elif not decoded.is_call:
                flight.result = self.pipeline.machine.compute(instruction, flight.values)
            if decoded.transfers_control:
                flight.next_address = next_address(instruction, flight.values, self._xlen)
            flight.written = flight.result

    def _forward(self, reader: Flight, place: int, source: int) -> None:
        """Replace an operand by the newest value of its register that a path brings."""
        for stage, has_data in self._paths:
            for flight in reversed(stage.packet.flights):
                if flight.decoded.dest == source:
                    reader.values[place] = flight.written if has_data else flight.result
                    return

    def holds(self) -> StallCause | None:
        """Hold an environment call while older instructions may still write a register."""
        if self.pipeline.spec.call_waits_for_writes:
            for flight in self.packet.flights:
                if flight.decoded.is_call and any(
                    older.decoded.has_dest_form
                    for stage in self._older
                    for older in stage.packet.flights
                ):
                    return StallCause.SYNCHRONISATION
        return None


class Memory(Stage):
    """Loads and stores; loaded data can be forwarded from the next stage on.

    Models: one port, always a hit.
    Ignores: caches and memory latency.
    Source: as Stage.
    """

    __slots__ = ()

    def work(self) -> None:
        """Access memory; a store to the power-off register ends the program."""
        machine = self.pipeline.machine
        for flight in self.packet.flights:
            if flight.decoded.accesses_memory:
                instruction = flight.decoded.instruction
                running = machine.exit_code is None
                try:
                    flight.written = machine.access_memory(
                        instruction, flight.values, flight.result
                    )
                except ExecutionError as error:
                    where = self.pipeline.program.where(instruction)
                    raise ExecutionError(f"{where}: {error}") from error
                if running and machine.exit_code is not None:
                    self.pipeline.control.end(self)


class WriteBack(Stage):
    """Writes registers and retires; each cycle an instruction leaves here, or a bubble.

    Models: the account of cycles.
    Ignores: nothing further.
    Source: Hennessy and Patterson, Computer Architecture, 6th ed., appendix C.1 (stall cycles per
    instruction).
    """

    __slots__ = ()

    def work(self) -> None:
        """Write results in order; count the cycle."""
        pipeline, packet = self.pipeline, self.packet
        machine = pipeline.machine
        for flight in packet.flights:
            if flight.decoded.dest:
                machine.registers[flight.decoded.dest] = flight.written
            counts = not flight.decoded.is_call or machine.exit_code is None
            flight.retired = counts or pipeline.spec.counts_exit
            pipeline.retired += flight.retired
            machine.retired += 1
        if packet.flights:
            pipeline.busy += 1
        else:
            pipeline.stalls[packet.cause] += 1
