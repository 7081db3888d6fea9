"""What `tokenclock memory` prints of DRAM, prefetchers, TLBs and time: sentences."""

from __future__ import annotations

from collections.abc import Iterator

from reports.memory_rows import DramRow, MemoryAnswer, PrefetchRow, TimedRow, TlbRow
from reports.quantities import binary_bytes, percent, si


def part_lines(answer: MemoryAnswer) -> Iterator[str]:
    """Yield a line or more for each part that was asked for."""
    if answer.dram is not None:
        yield from _dram(answer.dram)
    else:
        yield (
            "DRAM: not replayed, since the machine's description names none, its last cache is "
            "no plain set-associative one, or nothing reached it"
        )
    for row in answer.prefetchers:
        yield _prefetcher(row)
    if answer.tlb is not None:
        yield _tlb(answer.tlb)
    if answer.timed is not None:
        yield from _timed(answer.timed)


def _dram(row: DramRow) -> Iterator[str]:
    of = "" if row.replayed_lines == row.lines else f" (the first {row.replayed_lines:,} lines)"
    asked = row.row_hits + row.row_misses + row.row_conflicts
    yield (
        f"DRAM, {row.channels} channel(s), as fast as it takes them{of}: "
        f"{si(row.bytes_per_second, 'B/s')}, {percent(row.peak_share)} of the peak"
    )
    yield (
        f"  rows: {percent(row.row_hits / asked)} hits, {percent(row.row_misses / asked)} misses, "
        f"{percent(row.row_conflicts / asked)} conflicts; reads wait "
        f"{si(row.mean_read_latency_seconds, 's')} on average, 99 % at most "
        f"{si(row.p99_read_latency_seconds, 's')}"
    )


def _prefetcher(row: PrefetchRow) -> str:
    return (
        f"{row.level} with a {row.kind} prefetcher: {row.prefetches:,} lines fetched unasked, "
        f"accuracy {percent(row.accuracy)}, coverage {percent(row.coverage)}; "
        f"{row.misses:,} misses instead of {row.misses_without:,}"
    )


def _tlb(row: TlbRow) -> str:
    return (
        f"TLBs of {row.chip}, {binary_bytes(row.page_bytes)} pages: {row.walks:,} walks of "
        f"{row.translations:,} translations, {row.walk_loads:,} entries loaded; "
        f"{row.cycles:,} cycles of translation"
    )


def _timed(row: TimedRow) -> Iterator[str]:
    yield (
        f"In time, the first {row.accesses:,} accesses in front of {row.behind}: "
        f"{row.cycles:,} cycles, {row.mean_latency_cycles:.3g} an access on average"
    )
    causes = {"busy": row.busy_cycles} | row.stalls
    shares = ", ".join(f"{name} {percent(cycles / row.cycles)}" for name, cycles in causes.items())
    yield f"  {shares}"
    for level in row.levels:
        late = level.timely_prefetches + level.late_prefetches
        prefetched = f"; {level.late_prefetches:,} of {late:,} prefetches late" if late else ""
        yield (
            f"  {level.level}: {level.mean_mshrs:.3g} misses under way on average, "
            f"{level.most_mshrs} at most, {level.merged_misses:,} merged{prefetched}"
        )
