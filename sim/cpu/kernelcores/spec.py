"""Cores as data: a YAML file each, with a source for every number, and tables of costs.

A cost is written as micro-ops joined by ` + `, each of which needs one unit of every group joined
by `&`: `p0&DIV:5` is port 0 and the divider for five cycles, `p0|p1` either port for one. Where
only an instruction's latency is published, its micro-ops take a cycle each, one after another, the
last one the rest; of more micro-ops than cycles the first ones take none. `refused` instead
of micro-ops says that a core has the instruction and that nobody has published where it executes.

A row is of a class of instructions, or of several, or, as `shuffle@vshufps`, of one mnemonic of a
class, which goes first. A name with `.load` or `.store` is of the form with its operand in memory:
what it takes beside the load or the store itself, or, of a mnemonic that does nothing else, that
access; `.indexed` is of an access whose address has an index register.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Literal

from pydantic import Field

from sim.cpu.kernelcores.text import TABLES, Kernel, KernelError, KernelInstruction
from sim.errors import did_you_mean
from sim.spec import Strict, read_spec_file, validate

FOLDER = Path(__file__).parent / "cores"


class SchedulerSpec(Strict):
    """Waiting micro-ops of some ports."""

    ports: tuple[str, ...]
    entries: int = Field(ge=1)


class AdvanceSpec(Strict):
    """A forwarding path: who may read whose result some cycles early."""

    producers: tuple[str, ...]
    """Classes of cost; `*` for all."""
    consumers: tuple[str, ...]
    """Classes; `address` is any address's base or index, `alu_shift.shifted` and `mul.addend` are
    the operand of that name."""
    cycles: int = Field(ge=1)


class CoreCalibration(Strict):
    """What was fitted, not read."""

    loop_unroll_micro_ops: int = Field(default=0, ge=0)
    """The loop buffer repeats a body while it stays within so many, at most eight times."""


class CoreSpec(Strict):
    """A core, without its costs.

    Models: widths, buffers, units, fusion, elimination, binding of micro-ops to ports.
    Ignores: fetch and decode, caches and translation (every access hits L1), branch mispredictions,
    limits of the physical register files, frequency; that 512-bit instructions close port 1 of
    Intel's to vectors; that a division's time depends on its operands; that a gather takes a load
    buffer's entry an element; tiles of fewer than 16 rows of 64 bytes; a tile's clearing.
    Source: the documents that each file names number by number.
    """

    name: str
    title: str
    description: str
    kind: Literal["chip"]
    sources: Mapping[str, str]
    isa: Literal["x86_64", "aarch64", "riscv64"]
    extensions: tuple[str, ...] = ()
    """Of the instruction set, as the tables of forms name them."""
    order: Literal["out", "in"]
    costs: tuple[str, ...]
    """Names in the cost tables' `cores` column, the first that has a class wins."""
    issue_width: int = Field(ge=1)
    """Fused micro-ops renamed a cycle; in order: instructions issued."""
    widest_vector_bits: int | None = Field(default=None, ge=32)
    """Of the registers that kernels may use in a machine of such cores; None: not given. 32 is one
    float32 at a time."""
    ports: tuple[str, ...]
    memory_ports: tuple[str, ...] = ()
    dividers: tuple[str, ...] = ()
    tile_units: tuple[str, ...] = ()
    """Units beside the ports that multiply tiles."""
    retire_width: int = Field(default=1, ge=1)
    reorder_buffer: int = Field(default=1, ge=1)
    """Fused micro-ops in flight."""
    load_buffer: int = Field(default=1, ge=1)
    store_buffer: int = Field(default=1, ge=1)
    queue: int = Field(default=1, ge=1)
    """Fused micro-ops between fetch and rename."""
    fetch_width: int = Field(default=1, ge=1)
    """Fused micro-ops a cycle from the micro-op cache, or from decode where there is none."""
    loop_buffer_micro_ops: int = Field(default=0, ge=0)
    """A loop of at most so many runs from the queue itself; 0 where no loop does."""
    schedulers: tuple[SchedulerSpec, ...] = ()
    rename_to_issue_cycles: int = Field(default=1, ge=1)
    store_forward_cycles: int | None = Field(default=None, ge=1)
    """From a store to a load of the same bytes; None: no load waits for a store."""
    chased_load_cycles: int | None = None
    """Latency of a load of base and offset whose base was itself loaded; None: as any load."""
    cache_bytes_per_cycle: Mapping[str, int] = Field(default_factory=dict)
    """By level, as `l2`, the most bytes that it delivers to L1 a cycle."""
    stores_per_cycle: int = Field(default=1, ge=1)
    """That leave the store buffer for L1."""
    binding: Literal["rename", "issue"] = "issue"
    """When a micro-op's port is chosen."""
    unlaminates_indexed: bool = False
    """Whether a load with an index register is renamed apart from its arithmetic, except of a
    legacy encoding that reads what it writes."""
    whole_instructions: bool = False
    """Whether an instruction's micro-ops are renamed in one cycle, or start one."""
    micro_fusion: bool = True
    macro_fusion: tuple[str, ...] = ()
    """Mnemonics that fuse with a conditional branch after them."""
    eliminates: tuple[Literal["move", "vmove", "zero"], ...] = ()
    """What the renamer does by itself: copies of integer and vector registers, zero idioms."""
    extra_micro_ops: Mapping[str, int] = Field(default_factory=dict)
    """Micro-ops that count at dispatch beyond those that execute; `post_increment` and classes."""
    post_increment_ports: tuple[str, ...] = ()
    """Where a pointer's write-back executes; empty: as part of the access."""
    post_increment_cycles: Mapping[str, int] = Field(default_factory=dict)
    """By class of the access, how long such a write-back takes; 1 for others."""
    advances: tuple[AdvanceSpec, ...] = ()
    accumulate_early_cycles: Mapping[str, int] = Field(default_factory=dict)
    """By class, or class and width as `fmla.128`: an accumulator is read so many cycles after the
    other operands."""
    out_of_order_write_back: tuple[str, ...] = ()
    """In order: classes that need not wait for older results."""
    calibration: CoreCalibration = CoreCalibration()
    first_in_group: tuple[str, ...] = ()
    """In order: classes that only the first slot of a cycle takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One group of units, of which a micro-op takes one."""

    units: tuple[str, ...]
    cycles: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What an instruction of a class costs on a core."""

    micro_ops: tuple[tuple[Need, ...], ...]
    latencies: tuple[int, ...]
    """A micro-op each; one after another, they make the instruction's latency."""
    second_latency: int
    """Of a second destination."""
    source: str
    """The document."""
    refused: bool = False
    """Whether the core has the instruction and no cost of it is published."""


