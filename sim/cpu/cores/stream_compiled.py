"""Loops over the whole retired stream, compiled: links to producers, fetch groups."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sim.jit import njit

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
REGISTERS = 64


@njit(cache=True)
def producers(  # noqa: PLR0917 - columns of a trace
    indices: Ints,
    dest: Ints,
    sources: Ints,
    loads: Flags,
    stores: Flags,
    word: Ints,
    words: int,
) -> Ints:
    """Return the last writer of each source register, and of a load's word, -1 for none."""
    places = sources.shape[1]
    found = np.full((len(indices), places + 1), -1, dtype=np.int64)
    writer = np.full(REGISTERS, -1, dtype=np.int64)
    storer = np.full(words, -1, dtype=np.int64)
    for i in range(len(indices)):
        number = indices[i]
        for place in range(places):
            source = sources[number, place]
            if source >= 0:
                found[i, place] = writer[source]
        if loads[i]:
            found[i, places] = storer[word[i]]
        if stores[i]:
            storer[word[i]] = i
        if dest[number] >= 0:
            writer[dest[number]] = i
    return found


@njit(cache=True)
def fetch_groups(  # noqa: PLR0917 - columns of a trace, then what bounds a group
    first: Ints, size: Ints, taken: Flags, wrong: Flags, width: int, line_bytes: int
) -> Ints:
    """Return where fetch groups begin: at most `width`, one line, nothing after a taken branch."""
    starts = np.zeros(len(first) + 1, dtype=np.int64)
    groups, count = 0, 0
    line = np.int64(-1)
    for i in range(len(first)):
        here, last = first[i] // line_bytes, (first[i] + max(size[i], 1) - 1) // line_bytes
        broken = i > 0 and (taken[i - 1] or wrong[i - 1])
        if i == 0 or count == width or broken or here != line or last != line:
            starts[groups] = i
            groups += 1
            count = 0
            line = last
        count += 1
    starts[groups] = len(first)
    return starts[: groups + 1].copy()
