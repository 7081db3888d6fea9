"""Export to the Kanata log format, version 4, which the Konata viewer draws.

Source: github.com/shioyadan/Konata, docs/kanata-log-format.md.
"""

from __future__ import annotations

from sim.cpu.pipelines.result import PipelineRun

RETIRED, FLUSHED = 0, 1


def kanata(run: PipelineRun) -> str:
    """Return the log of a run: every fetched instruction, its stages, and whether it retired."""
    events: list[tuple[int, int, str]] = []
    retired = 0
    for flight in run.flights:
        if not flight.stamps:
            continue
        number, begin, end = flight.number, flight.stamps[0][1], flight.stamps[-1][2] + 1
        address = f"{flight.instruction.address:08x}"
        events.append((begin, number, f"I\t{number}\t{number}\t0"))
        events.append((begin, number, f"L\t{number}\t0\t{address}: {flight.instruction}"))
        events += [(first, number, f"S\t{number}\t0\t{stage}") for stage, first, _ in flight.stamps]
        events.append((end, number, f"E\t{number}\t0\t{flight.stamps[-1][0]}"))
        way = RETIRED if flight.retired else FLUSHED
        events.append((end, number, f"R\t{number}\t{retired}\t{way}"))
        retired += flight.retired
    lines, now = ["Kanata\t0004", "C=\t0"], 0
    for cycle, _, text in sorted(events, key=lambda event: event[:2]):
        if cycle > now:
            lines.append(f"C\t{cycle - now}")
            now = cycle
        lines.append(text)
    return "\n".join(lines) + "\n"
