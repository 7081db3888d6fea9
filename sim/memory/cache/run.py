"""Address traces through caches: the one call, readable or compiled."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from sim.errors import SpecError
from sim.memory.cache.compiled import counts_of, empty_frames, layout, walk
from sim.memory.cache.counts import HierarchyCounts
from sim.memory.cache.hierarchy import CacheHierarchy
from sim.memory.cache.plain import count_plain, is_plain
from sim.memory.cache.spec import HierarchySpec

MAX_ADDRESS = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressTrace:
    """Accesses in order, column by column."""

    addresses: npt.NDArray[np.int64]
    """Of the first byte."""
    kinds: npt.NDArray[np.uint8]
    """0 is a load, 1 a store."""
    sizes: npt.NDArray[np.uint8]
    """In bytes, from 1."""

    def __post_init__(self) -> None:
        if not len(self.addresses) == len(self.kinds) == len(self.sizes):
            raise SpecError("a trace needs as many kinds and sizes as addresses")
        if len(self) and (self.addresses.min() < 0 or self.sizes.min() < 1 or self.kinds.max() > 1):
            raise SpecError("a trace has no negative addresses, sizes of 0 or kinds above 1")
        if len(self) and int(self.addresses.max()) + int(self.sizes.max()) > MAX_ADDRESS:
            raise SpecError("a trace has no addresses that need more than 63 bits")

    def __len__(self) -> int:
        return len(self.addresses)

    @classmethod
    def of(cls, addresses: Any, *, kinds: Any = 0, sizes: Any = 1) -> Self:
        """Build a trace from anything that numpy takes; one kind or size stands for all."""
        column = np.ascontiguousarray(addresses, dtype=np.int64)
        return cls(
            addresses=column,
            kinds=np.ascontiguousarray(np.broadcast_to(kinds, column.shape), dtype=np.uint8),
            sizes=np.ascontiguousarray(np.broadcast_to(sizes, column.shape), dtype=np.uint8),
        )

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read an npz file of `addr` or `addr_delta`, `kind` and `size`; SpecError if unusable."""
        try:
            with np.load(path) as file:
                columns = {name: file[name] for name in file.files}
        except (OSError, ValueError, BadZipFile) as error:
            raise SpecError(f"{path}: cannot be read as an address trace ({error})") from error
        if "addr_delta" in columns:
            columns["addr"] = np.cumsum(columns["addr_delta"].astype(np.int64))
        if not {"addr", "kind", "size"} <= columns.keys():
            raise SpecError(f"{path}: a trace has `addr` or `addr_delta`, `kind` and `size`")
        return cls.of(columns["addr"], kinds=columns["kind"], sizes=columns["size"])


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheRun:
    """What a trace did to a hierarchy."""

    counts: HierarchyCounts
    found: npt.NDArray[np.int8]
    """[accesses] index of the level that had each access; empty unless asked for."""


def run_addresses(
    spec: HierarchySpec,
    trace: AddressTrace,
    *,
    engine: Literal["readable", "compiled"] = "compiled",
    where_found: bool = False,
) -> CacheRun:
    """Pass a trace through empty caches; both engines count the same.

    The compiled one has a faster path for plain hierarchies (see `is_plain`).
    """
    found = np.zeros(len(trace) if where_found else 0, dtype=np.int8)
    columns = (trace.addresses, trace.kinds, trace.sizes)
    if engine == "compiled" and is_plain(spec):
        return CacheRun(counts=count_plain(spec, *columns, found), found=found)
    if engine == "compiled":
        table, state = layout(spec)
        frames = empty_frames(table)
        walk(*columns, table, state, frames, found)
        return CacheRun(counts=counts_of(table, state), found=found)
    caches = CacheHierarchy(spec)
    accesses = zip(*(column.tolist() for column in columns), strict=True)
    for i, (address, kind, size) in enumerate(accesses):
        depth = caches.access(address, write=kind == 1, size_bytes=size)
        if where_found:
            found[i] = depth
    return CacheRun(counts=caches.counts, found=found)
