"""What else a stream of lines can be passed through: prefetchers, TLBs, DRAM, and time itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import TypeAdapter

from reports.memory_rows import DramRow, PrefetchRow, TimedLevelRow, TimedRow, TlbRow
from sim.cpu.spec import CachedCpuSpec
from sim.errors import SpecError, did_you_mean
from sim.memory.cache.plain import is_plain, memory_requests
from sim.memory.cache.prefetch_spec import AnyPrefetcher
from sim.memory.cache.run import AddressTrace, run_addresses
from sim.memory.cache.spec import CacheLevelSpec, HierarchySpec
from sim.memory.dram.requests import DramResult
from sim.memory.dram.run import run_channels
from sim.memory.port import MemoryPort, channel_of, controller_of
from sim.memory.timed.dram import DramMemory
from sim.memory.timed.run import run_timed
from sim.memory.timed.spec import CoreSpec, TimedHierarchySpec, TimedLevelSpec
from sim.memory.tlb.chip import load_mmu, mapped
from sim.memory.tlb.run import translate, translation_cycles
from sim.memory.tlb.spec import MappingSpec

if TYPE_CHECKING:
    from sim.spec import MachineSpec

MOST_REQUESTS = 1 << 22
"""Requests of main memory that are replayed command by command: seconds, not minutes."""

WRITE_BUFFER_LINES = 8
MSHR_TARGETS = 8
"""Of a timed level, where a machine's description says nothing of it."""


def with_prefetchers(
    levels: Sequence[CacheLevelSpec], asked: Mapping[str, str]
) -> tuple[CacheLevelSpec, ...]:
    """Give levels a prefetcher of a kind each; SpecError names what there is."""
    names = [level.name for level in levels]
    asked = {name.lower(): kind for name, kind in asked.items()}
    for name in asked:
        if name not in names:
            raise SpecError(f"no cache is named '{name}'{did_you_mean(name, names)}")
    return tuple(
        level.model_copy(update={"prefetcher": _prefetcher(asked[level.name])})
        if level.name in asked
        else level
        for level in levels
    )


def _prefetcher(kind: str) -> AnyPrefetcher:
    kinds = ("next-line", "stride", "stream")
    if kind not in kinds:
        raise SpecError(f"no prefetcher is named '{kind}'{did_you_mean(kind, kinds)}")
    adapter: TypeAdapter[AnyPrefetcher] = TypeAdapter(AnyPrefetcher)
    return adapter.validate_python({"kind": kind})


def prefetch_rows(levels: Sequence[CacheLevelSpec], trace: AddressTrace) -> tuple[PrefetchRow, ...]:
    """Count what prefetchers fetched, and how much of it was used."""
    ran = run_addresses(HierarchySpec(levels=tuple(levels)), trace)
    bare = tuple(level.model_copy(update={"prefetcher": None}) for level in levels)
    without = run_addresses(HierarchySpec(levels=bare), trace)
    return tuple(
        PrefetchRow(
            level=level.name,
            kind=level.prefetcher.kind,
            prefetches=counts.prefetches,
            useful=counts.useful,
            accuracy=float(counts.accuracy),
            coverage=float(counts.coverage),
            misses=counts.misses,
            misses_without=before.misses,
        )
        for level, counts, before in zip(
            levels, ran.counts.levels, without.counts.levels, strict=True
        )
        if level.prefetcher is not None
    )


