"""The compiled twin of `predictor.BranchUnit`: the same guesses, over the whole stream at once.

Directions do not depend on targets, nor targets on directions; each is one loop.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sim.cpu.cores.spec import BranchSpec
from sim.jit import njit

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
RIGHT, LATE, WRONG = 0, 1, 2
"""As Guess."""
BRANCH, JUMP, INDIRECT = 0, 1, 2
"""Kinds of control flow."""


def guesses(  # noqa: PLR0917 - columns of a trace
    spec: BranchSpec,
    threads: int,
    address: Ints,
    kind: Ints,
    target: Ints,
    back: Ints,
    taken: Flags,
    links: Flags,
    returns: Flags,
    thread: Ints,
) -> Ints:
    """Return a Guess for each control flow instruction, in order; as BranchUnit."""
    if spec.scheme == "perfect":
        return np.zeros(len(address), dtype=np.int64)
    branches = kind == BRANCH
    columns = (address, branches, taken, thread, threads)
    if spec.scheme == "gshare":
        guessed = _gshare(*columns, spec.table_bits, spec.history_bits)
    elif spec.scheme == "tournament":
        guessed = _tournament(*columns, spec.table_bits, spec.local_bits)
    elif spec.scheme == "tage":
        lengths = np.array(spec.history_lengths, dtype=np.int64)
        tags = np.array(spec.tag_bits, dtype=np.int64)
        guessed = _tage(*columns, spec.table_bits, spec.tagged_bits, lengths, tags)
    else:
        guessed = np.zeros(len(address), dtype=np.bool_)
    known = _known_targets(
        address,
        kind,
        target,
        back,
        taken,
        links,
        returns,
        thread,
        threads,
        spec.targets // spec.target_ways,
        spec.target_ways,
        spec.return_stack,
    )
    missed = np.where(kind == INDIRECT, WRONG, LATE)
    result = np.where(known, RIGHT, missed).astype(np.int64)
    result[branches & (guessed != taken)] = WRONG
    return result


@njit(cache=True, inline="always")
def _moved(counter: int, up: bool, most: int) -> int:
    return min(counter + 1, most) if up else max(counter - 1, 0)


@njit(cache=True)
def _gshare(  # noqa: PLR0917 - columns of a trace, then the sizes of the tables
    address: Ints,
    branches: Flags,
    taken: Flags,
    thread: Ints,
    threads: int,
    table_bits: int,
    history_bits: int,
) -> Flags:
    mask, history_mask = (1 << table_bits) - 1, (1 << history_bits) - 1
    counters = np.ones(mask + 1, dtype=np.int64)
    guessed = np.zeros(len(address), dtype=np.bool_)
    histories = np.zeros(threads, dtype=np.int64)
    for i in range(len(address)):
        history = histories[thread[i]]
        if branches[i]:
            place = (address[i] >> 1 ^ history) & mask
            guessed[i] = counters[place] >= 2
            counters[place] = _moved(counters[place], taken[i], 3)
        history = history << 1 | (taken[i] or not branches[i])
        histories[thread[i]] = history & history_mask
    return guessed


@njit(cache=True)
def _tournament(  # noqa: PLR0917 - columns of a trace, then the sizes of the tables
    address: Ints,
    branches: Flags,
    taken: Flags,
    thread: Ints,
    threads: int,
    table_bits: int,
    local_bits: int,
) -> Flags:
    mask, local_mask = (1 << table_bits) - 1, (1 << local_bits) - 1
    overall, choice = np.zeros(mask + 1, dtype=np.int64), np.zeros(mask + 1, dtype=np.int64)
    patterns, local = np.zeros(local_mask + 1, np.int64), np.zeros(local_mask + 1, np.int64)
    guessed = np.zeros(len(address), dtype=np.bool_)
    histories = np.zeros(threads, dtype=np.int64)
    for i in range(len(address)):
        history = histories[thread[i]]
        if branches[i]:
            place = address[i] >> 1 & local_mask
            pattern = patterns[place]
            by_global, by_local = overall[history] >= 2, local[pattern] >= 2
            guessed[i] = by_global if choice[history] >= 2 else by_local
            if by_global != by_local:
                choice[history] = _moved(choice[history], by_global == taken[i], 3)
            overall[history] = _moved(overall[history], taken[i], 3)
            local[pattern] = _moved(local[pattern], taken[i], 3)
            patterns[place] = (pattern << 1 | taken[i]) & local_mask
        histories[thread[i]] = (history << 1 | (taken[i] or not branches[i])) & mask
    return guessed


@njit(cache=True, inline="always")
def _refolded(folded: int, bits: int, newest: int, oldest: int, length: int) -> int:
    """Return a folded history after one outcome: turned by a bit, one taken in, one let go.

    The newest outcome is the lowest bit; an outcome of age a stands at bit a modulo `bits`.
    """
    if bits == 0:
        return 0
    turned = (folded << 1 | folded >> (bits - 1)) & ((1 << bits) - 1)
    return turned ^ newest ^ (oldest << length % bits)


@njit(cache=True)
def _tage(  # noqa: C901, PLR0917 - one predictor, compiled
    address: Ints,
    branches: Flags,
    taken: Flags,
    thread: Ints,
    threads: int,
    table_bits: int,
    bits: int,
    lengths: Ints,
    tag_bits: Ints,
) -> Flags:
    tables, mask = len(lengths), (1 << bits) - 1
    base = np.ones(1 << table_bits, dtype=np.int64)
    tags = np.full((tables, mask + 1), -1, dtype=np.int64)
    counters = np.zeros((tables, mask + 1), dtype=np.int64)
    useful = np.zeros((tables, mask + 1), dtype=np.int64)
    guessed = np.zeros(len(address), dtype=np.bool_)
    longest = lengths[tables - 1]
    past = np.zeros((threads, longest), dtype=np.int64)  # a ring of each thread's last outcomes
    passed = np.zeros(threads, dtype=np.int64)
    folded = np.zeros((threads, tables, 3), dtype=np.int64)  # for the place, and twice for the tag
    number, tag = np.zeros(tables, dtype=np.int64), np.zeros(tables, dtype=np.int64)
    doubt = 0
    for i in range(len(address)):
        own_folded = folded[thread[i]]
        if not branches[i]:
            _shift(past, passed, thread[i], own_folded, 1, bits, lengths, tag_bits)
            continue
        here, place = address[i] >> 1, address[i] >> 1 & (1 << table_bits) - 1
        provider, other = -1, base[place] >= 2
        own = other
        for t in range(tables):
            number[t] = (here ^ address[i] >> 1 + bits ^ own_folded[t, 0]) & mask
            tag[t] = here ^ own_folded[t, 1] ^ own_folded[t, 2] << 1
            tag[t] &= (1 << tag_bits[t]) - 1
            if tags[t, number[t]] == tag[t]:
                other = own
                provider, own = t, counters[t, number[t]] >= 4
        guess = own
        if provider >= 0:
            at = number[provider]
            weak = counters[provider, at] in {3, 4}
            if weak and doubt >= 0:
                guess = other
            if own != other:
                useful[provider, at] = _moved(useful[provider, at], own == taken[i], 3)
                if weak:
                    doubt = min(max(doubt + (1 if other == taken[i] else -1), -8), 7)
            counters[provider, at] = _moved(counters[provider, at], taken[i], 7)
        else:
            base[place] = _moved(base[place], taken[i], 3)
        guessed[i] = guess
        if guess != taken[i]:
            for t in range(provider + 1, tables):
                at = number[t]
                if tags[t, at] < 0 or useful[t, at] == 0:
                    tags[t, at], counters[t, at] = tag[t], 4 if taken[i] else 3
                    useful[t, at] = 0
                    break
                useful[t, at] -= 1
        _shift(past, passed, thread[i], own_folded, int(taken[i]), bits, lengths, tag_bits)
    return guessed


@njit(cache=True, inline="always")
def _shift(  # noqa: PLR0917 - a thread's histories and their sizes
    past: Ints,
    passed: Ints,
    thread: int,
    folded: Ints,
    newest: int,
    bits: int,
    lengths: Ints,
    tag_bits: Ints,
) -> None:
    """Take one outcome into all of a thread's folded histories."""
    longest, now = past.shape[1], passed[thread]
    for t in range(len(lengths)):
        length, wide = lengths[t], tag_bits[t]
        oldest = past[thread, (now - length) % longest]
        folded[t, 0] = _refolded(folded[t, 0], bits, newest, oldest, length)
        folded[t, 1] = _refolded(folded[t, 1], wide, newest, oldest, length)
        folded[t, 2] = _refolded(folded[t, 2], wide - 1, newest, oldest, length)
    past[thread, now % longest] = newest
    passed[thread] = now + 1


