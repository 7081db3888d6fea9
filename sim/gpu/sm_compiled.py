"""The compiled twin of `sm.StreamingMultiprocessor`: the same times, as a recurrence over chunks.

For chunk i of thread block b, with a ring of `buffers` and `resident` blocks at a time:

    load_start[i] = max(load_leave[i-1], store_leave[b - resident] if i is b's first)
    load_done[i]  = load_start[i] + load
    load_leave[i] = max(load_done[i], math_leave[i - (buffers - 1)])
    math_start[i] = max(load_leave[i], math_leave[i-1], load_done[i] + latency)
    math_done[i]  = math_start[i] + math
    math_leave[i] = math_done[i], but at least store_leave[b - 1] if i is b's last
    store_leave[b] = math_leave[b's last] + store
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sim.jit import njit

Cycles = npt.NDArray[np.int64]

LOAD_START, MATH_START, MATH_DONE, MATH_LEAVE = range(4)


@njit(cache=True)
def sm_times(
    rounds: Cycles, chunks: int, chunk_cycles: tuple[int, int], room: tuple[int, int]
) -> tuple[Cycles, Cycles]:
    """Return [chunks of all blocks, 4] times, and [blocks] when each block's store has left.

    `rounds` is [rounds, 3]: blocks, and their load and store cycles. `chunk_cycles` are a chunk's
    math and latency; `room` is how many buffers and resident blocks there are.
    """
    math, latency = chunk_cycles
    buffers, resident = room
    blocks = rounds[:, 0].sum()
    times = np.zeros((blocks * chunks, 4), dtype=np.int64)
    store_leave = np.zeros(blocks, dtype=np.int64)
    load_leave = 0
    math_leave = 0
    block = 0
    i = 0
    for r in range(len(rounds)):
        for _ in range(rounds[r, 0]):
            for c in range(chunks):
                start = load_leave
                if c == 0 and block >= resident:
                    start = max(start, store_leave[block - resident])
                done = start + rounds[r, 1]
                load_leave = done
                if i >= buffers - 1:
                    load_leave = max(done, times[i - buffers + 1, MATH_LEAVE])
                begin = max(load_leave, math_leave, done + latency)
                math_leave = begin + math
                times[i, LOAD_START] = start
                times[i, MATH_START] = begin
                times[i, MATH_DONE] = math_leave
                if c == chunks - 1 and block > 0:
                    math_leave = max(math_leave, store_leave[block - 1])
                times[i, MATH_LEAVE] = math_leave
                i += 1
            store_leave[block] = math_leave + rounds[r, 2]
            block += 1
    return times, store_leave
