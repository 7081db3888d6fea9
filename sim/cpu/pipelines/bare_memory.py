"""Lenient memory for compiled code: every address is good, pages appear where one writes.

The readable one is `sim.cpu.riscv.memory.Memory` with `lenient`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sim.cpu.riscv.memory import PAGE_BYTES, Memory
from sim.jit import njit

Ints = npt.NDArray[np.int64]

WORD_BYTES = 8
PAGE_WORDS = PAGE_BYTES // WORD_BYTES
_WORD_SHIFT, _PAGE_SHIFT = np.uint64(3), np.uint64(9)
"""From an address to its word's number, from there to its page's."""
_SCRAMBLE = np.uint64(0x9E37_79B9_7F4A_7C15)
"""2**64 over the golden ratio: Knuth, The Art of Computer Programming, volume 3, section 6.4."""
_FREE = -1
PAGES_A_WRITE = 2
"""That one store may touch."""


class Pages(NamedTuple):
    """Pages that were written to."""

    keys: Ints
    """[twice the pages or more, a power of two] number of the page at each place of a hash table
    with linear probing; -1 is free."""
    places: Ints
    """As `keys`: where its words are."""
    words: Ints
    """[pages, words of a page]"""
    used: Ints
    """[1] how many pages there are."""


def no_pages(room: int = 8) -> Pages:
    """Return an empty memory with room for so many pages, a power of two."""
    return Pages(
        keys=np.full(2 * room, _FREE, dtype=np.int64),
        places=np.zeros(2 * room, dtype=np.int64),
        words=np.zeros((room, PAGE_WORDS), dtype=np.int64),
        used=np.zeros(1, dtype=np.int64),
    )


def grown(pages: Pages) -> Pages:
    """Return the same pages with twice the room."""
    more = no_pages(2 * len(pages.words))
    for page, place in zip(pages.keys.tolist(), pages.places.tolist(), strict=True):
        if page != _FREE:
            more.words[_page_of(more, page)] = pages.words[place]
    return more


def fill(pages: Pages, address: int, content: bytes) -> Pages:
    """Put bytes into memory; return it, grown where it had to be."""
    for offset in range(0, len(content), WORD_BYTES):
        part = content[offset : offset + WORD_BYTES]
        if pages.used[0] + PAGES_A_WRITE > len(pages.words):
            pages = grown(pages)
        write(pages, address + offset, len(part), int.from_bytes(part, "little", signed=True))
    return pages


def copy_into(pages: Pages, memory: Memory) -> None:
    """Put every page into a readable memory."""
    for page, place in zip(pages.keys.tolist(), pages.places.tolist(), strict=True):
        if page != _FREE:
            memory.fill(page * PAGE_BYTES, pages.words[place].tobytes())


@njit(cache=True)
def _probe(keys: Ints, page: Any) -> Any:
    """Return where a page is in the hash table, or would be."""
    most = np.uint64(len(keys) - 1)
    at = (np.uint64(page) * _SCRAMBLE >> np.uint64(32)) & most
    while keys[at] not in (_FREE, page):
        at = (at + np.uint64(1)) & most
    return at


@njit(cache=True)
def _page_of(pages: Pages, page: int) -> int:
    """Return the place of a page's words, of a new one if it is not there."""
    at = _probe(pages.keys, page)
    if pages.keys[at] == _FREE:
        pages.keys[at], pages.places[at] = page, pages.used[0]
        pages.used[0] += 1
    return int(pages.places[at])


@njit(cache=True)
def _word(pages: Pages, number: Any) -> Any:
    page = np.int64(number >> _PAGE_SHIFT)
    at = _probe(pages.keys, page)
    if pages.keys[at] == _FREE:
        return np.int64(0)
    return pages.words[pages.places[at], number & np.uint64(PAGE_WORDS - 1)]


@njit(cache=True)
def read(pages: Pages, address: int, size: int) -> int:
    """Return a number whose lowest `size` bytes are those at an address, aligned or not."""
    number, offset = np.uint64(address) >> _WORD_SHIFT, np.uint64(address & 7)
    low = np.uint64(_word(pages, number)) >> (offset << _WORD_SHIFT)
    if offset + np.uint64(size) > np.uint64(WORD_BYTES):
        rest = np.uint64(WORD_BYTES) - offset
        low |= np.uint64(_word(pages, number + np.uint64(1))) << (rest << _WORD_SHIFT)
    return np.int64(low)  # type: ignore[return-value] # as numba has it


@njit(cache=True)
def write(pages: Pages, address: int, size: int, value: int) -> None:
    """Store the lowest `size` bytes of a value; there must be room for two new pages."""
    number, offset = np.uint64(address) >> _WORD_SHIFT, np.uint64(address & 7)
    bits = ~np.uint64(0) >> np.uint64(64 - 8 * size)
    content = np.uint64(value) & bits
    shift = offset << _WORD_SHIFT
    _merge(pages, number, bits << shift, content << shift)
    if offset + np.uint64(size) > np.uint64(WORD_BYTES):
        shift = np.uint64(64) - shift
        _merge(pages, number + np.uint64(1), bits >> shift, content >> shift)


@njit(cache=True)
def _merge(pages: Pages, number: Any, bits: Any, content: Any) -> None:
    """Replace some bits of a word."""
    place = _page_of(pages, np.int64(number >> _PAGE_SHIFT))  # type: ignore[arg-type] # as above
    within = number & np.uint64(PAGE_WORDS - 1)
    old = np.uint64(pages.words[place, within])
    pages.words[place, within] = np.int64((old & ~bits) | content)
