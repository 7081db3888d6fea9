"""Where pages lie: segments of equal pages, and their frames."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.errors import SpecError
from sim.jit import njit
from sim.memory.tlb.spec import TranslationSpec

Ints = npt.NDArray[np.int64]

LCG_FACTOR = 6364136223846793005
"""Knuth, The Art of Computer Programming, volume 2, 3.3.4: MMIX's linear congruential generator."""
ROUNDS = 3


FIRST_BYTE, HEIGHT, FIRST_RANK, END_RANK, RANKS = range(5)
"""Columns of the table of segments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Addresses with pages of one size, end to end."""

    first_byte: int
    end_byte: int
    height: int
    """Of the entries that lead to its pages."""
    shift: int
    """log2 of a page's bytes."""
    first_rank: int
    """Pages of this size before it."""

    @property
    def end_rank(self) -> int:
        """Pages of this size before its end."""
        return self.first_rank + (self.end_byte - self.first_byte >> self.shift)


@njit(cache=True)
def scattered(rank: int, count: int, seed: int) -> int:
    """Return the place of a rank in a permutation of `count` ranks.

    A step of a generator, and then the high half of the bits onto the low one, permute a power of
    two of ranks; steps are taken until the result is one of the count.
    """
    bits = 1
    while 1 << bits < count:
        bits += 1
    mask, half = (1 << bits) - 1, (bits + 1) // 2
    while True:
        for _ in range(ROUNDS):
            rank = (rank * LCG_FACTOR + seed) & mask
            rank ^= rank >> half
        if rank < count:
            return rank


class Frames:
    """The mapping from addresses to physical addresses.

    Models: identity, or pages of each size permuted among all frames that hold pages of that size.
    Ignores: memory that is not mapped, shared pages, changes of the mapping.
    Source: Silberschatz, Galvin and Gagne, Operating System Concepts, 10th edition, chapter 9.
    """

    def __init__(self, spec: TranslationSpec, data_end: int) -> None:
        """Cover addresses below `data_end` and all regions; SpecError if they need more bits."""
        if data_end > 1 << spec.address_bits:
            raise SpecError(
                f"address {data_end - 1} needs more than the {spec.address_bits} bits that are "
                "translated"
            )
        self.seed = spec.mapping.scatter_seed
        self.segments = _segments(spec, data_end)
        self.end_byte = self.segments[-1].end_byte
        """Tables begin here."""
        self.counts = {part.height: part.end_rank for part in self.segments}
        self._starts = [segment.first_byte for segment in self.segments]

    def segment(self, address: int) -> Segment:
        """Return the segment in which an address lies."""
        return self.segments[bisect_right(self._starts, address) - 1]

    def physical(self, address: int) -> int:
        """Return the physical address."""
        if self.seed is None:
            return address
        here = self.segment(address)
        page, offset = divmod(address - here.first_byte, 1 << here.shift)
        place = int(scattered(here.first_rank + page, self.counts[here.height], self.seed))
        there = next(
            part
            for part in self.segments
            if part.height == here.height and part.first_rank <= place < part.end_rank
        )
        return there.first_byte + (place - there.first_rank << here.shift) + offset

    def as_table(self) -> Ints:
        """Return a row of (first byte, height, first rank, end rank, ranks in all) a segment."""
        rows = [
            (part.first_byte, part.height, part.first_rank, part.end_rank, self.counts[part.height])
            for part in self.segments
        ]
        return np.array(rows, dtype=np.int64)


def _segments(spec: TranslationSpec, data_end: int) -> list[Segment]:
    """Cut the addresses at the regions' ends; default pages fill the rest."""
    mapping, parts, at = spec.mapping, list[tuple[int, int, int]](), 0
    for region in sorted(mapping.regions, key=lambda region: region.first_byte):
        parts.append((at, region.first_byte, mapping.page_bytes))
        at = region.first_byte + region.size_bytes
        parts.append((region.first_byte, at, region.page_bytes))
    end = -(-max(data_end, at, 1) // mapping.page_bytes) * mapping.page_bytes
    parts.append((at, end, mapping.page_bytes))
    segments, ranks = list[Segment](), dict.fromkeys(spec.heights, 0)
    for first, last, page_bytes in parts:
        if first < last:
            height = spec.height(page_bytes)
            segment = Segment(
                first_byte=first,
                end_byte=last,
                height=height,
                shift=spec.shift(height),
                first_rank=ranks[height],
            )
            ranks[height] = segment.end_rank
            segments.append(segment)
    return segments


@njit(cache=True, inline="always")
def segment_row(segments: Ints, address: int) -> int:
    """Return the row of the segment in which an address lies."""
    low, high = 0, len(segments)
    while high - low > 1:
        middle = (low + high) // 2
        if segments[middle, FIRST_BYTE] <= address:
            low = middle
        else:
            high = middle
    return low


@njit(cache=True)
def page_frame(segments: Ints, shifts: Ints, address: int, seed: int) -> int:
    """Return the physical address of the first byte of an address's page."""
    here = segments[segment_row(segments, address)]
    shift = shifts[here[HEIGHT]]
    page = (address - here[FIRST_BYTE]) >> shift
    place = scattered(here[FIRST_RANK] + page, here[RANKS], seed)
    for there in segments:
        if there[HEIGHT] == here[HEIGHT] and there[FIRST_RANK] <= place < there[END_RANK]:
            return int(there[FIRST_BYTE] + ((place - there[FIRST_RANK]) << shift))
    return -1
