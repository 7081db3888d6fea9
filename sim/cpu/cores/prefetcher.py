"""Which lines a core's loads ask for ahead of time, settled in program order."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sim.cpu.cores.spec import LoadPrefetcherSpec
from sim.jit import njit

Ints = npt.NDArray[np.int64]
SATURATED = 3
"""Of a two-bit confidence."""
TAG, LAST, STRIDE, CONFIDENCE, RUN, FURTHEST = range(6)
"""Columns of the table: the last two are of its stream in the second level."""
COLUMNS = 6
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
    return Asked(rows[0], rows[1], rows[2], rows[3], run_of)


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
    table = np.zeros((entries, COLUMNS), dtype=np.int64)
    table[:, TAG], table[:, RUN] = -1, -1
    run_of = np.full(len(place), -1, dtype=np.int64)
    rows = np.empty((4, ROOM + lines + second), dtype=np.int64)
    count, runs = 0, 0
    for i in range(len(place)):
        row, here = table[(place[i] >> 1) % entries], address[i]
        if not _follows(row, place[i], here):
            continue
        step = max(abs(row[STRIDE]), line_bytes)
        way = 1 if row[STRIDE] > 0 else -1
        if second:
            if row[RUN] < 0 or not 0 <= way * (row[FURTHEST] - here) <= (lines + second) * step:
                row[RUN], row[FURTHEST] = runs, here + way * lines * step
                runs += 1
            run_of[i] = row[RUN]
        if count + lines + second > rows.shape[1]:
            rows = np.concatenate((rows, np.empty_like(rows)), axis=1)
        for ahead in range(1, lines + second + 1):
            there = here + way * ahead * step
            if there < 0 or (page_bytes and there // page_bytes != here // page_bytes):
                break
            if ahead > lines:
                if way * (there // line_bytes - row[FURTHEST] // line_bytes) <= 0:
                    continue
                row[FURTHEST] = there
            rows[0, count], rows[1, count], rows[2, count] = i, there, ahead > lines
            rows[3, count] = row[RUN] if ahead > lines else -1
            count += 1
    return rows[:, :count].copy(), run_of


@njit(cache=True, inline="always")
def _follows(row: Ints, place: int, here: int) -> bool:
    """Whether a load has a stride that can be followed; learns from it."""
    stride = here - row[LAST]
    row[LAST] = here
    if row[TAG] != place:
        row[TAG], row[STRIDE], row[CONFIDENCE], row[RUN] = place, 0, 0, -1
        return False
    if stride == row[STRIDE] and stride != 0:
        sure = row[CONFIDENCE] == SATURATED
        row[CONFIDENCE] = min(row[CONFIDENCE] + 1, SATURATED)
        return bool(sure)
    row[CONFIDENCE] = max(row[CONFIDENCE] - 1, 0)
    if row[CONFIDENCE] == 0:
        row[STRIDE], row[RUN] = stride, -1
    return False
