"""Export to the Trace Event Format, which Perfetto (ui.perfetto.dev) and chrome://tracing draw.

Source: Trace Event Format, Google, 2016 (complete events `X`, metadata events `M`, counters `C`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Any

from sim.cpu.logs.stamps import StampedInstruction

Event = dict[str, Any]


def chrome_trace(title: str, instructions: Iterable[StampedInstruction]) -> dict[str, Any]:
    """Return the trace; one microsecond on the viewer's axis is one cycle.

    An instruction is a slice in the first lane that is free, its stages are slices inside; a
    hardware thread is a process of its own. A counter shows instructions retired in each cycle.
    """
    events: list[Event] = []
    threads: dict[int, list[StampedInstruction]] = {}
    for each in instructions:
        threads.setdefault(each.thread, []).append(each)
    for thread, own in sorted(threads.items()):
        name = f"{title}, thread {thread}" if len(threads) > 1 else title
        events.append(_named("process_name", name, thread))
        events += _slices(own, thread)
        events += _retired(own, thread)
    return {"displayTimeUnit": "ns", "traceEvents": events}


def _slices(instructions: Sequence[StampedInstruction], thread: int) -> Iterator[Event]:
    """Yield the slices; lanes that come free are taken up again, the lowest first."""
    busy: list[tuple[int, int]] = []
    free: list[int] = []
    new = count()
    for each in sorted(instructions, key=lambda each: (each.begin, each.number)):
        while busy and busy[0][0] <= each.begin:
            heappush(free, heappop(busy)[1])
        if free:
            lane = heappop(free)
        else:
            lane = next(new)
            yield _named("thread_name", f"in flight {lane}", thread, lane)
            yield {**_named("thread_sort_index", "", thread, lane), "args": {"sort_index": lane}}
        heappush(busy, (each.end, lane))
        where = {"pid": thread, "tid": lane}
        args: Event = {"number": each.number, "retired": each.retired}
        if each.address is not None:
            args["address"] = f"{each.address:#x}"
        yield {
            "name": each.text,
            "cat": "instruction" if each.retired else "squashed",
            "ph": "X",
            "ts": each.begin,
            "dur": each.end - each.begin,
            **where,
            "args": args,
        }
        for stage, first, last in each.stamps:
            slice_ = {"name": stage, "cat": "stage", "ph": "X", "ts": first}
            yield {**slice_, "dur": last + 1 - first, **where}


def _retired(instructions: Sequence[StampedInstruction], thread: int) -> Iterator[Event]:
    """Yield the counter's changes."""
    leaving = Counter(each.end - 1 for each in instructions if each.retired)
    times = sorted({*leaving, *(cycle + 1 for cycle in leaving)})
    for cycle in times:
        number = {"retired": leaving.get(cycle, 0)}
        yield {"name": "retired", "ph": "C", "ts": cycle, "pid": thread, "args": number}


def _named(what: str, name: str, thread: int, lane: int = 0) -> Event:
    return {"name": what, "ph": "M", "pid": thread, "tid": lane, "args": {"name": name}}