def core_names() -> list[str]:
    """Names of the cores that come with the simulator."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_core(name: str) -> CoreSpec:
    """Read a core by name; KernelError with the nearest name where there is none."""
    if name not in core_names():
        raise KernelError(f"no core is named '{name}'{did_you_mean(name, core_names())}")
    return read_core(FOLDER / f"{name}.yaml")


def read_core(path: Path) -> CoreSpec:
    """Read a file of one's own; SpecError names the file, the key and the nearest valid one."""
    return validate(CoreSpec, read_spec_file(path).values, path)


@cache
def _all_cores() -> tuple[CoreSpec, ...]:
    return tuple(load_core(name) for name in core_names())


def check_extensions(core: CoreSpec, kernel: Kernel) -> None:
    """Raise KernelError for an instruction that the core lacks; it says which cores have it."""
    for each in kernel.instructions:
        for needed in each.extensions:
            if not set(needed.split("|")) & set(core.extensions):
                having = [
                    other.name
                    for other in _all_cores()
                    if set(needed.split("|")) & set(other.extensions)
                ]
                where = f"take {', '.join(having)}" if having else "no core here has it"
                raise KernelError(
                    f"{kernel.name}, line {each.line}: '{each.text}' is of "
                    f"{needed.replace('|', ' or ')}, which {core.name} has not; {where}"
                )


