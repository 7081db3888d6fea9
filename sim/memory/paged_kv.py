"""A KV cache in pages: a block table per sequence, in place of room for the longest answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.errors import CapacityError, TokenclockError, did_you_mean

Ints = npt.NDArray[np.int64]

KEYS_AND_VALUES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PagedKvSpec:
    """The pool of pages. Every page number stands for a page of keys and one of values a layer."""

    pages: int
    page_tokens: int
    """Positions in a page."""
    token_bytes: int
    """Keys, or values, of one position in one layer."""
    layers: int
    address: int = 0
    """Where the pool begins."""

    def __post_init__(self) -> None:
        for name in ("pages", "page_tokens", "token_bytes", "layers"):
            if getattr(self, name) < 1:
                raise TokenclockError(f"paged KV cache: '{name}' must be at least 1")

    @property
    def page_bytes(self) -> int:
        """One page of one layer's keys or values."""
        return self.page_tokens * self.token_bytes

    @property
    def pool_bytes(self) -> int:
        """All pages of all layers, keys and values."""
        return self.pages * self.page_bytes * self.layers * KEYS_AND_VALUES

    def page_address(self, page: int, layer: int, *, values: bool) -> int:
        """Byte address of a page: layer after layer, keys before values, pages in order."""
        plane = layer * KEYS_AND_VALUES + values
        return self.address + (plane * self.pages + page) * self.page_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragmentation:
    """How well the pages that are held are filled."""

    pages_held: int
    pages_free: int
    slots_held: int
    """Positions that the held pages have room for."""
    slots_filled: int
    """Positions written; one that sequences share counts once."""
    shared_pages: int
    """Pages that more than one sequence refers to."""
    positions: int
    """Positions of all sequences, shared ones counted for each."""

    @property
    def wasted_share(self) -> float:
        """Part of the held room that nothing is stored in; only last pages have such room."""
        return 1 - self.slots_filled / self.slots_held if self.slots_held else 0.0


@dataclass(slots=True)
class _Sequence:
    pages: list[int]
    tokens: int


