"""The compiled twin of `engine.SuperscalarCore`: the same cycle of every stage, on flat arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from sim.cpu.cores.compiled_parts import (
    ADDRESS,
    ADDRESSES,
    FRONT,
    HIT,
    IN_ORDER,
    LATE_FETCH,
    LEVELS,
    LOAD_PORTS,
    LOADS,
    MISSES,
    QUEUE,
    REDIRECT,
    REORDER,
    SQUASH,
    STORE_PORTS,
    STORES,
    WIDTH,
    core_numbers,
    data_at,
    least,
    ready,
)
from sim.cpu.cores.engine import Timing
from sim.cpu.cores.memory import NEVER
from sim.cpu.cores.spec import CoreSpec
from sim.cpu.cores.stream import Stream
from sim.stalls import CycleStack, StallCause

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

CONTROL_UNIT, LOAD, STORE = 6, 7, 8
"""As Unit."""
RIGHT, LATE, WRONG = 0, 1, 2
"""As Guess."""
CAUSES = (
    StallCause.DATA_DEPENDENCY,
    StallCause.STRUCTURAL,
    StallCause.CONTROL,
    StallCause.CACHE,
    StallCause.DRAM,
    StallCause.FILL_DRAIN,
    StallCause.SYNCHRONISATION,
)
DATA, STRUCTURAL, CONTROL, CACHE, DRAM, FILLING, SYNCHRONISED, BUSY = range(8)


def run_compiled(spec: CoreSpec, stream: Stream) -> Timing:
    """Time a stream on a core; as SuperscalarCore.run."""
    units = spec.units
    own = (
        units.alu,
        units.multiply,
        units.divide,
        units.float_add,
        units.float_multiply,
        units.float_divide,
        units.branch,
    )
    numbers = core_numbers(spec)
    times = np.full((5, len(stream)), NEVER, dtype=np.int64)
    cycles = np.zeros(BUSY + 1, dtype=np.int64)
    _clock(
        numbers,
        np.array([[u.count, u.latency_cycles, u.pipelined] for u in own], dtype=np.int64),
        np.cumsum([level.hit_cycles for level in spec.memory.levels], dtype=np.int64),
        stream.unit,
        stream.alone,
        stream.producers,
        stream.guess,
        stream.groups,
        stream.fetch_stall,
        stream.fill,
        stream.fill_level,
        times,
        cycles,
    )
    return Timing(
        fetched=times[0],
        renamed=times[1],
        issued=times[2],
        done=times[3],
        retired=times[4],
        stack=CycleStack(
            busy=int(cycles[BUSY]),
            stalls=dict(zip(CAUSES, cycles[:BUSY].tolist(), strict=True)),
        ),
    )


@njit(cache=True)
def _clock(  # noqa: C901, PLR0912, PLR0915, PLR0917 - one loop, for speed
    numbers: Ints,
    pool: Ints,
    upto: Ints,
    unit: Ints,
    alone: Flags,
    producers: Ints,
    guess: Ints,
    groups: Ints,
    fetch_stall: Ints,
    fill: Ints,
    fill_level: Ints,
    times: Ints,
    cycles: Ints,
) -> None:
    """Clock the core until everything has retired; fills `times` and `cycles` by cause."""
    fetched, renamed, issued, done, retired = times[0], times[1], times[2], times[3], times[4]
    count, width, in_order = len(unit), int(numbers[WIDTH]), numbers[IN_ORDER] == 1
    arrives = np.full(len(fill_level), NEVER, dtype=np.int64)
    busy_until = np.zeros(numbers[MISSES], dtype=np.int64)
    memory_free = np.zeros(1, dtype=np.int64)
    unit_free = np.zeros((len(pool), 16), dtype=np.int64)
    ports = np.zeros(STORE + 1, dtype=np.int64)
    queue = np.zeros(numbers[QUEUE], dtype=np.int64)
    left = np.full(count, NEVER, dtype=np.int64)
    retired_stores = np.zeros(count + 1, dtype=np.int64)
    drained, freed, stored = 0, 0, 0  # of the retired stores: sent, gone, all
    queued, loads, stores = 0, 0, 0
    next_fetch, next_rename, next_retire, group = 0, 0, 0, 0
    fetch_at, rename_at, now = 0, 0, 0
    while next_retire < count:
        # Retire.
        gone = 0
        while gone < width and next_retire < next_rename and done[next_retire] <= now:
            retired[next_retire] = now
            if unit[next_retire] == LOAD:
                loads -= 1
            elif unit[next_retire] == STORE:
                retired_stores[stored] = next_retire
                stored += 1
            next_retire += 1
            gone += 1
        if gone:
            cycles[BUSY] += 1
        elif next_retire == next_rename:
            before = max(next_retire - 1, 0)
            if guess[before] != RIGHT:
                cycles[CONTROL] += 1
            elif alone[next_retire] or alone[before]:
                cycles[SYNCHRONISED] += 1
            else:
                cycles[CACHE if fetch_stall[next_retire] else FILLING] += 1
        elif done[next_retire] == NEVER:
            waited = not ready(producers, done, next_retire, now)
            cycles[DATA if waited else STRUCTURAL] += 1
        else:
            usual = issued[next_retire] + numbers[ADDRESS] + numbers[HIT]
            if unit[next_retire] == LOAD and done[next_retire] > usual:
                slow = fill_level[fill[next_retire]] == numbers[LEVELS]
                cycles[DRAM if slow else CACHE] += 1
            else:
                cycles[DATA] += 1
        # Drain the store buffer.
        while freed < drained and left[retired_stores[freed]] <= now:
            freed += 1
            stores -= 1
        if drained < stored:
            store = retired_stores[drained]
            if arrives[fill[store]] < NEVER or busy_until[least(busy_until)] <= now:
                left[store] = data_at(
                    fill[store],
                    now,
                    numbers,
                    upto,
                    fill_level,
                    arrives,
                    busy_until,
                    memory_free,
                )
                drained += 1
        # Issue, oldest first.
        for number in range(len(pool)):
            ports[number] = pool[number, 0]
        ports[LOAD], ports[STORE] = numbers[LOAD_PORTS], numbers[STORE_PORTS]
        addresses, room, kept, place = int(numbers[ADDRESSES]), int(width), 0, 0
        while place < queued:
            number = queue[place]
            own = unit[number]
            touches = own >= LOAD
            finish = NEVER
            free = ports[own] > 0 and (addresses > 0 or not touches)
            if free and ready(producers, done, number, now):
                if own == STORE:
                    finish = now + numbers[ADDRESS]
                elif own == LOAD:
                    reached = now + numbers[ADDRESS]
                    store = producers[number, producers.shape[1] - 1]
                    if store >= 0 and left[store] > now:
                        finish = reached + numbers[HIT]
                    elif arrives[fill[number]] < NEVER or busy_until[least(busy_until)] <= now:
                        finish = data_at(
                            fill[number],
                            reached,
                            numbers,
                            upto,
                            fill_level,
                            arrives,
                            busy_until,
                            memory_free,
                        )
                else:
                    best = least(unit_free[own, : pool[own, 0]])
                    if unit_free[own, best] <= now:
                        held = 1 if pool[own, 2] else pool[own, 1]
                        unit_free[own, best] = now + held
                        finish = now + pool[own, 1]
            place += 1
            if finish == NEVER:
                queue[kept] = number
                kept += 1
                if in_order:
                    break
                continue
            issued[number], done[number] = now, finish
            room -= 1
            ports[own] -= 1
            if touches:
                addresses -= 1
            if guess[number] == WRONG:
                squash = finish + numbers[REDIRECT]
                fetch_at = squash + 1
                if numbers[SQUASH]:
                    since = renamed[number] + 1
                    space = numbers[REORDER] - (number + 1 - next_retire)
                    wrong = min(max(squash - since, 0) * width, space)
                    rename_at = squash + -(-wrong // numbers[SQUASH]) + 1
            if not room or (in_order and own == CONTROL_UNIT):
                break
        while place < queued:
            queue[kept] = queue[place]
            kept += 1
            place += 1
        queued = kept
        # Rename.
        room = width if now >= rename_at else 0
        while room and next_rename < next_fetch:
            number = next_rename
            held = number - next_retire
            if fetched[number] + numbers[FRONT] > now:
                break
            if alone[number] and (held or stores):
                break
            if held and alone[number - 1]:
                break
            if held >= numbers[REORDER] or queued >= numbers[QUEUE]:
                break
            if unit[number] == LOAD:
                if loads >= numbers[LOADS]:
                    break
                loads += 1
            elif unit[number] == STORE:
                if stores >= numbers[STORES]:
                    break
                stores += 1
            renamed[number] = now
            queue[queued] = number
            queued += 1
            next_rename += 1
            room -= 1
        # Fetch.
        if now >= fetch_at and group < len(groups) - 1:
            first, end = groups[group], groups[group + 1]
            if next_fetch - next_rename <= width * numbers[FRONT]:
                stall = fetch_stall[first]
                for number in range(first, end):
                    fetched[number] = now + stall
                next_fetch = end
                group += 1
                fetch_at = now + stall + 1
                if guess[end - 1] == WRONG:
                    fetch_at = NEVER
                elif guess[end - 1] == LATE:
                    fetch_at += numbers[LATE_FETCH]
        now += 1