def dram_row(
    levels: Sequence[CacheLevelSpec], trace: AddressTrace, spec: MachineSpec
) -> DramRow | None:
    """Pass what the caches ask of main memory through the machine's DRAM, as fast as it takes it.

    None where the machine's description names no DRAM, where the caches are not of the plain kind
    whose write-backs are known in order, or where nothing reaches memory.
    """
    hierarchy = HierarchySpec(levels=tuple(levels))
    dram = spec.memory.dram
    if dram is None or not is_plain(hierarchy):
        return None
    addresses, writes = memory_requests(hierarchy, trace.addresses, trace.kinds, trace.sizes)
    asked = len(addresses)
    if not asked:
        return None
    device = channel_of(dram)
    pieces = np.arange(0, hierarchy.levels[-1].line_bytes, device.transfer_bytes)
    kept = slice(max(1, MOST_REQUESTS // len(pieces)))
    ran = run_channels(
        device,
        (addresses[kept, None] + pieces).ravel(),
        np.repeat(writes[kept], len(pieces)),
        channels=dram.channels,
        mapping=dram.mapping,
        spec=controller_of(dram),
    )
    return _dram_row(ran, lines=asked, replayed=len(addresses[kept]))


def _dram_row(ran: Sequence[DramResult], *, lines: int, replayed: int) -> DramRow:
    busy = [result for result in ran if result.ticks]
    seconds = max(result.seconds for result in busy)
    moved = sum(len(result.accepted) * result.transfer_bytes for result in busy)
    peak = sum(result.peak_bytes_per_second for result in ran)
    tick = busy[0].tick_femtoseconds * 1e-15
    latencies = np.concatenate([result.read_latencies for result in busy])
    return DramRow(
        lines=lines,
        replayed_lines=replayed,
        channels=len(ran),
        bytes_per_second=moved / seconds,
        peak_share=moved / seconds / peak,
        row_hits=sum(result.row_hits for result in busy),
        row_misses=sum(result.row_misses for result in busy),
        row_conflicts=sum(result.row_conflicts for result in busy),
        mean_read_latency_seconds=float(latencies.mean()) * tick if len(latencies) else 0.0,
        p99_read_latency_seconds=(
            float(np.percentile(latencies, 99)) * tick if len(latencies) else 0.0
        ),
    )


def tlb_row(chip: str, page_bytes: int, trace: AddressTrace, spec: CachedCpuSpec) -> TlbRow:
    """Translate a stream by a chip's TLBs, its walks going through the machine's caches."""
    translation = mapped(load_mmu(chip), MappingSpec(page_bytes=page_bytes))
    run = translate(trace, translation, with_physical=True)
    assert run.physical is not None  # noqa: S101 - asked for
    found = run_addresses(spec.hierarchy, run.physical, where_found=True).found
    hits = np.cumsum([level.hit_cycles for level in spec.hierarchy.levels]).tolist()
    latencies = [*hits, hits[-1] + MemoryPort(spec.memory, spec.clock_hz).latency_cycles]
    return TlbRow(
        chip=chip,
        page_bytes=page_bytes,
        translations=run.counts.translations,
        walks=run.counts.walks,
        walk_loads=run.counts.walk_loads,
        saved_loads=run.counts.saved_loads,
        cycles=translation_cycles(translation, run, found, latencies),
    )


def timed_row(
    spec: CachedCpuSpec,
    levels: Sequence[CacheLevelSpec],
    trace: AddressTrace,
    *,
    mshrs: int,
    outstanding: int,
) -> TimedRow:
    """Pass a stream through a CPU's caches in time, in front of its DRAM or of a flat memory."""
    port = MemoryPort(spec.memory, spec.clock_hz)
    dram = spec.memory.dram
    timed = TimedHierarchySpec(
        caches=HierarchySpec(levels=tuple(levels), memory_cycles=port.latency_cycles),
        timing={
            name: TimedLevelSpec(
                mshrs=mshrs,
                mshr_targets=MSHR_TARGETS,
                fill_bytes_per_cycle=cache.bytes_per_cycle,
                write_buffer=WRITE_BUFFER_LINES,
            )
            for name, cache in spec.caches.items()
        },
        memory_bytes_per_cycle=max(1, port.streamed_bytes_per_second // spec.clock_hz),
        core=CoreSpec(outstanding_loads=outstanding, store_buffer=WRITE_BUFFER_LINES),
    )
    path = spec.memory.path_ticks or 0
    ran = run_timed(
        timed,
        trace,
        clock_hz=spec.clock_hz,
        memory=None if dram is None else lambda env: DramMemory(env, dram, path_ticks=path),
    )
    return TimedRow(
        accesses=len(trace),
        cycles=ran.cycles,
        mean_latency_cycles=float(ran.average_latency_cycles),
        behind="flat memory" if dram is None else f"{dram.timing}, {dram.channels} channel(s)",
        busy_cycles=ran.stack.busy,
        stalls={str(cause): cycles for cause, cycles in ran.stack.stalls.items() if cycles},
        levels=tuple(
            TimedLevelRow(
                level=level.name,
                merged_misses=level.merged_misses,
                mean_mshrs=float(level.mean_mshrs),
                most_mshrs=level.most_mshrs,
                mshr_full_cycles=level.mshr_full_cycles,
                timely_prefetches=level.timely_prefetches,
                late_prefetches=level.late_prefetches,
            )
            for level in ran.levels
        ),
    )
