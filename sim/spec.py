"""Machine descriptions: YAML files, validated, with units converted once and a source per number.

A value may be written plainly or as `{value: 1.41 GHz, source: whitepaper, note: boost}`. A mapping
that carries `source:` gives it to every number inside that has none of its own. The keys name
entries of the file's `sources:`. In a file of `kind: chip` every number must have a source, and
fitted constants stand under `calibration:`, whose entries say `fitted_to:` instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sim.errors import SpecError, did_you_mean
from sim.units import Bytes, BytesPerSecond, Hertz, Ticks


class Strict(BaseModel):
    """A part of a description: frozen, and no key it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DramSpec(Strict):
    """Which DRAM a main memory is made of, and how its controllers work.

    Names are those of `sim/memory/dram/standards`.
    """

    standard: str
    organisation: str
    timing: str
    """The speed that the parts are made for."""
    clock_ticks: Ticks | None = None
    """Of a clock slower than the speed's own; None for that one."""
    ranks: int | None = Field(default=None, ge=1)
    """None for the organisation's own."""
    channels: int = Field(ge=1)
    mapping: str = "RoBaRaCoCh"
    """Order of an address's bits within a channel."""
    read_queue: int = Field(default=32, ge=1)
    """Requests of one channel's controller."""
    write_queue: int = Field(default=32, ge=1)
    page: Literal["open", "closed"] = "open"
    refresh: Literal["none", "all-bank", "per-bank"] = "all-bank"


class MemorySpec(Strict):
    """Main memory as every family sees it: two figures, or a DRAM that gives them."""

    kind: str
    """Technology, such as HBM2e or DDR4-3200."""
    capacity_bytes: Bytes
    bandwidth_bytes_per_second: BytesPerSecond
    """Peak, both directions together."""
    efficiency: float | None = Field(default=None, gt=0, le=1)
    """Share of the peak that long streams reach, measured; with `dram` in place of the share that
    its commands leave."""
    latency_ticks: Ticks | None = None
    """From a request to its data, unloaded."""
    dram: DramSpec | None = None
    """Gives the latency, and the efficiency where none is given."""
    path_ticks: Ticks | None = None
    """The part of the latency between the DRAM and who asks; goes with `dram`."""

    @model_validator(mode="after")
    def _one_description(self) -> Self:
        if self.dram is None:
            if self.latency_ticks is None or self.path_ticks is not None:
                raise ValueError("without `dram` the whole latency is `latency_ticks`; write that")
        elif self.path_ticks is None or self.latency_ticks is not None:
            raise ValueError("the DRAM has its own latency: write `path_ticks` for the rest of it")
        return self


class MachineSpec(Strict):
    """What every machine's file says; a family adds its own parts."""

    name: str
    title: str
    """As a chart's label, short."""
    family: str
    kind: Literal["chip", "teaching"]
    """`chip`: a real product, every number sourced. `teaching`: made up to show one idea."""
    description: str
    sources: Mapping[str, str]
    clock_hz: Hertz
    """Of the domain in which the machine's cycles are counted."""
    memory: MemorySpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where one number of a machine's file comes from."""

    key: str
    """Dotted path of the number in the file."""
    value: str
    """As written."""
    source: str
    """The document, or what a calibration was fitted to."""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecFile:
    """A description file after sources have been told apart from values."""

    path: Path
    values: Mapping[str, Any]
    provenance: tuple[Provenance, ...]


S = TypeVar("S", bound=BaseModel)


