"""The compiled twin of `pipeline.Stage`: the same times, as a recurrence over uops and stages.

For uop i at stage s, with `places[s]` in the latch before s:

    start[i,s] = max(given[i,s], leave[i-1,s])            given[i,s] = leave[i,s-1]
    done[i,s]  = start[i,s] + cycles[i,s]
    leave[i,s] = max(done[i,s], leave[i-places[s+1], s+1])     (done at the last stage)

and a fenced uop starts no earlier than leave[i-1, last].
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sim.jit import njit

Cycles = npt.NDArray[np.int64]


@njit(cache=True)
def recurrence(
    cycles: Cycles, fences: npt.NDArray[np.bool_], places: Cycles
) -> tuple[Cycles, Cycles, Cycles]:
    """Return start, done and leave, each [uops, stages], of a flow; see the module's text."""
    uops, stages = cycles.shape
    start = np.zeros((uops, stages), dtype=np.int64)
    done = np.zeros((uops, stages), dtype=np.int64)
    leave = np.zeros((uops, stages), dtype=np.int64)
    for i in range(uops):
        given = 0
        if fences[i] and i > 0:
            given = leave[i - 1, stages - 1]
        for s in range(stages):
            begin = given
            if i > 0 and leave[i - 1, s] > begin:
                begin = leave[i - 1, s]
            start[i, s] = begin
            end = begin + cycles[i, s]
            done[i, s] = end
            if s + 1 < stages:
                holder = i - places[s + 1]
                if holder >= 0 and leave[holder, s + 1] > end:
                    end = leave[holder, s + 1]
            leave[i, s] = end
            given = end
    return start, done, leave
