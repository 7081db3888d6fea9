"""DRAM standards as data files: read, checked, and settled into one `DramDevice`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field

from sim.errors import SpecError, did_you_mean
from sim.memory.dram.device import COLUMN_COMMANDS, SCOPE_COMMANDS, Command, DramDevice, Gap
from sim.spec import Strict, read_spec_file, validate
from sim.units import Ticks

FOLDER = Path(__file__).parent / "standards"
CLOCKS_OF_ANY_SPEED = frozenset(("BL", "CCD_S", "CS"))
"""A burst, the least distance of bursts and a change of rank take clocks, whatever their length;
all else in a timing is a time."""
E = TypeVar("E")
_TERM = re.compile(r"\s*([+-]?)\s*([A-Z][A-Z_]*|[0-9]+)")


class ConstraintSpec(Strict):
    """One line of a standard's timing table: commands, where they meet, and their distance."""

    level: str
    preceding: str
    """Commands, with blanks between."""
    following: str
    latency: str
    """Sum of named cycles and whole numbers, in clocks."""
    window: int = Field(default=1, ge=1)
    siblings: bool = False


class ProtocolSpec(Strict):
    """What all parts of a standard share."""

    burst_length: int = Field(ge=1)
    """Bits of one pin in a transfer."""
    ticks_per_clock: int = Field(ge=1, le=2)
    any_edge: tuple[str, ...]
    command_clocks: Mapping[str, float]
    """Clocks that a command takes on its bus, where not 1."""
    command_buses: Literal[1, 2]
    data_bus: str
    """The level whose nodes have a data bus each."""
    refresh_scope: str
    refresh_interval: Ticks
    constraints: tuple[ConstraintSpec, ...]


class OrganisationSpec(Strict):
    """How a part is divided."""

    channel_bits: int = Field(ge=1)
    """Width of one data bus."""
    device_bits: int = Field(ge=1)
    """Width of one chip, on which some timings depend."""
    levels: Mapping[str, int]
    """Nodes per node, from below the channel to the bank."""
    rows: int = Field(ge=1)
    columns: int = Field(ge=1)
    """Transfers in a row."""
    refresh_time: Ticks
    bank_refresh_time: Ticks | None = None


class TimingSpec(Strict):
    """One speed."""

    clock: Ticks
    cycles: Mapping[str, int | Mapping[int, int]]
    """In clocks; by the chip's width where it matters."""


class DramStandard(Strict):
    """A standard's file."""

    name: str
    title: str
    kind: Literal["chip"]
    sources: Mapping[str, str]
    note: str = ""
    """What could not be held against a source, or differs between sources."""
    protocol: ProtocolSpec
    organisations: Mapping[str, OrganisationSpec]
    timings: Mapping[str, TimingSpec]


