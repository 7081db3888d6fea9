"""Export to the Kanata log format, version 4, which the Konata viewer draws.

Source: github.com/shioyadan/Konata, docs/kanata-log-format.md.
"""

from __future__ import annotations

from collections.abc import Iterable

from sim.cpu.logs.stamps import StampedInstruction

RETIRED, FLUSHED = 0, 1


def kanata(instructions: Iterable[StampedInstruction]) -> str:
    """Return the log: every fetched instruction, its stages, and whether it retired."""
    events: list[tuple[int, int, str]] = []
    retired = 0
    for each in instructions:
        number, begin, end = each.number, each.begin, each.end
        events.append((begin, number, f"I\t{number}\t{number}\t{each.thread}"))
        events.append((begin, number, f"L\t{number}\t0\t{each.label}"))
        events += [(first, number, f"S\t{number}\t0\t{stage}") for stage, first, _ in each.stamps]
        events.append((end, number, f"E\t{number}\t0\t{each.stamps[-1].stage}"))
        way = RETIRED if each.retired else FLUSHED
        events.append((end, number, f"R\t{number}\t{retired}\t{way}"))
        retired += each.retired
    events.sort(key=lambda event: event[:2])
    now = events[0][0] if events else 0
    lines = ["Kanata\t0004", f"C=\t{now}"]
    for cycle, _, text in events:
        if cycle > now:
            lines.append(f"C\t{cycle - now}")
            now = cycle
        lines.append(text)
    return "\n".join(lines) + "\n"
