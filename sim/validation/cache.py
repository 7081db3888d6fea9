"""Caches against pycachesim and cachegrind: the counters of whole address traces."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from sim.errors import SpecError
from sim.memory.cache.peer_counting import cannot_count, peer_counts
from sim.memory.cache.run import AddressTrace, run_addresses
from sim.memory.cache.spec import CacheLevelSpec, HierarchySpec, Replacement
from sim.validation.suite import RowOutcome
from sim.validation.table import TableRow

LINES_TOLERANCE, RELATIVE_TOLERANCE = 70, 0.005
"""Of a compiled program against its trace: its stack and start touch lines that no trace has."""

REFERENCES_TOLERANCE = 16
"""Data references by which a compiled program may differ from the trace of its kernel."""

DEFAULT_LINE_BYTES = 64

ARRAY_GAP_BYTES = 2**15
"""Addresses that lie farther apart belong to different arrays."""

_SCALES = {"": 1, "K": 2**10, "M": 2**20}
_WORDS: Mapping[str, Mapping[str, object]] = {
    **{policy.value: {"replacement": policy} for policy in Replacement},
    "writethrough": {"write_back": False},
    "writeback": {"write_back": True},
    "noalloc": {"write_allocate": False},
    "alloc": {"write_allocate": True},
}
_COUNTER = re.compile(r"(L\d+|MEM)_(load|hit|miss|store|evict|store_after_flush)")


class CacheSuite:
    """Rows of two tables: counters of pycachesim, and misses of cachegrind.

    Models: a row of `config` by pycachesim's counting, every counter that the row gives; a row of
    `D1` and `LL` by the default counting, as misses of the trace whose name holds the
    kernel's, its arrays moved next to each other as a program's static arrays are, and stores
    missing as loads do.
    Ignores: instruction misses; a program whose references no trace holds, which cannot be
    replayed: its rows are unsupported.
    Source: pycachesim 0.3.1, https://github.com/RRZE-HPC/pycachesim; valgrind 3.19, cachegrind.
    """

    name = "cache"
    pattern = "*.csv"
    columns: tuple[str, ...] = ()
    quantity = "misses of L1 and of the last level together"
    bound = (
        f"pycachesim: every counter equal; cachegrind: within {LINES_TOLERANCE} lines or "
        f"{RELATIVE_TOLERANCE:.1%}"
    )

    def outcome(self, row: TableRow) -> RowOutcome | None:
        """Compare one row, None where it is not of either form; SpecError where unreadable."""
        if {"trace", "config"} <= row.values.keys():
            return _against_pycachesim(row)
        if {"kernel", "D1", "LL", "D_refs", "D1_misses", "LLd_misses"} <= row.values.keys():
            return _against_cachegrind(row)
        return None


def _against_pycachesim(row: TableRow) -> RowOutcome:
    label = f"{row.text('trace')} {row.text('config')}"
    trace = _trace(row.path.parent / "traces" / f"{row.text('trace')}.npz")
    expected = {
        name: row.whole(name)
        for name, value in row.values.items()
        if _COUNTER.fullmatch(name) and value.strip()
    }
    if not expected:
        raise row.error("config", "has no counter beside it")
    spec = _hierarchy(row)
    problem = cannot_count(spec) if isinstance(spec, HierarchySpec) else spec
    if isinstance(spec, str) or problem:
        return _unsupported(label, problem)
    simulated = peer_counts(spec, trace)
    off = [
        f"{name} is {value}, simulated {simulated.get(name, 'nothing')}"
        for name, value in expected.items()
        if simulated.get(name) != value
    ]
    misses = [name for name in ("L1_miss", "MEM_load") if name in expected]
    return _outcome(
        label,
        sum(expected[name] for name in misses),
        sum(simulated[name] for name in misses),
        off,
    )


def _against_cachegrind(row: TableRow) -> RowOutcome:
    kernel = row.text("kernel")
    paths = [
        path
        for path in sorted((row.path.parent / "traces").glob("*.npz"))
        if kernel in path.stem.split("_")
    ]
    label = f"{kernel} D1 {row.text('D1')} LL {row.text('LL')}"
    if len(paths) != 1:
        return _unsupported(label, f"{len(paths)} traces are of a kernel '{kernel}'")
    trace = _packed(paths[0])
    if abs(len(trace) - row.whole("D_refs")) > REFERENCES_TOLERANCE:
        why = f"the program makes {row.whole('D_refs')} references, its trace {len(trace)}"
        return _unsupported(label, why)
    levels = (_geometry(row, "D1"), _geometry(row, "LL"))
    counts = run_addresses(HierarchySpec(levels=levels), trace).counts
    expected = {"D1_misses": row.whole("D1_misses"), "LLd_misses": row.whole("LLd_misses")}
    simulated = {
        "D1_misses": counts.levels[0].misses,
        "LLd_misses": counts.levels[1].misses,
    }
    off = [
        f"{name} is {value}, simulated {simulated[name]}"
        for name, value in expected.items()
        if abs(simulated[name] - value) > max(LINES_TOLERANCE, RELATIVE_TOLERANCE * value)
    ]
    return _outcome(label, sum(expected.values()), sum(simulated.values()), off)


def _unsupported(label: str, why: str) -> RowOutcome:
    return RowOutcome(
        label=label, reference=None, simulated=None, error=None, status="unsupported", note=why
    )


def _outcome(label: str, reference: int, simulated: int, off: list[str]) -> RowOutcome:
    return RowOutcome(
        label=label,
        reference=reference,
        simulated=simulated,
        error=(simulated - reference) / max(1, reference),
        status="missed" if off else "ok",
        note="; ".join(off),
    )


@lru_cache(maxsize=2)
def _trace(path: Path) -> AddressTrace:
    return AddressTrace.read(path)


@lru_cache(maxsize=2)
def _packed(path: Path) -> AddressTrace:
    """Move a trace's arrays next to each other, each from a line's start, in order of address.

    A trace names addresses of its own; in a program, static arrays follow each other. All
    accesses become loads: cachegrind knows no dirty lines, so nothing is ever written back.
    """
    trace = _trace(path)
    touched, place = np.unique(trace.addresses, return_inverse=True)
    begins = np.flatnonzero(np.diff(touched, prepend=-2 * ARRAY_GAP_BYTES) > ARRAY_GAP_BYTES)
    ends = touched[np.append(begins[1:], len(touched)) - 1] + int(trace.sizes.max())
    lengths = -(-(ends - touched[begins]) // DEFAULT_LINE_BYTES) * DEFAULT_LINE_BYTES
    moved_by = np.cumsum(lengths) - lengths - touched[begins]
    array = np.searchsorted(begins, place, side="right") - 1
    addresses = trace.addresses + moved_by[array]
    return AddressTrace.of(addresses, sizes=trace.sizes)


def _geometry(row: TableRow, column: str) -> CacheLevelSpec:
    """Read `bytes,ways,line bytes`."""
    parts = row.text(column).split(",")
    if len(parts) != 3 or not all(part.strip().isdigit() for part in parts):
        raise row.error(column, f"is '{row.text(column)}', not 'bytes,ways,line bytes'")
    capacity, ways, line = (int(part) for part in parts)
    try:
        return CacheLevelSpec(name=column, capacity_bytes=capacity, ways=ways, line_bytes=line)
    except ValueError as error:
        raise row.error(column, f"makes no cache ({_plain(error)})") from error


def _hierarchy(row: TableRow) -> HierarchySpec | str:
    """Read a configuration's name, such as `c12_L1_16K_4w_FIFO_L2_128K_16w_line32`.

    A word that is not known here makes the row unsupported: what it says is returned.
    """
    levels: list[dict[str, object]] = []
    named: str = ""
    words = row.text("config").split("_")
    for word in words[1:] if re.fullmatch(r"c\d+", words[0]) else words:
        if re.fullmatch(r"L\d+", word):
            named = word
        elif size := re.fullmatch(r"(\d+)([KM]?)B?", word):
            capacity = int(size[1]) * _SCALES[size[2]]
            levels.append({"name": named or f"L{len(levels) + 1}", "capacity_bytes": capacity})
            named = ""
        elif not levels or not _option(levels[-1], word):
            return f"configuration {row.text('config')}: '{word}' is not known here"
    try:
        return HierarchySpec(levels=tuple(_completed(level, levels) for level in levels))
    except ValueError as error:
        raise SpecError(f"{row.path}, line {row.line}: {_plain(error)}") from error


def _option(level: dict[str, object], word: str) -> bool:
    """Add what a word says to a level; False where it is not known."""
    if ways := re.fullmatch(r"(\d+)w", word):
        level["ways"] = int(ways[1])
    elif line := re.fullmatch(r"line(\d+)", word):
        level["line_bytes"] = int(line[1])
    elif word == "full":
        level["full"] = True
    elif word.lower() in _WORDS:
        level.update(_WORDS[word.lower()])
    else:
        return False
    return True


def _completed(level: Mapping[str, object], levels: list[dict[str, object]]) -> CacheLevelSpec:
    """Give a level the line that any level states, and a full one its ways."""
    stated = {other["line_bytes"] for other in levels if "line_bytes" in other}
    line = stated.pop() if len(stated) == 1 else DEFAULT_LINE_BYTES
    fields = {"line_bytes": line, **level}
    if fields.pop("full", False):
        fields["ways"] = int(str(fields["capacity_bytes"])) // int(str(fields["line_bytes"]))
    return CacheLevelSpec.model_validate(fields)


def _plain(error: ValueError) -> str:
    return " ".join(str(error).split())
