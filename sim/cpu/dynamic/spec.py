"""The textbook's dynamically scheduled machines as data: one YAML file each, in this folder.

Each technique has its own model, so that a file can only say what its machine has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sim.cpu.riscv.operation import MEMORY, Kind
from sim.cpu.riscv.program import Xlen
from sim.errors import SpecError, did_you_mean
from sim.spec import Strict, read_yaml, validate

FOLDER = Path(__file__).parent
SERIAL = frozenset({Kind.ENVIRONMENT, Kind.CONTROL_REGISTER, Kind.FENCE})
"""Kinds that need no unit: they are done alone, when all before them have finished."""
Positive = Annotated[int, Field(ge=1)]
Branches = Literal["stall", "perfect", "taken", "not-taken", "backward-taken"]


class UnitSpec(Strict):
    """Functional units that are alike."""

    latency_cycles: Mapping[Kind, Positive] = Field(min_length=1)
    """Kind of instruction to cycles of execution. With reservation stations, that of loads and
    stores computes the address; `memory_cycles` are apart."""
    units: Positive = 1


class PipelinedUnitSpec(UnitSpec):
    """Functional units that may take an instruction every cycle."""

    pipelined: bool = False


class StationsSpec(PipelinedUnitSpec):
    """Functional units behind reservation stations that they share."""

    stations: Positive


class DynamicSpec(Strict):
    """What every one of these machines has."""

    name: str
    title: str
    description: str
    sources: Mapping[str, str]
    xlen: Xlen = 64

    def groups(self) -> Mapping[str, UnitSpec]:
        """Return the units by their names."""
        raise NotImplementedError

    def group_of(self, kind: Kind) -> str | None:
        """Return the name of the units that execute a kind of instruction."""
        return next((name for name, u in self.groups().items() if kind in u.latency_cycles), None)

    @model_validator(mode="after")
    def _each_kind_once(self) -> Self:
        seen: set[Kind] = set()
        for kind in (kind for unit in self.groups().values() for kind in unit.latency_cycles):
            if kind in seen or kind in SERIAL or kind is Kind.ATOMIC:
                why = "stands in two units" if kind in seen else "has no unit in these machines"
                raise ValueError(f"'{kind}' {why}; take it out")
            seen.add(kind)
        names = [name for g, unit in self.groups().items() for name in unit_names(g, unit)]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two units are named '{name}'; rename one")
        return self


class ScoreboardSpec(DynamicSpec):
    """A machine with a central scoreboard."""

    technique: Literal["scoreboard"]
    units: Mapping[str, UnitSpec]

    def groups(self) -> Mapping[str, UnitSpec]:
        """Return the units by their names."""
        return self.units


class TomasuloSpec(DynamicSpec):
    """A machine with reservation stations, and perhaps a reorder buffer."""

    technique: Literal["tomasulo", "tomasulo-speculative"]
    units: Mapping[str, StationsSpec]
    issue_width: Positive = 1
    """Instructions issued a cycle; none after a branch or jump in its cycle."""
    common_data_buses: Positive = 1
    """Results broadcast a cycle."""
    memory_cycles: Positive = 1
    """Of an access, after its address is known."""
    memory_ports: Positive = 1
    """Accesses begun a cycle."""
    branches: Branches = "stall"
    """What is issued behind an unresolved branch."""
    reorder_buffer_entries: Positive | None = None
    commit_width: Positive | None = None
    """Instructions committed a cycle."""

    def groups(self) -> Mapping[str, UnitSpec]:
        """Return the units by their names."""
        return self.units

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        speculates = self.technique == "tomasulo-speculative"
        for key in ("reorder_buffer_entries", "commit_width"):
            if (getattr(self, key) is not None) != speculates:
                verb = "needs" if speculates else "has no"
                raise ValueError(f"technique '{self.technique}' {verb} `{key}`")
        if not speculates and self.branches not in ("stall", "perfect"):
            raise ValueError(
                f"`branches: {self.branches}` may be wrong, and nothing is undone without a "
                "reorder buffer; write stall or perfect"
            )
        return self


class InOrderSpec(DynamicSpec):
    """An in-order pipeline with multicycle units: IF, ID, execution, MEM, WB."""

    technique: Literal["in-order"]
    units: Mapping[str, PipelinedUnitSpec]
    issue_slots: tuple[tuple[Kind, ...], ...] = Field(min_length=1)
    """Instructions that may begin execution in one cycle: of each slot one, of these kinds."""
    branch_stage: Literal["ID", "EX"] = "EX"
    """Where a branch reads its operands."""
    taken_branch_cycles: int = Field(default=0, ge=0)
    """Lost after a taken branch or jump."""
    float_write_ports: Positive | None = None
    """Of the floating-point registers; None for as many as needed."""
    exclusive_memory_stage: bool = False
    """Whether one instruction a cycle passes MEM, even of those that access no memory."""

    def groups(self) -> Mapping[str, UnitSpec]:
        """Return the units by their names."""
        return self.units

    @model_validator(mode="after")
    def _every_unit_has_a_slot(self) -> Self:
        slots = {kind for slot in self.issue_slots for kind in slot}
        kinds = {kind for unit in self.units.values() for kind in unit.latency_cycles}
        if slots != kinds:
            odd = ", ".join(sorted(slots ^ kinds))
            raise ValueError(f"{odd}: give every kind a unit and one of `issue_slots` or neither")
        for unit in self.units.values():
            for kind in MEMORY & unit.latency_cycles.keys():
                if unit.latency_cycles[kind] != 1:
                    raise ValueError(f"'{kind}' computes its address in 1 cycle, then comes MEM")
        return self


Spec = ScoreboardSpec | TomasuloSpec | InOrderSpec
TECHNIQUES: Mapping[str, type[ScoreboardSpec | TomasuloSpec | InOrderSpec]] = {
    "scoreboard": ScoreboardSpec,
    "tomasulo": TomasuloSpec,
    "tomasulo-speculative": TomasuloSpec,
    "in-order": InOrderSpec,
}


def dynamic_names() -> tuple[str, ...]:
    """Names of the machines in this folder."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def load_dynamic(name: str | Path) -> Spec:
    """Read a machine by its name here, or any file; SpecError says what is wrong with it."""
    path = name if isinstance(name, Path) else FOLDER / f"{name}.yaml"
    if not isinstance(name, Path) and name not in dynamic_names():
        hint = did_you_mean(name, dynamic_names())
        raise SpecError(f"no dynamically scheduled machine is named '{name}'{hint}")
    values = read_yaml(path)
    technique = str(values.get("technique"))
    if technique not in TECHNIQUES:
        hint = did_you_mean(technique, TECHNIQUES)
        raise SpecError(f"{path}: key 'technique': unknown technique '{technique}'{hint}")
    return validate(TECHNIQUES[technique], values, path)


def unit_names(group: str, unit: UnitSpec) -> Iterator[str]:
    """Name each unit, or its stations where it has them; one alone needs no number."""
    count = unit.stations if isinstance(unit, StationsSpec) else unit.units
    yield from (f"{group}{i + 1}" for i in range(count)) if count > 1 else (group,)
