"""What a stream of addresses does to a machine's caches: hits, why misses missed, and traffic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from reports.memory_parts import dram_row, prefetch_rows, timed_row, tlb_row, with_prefetchers
from reports.memory_rows import (
    ALL,
    Curve,
    LevelRow,
    MemoryAnswer,
    PhaseRate,
    RoleRow,
    TimedRow,
)
from sim.cpu.spec import CachedCpuSpec
from sim.errors import SpecError, TokenclockError
from sim.gpu.spec import GpuSpec
from sim.memory.cache.run import AddressTrace, run_addresses
from sim.memory.cache.spec import CacheLevelSpec, HierarchySpec
from sim.memory.cache.stack_distance import FIRST_TOUCH, stack_distances
from sim.memory.layout import ROLES, Piece
from sim.memory.port import MemoryPort
from sim.result import RunResult
from sim.spec import MachineSpec

Ints = npt.NDArray[np.int64]

MOST_LINES = 1 << 25
"""Accesses that are analysed at once: the distances of all of them are kept."""


def levels_of(spec: MachineSpec) -> tuple[CacheLevelSpec, ...]:
    """Return a machine's caches from the inside out; SpecError where it has none."""
    if isinstance(spec, CachedCpuSpec):
        return spec.hierarchy.levels
    if isinstance(spec, GpuSpec):
        return (spec.l2_level,)
    raise SpecError(
        f"{spec.name} has a scratchpad that its programs fill, and no cache; take a CPU or a GPU, "
        "or `tokenclock systolic` for a TPU's blocks"
    )


