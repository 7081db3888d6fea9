"""Superscalar cores as data: one YAML file each, in this folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from sim.errors import SpecError, did_you_mean
from sim.memory.cache.prefetch_spec import Size
from sim.memory.cache.spec import CacheLevelSpec, HierarchySpec, Inclusion
from sim.spec import Strict, read_spec_file, validate

FOLDER = Path(__file__).parent
MAX_UNITS = 16


class UnitSpec(Strict):
    """Functional units of one class."""

    count: int = Field(ge=1, le=MAX_UNITS)
    latency_cycles: int = Field(ge=1)
    """From issue until a dependent may issue."""
    pipelined: bool = True
    """Whether a unit takes a new instruction every cycle, or is held for the latency."""


class UnitsSpec(Strict):
    """The pool of functional units."""

    alu: UnitSpec
    multiply: UnitSpec
    divide: UnitSpec
    float_add: UnitSpec
    """Comparisons, conversions and moves too."""
    float_multiply: UnitSpec
    """Fused multiply-adds too."""
    float_divide: UnitSpec
    """Square roots too."""
    branch: UnitSpec
    address: UnitSpec
    """Address generation of loads and stores; a load's data come after that and the cache's hit."""
    loads_per_cycle: int = Field(ge=1)
    stores_per_cycle: int = Field(ge=1)


class FrontEndSpec(Strict):
    """Fetch, decode and rename."""

    cycles: int = Field(ge=1)
    """From fetch until an instruction enters the issue queue; it may issue the cycle after."""
    redirect_cycles: int = Field(ge=0)
    """From a resolved misprediction until fetch starts to squash; it fetches the cycle after."""
    line_bytes: int = Field(default=64, ge=4)
    """What one fetch cannot cross."""
    compressed: bool = True
    """Whether instructions take two bytes where the C extension has a form for them."""
    squash_per_cycle: int | None = Field(default=None, ge=1)
    """Wrong-path instructions removed from the reorder buffer a cycle; None: all at once."""


class BranchSpec(Strict):
    """How the direction and target of control flow are predicted."""

    scheme: Literal["perfect", "not-taken", "gshare", "tournament", "tage"]
    table_bits: int = Field(default=12, ge=1, le=20)
    """2 to this power is the number of counters: gshare's, or of a tournament's global side, or of
    TAGE's base."""
    history_bits: int = Field(default=12, ge=0, le=63)
    """Of global history, in gshare and the tournament."""
    local_bits: int = Field(default=10, ge=1, le=16)
    """Of a tournament's local histories, and of the number of its local counters."""
    tagged_bits: int = Field(default=11, ge=1, le=16)
    """2 to this power entries in each of TAGE's tagged tables."""
    tag_bits: tuple[int, ...] = ()
    history_lengths: tuple[int, ...] = ()
    """Of TAGE's tagged tables, growing."""
    targets: int = Field(default=4096, ge=1)
    """Entries of the branch target buffer."""
    target_ways: int = Field(default=4, ge=1)
    target_miss_cycles: int = Field(default=1, ge=0)
    """Lost where decode, not the target buffer, finds that fetch goes elsewhere."""
    return_stack: int = Field(default=32, ge=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        lengths = self.history_lengths
        if (self.scheme == "tage") != bool(lengths) or len(lengths) != len(self.tag_bits):
            raise ValueError("`history_lengths` and `tag_bits` go with TAGE, one each a table")
        if list(lengths) != sorted(set(lengths)) or min((1, *lengths, *self.tag_bits)) < 1:
            raise ValueError("`history_lengths` should grow from at least 1")
        if self.targets % self.target_ways:
            raise ValueError(f"{self.targets} targets fill no whole sets of {self.target_ways}")
        return self


class LoadPrefetcherSpec(Strict):
    """A reference prediction table: strides of loads, told apart by their place in the program."""

    entries: int = Field(ge=1)
    """Loads of which the last address, stride and confidence are known; direct-mapped."""
    lines: int = Field(ge=0)
    """Lines ahead of a load that the first level is asked to fetch."""
    second_level_lines: int = Field(default=0, ge=0)
    """Lines beyond those that the second level alone is asked to fetch, each once a stream."""
    page_bytes: Size | None = Field(default=4096, ge=1)
    """What a prefetch does not leave; None: it may go anywhere."""

    @model_validator(mode="after")
    def _asks(self) -> Self:
        if not self.lines + self.second_level_lines:
            raise ValueError("a prefetcher asks for `lines` or `second_level_lines`; leave it out")
        return self


class CoreCacheSpec(CacheLevelSpec):
    """One level of a core's data caches."""

    miss_places: int = Field(ge=1)
    """Lines that the level fetches at a time (MSHRs)."""


class RowsSpec(Strict):
    """Banks of main memory that keep one row open each."""

    row_bytes: Size = Field(ge=1)
    banks: int = Field(ge=1)
    """Consecutive rows lie in consecutive banks."""
    activate_cycles: int = Field(ge=0)
    """To open a row of a bank that has none open."""
    precharge_cycles: int = Field(ge=0)
    """To close another row before."""
    refresh_every_cycles: int = Field(ge=1)
    """Then every row is closed."""
    refresh_cycles: int = Field(ge=0)
    """For which no row can be opened or read."""


class MemoryPathSpec(Strict):
    """Caches and memory as a core's loads, stores and fetches see them."""

    instruction: CacheLevelSpec
    levels: tuple[CoreCacheSpec, ...] = Field(min_length=1)
    """Of data, from the first level outwards."""
    fill_cycles: int = Field(ge=0)
    """From a line's arrival at the first level until its loads have their data."""
    memory_cycles: int = Field(ge=0)
    """From a miss of the last level until the line is back there."""
    memory_line_cycles: int = Field(ge=0)
    """For which a line keeps the memory busy."""
    rows: RowsSpec | None = None
    """None: every line takes `memory_cycles`; else those of an open row."""
    load_prefetcher: LoadPrefetcherSpec | None = None

    @model_validator(mode="after")
    def _buildable(self) -> Self:
        HierarchySpec(levels=self.levels)
        if any(level.prefetcher is not None for level in (self.instruction, *self.levels)):
            raise ValueError(
                "a core's caches take no `prefetcher`, whose lines have no time; "
                "see `load_prefetcher`"
            )
        if self.load_prefetcher is not None and self.load_prefetcher.second_level_lines:
            if len(self.levels) == 1:
                raise ValueError("`second_level_lines` are for a second of the `levels`")
            if any(level.inclusion is not Inclusion.NEITHER for level in self.levels):
                raise ValueError(
                    "`second_level_lines` are for levels that neither include nor exclude others: "
                    "leave out `inclusion`"
                )
        return self


class CoreSpec(Strict):
    """One core."""

    name: str
    title: str
    kind: Literal["chip", "teaching"]
    description: str
    sources: Mapping[str, str]
    order: Literal["in-order", "out-of-order"]
    """In which instructions issue; they always retire in program order."""
    width: int = Field(ge=1, le=16)
    """Instructions fetched, renamed, issued and retired a cycle."""
    reorder_buffer: int = Field(ge=1)
    issue_queue: int = Field(ge=1)
    load_queue: int = Field(ge=1)
    store_buffer: int = Field(ge=1)
    """Stores from rename until the first level has them."""
    threads: int = Field(default=1, ge=1, le=8)
    """Hardware threads, each with a program of its own; they share all that is not said."""
    fetch_policy: Literal["icount", "round-robin"] = "icount"
    """Which thread fetches: the one with the fewest instructions not yet issued, or the next."""
    partitioned: bool = False
    """Whether each thread has its equal part of the buffer and the queues, or takes from all."""
    front_end: FrontEndSpec
    branches: BranchSpec
    units: UnitsSpec
    memory: MemoryPathSpec

    @model_validator(mode="after")
    def _shared(self) -> Self:
        if self.threads == 1 and (self.partitioned or self.fetch_policy != "icount"):
            raise ValueError("`fetch_policy` and `partitioned` go with `threads` above 1")
        for key in ("reorder_buffer", "issue_queue", "load_queue", "store_buffer"):
            if self.partitioned and getattr(self, key) < self.threads:
                raise ValueError(f"`{key}` has no part for each of {self.threads} threads")
        return self

    def part(self, places: int) -> int:
        """Return how many of a buffer's places one thread may take."""
        return places // self.threads if self.partitioned else places


def core_names() -> tuple[str, ...]:
    """Names of the cores in this folder."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def load_core(name: str | Path) -> CoreSpec:
    """Read a core by its name here, or any file; SpecError says what is wrong with it."""
    path = name if isinstance(name, Path) else FOLDER / f"{name}.yaml"
    if not isinstance(name, Path) and name not in core_names():
        raise SpecError(f"no core is named '{name}'{did_you_mean(name, core_names())}")
    return validate(CoreSpec, read_spec_file(path).values, path)
