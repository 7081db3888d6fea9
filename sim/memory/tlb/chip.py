"""Real chips' translation hardware as data files, joined with a mapping of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from sim.errors import SpecError, did_you_mean
from sim.memory.tlb.spec import MappingSpec, MmuSpec, TranslationSpec
from sim.spec import read_spec_file, validate

FOLDER = Path(__file__).parent / "chips"


class MmuFile(MmuSpec):
    """A chip's file.

    Models: what `MmuSpec` says.
    Ignores: as `MmuSpec`; where a maker is silent on replacement, it is LRU.
    Source: the documents that the file names number by number.
    """

    name: str
    title: str
    description: str
    kind: Literal["chip"]
    sources: Mapping[str, str]


def mmu_names() -> list[str]:
    """Names of the chips that come with the simulator."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_mmu(name: str) -> MmuFile:
    """Read a chip's translation hardware, such as `skylake`; SpecError names the nearest."""
    if name not in mmu_names():
        raise SpecError(f"no MMU is named '{name}'{did_you_mean(name, mmu_names())}")
    return read_mmu(FOLDER / f"{name}.yaml")


def read_mmu(path: Path) -> MmuFile:
    """Read a file of one's own; SpecError names the file, the key and the nearest valid one."""
    return validate(MmuFile, read_spec_file(path).values, path)


def mapped(mmu: MmuSpec, mapping: MappingSpec) -> TranslationSpec:
    """Join hardware and mapping; SpecError for pages that the hardware's tables do not have."""
    hardware = {name: getattr(mmu, name) for name in MmuSpec.model_fields}
    try:
        return TranslationSpec(**hardware, mapping=mapping)
    except ValidationError as error:
        raise SpecError(error.errors()[0]["msg"].removeprefix("Value error, ")) from error
