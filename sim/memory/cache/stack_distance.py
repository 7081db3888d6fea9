"""Stack distances: how many other lines were touched since a line's last use, in one pass.

An access hits in a fully associative LRU cache of C lines exactly where its distance is below C,
so that one pass gives the miss ratio of every size at once.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sim.jit import njit

Ints = npt.NDArray[np.int64]

FIRST_TOUCH = -1
"""The distance of an access that no use went before."""

_HASH_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio: Knuth, TAOCP 6.4


def stack_distances(lines: npt.ArrayLike) -> Ints:
    """Return of each access the number of distinct lines since that line's last use.

    `FIRST_TOUCH` where there was none. Line numbers may be any whole numbers from 0.

    Models: LRU stacks of unlimited depth.
    Ignores: sets; any other order of replacement.
    Source: Mattson et al., IBM Systems Journal 9(2), 1970; the tree over times of last use is
    Bennett and Kruskal, IBM Journal of Research and Development 19(4), 1975.
    """
    column = np.ascontiguousarray(lines, dtype=np.int64)
    if column.ndim != 1 or (len(column) and column.min() < 0):
        raise ValueError("stack distances need one row of line numbers from 0")
    return np.asarray(_distances(column), dtype=np.int64)


def miss_ratio_curve(lines: npt.ArrayLike) -> tuple[Ints, npt.NDArray[np.float64]]:
    """Return all cache sizes in lines, from 0 to the distinct lines, and the miss ratio of each.

    Of a fully associative LRU cache; ratios are 1 at size 0 and first touches only at the end.
    """
    distances = stack_distances(lines)
    reused = distances[distances >= 0]
    distinct = len(distances) - len(reused)
    hits = np.concatenate(([0], np.cumsum(np.bincount(reused, minlength=distinct)[:distinct])))
    ratios = 1 - hits / max(1, len(distances))
    return np.arange(distinct + 1, dtype=np.int64), ratios


@njit(cache=True)
def _slot(keys: Ints, line: int) -> int:
    """Return a line's slot of an open table, or the free one where it belongs."""
    mask = len(keys) - 1
    slot = np.int64((np.uint64(line) * _HASH_FACTOR) >> np.uint64(20)) & mask
    while keys[slot] not in (-1, line):
        slot = (slot + 1) & mask
    return int(slot)


@njit(cache=True)
def _grown(keys: Ints, times: Ints) -> tuple[Ints, Ints]:
    """Return a table of twice the slots."""
    new_keys = np.full(2 * len(keys), -1, dtype=np.int64)
    new_times = np.zeros(2 * len(keys), dtype=np.int64)
    for old in range(len(keys)):
        if keys[old] >= 0:
            slot = _slot(new_keys, keys[old])
            new_keys[slot] = keys[old]
            new_times[slot] = times[old]
    return new_keys, new_times


@njit(cache=True)
def _ones(word: np.uint64) -> np.int64:
    """Count a word's bits, in parallel within the word (Knuth, TAOCP 7.1.3)."""
    pairs = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    low = pairs & np.uint64(0x3333333333333333)
    fours = low + ((pairs >> np.uint64(2)) & np.uint64(0x3333333333333333))
    bytewise = (fours + (fours >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((bytewise * np.uint64(0x0101010101010101)) >> np.uint64(56))


@njit(cache=True)
def _add(tree: npt.NDArray[np.int32], word: int, change: int) -> None:
    node = word + 1
    while node < len(tree):
        tree[node] += change
        node += node & -node


@njit(cache=True)
def _up_to(tree: npt.NDArray[np.int32], bits: npt.NDArray[np.uint64], time: int) -> int:
    """Count the lines whose last use was at or before a time."""
    node = time // 64
    last = np.uint64(63 - time % 64)
    count = _ones(bits[node] << last)
    while node > 0:
        count += tree[node]
        node -= node & -node
    return int(count)


@njit(cache=True)
def _renumber(
    times: Ints, keys: Ints, bits: npt.NDArray[np.uint64], words: int
) -> npt.NDArray[np.uint64]:
    """Count times of last use anew from 0, in order; return the bits at them."""
    before = np.zeros(len(bits) + 1, dtype=np.int64)
    for word in range(len(bits)):
        before[word + 1] = before[word] + _ones(bits[word])
    for slot in range(len(keys)):
        if keys[slot] >= 0:
            word, bit = times[slot] // 64, times[slot] % 64
            within = _ones(bits[word] << np.uint64(63 - bit))
            times[slot] = before[word] + within - 1
    live = before[-1]
    new_bits = np.zeros(words, dtype=np.uint64)
    for time in range(live):
        new_bits[time // 64] |= np.uint64(1) << np.uint64(time % 64)
    return new_bits


@njit(cache=True)
def _tree_of(bits: npt.NDArray[np.uint64]) -> npt.NDArray[np.int32]:
    tree = np.zeros(len(bits) + 1, dtype=np.int32)
    for word in range(len(bits)):
        tree[word + 1] += _ones(bits[word])
        parent = word + 1 + ((word + 1) & -(word + 1))
        if parent < len(tree):
            tree[parent] += tree[word + 1]
    return tree


@njit(cache=True)
def _distances(lines: Ints) -> Ints:
    """Keep one bit at each line's time of last use; when times run out, number them anew."""
    distances = np.empty(len(lines), dtype=np.int64)
    keys = np.full(1024, -1, dtype=np.int64)
    times = np.zeros(1024, dtype=np.int64)
    bits = np.zeros(64, dtype=np.uint64)
    tree = np.zeros(65, dtype=np.int32)
    distinct, now = 0, 0
    for i in range(len(lines)):
        line = lines[i]
        if now == 64 * len(bits):
            words = max(len(bits), distinct // 8)
            bits = _renumber(times, keys, bits, words)
            tree = _tree_of(bits)
            now = distinct
        slot = _slot(keys, line)
        if keys[slot] < 0:
            distances[i] = FIRST_TOUCH
            keys[slot] = line
            distinct += 1
        else:
            last = times[slot]
            distances[i] = distinct - _up_to(tree, bits, last)
            bits[last // 64] &= ~(np.uint64(1) << np.uint64(last % 64))
            _add(tree, last // 64, -1)
        times[slot] = now
        bits[now // 64] |= np.uint64(1) << np.uint64(now % 64)
        _add(tree, now // 64, 1)
        now += 1
        if 2 * distinct > len(keys):
            keys, times = _grown(keys, times)
    return distances