def cost_of(core: CoreSpec, cost_class: str, width_bits: int, who: KernelInstruction) -> Cost:
    """Return the cost of a class at a width; KernelError says where to add a missing one."""
    table = cost_table(core.isa)
    for key in cost_keys(core, cost_class, width_bits, who):
        cost = table.get(key)
        if cost is not None and cost.refused:
            raise KernelError(
                f"line {who.line}: '{who.text}': where {core.name} executes it has not been "
                "published; write it in other instructions"
            )
        if cost is not None:
            return cost
    raise KernelError(
        f"line {who.line}: '{who.text}': {core.name} has no cost of class '{cost_class}' at "
        f"{width_bits} bits; add a row to {TABLES.name}/costs_{core.isa}.csv"
    )


def cost_keys(
    core: CoreSpec, cost_class: str, width_bits: int, who: KernelInstruction
) -> list[tuple[str, str, str]]:
    """Return the rows that may hold a cost, the first that exists wins."""
    names = [cost_class]
    address = who.load or who.store
    if cost_class == who.memory_class and address is not None and len(address.registers) > 1:
        names.insert(0, f"{cost_class}.indexed")
    if cost_class == (who.cost_class or who.memory_class):
        place = ".load" * (who.load is not None) or ".store" * (who.store is not None)
        beside = [f"{cost_class}{place}"] * (place != "" and who.cost_class != "")
        names = [f"{cost_class}@{who.mnemonic}{place}", *beside, *names]
    return [
        (name, width, column)
        for column in core.costs
        for name in names
        for width in (str(width_bits), "*")
    ]


@cache
def cost_table(isa: str) -> Mapping[tuple[str, str, str], Cost]:
    """Return the costs of an instruction set by class, width and name in `CoreSpec.costs`."""
    found: dict[tuple[str, str, str], Cost] = {}
    with (TABLES / "sources.csv").open(encoding="utf-8", newline="") as file:
        documents = {row["name"]: row["document"] for row in csv.DictReader(file)}
    with (TABLES / f"costs_{isa}.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["source"] not in documents:
                hint = did_you_mean(row["source"], documents)
                raise KernelError(f"costs_{isa}.csv: '{row['source']}' is no source{hint}")
            cost = _cost(row["uops"], row["latency"], documents[row["source"]])
            for name, core in product(row["class"].split(), row["cores"].split()):
                key = (name, row["width"], core)
                if key in found:
                    raise KernelError(f"costs_{isa}.csv: {key} has two rows; keep one")
                found[key] = cost
    return found


def _cost(text: str, latency: str, source: str) -> Cost:
    if text == "refused":
        return Cost(micro_ops=(), latencies=(), second_latency=0, source=source, refused=True)
    micro_ops: list[tuple[Need, ...]] = []
    for part in () if text == "none" else text.split(" + "):
        match = re.fullmatch(r"(?:(\d+)\*)?(.+)", part.strip())
        assert match is not None  # noqa: S101 - `.+` matches what is not empty
        needs = tuple(_need(group) for group in match[2].split("&"))
        micro_ops += [needs] * int(match[1] or 1)
    first, _, second = latency.partition("/")
    parts = [int(cycles) for cycles in first.split("+")]
    if len(parts) == 1 and len(micro_ops) > 1:  # only the total is published: see the module
        others = len(micro_ops) - 1
        chained = min(others, parts[0] - 1)
        parts = [0] * (others - chained) + [1] * chained + [parts[0] - chained]
    return Cost(
        micro_ops=tuple(micro_ops),
        latencies=tuple(parts),
        second_latency=int(second or parts[-1]),
        source=source,
    )


def _need(text: str) -> Need:
    units, _, cycles = text.strip().partition(":")
    return Need(units=tuple(units.split("|")), cycles=int(cycles or 1))