class _UniqueKeyLoader(yaml.SafeLoader):
    """Refuses a key written twice, which YAML itself lets the last one win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.YAMLError(f"line {key_node.start_mark.line + 1}: key '{key}' twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping; SpecError where it is missing, not YAML or has a key twice."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: cannot be read ({error})") from error
    try:
        content = yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506 - a SafeLoader subclass
    except yaml.YAMLError as error:
        raise SpecError(f"{path}: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise SpecError(f"{path}: should hold keys and values, not {type(content).__name__}")
    return content


def read_spec_file(path: Path) -> SpecFile:
    """Read a machine file and split values from their sources; SpecError as the module says."""
    content = read_yaml(path)
    splitter = _SourceSplitter(path, content.get("sources") or {})
    values = {
        key: raw if key == "sources" else splitter.strip(key, raw, "")
        for key, raw in content.items()
    }
    if content.get("kind") == "chip":
        known = {entry.key for entry in splitter.provenance}
        for key in _numbers(values, ""):
            if key not in known:
                raise SpecError(f"{path}: key '{key}': a chip's number needs a `source:`")
    return SpecFile(path=path, values=values, provenance=tuple(splitter.provenance))


class _SourceSplitter:
    """Walks a file's content: returns plain values, collects where each number comes from."""

    VALUE_KEYS = ("value", "source", "note", "fitted_to")

    def __init__(self, path: Path, sources: Mapping[str, str]) -> None:
        self.path = path
        self.sources = sources
        self.provenance: list[Provenance] = []

    def strip(self, key: str, raw: Any, inherited: str) -> Any:
        """Return `raw` without its sources; `inherited` is the source of what encloses it."""
        if isinstance(raw, list):
            return [self.strip(f"{key}.{i}", item, inherited) for i, item in enumerate(raw)]
        if not isinstance(raw, dict):
            if inherited and _is_number(raw):
                self.provenance.append(Provenance(key=key, value=str(raw), source=inherited))
            return raw
        source = self._source(key, raw, inherited)
        if "value" in raw:
            self._value(key, raw, source)
            return raw["value"]
        return {
            name: self.strip(f"{key}.{name}", value, source)
            for name, value in raw.items()
            if name != "source"
        }

    def _source(self, key: str, raw: Mapping[str, Any], inherited: str) -> str:
        named = raw.get("source")
        if named is None:
            return inherited
        if named not in self.sources:
            hint = did_you_mean(str(named), self.sources)
            raise SpecError(
                f"{self.path}: key '{key}': source '{named}' is not under `sources:`{hint}"
            )
        return self.sources[named]

    def _value(self, key: str, raw: Mapping[str, Any], source: str) -> None:
        for extra in sorted(set(raw) - set(self.VALUE_KEYS)):
            hint = did_you_mean(extra, self.VALUE_KEYS)
            raise SpecError(f"{self.path}: key '{key}.{extra}': unknown{hint}")
        if key.startswith("calibration."):
            if "fitted_to" not in raw:
                raise SpecError(f"{self.path}: key '{key}': a calibration needs `fitted_to:`")
            source = f"fitted to {raw['fitted_to']}"
        if source or "note" in raw:
            self.provenance.append(
                Provenance(
                    key=key, value=str(raw["value"]), source=source, note=raw.get("note", "")
                )
            )


def _is_number(raw: Any) -> bool:
    if isinstance(raw, str):
        return raw[:1].isdigit()
    return isinstance(raw, (int, float)) and not isinstance(raw, bool)


def _numbers(value: Any, key: str) -> Iterator[str]:
    """Dotted paths of all numbers, names and prose aside."""
    if key in ("sources", "name", "title", "description"):
        return
    if isinstance(value, (dict, list)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for name, inner in items:
            yield from _numbers(inner, f"{key}.{name}" if key else str(name))
    elif _is_number(value):
        yield key


def validate(model: type[S], values: Mapping[str, Any], path: Path) -> S:
    """Build `model` from a file's values; SpecError names file, key and the nearest valid one."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise SpecError(f"{path}: {_first_problem(error, model)}") from error


def _first_problem(error: ValidationError, model: type[BaseModel]) -> str:
    problems = error.errors()
    # A misspelt key is also a missing one: the misspelling is what to tell.
    problem = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        siblings = _fields_at(model, problem["loc"][:-1])
        return f"key '{key}': unknown{did_you_mean(str(problem['loc'][-1]), siblings)}"
    if problem["type"] == "missing":
        return f"key '{key}': missing; add it"
    return f"key '{key}': {problem['msg'].removeprefix('Value error, ')}"


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Field names of the sub-model that `location` leads to."""
    for part in location:
        if isinstance(part, int):  # a place in a list, whose items the field before has told
            continue
        field = model.model_fields.get(str(part))
        annotation = field.annotation if field else None
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        nested = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        if not nested:
            break
        model = nested[0]
    return list(model.model_fields)
