"""A run on a superscalar core, instruction by instruction: diagram, and logs for viewers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from sim.cpu.cores.run import CoreRun

STAGES = ("F", "Rn", "I", "C", "Rt")
"""Fetched, renamed, issued, complete, retired: the stamps of the diagram."""
HELD = "-"
"""In the cycles between two stamps."""
TICKS_PER_CYCLE = 1000
RETIRED = 0


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
    cycles = range(min(p.stamps[0] for p in shown), max(p.stamps[-1] for p in shown) + 1)
    column, label = max(len(str(cycles[-1])), 2) + 1, max(map(len, labels))
    lines = [" " * label + "".join(str(cycle).rjust(column) for cycle in cycles)]
    for text, passage in zip(labels, shown, strict=True):
        cells = dict.fromkeys(range(passage.stamps[0], passage.stamps[-1]), HELD)
        cells.update(zip(passage.stamps, STAGES, strict=True))
        line = "".join(cells.get(cycle, "").rjust(column) for cycle in cycles)
        lines.append((text.ljust(label) + line).rstrip())
    return "\n".join(lines) + "\n"


def kanata(run: CoreRun) -> str:
    """Return the log of a run for the Konata viewer: one lane a stage, threads told apart.

    Source: github.com/shioyadan/Konata, docs/kanata-log-format.md, version 4.
    """
    events: list[tuple[int, int, str]] = []
    by_retirement = sorted(passages(run), key=lambda p: (p.stamps[-1], p.number))
    for retired, passage in enumerate(by_retirement):
        number, begin, end = passage.number, passage.stamps[0], passage.stamps[-1] + 1
        events.append((begin, number, f"I\t{number}\t{number}\t{passage.thread}"))
        events.append((begin, number, f"L\t{number}\t0\t{passage.address:08x}: {passage.text}"))
        for stage, cycle in zip(STAGES, passage.stamps, strict=True):
            events.append((cycle, number, f"S\t{number}\t0\t{stage}"))
        events.append((end, number, f"E\t{number}\t0\t{STAGES[-1]}"))
        events.append((end, number, f"R\t{number}\t{retired}\t{RETIRED}"))
    lines, now = ["Kanata\t0004", "C=\t0"], 0
    for cycle, _, text in sorted(events, key=lambda event: event[:2]):
        if cycle > now:
            lines.append(f"C\t{cycle - now}")
            now = cycle
        lines.append(text)
    return "\n".join(lines) + "\n"


def o3_pipe_view(run: CoreRun) -> str:
    """Return gem5's O3PipeView trace of a run, in order of fetch.

    Decoding has no cycle of its own here: it is stamped with fetch, dispatch with rename.
    Source: gem5, util/o3-pipeview.py and src/cpu/o3/commit.cc.
    """
    lines = []
    for passage in sorted(passages(run), key=lambda p: (p.stamps[0], p.number)):
        fetch, rename, issue, complete, retire = (
            (cycle + 1) * TICKS_PER_CYCLE for cycle in passage.stamps
        )
        what = f"0x{passage.address:08x}:0:{passage.number + 1}:{passage.text}"
        lines += [
            f"O3PipeView:fetch:{fetch}:{what}",
            f"O3PipeView:decode:{fetch}",
            f"O3PipeView:rename:{rename}",
            f"O3PipeView:dispatch:{rename}",
            f"O3PipeView:issue:{issue}",
            f"O3PipeView:complete:{complete}",
            f"O3PipeView:retire:{retire}:store:0",
        ]
    return "".join(f"{line}\n" for line in lines)
