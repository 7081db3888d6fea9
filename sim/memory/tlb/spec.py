"""What translates addresses: TLBs and walk caches as hardware, page sizes and frames as mapping."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Self

from pydantic import Field, model_validator

from sim.memory.cache.prefetch_spec import Size
from sim.memory.cache.spec import CacheLevelSpec, Replacement
from sim.spec import Strict

LEAST_PAGE_BYTES = 256
"""An access has 255 bytes at most, so that it touches no more than two pages."""
MOST_ADDRESS_BITS = 57
"""Of x86-64 with five levels and of Sv57."""


class ArraySpec(Strict):
    """Entries in sets of ways."""

    entries: int = Field(ge=1)
    ways: int = Field(ge=1)
    """As many as entries: fully associative."""
    replacement: Replacement = Replacement.LRU
    seed: int = Field(default=1, ge=1, lt=2**31 - 1)
    """Of random replacement."""

    @property
    def sets(self) -> int:
        """Sets; a whole number."""
        return self.entries // self.ways

    def as_cache(self, name: str) -> CacheLevelSpec:
        """Return the cache that holds entries as lines of one byte; ValueError if there is none."""
        return CacheLevelSpec(
            name=name,
            capacity_bytes=self.entries,
            ways=self.ways,
            line_bytes=1,
            replacement=self.replacement,
            seed=self.seed,
        )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.entries % self.ways:
            raise ValueError(f"{self.entries} entries are no whole sets of {self.ways} ways")
        self.as_cache("entries")
        return self


class TlbArraySpec(ArraySpec):
    """One array of translations, for pages of some sizes."""

    page_bytes: tuple[Size, ...] = Field(min_length=1)


class TlbLevelSpec(Strict):
    """Arrays that are searched together; each page size belongs to one of them, or to none."""

    name: str
    hit_cycles: int = Field(default=0, ge=0)
    """What a search of this level adds, whether it hits or not."""
    arrays: tuple[TlbArraySpec, ...] = Field(min_length=1)

    def reach_bytes(self, page_bytes: int) -> int:
        """Return the bytes whose translations it holds if all its pages are of one size."""
        for array in self.arrays:
            if page_bytes in array.page_bytes:
                return array.entries * page_bytes
        return 0


class WalkCacheSpec(ArraySpec):
    """A cache of the page table's upper entries."""

    span_bytes: Size
    """What one entry leads to: on x86-64, 2 MiB for a PDE, 1 GiB for a PDPTE, 512 GiB for PML4E."""


class RegionSpec(Strict):
    """A range of addresses with pages of its own."""

    first_byte: Size = Field(ge=0)
    size_bytes: Size = Field(ge=1)
    page_bytes: Size


class MappingSpec(Strict):
    """Software's part: which pages, and in which frames."""

    page_bytes: Size = 4096
    """Where no region says otherwise."""
    regions: tuple[RegionSpec, ...] = ()
    scatter_seed: int | None = Field(default=None, ge=1, lt=2**31)
    """Pages of one size lie in each other's frames, by a permutation of this seed; None leaves
    every address as it is."""


class MmuSpec(Strict):
    """Hardware's part: the form of the page table, and what is kept of it.

    Models: radix tables of any depth; TLB levels of several arrays; walk caches by what they span.
    Ignores: permissions, address-space identifiers, instruction TLBs, nested translation.
    Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3A, chapter 4; The
    RISC-V Instruction Set Manual, volume II: Privileged Architecture, Sv39 and Sv48.
    """

    address_bits: int = Field(default=48, ge=9, le=MOST_ADDRESS_BITS)
    """Of translated addresses: 39 in Sv39, 48 in x86-64 with four levels."""
    smallest_page_bytes: Size = Field(default=4096, ge=LEAST_PAGE_BYTES)
    """Also the size of a table."""
    entry_bytes: int = Field(default=8, ge=4, le=16)
    levels: tuple[TlbLevelSpec, ...] = Field(min_length=1)
    """From the core outwards."""
    walk_caches: tuple[WalkCacheSpec, ...] = ()

    @property
    def table_levels(self) -> int:
        """Loads of a walk to the smallest page."""
        return -(-(self.address_bits - self.shift(0)) // self._index_bits)

    @property
    def heights(self) -> range:
        """Levels of the table from the leaves of the smallest pages, 0, to the root."""
        return range(self.table_levels)

    @property
    def _index_bits(self) -> int:
        return (self.smallest_page_bytes // self.entry_bytes).bit_length() - 1

    @property
    def index_mask(self) -> int:
        """Entries of a table, less one."""
        return (1 << self._index_bits) - 1

    def shift(self, height: int) -> int:
        """Return log2 of the bytes that an entry of a height leads to."""
        return self.smallest_page_bytes.bit_length() - 1 + height * self._index_bits

    def height(self, page_bytes: int) -> int:
        """Return the height at which an entry leads to so many bytes; ValueError if none does."""
        sizes = [1 << self.shift(height) for height in self.heights]
        if page_bytes not in sizes:
            raise ValueError(f"{page_bytes} bytes are none of the table's sizes: {_list(sizes)}")
        return sizes.index(page_bytes)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for what in ("smallest_page_bytes", "entry_bytes"):
            if getattr(self, what) & (getattr(self, what) - 1):
                raise ValueError(f"{what} {getattr(self, what)} is no power of two")
        if self.address_bits <= self.shift(0):
            raise ValueError(f"{self.address_bits} address bits leave nothing to translate")
        _distinct("levels need names of their own", (level.name for level in self.levels))
        for level in self.levels:
            sizes = [size for array in level.arrays for size in array.page_bytes]
            _distinct(f"{level.name} holds a page size twice", map(str, sizes))
            for size in sizes:
                self.height(size)
        _distinct("two walk caches of one span", (str(c.span_bytes) for c in self.walk_caches))
        for cache in self.walk_caches:
            if self.height(cache.span_bytes) == 0:
                raise ValueError("entries that lead to the smallest pages belong into a TLB")
        return self


class TranslationSpec(MmuSpec):
    """Hardware and mapping together."""

    mapping: MappingSpec = MappingSpec()

    @model_validator(mode="after")
    def _mapped(self) -> Self:
        default = self.mapping.page_bytes
        self.height(default)
        end = 0
        for region in sorted(self.mapping.regions, key=lambda region: region.first_byte):
            self.height(region.page_bytes)
            whole = max(default, region.page_bytes)
            if region.first_byte % whole or region.size_bytes % whole:
                raise ValueError(
                    f"the region at {region.first_byte} must begin and end at pages of {whole} "
                    "bytes"
                )
            if region.first_byte < end:
                raise ValueError(f"the region at {region.first_byte} overlaps the one before")
            end = region.first_byte + region.size_bytes
        if end > 1 << self.address_bits:
            raise ValueError(f"regions end beyond addresses of {self.address_bits} bits")
        return self


def _distinct(problem: str, names: Iterable[str]) -> None:
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise ValueError(f"{problem}: {', '.join(twice)}")


def _list(sizes: list[int]) -> str:
    return ", ".join(map(str, sizes))