class PagedKv:
    """Sequences' block tables over one pool of pages.

    Models: a page allocated when a sequence grows into it, the lowest free number first; pages
    freed with their last sequence; prefixes shared by reference count; copy on write, counted in
    bytes; internal fragmentation; the addresses that a step reads and writes, in the order of
    the block table.
    Ignores: preemption and swapping of sequences when pages run out (that is an error here), and
    the accesses to the block table itself.
    Source: Kwon et al., Efficient Memory Management for Large Language Model Serving with
    PagedAttention, SOSP 2023, sections 4.1 to 4.4.
    """

    def __init__(self, spec: PagedKvSpec) -> None:
        self.spec = spec
        self.copied_bytes = 0
        """Moved by copy on write, read and written counted once."""
        self._users = [0] * spec.pages
        self._free = list(range(spec.pages - 1, -1, -1))
        self._sequences: dict[str, _Sequence] = {}

    def open(self, name: str, tokens: int = 0) -> None:
        """Start a sequence, with a prompt of some positions; TokenclockError if it is open."""
        if name in self._sequences:
            raise TokenclockError(f"paged KV cache: sequence '{name}' is open already")
        self._sequences[name] = _Sequence([], 0)
        try:
            self.append(name, tokens)
        except TokenclockError:
            del self._sequences[name]
            raise

    def fork(self, parent: str, child: str, tokens: int | None = None) -> None:
        """Start a sequence that shares the parent's first positions, by default all of them."""
        source = self._sequence(parent)
        shared = source.tokens if tokens is None else tokens
        if not 0 <= shared <= source.tokens:
            raise TokenclockError(
                f"paged KV cache: '{parent}' has {source.tokens} positions to share, not {shared}"
            )
        if child in self._sequences:
            raise TokenclockError(f"paged KV cache: sequence '{child}' is open already")
        pages = source.pages[: -(-shared // self.spec.page_tokens)]
        for page in pages:
            self._users[page] += 1
        self._sequences[child] = _Sequence(list(pages), shared)

    def append(self, name: str, tokens: int = 1) -> None:
        """Grow a sequence; a last page that others use too is copied before it is written.

        Raises CapacityError where too few pages are free, and leaves everything as it was.
        """
        sequence = self._sequence(name)
        if tokens < 0:
            raise TokenclockError("paged KV cache: a sequence does not shrink; close it")
        copies = self._must_copy(sequence) if tokens else False
        needed = -(-(sequence.tokens + tokens) // self.spec.page_tokens) - len(sequence.pages)
        if needed + copies > len(self._free):
            raise CapacityError(self._full(name, tokens, needed + copies))
        if copies:
            self._copy_last(sequence)
        for _ in range(needed):
            sequence.pages.append(self._take())
        sequence.tokens += tokens

    def close(self, name: str) -> None:
        """End a sequence; pages that nobody else refers to become free."""
        sequence = self._sequence(name)
        del self._sequences[name]
        for page in sequence.pages:
            self._release(page)

    def block_table(self, name: str) -> tuple[int, ...]:
        """Return the page numbers of a sequence, in order of position."""
        return tuple(self._sequence(name).pages)

    def tokens(self, name: str) -> int:
        """Return the positions that a sequence holds."""
        return self._sequence(name).tokens

    def fragmentation(self) -> Fragmentation:
        """Count what is held, shared and empty now."""
        filled = [0] * self.spec.pages
        for sequence in self._sequences.values():
            for number, page in enumerate(sequence.pages):
                left = sequence.tokens - number * self.spec.page_tokens
                filled[page] = max(filled[page], min(left, self.spec.page_tokens))
        held = self.spec.pages - len(self._free)
        return Fragmentation(
            pages_held=held,
            pages_free=len(self._free),
            slots_held=held * self.spec.page_tokens,
            slots_filled=sum(filled),
            shared_pages=sum(users > 1 for users in self._users),
            positions=sum(sequence.tokens for sequence in self._sequences.values()),
        )

    def read_lines(self, name: str, layer: int, line_bytes: int) -> Ints:
        """Return the lines that attention of one layer reads: all keys, then all values."""
        sequence = self._sequence(name)
        return self._lines(sequence, 0, sequence.tokens, layer, line_bytes)

    def write_lines(self, name: str, layer: int, line_bytes: int, tokens: int = 1) -> Ints:
        """Return the lines that storing the last positions writes in one layer."""
        sequence = self._sequence(name)
        first = max(sequence.tokens - tokens, 0)
        return self._lines(sequence, first, sequence.tokens, layer, line_bytes)

    def _lines(
        self, sequence: _Sequence, first: int, last: int, layer: int, line_bytes: int
    ) -> Ints:
        if not 0 <= layer < self.spec.layers:
            raise TokenclockError(f"paged KV cache: no layer {layer} of {self.spec.layers}")
        runs = [
            np.arange(start // line_bytes, (end - 1) // line_bytes + 1)
            for values in (False, True)
            for start, end in self._runs(sequence, first, last, layer, values=values)
        ]
        return np.concatenate(runs) if runs else np.empty(0, dtype=np.int64)

    def _runs(
        self, sequence: _Sequence, first: int, last: int, layer: int, *, values: bool
    ) -> Iterator[tuple[int, int]]:
        """Byte ranges of positions from `first` to before `last`, page by page."""
        spec = self.spec
        for number in range(first // spec.page_tokens, -(-last // spec.page_tokens)):
            base = spec.page_address(sequence.pages[number], layer, values=values)
            begin = max(first - number * spec.page_tokens, 0)
            end = min(last - number * spec.page_tokens, spec.page_tokens)
            if begin < end:
                yield base + begin * spec.token_bytes, base + end * spec.token_bytes

    def _must_copy(self, sequence: _Sequence) -> bool:
        partly_filled = sequence.tokens % self.spec.page_tokens != 0
        return partly_filled and self._users[sequence.pages[-1]] > 1

    def _copy_last(self, sequence: _Sequence) -> None:
        filled = sequence.tokens % self.spec.page_tokens
        self._release(sequence.pages[-1])
        sequence.pages[-1] = self._take()
        self.copied_bytes += filled * self.spec.token_bytes * self.spec.layers * KEYS_AND_VALUES

    def _take(self) -> int:
        page = self._free.pop()
        self._users[page] = 1
        return page

    def _release(self, page: int) -> None:
        self._users[page] -= 1
        if not self._users[page]:
            self._free.append(page)
            self._free.sort(reverse=True)

    def _sequence(self, name: str) -> _Sequence:
        if name not in self._sequences:
            hint = did_you_mean(name, self._sequences)
            raise TokenclockError(f"paged KV cache: no sequence '{name}' is open{hint}")
        return self._sequences[name]

    def _full(self, name: str, tokens: int, needed: int) -> str:
        use = self.fragmentation()
        fit = len(self._free) * self.spec.page_tokens
        return (
            f"paged KV cache: '{name}' needs {needed} more pages for {tokens} positions and "
            f"{len(self._free)} of {self.spec.pages} are free: at most {fit} positions would fit "
            f"in new pages; close a sequence ({len(self._sequences)} hold {use.pages_held} pages) "
            f"or give the pool {needed - len(self._free)} pages more"
        )
