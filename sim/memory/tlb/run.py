"""Address traces through TLBs: the one call, readable or compiled, and the time it stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from sim.errors import SpecError
from sim.memory.cache.run import AddressTrace
from sim.memory.tlb.compiled import Pass, survey
from sim.memory.tlb.counts import TlbCounts
from sim.memory.tlb.frames import Frames
from sim.memory.tlb.physical import Ints, crossing, expand
from sim.memory.tlb.spec import TranslationSpec
from sim.memory.tlb.walker import Mmu


@dataclass(frozen=True, slots=True, kw_only=True)
class TlbRun:
    """What a trace did to TLBs.

    What they hold depends on the addresses alone; the caches only decide how long a walk takes.
    """

    counts: TlbCounts
    physical: AddressTrace | None
    """Accesses at their physical addresses, cut at pages' ends, each behind the loads of its walk;
    None unless asked for."""
    is_walk: npt.NDArray[np.bool_]
    """[physical accesses] whether each is a load of the walker; empty unless asked for."""


def translate(
    trace: AddressTrace,
    spec: TranslationSpec,
    *,
    engine: Literal["readable", "compiled"] = "compiled",
    with_physical: bool = False,
) -> TlbRun:
    """Translate a trace with empty TLBs; both engines count the same and load the same entries.

    Raises SpecError for addresses beyond the specification's.
    """
    run = _compiled if engine == "compiled" else _readable
    return run(trace, spec, with_physical=with_physical)


def translation_cycles(
    spec: TranslationSpec,
    run: TlbRun,
    found: npt.NDArray[np.int8],
    latency_cycles: Sequence[int],
) -> int:
    """Return the cycles of all translations, one after the other.

    That is each level's `hit_cycles` a search, and for each load of a walk the latency of the
    level of cache that had it: `found` is what `run_addresses` says of `run.physical`, and
    `latency_cycles` has the caches from the core outwards and main memory last. Raises SpecError
    where these do not fit together.
    """
    if run.physical is None or len(found) != len(run.physical):
        raise SpecError("the time of walks needs where each access of `physical` was found")
    loads: list[int] = np.bincount(found[run.is_walk]).tolist()
    if len(loads) > len(latency_cycles):
        raise SpecError(f"{len(latency_cycles)} latencies, but loads were found at {len(loads)}")
    levels = zip(spec.levels, run.counts.levels, strict=True)
    searching = sum(level.hit_cycles * counts.searches for level, counts in levels)
    walking = sum(count * cycles for count, cycles in zip(loads, latency_cycles, strict=False))
    return searching + walking


def _readable(trace: AddressTrace, spec: TranslationSpec, *, with_physical: bool) -> TlbRun:
    ends = (trace.addresses + trace.sizes).tolist()
    frames = Frames(spec, max(ends, default=0))
    mmu = Mmu(spec, frames)
    out = list[tuple[int, int, int, bool]]()
    columns = (trace.addresses.tolist(), trace.kinds.tolist(), ends)
    for first, kind, end in zip(*columns, strict=True):
        at = first
        while at < end:
            page_bytes = 1 << frames.segment(at).shift
            next_page = (at // page_bytes + 1) * page_bytes
            walk = mmu.translate(at)
            out += [(entry, 0, spec.entry_bytes, True) for entry in walk]
            out.append((frames.physical(at), kind, min(end, next_page) - at, False))
            at = next_page
    if not with_physical:
        return TlbRun(counts=mmu.counts, physical=None, is_walk=np.zeros(0, dtype=np.bool_))
    addresses, kinds, sizes, is_walk = zip(*out, strict=True) if out else ((), (), (), ())
    physical = AddressTrace.of(addresses, kinds=kinds, sizes=sizes)
    return TlbRun(counts=mmu.counts, physical=physical, is_walk=np.array(is_walk, dtype=np.bool_))


def _compiled(trace: AddressTrace, spec: TranslationSpec, *, with_physical: bool) -> TlbRun:
    lowest, highest, crosses = survey(trace.addresses, trace.sizes, spec.shift(0))
    frames = Frames(spec, int(highest) + 1 if len(trace) else 0)
    segments, state = frames.as_table(), Pass.of(spec)
    if crosses:
        trace = _cut(trace, crossing(trace.addresses, trace.sizes, segments, state.shifts))
    loads = np.zeros(len(trace) if with_physical else 0, dtype=np.uint8)
    state.count(trace.addresses, segments, loads)
    counts = state.counts(spec)
    if not with_physical:
        return TlbRun(counts=counts, physical=None, is_walk=np.zeros(0, dtype=np.bool_))
    tables = sum((highest >> shift) - (lowest >> shift) + 1 for shift in state.shifts[1:].tolist())
    total = len(trace) + counts.walk_loads
    addresses = np.empty(total, dtype=np.int64)
    kinds, sizes = np.zeros(total, dtype=np.uint8), np.empty(total, dtype=np.uint8)
    is_walk = np.zeros(total, dtype=np.bool_)
    expand(
        trace.addresses,
        trace.kinds,
        trace.sizes,
        loads,
        segments,
        state.shifts,
        (frames.end_byte, spec.shift(0), spec.entry_bytes, frames.seed or 0),
        _empty_hash(min(int(tables), counts.walk_loads)),
        addresses,
        kinds,
        sizes,
        is_walk,
    )
    physical = AddressTrace(addresses=addresses, kinds=kinds, sizes=sizes)
    return TlbRun(counts=counts, physical=physical, is_walk=is_walk)


def _cut(trace: AddressTrace, beyond: npt.NDArray[np.uint8]) -> AddressTrace:
    """Cut off the bytes that lie in a second page, as accesses of their own."""
    (at,) = np.nonzero(beyond)
    sizes = trace.sizes - beyond
    return AddressTrace(
        addresses=np.insert(trace.addresses, at + 1, (trace.addresses + sizes)[at]),
        kinds=np.insert(trace.kinds, at + 1, trace.kinds[at]),
        sizes=np.insert(sizes, at + 1, beyond[at]),
    )


def _empty_hash(entries: int) -> Ints:
    """Return twice the room, in a power of two of slots."""
    return np.full(1 << (2 * entries).bit_length(), -1, dtype=np.int64)
