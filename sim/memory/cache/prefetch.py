"""Prefetchers line by line: which lines a level fetches by itself after an access.

They see line numbers, since traces have no program counters, and only of demand accesses: what
the core or the level in front asks of their level.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sim.memory.cache.prefetch_spec import (
    AnyPrefetcher,
    NextLineSpec,
    PrefetcherSpec,
    StreamSpec,
    StrideSpec,
)


class Prefetcher:
    """What one level knows of its past accesses.

    Models: which lines are asked for, page by page.
    Ignores: when they come; feedback that changes degree or distance.
    Source: Vanderwiel and Lilja, Data prefetch mechanisms, ACM Computing Surveys 32(2), 2000.
    """

    def __init__(self, spec: PrefetcherSpec, line_bytes: int) -> None:
        self._degree, self._distance = spec.degree, spec.distance
        self.queue_lines = spec.queue_lines
        self._page_lines = spec.page_bytes // line_bytes

    def after(self, line: int, *, missed: bool, first_use: bool) -> list[int]:
        """Take note of an access; return the lines to fetch, none of them on another page."""
        page = line // self._page_lines
        asked = self._asked(line, page, missed=missed, first_use=first_use)
        return [number for number in asked if number // self._page_lines == page]

    def _asked(self, line: int, page: int, *, missed: bool, first_use: bool) -> Iterator[int]:
        raise NotImplementedError(f"{type(self).__name__} must ask")


class NextLine(Prefetcher):
    """Tagged next-line prefetching.

    Models: a miss, or the first use of a prefetched line, asks for the lines ahead.
    Ignores: as `Prefetcher`.
    Source: Smith, Cache memories, ACM Computing Surveys 14(3), 1982, section 2.1.
    """

    def _asked(self, line: int, page: int, *, missed: bool, first_use: bool) -> Iterator[int]:  # noqa: ARG002 - as all
        if missed or first_use:
            for step in range(self._degree):
                yield line + self._distance + step


@dataclass(slots=True)
class PageStride:
    """The last line of a page, the last stride in lines, and how often in a row it was seen."""

    page: int = -1
    line: int = 0
    stride: int = 0
    seen: int = 0


class Stride(Prefetcher):
    """Constant strides, told apart by page and not by instruction.

    Models: a table of pages, a page's place in it given by its number; one stride a page.
    Ignores: strides that are no whole lines; strides that interleave on one page.
    Source: Palacharla and Kessler, Evaluating stream buffers as a secondary cache replacement,
    ISCA 1994 (strides by address); Baer and Chen, An effective on-chip preloading scheme to
    reduce data access penalty, Supercomputing 1991 (confidence).
    """

    def __init__(self, spec: StrideSpec, line_bytes: int) -> None:
        super().__init__(spec, line_bytes)
        self._confidence = spec.confidence
        self._table = [PageStride() for _ in range(spec.entries)]

    def _asked(self, line: int, page: int, *, missed: bool, first_use: bool) -> Iterator[int]:  # noqa: ARG002 - as all
        entry = self._table[page % len(self._table)]
        if entry.page != page:
            self._table[page % len(self._table)] = PageStride(page, line)
            return
        stride = line - entry.line
        if stride == 0:
            return
        entry.seen = entry.seen + 1 if stride == entry.stride else 1
        entry.line, entry.stride = line, stride
        if entry.seen >= self._confidence:
            for step in range(self._degree):
                yield line + (self._distance + step) * stride


@dataclass(slots=True)
class OneStream:
    """A stream: its last access, its way (0 is not known), and whether it is followed.

    `end` is the last line asked for once it is followed; `misses` make it so; `used` is when.
    """

    line: int = 0
    way: int = 0
    misses: int = 0
    followed: bool = False
    end: int = 0
    used: int = 0
    """0 is never: a free place."""


class Stream(Prefetcher):
    """Streams of lines, several at once.

    A miss that belongs to no stream takes the place of the stream whose last use is longest ago;
    misses nearby, in one direction, make a stream of it. Accesses between a stream's last one
    and its end move it on.

    Models: allocation and training on misses; direction; a bounded lead.
    Ignores: as `Prefetcher`; buffers apart from the cache.
    Source: Jouppi, Improving direct-mapped cache performance, ISCA 1990; Srinath et al.,
    Feedback directed prefetching, HPCA 2007 (training and distance).
    """

    def __init__(self, spec: StreamSpec, line_bytes: int) -> None:
        super().__init__(spec, line_bytes)
        self._confidence, self._window = spec.confidence, spec.window
        self._streams = [OneStream() for _ in range(spec.entries)]
        self._clock = 0

    def _asked(self, line: int, page: int, *, missed: bool, first_use: bool) -> Iterator[int]:  # noqa: ARG002 - as all
        stream = self._following(line)
        if stream is not None and stream.line == line:
            return
        if stream is None and missed:
            stream = self._in_training(line, page)
        if stream is None:
            return
        self._clock += 1
        stream.used = self._clock
        if stream.followed:
            stream.line = line
            yield from self._extended(stream, page)

    def _extended(self, stream: OneStream, page: int) -> Iterator[int]:
        """Move a stream's end on, up to its page's end."""
        lead = (stream.end - stream.line) * stream.way
        for _ in range(lead, min(lead + self._degree, self._distance)):
            number = stream.end + stream.way
            if number // self._page_lines != page:
                return
            stream.end = number
            yield number

    def _following(self, line: int) -> OneStream | None:
        """Find the stream that an access moves on."""
        for stream in self._streams:
            ahead = (line - stream.line) * stream.way
            if stream.followed and 0 <= ahead <= (stream.end - stream.line) * stream.way:
                return stream
        return None

    def _in_training(self, line: int, page: int) -> OneStream:
        """Find the stream that a miss confirms, turns round or founds."""
        for stream in self._streams:
            apart = line - stream.line
            known = stream.used and not stream.followed
            if known and abs(apart) <= self._window and stream.line // self._page_lines == page:
                self._train(stream, line)
                return stream
        oldest = min(range(len(self._streams)), key=lambda place: self._streams[place].used)
        self._streams[oldest] = OneStream(line)
        return self._streams[oldest]

    def _train(self, stream: OneStream, line: int) -> None:
        if line == stream.line:
            return
        way = 1 if line > stream.line else -1
        stream.misses = stream.misses + 1 if way == stream.way else 1
        stream.line, stream.way, stream.end = line, way, line
        stream.followed = stream.misses >= self._confidence


def prefetcher_of(spec: AnyPrefetcher, line_bytes: int) -> Prefetcher:
    """Build the prefetcher that a level's spec asks for."""
    match spec:
        case NextLineSpec():
            return NextLine(spec, line_bytes)
        case StrideSpec():
            return Stride(spec, line_bytes)
        case StreamSpec():
            return Stream(spec, line_bytes)
