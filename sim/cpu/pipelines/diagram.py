"""The pipeline diagram of textbooks, as text: a row an instruction, a column a cycle."""

from __future__ import annotations

from collections.abc import Iterator

from sim.cpu.logs.columns import draw
from sim.cpu.pipelines.result import Flight, PipelineRun
from sim.cpu.riscv.program import INSTRUCTION_BYTES

HELD = "-"
"""In the second and further cycles in one stage."""
SQUASHED = "x"
"""After the last cycle of an instruction that was fetched in vain."""

Row = dict[int, str]
"""Cycle to what stands in its column."""


def cells(run: PipelineRun) -> list[Row]:
    """Return a row for each instruction of the program, all its executions in it."""
    rows: list[Row] = [{} for _ in run.machine.program.instructions]
    for flight in run.flights:
        offset = flight.instruction.address - run.machine.program.text_base
        rows[offset // INSTRUCTION_BYTES].update(_stay(flight))
    return rows


def text_diagram(run: PipelineRun, *, first: int = 0, count: int = 40) -> str:
    """Draw `count` fetched instructions from number `first` on, one row an execution."""
    flights = [flight for flight in run.flights[first : first + count] if flight.stamps]
    if not flights:
        return ""
    labels = [str(flight.instruction) for flight in flights]
    rows = []
    for flight in flights:
        row = dict(_stay(flight))
        if not flight.retired and flight.stamps[-1][0] != run.spec.stages[-1]:
            row[flight.stamps[-1][2] + 1] = SQUASHED
        rows.append(row)
    return draw(labels, rows, HELD)


def _stay(flight: Flight) -> Iterator[tuple[int, str]]:
    for stage, first, last in flight.stamps:
        yield first, stage
        for cycle in range(first + 1, last + 1):
            yield cycle, HELD