def rates_of(result: RunResult) -> tuple[PhaseRate, ...]:
    """Return the bandwidth that each phase of a machine's run reached."""
    peak = result.peak_memory_bytes_per_second
    return tuple(
        PhaseRate(
            phase=str(row.phase),
            dram_bytes=row.dram_bytes,
            seconds=row.seconds,
            bytes_per_second=row.dram_bytes / row.seconds,
            peak_share=row.dram_bytes / row.seconds / peak,
        )
        for row in result.phases
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What to pass the stream through besides the caches; CPUs only."""

    prefetchers: Mapping[str, str] = field(default_factory=dict)
    """Kind by level's name."""
    tlb: str | None = None
    """A chip's translation hardware."""
    page_bytes: int = 4096
    timed: int | None = None
    """Accesses to pass through in time, from the first."""
    mshrs: int = 8
    outstanding: int = 1


def analyse(
    pieces: Iterable[Piece],
    spec: MachineSpec,
    *,
    workload: str,
    result: RunResult | None = None,
    extras: Extras | None = None,
) -> MemoryAnswer:
    """Pass a stream through a machine's caches, one core's view, cold at first.

    Raises SpecError where the machine has none, TokenclockError where the stream is too long.
    """
    extras = extras or Extras()
    levels = levels_of(spec)
    fetching = with_prefetchers(levels, extras.prefetchers)
    stream = _gathered(pieces, workload)
    trace = AddressTrace.of(stream.lines * levels[0].line_bytes, kinds=stream.writes)
    distances = stack_distances(stream.lines)
    found, backs = _served(stream, levels, distances)
    line_bytes = levels[0].line_bytes
    written = backs[-1] * levels[-1].line_bytes
    from_memory = found == len(levels)
    read = int(np.count_nonzero(from_memory)) * line_bytes
    rate = MemoryPort(spec.memory, spec.clock_hz).streamed_bytes_per_second
    return MemoryAnswer(
        workload=workload,
        machine=spec.name,
        line_bytes=line_bytes,
        accesses=len(stream.lines),
        levels=_level_rows(stream, levels, found, distances, backs),
        roles=_role_rows(stream.roles, from_memory, distances, line_bytes),
        memory_read_bytes=read,
        memory_written_bytes=written,
        memory_bytes_per_second=rate,
        least_seconds=(read + written) / rate,
        rates=rates_of(result) if result else (),
        curves=_curves(stream.roles, distances, line_bytes, max(level.lines for level in levels)),
        dram=dram_row(levels, trace, spec),
        prefetchers=prefetch_rows(fetching, trace) if extras.prefetchers else (),
        tlb=tlb_row(extras.tlb, extras.page_bytes, trace, _cpu(spec)) if extras.tlb else None,
        timed=_timed(trace, fetching, _cpu(spec), extras) if extras.timed else None,
    )


def _cpu(spec: MachineSpec) -> CachedCpuSpec:
    if not isinstance(spec, CachedCpuSpec):
        raise SpecError(f"{spec.name}: TLBs and timed caches are those of CPUs; take a CPU")
    return spec


def _timed(
    trace: AddressTrace, levels: Sequence[CacheLevelSpec], spec: CachedCpuSpec, extras: Extras
) -> TimedRow:
    first = slice(extras.timed)
    begun = AddressTrace(
        addresses=trace.addresses[first], kinds=trace.kinds[first], sizes=trace.sizes[first]
    )
    return timed_row(spec, levels, begun, mshrs=extras.mshrs, outstanding=extras.outstanding)


@dataclass(frozen=True, slots=True)
class _Stream:
    """All accesses, column by column."""

    lines: Ints
    writes: npt.NDArray[np.bool_]
    roles: npt.NDArray[np.int8]


def _gathered(pieces: Iterable[Piece], workload: str) -> _Stream:
    """Join the pieces; TokenclockError where there are none, or too many to keep."""
    parts: list[Piece] = []
    accesses = 0
    for piece in pieces:
        accesses += len(piece)
        if accesses > MOST_LINES:
            raise TokenclockError(
                f"more than {MOST_LINES:,} lines are touched: take one step and one layer "
                "(--step 1 --layer 0), or a smaller model"
            )
        parts.append(piece)
    if not accesses:
        raise TokenclockError(f"{workload}: holds no accesses")
    return _Stream(
        np.concatenate([part.lines for part in parts]),
        np.concatenate([part.writes for part in parts]),
        np.concatenate([part.roles for part in parts]),
    )


def _served(
    stream: _Stream, levels: Sequence[CacheLevelSpec], distances: Ints
) -> tuple[npt.NDArray[np.int8], list[int]]:
    """Return the level that had each access, and the lines that each level wrote back."""
    if len(levels) == 1 and levels[0].sets == 1:
        (level,) = levels
        hit = (distances != FIRST_TOUCH) & (distances < level.lines)
        backs = _dirty_evictions(stream.lines, stream.writes, distances, level.lines)
        return (~hit).astype(np.int8), [backs]
    addresses = AddressTrace.of(stream.lines * levels[0].line_bytes, kinds=stream.writes)
    ran = run_addresses(HierarchySpec(levels=tuple(levels)), addresses, where_found=True)
    return ran.found, [level.write_backs for level in ran.counts.levels]


def _level_rows(
    stream: _Stream,
    levels: Sequence[CacheLevelSpec],
    found: npt.NDArray[np.int8],
    distances: Ints,
    backs: Sequence[int],
) -> tuple[LevelRow, ...]:
    rows = []
    for number, level in enumerate(levels):
        reaches = found >= number
        own = distances if number == 0 else stack_distances(stream.lines[reaches])
        rows.append(_level_row(level, own, found[reaches] > number, backs[number]))
    return tuple(rows)


def _level_row(
    level: CacheLevelSpec, distances: Ints, missed: npt.NDArray[np.bool_], write_backs: int
) -> LevelRow:
    """Sort a level's misses as Hill and Smith do, by the distances in its own stream."""
    causes = distances[missed]
    cold = int(np.count_nonzero(causes == FIRST_TOUCH))
    capacity = int(np.count_nonzero(causes >= level.lines))
    hits = len(missed) - len(causes)
    return LevelRow(
        level=level.name,
        capacity_bytes=level.capacity_bytes,
        accesses=len(missed),
        hits=hits,
        hit_rate=hits / len(missed) if len(missed) else 0.0,
        cold=cold,
        capacity=capacity,
        conflict=len(causes) - cold - capacity,
        fetched_bytes=len(causes) * level.line_bytes,
        written_back_bytes=write_backs * level.line_bytes,
    )


def _dirty_evictions(
    lines: Ints, writes: npt.NDArray[np.bool_], distances: Ints, cache_lines: int
) -> int:
    """Count the times that a fully associative LRU cache lost a line that was written.

    A line's stay begins with each miss; a stay that a later miss of the line ends was evicted.
    """
    missed = (distances == FIRST_TOUCH) | (distances >= cache_lines)
    order = np.argsort(lines, kind="stable")
    starts = missed[order]
    stay = np.cumsum(starts) - 1
    dirty = np.bincount(stay, weights=writes[order]) > 0
    of_line = lines[order][starts]
    ended = np.append(of_line[1:] == of_line[:-1], np.False_)
    last_use = np.zeros(len(dirty), dtype=np.int64)
    np.maximum.at(last_use, stay, order)
    later = _distinct_after(lines, last_use[~ended & dirty], cache_lines)
    return int(np.count_nonzero(dirty & ended)) + later


def _distinct_after(lines: Ints, last_uses: Ints, cache_lines: int) -> int:
    """Count last uses after which the whole cache was filled with other lines."""
    _, backwards = np.unique(lines[::-1], return_index=True)
    ends = np.sort(len(lines) - 1 - backwards)  # last use of each line, in order
    younger = len(ends) - np.searchsorted(ends, last_uses, side="right")
    return int(np.count_nonzero(younger >= cache_lines))


def _role_rows(
    roles: npt.NDArray[np.int8],
    from_memory: npt.NDArray[np.bool_],
    distances: Ints,
    line_bytes: int,
) -> tuple[RoleRow, ...]:
    rows = []
    for name, chosen in _groups(roles):
        mine = from_memory[chosen]
        count, misses = len(mine), int(np.count_nonzero(mine))
        rows.append(
            RoleRow(
                role=name,
                accesses=count,
                distinct_bytes=int(np.count_nonzero(distances[chosen] == FIRST_TOUCH)) * line_bytes,
                from_memory_bytes=misses * line_bytes,
                from_memory_share=misses / count,
            )
        )
    return tuple(rows)


def _groups(roles: npt.NDArray[np.int8]) -> list[tuple[str, Any]]:
    """Return all accesses together, then those of each role where roles are known."""
    known = [(str(role), roles == number) for number, role in enumerate(ROLES)]
    return [(ALL, slice(None)), *((name, mask) for name, mask in known if mask.any())]


def _curves(
    roles: npt.NDArray[np.int8], distances: Ints, line_bytes: int, largest_lines: int
) -> tuple[Curve, ...]:
    """Return the miss ratio over size, from one line to room for all, in half powers of two."""
    distinct = int(np.count_nonzero(distances == FIRST_TOUCH))
    top = max(distinct, largest_lines).bit_length()
    sizes = sorted({(2 + half) << power >> 1 for power in range(top + 1) for half in (0, 1)})
    return tuple(
        Curve(
            role=name,
            sizes_bytes=tuple(size * line_bytes for size in sizes),
            ratios=_ratios(distances[chosen], sizes),
        )
        for name, chosen in _groups(roles)
    )


def _ratios(distances: Ints, sizes_lines: Sequence[int]) -> tuple[float, ...]:
    """Share of some accesses whose distance a fully associative LRU cache does not hold."""
    reused = np.sort(distances[distances != FIRST_TOUCH])
    hits = np.searchsorted(reused, np.array(sizes_lines), side="left")
    return tuple(float(ratio) for ratio in 1 - hits / len(distances))