def standard_names() -> list[str]:
    """Names of the standards that come with the simulator."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_standard(name: str) -> DramStandard:
    """Read a standard by its name, such as `ddr4`; SpecError names the nearest."""
    path = FOLDER / f"{name.lower()}.yaml"
    if name.lower() not in standard_names():
        raise SpecError(f"no DRAM standard is named '{name}'{did_you_mean(name, standard_names())}")
    return validate(DramStandard, read_spec_file(path).values, path)


def load_device(
    standard: str,
    organisation: str,
    timing: str,
    *,
    ranks: int | None = None,
    clock_ticks: int | None = None,
) -> DramDevice:
    """Settle one channel of a standard's part at one speed, with its own or another rank count.

    `clock_ticks` is the femtoseconds of a clock slower than the speed's own. Raises SpecError for
    a name that the standard does not have, for ranks where it has none, and for a faster clock.
    """
    spec = load_standard(standard)
    part = _entry(spec.organisations, organisation, f"{spec.name} has no organisation")
    speed = _entry(spec.timings, timing, f"{spec.name} has no timing")
    if ranks is not None:
        if "rank" not in part.levels:
            raise SpecError(f"{organisation} has no ranks to set")
        part = part.model_copy(update={"levels": {**part.levels, "rank": ranks}})
    if clock_ticks is not None:
        speed = _slowed(speed, clock_ticks, timing)
    return _Settler(spec.protocol, part, speed).device(f"{organisation} {timing}")


def _entry(entries: Mapping[str, E], name: str, problem: str) -> E:
    if name not in entries:
        raise SpecError(f"{problem} '{name}'{did_you_mean(name, entries)}")
    return entries[name]


def _slowed(speed: TimingSpec, clock_ticks: int, name: str) -> TimingSpec:
    """Return a speed at a slower clock: its times stay, so they take fewer of the longer clocks."""
    if clock_ticks < speed.clock:
        raise SpecError(f"{name} has a clock of {speed.clock} fs; {clock_ticks} fs is faster")

    def clocks(count: int) -> int:
        return -(-count * speed.clock // clock_ticks)

    cycles = {
        name: value
        if name in CLOCKS_OF_ANY_SPEED
        else clocks(value)
        if isinstance(value, int)
        else {width: clocks(count) for width, count in value.items()}
        for name, value in speed.cycles.items()
    }
    return speed.model_copy(update={"clock": clock_ticks, "cycles": cycles})


class _Settler:
    """Turns clocks and names of one standard, part and speed into ticks and numbers."""

    def __init__(self, protocol: ProtocolSpec, part: OrganisationSpec, speed: TimingSpec) -> None:
        self.protocol = protocol
        self.part = part
        self.speed = speed
        self.scale = protocol.ticks_per_clock
        self.levels = ("channel", *part.levels)
        self.clocks = self._clocks()
        self.occupied = {
            command: int(protocol.command_clocks.get(command.name, 1) * self.scale)
            for command in Command
        }

    def _clocks(self) -> dict[str, int]:
        part, clock = self.part, self.speed.clock
        clocks = {"RFC": -(-part.refresh_time // clock)}
        if part.bank_refresh_time is not None:
            clocks["RFC_B"] = -(-part.bank_refresh_time // clock)
        for name, value in self.speed.cycles.items():
            clocks[name] = value if isinstance(value, int) else value[part.device_bits]
        return clocks

    def device(self, name: str) -> DramDevice:
        """Settle everything."""
        protocol, part = self.protocol, self.part
        counts = (1, *part.levels.values())
        burst = self.clocks["BL"]
        transfer_bytes = part.channel_bits * protocol.burst_length // 8
        seconds = burst * self.speed.clock * 1e-15
        buses = 1
        for count in counts[: self._level(protocol.data_bus) + 1]:
            buses *= count
        return DramDevice(
            name=name,
            levels=self.levels,
            counts=counts,
            rows=part.rows,
            columns=part.columns,
            transfer_bytes=transfer_bytes,
            tick_femtoseconds=self.speed.clock // self.scale,
            ticks_per_clock=self.scale,
            read_ticks=(self.clocks["CL"] + burst) * self.scale,
            write_ticks=(self.clocks["CWL"] + burst) * self.scale,
            burst_ticks=burst * self.scale,
            scope_level=self._level(protocol.refresh_scope),
            refresh_interval_ticks=-(-protocol.refresh_interval // self.speed.clock) * self.scale,
            per_bank_refresh=part.bank_refresh_time is not None,
            command_buses=protocol.command_buses,
            any_edge=frozenset(Command[word] for word in protocol.any_edge),
            gaps=(*self._bus_gaps(), *self._gaps()),
            peak_bytes_per_second=buses * transfer_bytes / seconds,
        )

    def _level(self, name: str) -> int:
        if name not in self.levels:
            raise SpecError(f"no level '{name}'{did_you_mean(name, self.levels)}")
        return self.levels.index(name)

    def _bus_gaps(self) -> list[Gap]:
        """Keep a bus for as long as it takes to send a command on it."""
        two = self.protocol.command_buses == 2
        return [
            Gap(level=0, preceding=first, following=second, ticks=self.occupied[first])
            for first in Command
            for second in Command
            if self.occupied[first] > 1
            and (not two or (first in COLUMN_COMMANDS) == (second in COLUMN_COMMANDS))
        ]

    def _gaps(self) -> list[Gap]:
        return [
            self._gap(line, self._command(first), self._command(second))
            for line in self.protocol.constraints
            for first in line.preceding.split()
            for second in line.following.split()
        ]

    def _command(self, word: str) -> Command:
        if word not in Command.__members__:
            raise SpecError(f"no DRAM command '{word}'{did_you_mean(word, Command.__members__)}")
        return Command[word]

    def _gap(self, line: ConstraintSpec, first: Command, second: Command) -> Gap:
        """JEDEC's distances are between the last clocks of commands, a gap's between the first."""
        level = self._level(line.level)
        scope = self._level(self.protocol.refresh_scope)
        if level > scope and (first in SCOPE_COMMANDS or second in SCOPE_COMMANDS):
            raise SpecError(f"{first.name} to {second.name}: a level below the refresh scope")
        return Gap(
            level=level,
            preceding=first,
            following=second,
            ticks=self._ticks(line.latency) + self.occupied[first] - self.occupied[second],
            window=line.window,
            siblings=line.siblings,
        )

    def _ticks(self, expression: str) -> int:
        total, at = 0, 0
        while at < len(expression.rstrip()):
            match = _TERM.match(expression, at)
            if match is None:
                raise SpecError(f"latency '{expression}' is no sum of names and whole numbers")
            sign, word = match.groups()
            if not word.isdigit() and word not in self.clocks:
                raise SpecError(f"latency '{expression}': {did_you_mean(word, self.clocks)[2:]}")
            value = int(word) if word.isdigit() else self.clocks[word]
            total += -value if sign == "-" else value
            at = match.end()
        return total * self.scale