@njit(cache=True)
def _known_targets(  # noqa: C901, PLR0917 - columns of a trace, then the sizes of the buffers
    address: Ints,
    kind: Ints,
    target: Ints,
    back: Ints,
    taken: Flags,
    links: Flags,
    returns: Flags,
    thread: Ints,
    threads: int,
    sets: int,
    ways: int,
    depth: int,
) -> Flags:
    """Whether the target buffer, or for returns the stack, had each target."""
    known = np.ones(len(address), dtype=np.bool_)
    tags, targets = np.full((sets, ways), -1, np.int64), np.zeros((sets, ways), np.int64)
    used = np.full((sets, ways), -1, dtype=np.int64)
    owner = np.full((sets, ways), -1, dtype=np.int64)
    stacks = np.zeros((threads, depth + 1), dtype=np.int64)
    depths = np.zeros(threads, dtype=np.int64)
    for i in range(len(address)):
        if kind[i] == BRANCH and not taken[i]:
            continue
        own, row = thread[i], (address[i] >> 1) % sets
        stack, held = stacks[own], depths[own]
        way = -1
        for w in range(ways):
            if tags[row, w] == address[i] and owner[row, w] == own:
                way = w
        known[i] = way >= 0 and targets[row, way] == target[i]
        if way < 0:
            way = 0
            for w in range(1, ways):
                if used[row, w] < used[row, way]:
                    way = w
        tags[row, way], targets[row, way], used[row, way] = address[i], target[i], i
        owner[row, way] = own
        if kind[i] == INDIRECT and returns[i] and held:
            held -= 1
            known[i] = stack[held] == target[i]
        if kind[i] != BRANCH and links[i]:
            stack[held] = back[i]
            held += 1
            if held > depth:
                for place in range(depth):
                    stack[place] = stack[place + 1]
                held = depth
        depths[own] = held
    return known
