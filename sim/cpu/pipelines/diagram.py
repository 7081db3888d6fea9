"""The pipeline diagram of textbooks, as text: a row an instruction, a column a cycle."""

from __future__ import annotations

from collections.abc import Iterator

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
    begin = min(flight.stamps[0][1] for flight in flights)
    end = max(flight.stamps[-1][2] for flight in flights) + 1
    labels = [str(flight.instruction) for flight in flights]
    rows = []
    for flight in flights:
        row = dict(_stay(flight))
        if not flight.retired and flight.stamps[-1][0] != run.spec.stages[-1]:
            row[flight.stamps[-1][2] + 1] = SQUASHED
        rows.append(row)
    cycles = range(begin, max(end, *(max(row) + 1 for row in rows)))
    column = max(len(str(cycles[-1])), *(len(text) for row in rows for text in row.values())) + 1
    label = max(len(text) for text in labels)
    lines = [" " * label + "".join(str(cycle).rjust(column) for cycle in cycles)]
    for text, row in zip(labels, rows, strict=True):
        line = "".join(row.get(cycle, "").rjust(column) for cycle in cycles)
        lines.append((text.ljust(label) + line).rstrip())
    return "\n".join(lines) + "\n"


def _stay(flight: Flight) -> Iterator[tuple[int, str]]:
    for stage, first, last in flight.stamps:
        yield first, stage
        for cycle in range(first + 1, last + 1):
            yield cycle, HELD
