"""A run on a superscalar core, instruction by instruction: diagram and stamps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from sim.cpu.cores.run import CoreRun
from sim.cpu.logs import O3Stages, StageStamp, StampedInstruction
from sim.cpu.logs.columns import draw

STAGES = ("F", "Rn", "I", "C", "Rt")
"""Fetched, renamed, issued, complete, retired: the stamps of the diagram."""
HELD = "-"
"""In the cycles between two stamps."""
O3_STAGES = O3Stages(
    fetch="F", decode="F", rename="Rn", dispatch="Rn", issue="I", complete="C", retire="Rt"
)
"""Decoding has no cycle of its own here, nor has dispatch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """One instruction on its way through a core."""

    number: int
    """In the stream: thread by thread, in program order."""
    thread: int
    address: int
    text: str
    stamps: tuple[int, int, int, int, int]
    """The cycle of each of STAGES."""


def passages(run: CoreRun, numbers: range | None = None) -> Iterator[Passage]:
    """Yield the passages of a run's instructions, or of those with these numbers."""
    timing, stream = run.timing, run.stream
    for number in range(len(stream)) if numbers is None else numbers:
        thread = stream.thread_of(number)
        execution = run.executions[thread]
        place = int(execution.indices[number - int(stream.starts[thread])])
        instruction = execution.program.instructions[place]
        yield Passage(
            number=number,
            thread=thread,
            address=instruction.address,
            text=str(instruction),
            stamps=(
                int(timing.fetched[number]),
                int(timing.renamed[number]),
                int(timing.issued[number]),
                int(timing.done[number]),
                int(timing.retired[number]),
            ),
        )


def text_diagram(run: CoreRun, *, first: int = 0, count: int = 24) -> str:
    """Draw `count` instructions of each thread from its number `first` on, a column a cycle.

    Where two stamps fall into one cycle the later one is shown.
    """
    starts = run.stream.starts.tolist()
    shown: list[Passage] = []
    for begin, end in pairwise(starts):
        shown += passages(run, range(min(begin + first, end), min(begin + first + count, end)))
    if not shown:
        return ""
    threads = run.stream.threads > 1
    labels = [f"{p.thread}: {p.text}" if threads else p.text for p in shown]
    rows = []
    for passage in shown:
        cells = dict.fromkeys(range(passage.stamps[0], passage.stamps[-1]), HELD)
        rows.append(cells | dict(zip(passage.stamps, STAGES, strict=True)))
    return draw(labels, rows, HELD)


def stamped(run: CoreRun) -> list[StampedInstruction]:
    """Return every instruction in order of fetch, as `sim.cpu.logs` exports it.

    A stage lasts until the next one begins; one whose successor begins in the same cycle is left
    out.
    """
    return [
        StampedInstruction(
            number=number,
            text=passage.text,
            address=passage.address,
            thread=passage.thread,
            stamps=tuple(
                StageStamp(stage, begin, end - 1)
                for stage, (begin, end) in zip(
                    STAGES, pairwise((*passage.stamps, passage.stamps[-1] + 1)), strict=True
                )
                if end > begin
            ),
        )
        for number, passage in enumerate(
            sorted(passages(run), key=lambda each: (each.stamps[0], each.number))
        )
    ]
