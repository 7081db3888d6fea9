"""Which lines a core's loads ask for ahead of time, settled in program order."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from sim.cpu.cores.spec import LoadPrefetcherSpec

Ints = npt.NDArray[np.int64]
SATURATED = 3
"""Of a two-bit confidence."""
ROOM = 1 << 10
"""Of the list of what is asked for, at first."""


class Asked(NamedTuple):
    """What loads ask for, in their order, and which of them follow a stream."""

    load: Ints
    """Of each thing asked for, the load's number."""
    address: Ints
    """In the line asked for."""
    level: Ints
    """0 for the first level, 1 for the second."""
    run: Ints
    """The stream that the second level is asked for, -1 for the first level."""
    run_of: Ints
    """Of each load, the stream that it follows in the second level, -1 for none."""


def lines_ahead(spec: LoadPrefetcherSpec, line_bytes: int, place: Ints, address: Ints) -> Asked:
    """Return which loads ask for which lines.

    `place` is the address of each load's instruction.

    Models: a direct-mapped table, tagged by the load; a stride that has followed a saturated
    two-bit confidence, so from the sixth access of a load on; whole lines, or strides where they
    are longer; pages; lines of the second level beyond those of the first, each once, and anew
    where a load leaves the window that was asked for.
    Ignores: address translation; loads of a wrong path; the order in which loads execute.
    Source: Chen and Baer, Effective Hardware-Based Data Prefetching for High-Performance
    Processors, IEEE Transactions on Computers 44(5), 1995; Arm, Cortex-A72 MPCore Processor
    Technical Reference Manual, r0p3, sections 6.4.9 and 4.3.67 (lines ahead in the second level).
    """
    page_bytes = spec.page_bytes or 0
    second = spec.second_level_lines
    rows, run_of = _lines_ahead(
        spec.entries, spec.lines, second, page_bytes, line_bytes, place, address
    )
    return Asked(*rows, run_of=run_of)


@njit(cache=True)
def _lines_ahead(  # noqa: PLR0917 - sizes, then the columns of a trace
    entries: int,
    lines: int,
    second: int,
    page_bytes: int,
    line_bytes: int,
    place: Ints,
    address: Ints,
) -> tuple[Ints, Ints]:
    tag, last = np.full(entries, -1, dtype=np.int64), np.zeros(entries, dtype=np.int64)
    strides, confidence = np.zeros(entries, dtype=np.int64), np.zeros(entries, dtype=np.int64)
    run, furthest = np.full(entries, -1, dtype=np.int64), np.zeros(entries, dtype=np.int64)
    run_of = np.full(len(place), -1, dtype=np.int64)
    rows = np.empty((4, ROOM + lines + second), dtype=np.int64)
    count, runs = 0, 0
    for i in range(len(place)):
        entry, here = (place[i] >> 1) % entries, address[i]
        stride = here - last[entry]
        last[entry] = here
        if tag[entry] != place[i]:
            tag[entry], strides[entry], confidence[entry], run[entry] = place[i], 0, 0, -1
            continue
        if stride != strides[entry] or stride == 0:
            confidence[entry] = max(confidence[entry] - 1, 0)
            if confidence[entry] == 0:
                strides[entry], run[entry] = stride, -1
            continue
        if confidence[entry] < SATURATED:
            confidence[entry] += 1
            continue
        step = max(abs(stride), line_bytes)
        way = 1 if stride > 0 else -1
        if second:
            asked = way * (furthest[entry] - here)
            if run[entry] < 0 or not 0 <= asked < (lines + second + 1) * step:
                run[entry], furthest[entry] = runs, here + way * lines * step
                runs += 1
            run_of[i] = run[entry]
        if count + lines + second > rows.shape[1]:
            rows = np.concatenate((rows, np.empty_like(rows)), axis=1)
        for ahead in range(1, lines + second + 1):
            there = here + way * ahead * step
            if there < 0 or (page_bytes and there // page_bytes != here // page_bytes):
                break
            level = int(ahead > lines)
            if level:
                if way * (there // line_bytes - furthest[entry] // line_bytes) <= 0:
                    continue
                furthest[entry] = there
            rows[0, count], rows[1, count], rows[2, count] = i, there, level
            rows[3, count] = run[entry] if level else -1
            count += 1
    return rows[:, :count].copy(), run_of
