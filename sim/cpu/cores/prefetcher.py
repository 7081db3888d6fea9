"""Which lines a core's loads ask for ahead of time, settled in program order."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sim.cpu.cores.spec import LoadPrefetcherSpec
from sim.jit import njit

Ints = npt.NDArray[np.int64]
SATURATED = 3
"""Of a two-bit confidence."""


def lines_ahead(
    spec: LoadPrefetcherSpec, line_bytes: int, place: Ints, address: Ints
) -> tuple[Ints, Ints]:
    """Return which loads ask for a line, by number, and for an address in which line.

    `place` is the address of each load's instruction.

    Models: a direct-mapped table, tagged by the load; a stride that has followed a saturated
    two-bit confidence, so from the sixth access of a load on; whole lines, or strides where they
    are longer; pages.
    Ignores: address translation; loads of a wrong path; the order in which loads execute.
    Source: Chen and Baer, Effective Hardware-Based Data Prefetching for High-Performance
    Processors, IEEE Transactions on Computers 44(5), 1995.
    """
    page_bytes = spec.page_bytes or 0
    return _lines_ahead(spec.entries, spec.lines, page_bytes, line_bytes, place, address)


@njit(cache=True)
def _lines_ahead(  # noqa: PLR0917 - sizes, then the columns of a trace
    entries: int, lines: int, page_bytes: int, line_bytes: int, place: Ints, address: Ints
) -> tuple[Ints, Ints]:
    tag, last = np.full(entries, -1, dtype=np.int64), np.zeros(entries, dtype=np.int64)
    strides, confidence = np.zeros(entries, dtype=np.int64), np.zeros(entries, dtype=np.int64)
    asks = np.empty(len(place) * lines, dtype=np.int64)
    wanted = np.empty(len(place) * lines, dtype=np.int64)
    count = 0
    for i in range(len(place)):
        entry, here = (place[i] >> 1) % entries, address[i]
        stride = here - last[entry]
        if tag[entry] != place[i]:
            tag[entry], strides[entry], confidence[entry] = place[i], 0, 0
        elif stride == strides[entry] and stride != 0:
            if confidence[entry] == SATURATED:
                step = max(abs(stride), line_bytes) * (1 if stride > 0 else -1)
                for ahead in range(1, lines + 1):
                    there = here + ahead * step
                    if there >= 0 and (not page_bytes or there // page_bytes == here // page_bytes):
                        asks[count], wanted[count] = i, there
                        count += 1
            confidence[entry] = min(confidence[entry] + 1, SATURATED)
        else:
            confidence[entry] = max(confidence[entry] - 1, 0)
            if confidence[entry] == 0:
                strides[entry] = stride
        last[entry] = here
    return asks[:count].copy(), wanted[:count].copy()
