"""SCALE-Sim's configuration files, read and written.

A `.cfg` says the array, three SRAMs in kB, the dataflow and, in USER mode, a bandwidth in words a
cycle; a word is one byte. Every key of the peer's own files is known here. One that would change
the result and is not modelled (sparsity, custom layouts, Ramulator traces) is an error when it is
switched on, never ignored; every error names file, line and key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sim.errors import SpecError, did_you_mean
from sim.tpu.array.systolic import ArraySpec, Dataflow

KNOWN_KEYS: Mapping[str, tuple[str, ...]] = {
    "general": ("run_name",),
    "architecture_presets": (
        "ArrayHeight",
        "ArrayWidth",
        "IfmapSramSzkB",
        "FilterSramSzkB",
        "OfmapSramSzkB",
        "IfmapOffset",
        "FilterOffset",
        "OfmapOffset",
        "Dataflow",
        "Bandwidth",
        "ReadRequestBuffer",
        "WriteRequestBuffer",
        "MemoryBanks",
    ),
    "layout": (
        "IfmapCustomLayout",
        "IfmapSRAMBankBandwidth",
        "IfmapSRAMBankNum",
        "IfmapSRAMBankPort",
        "FilterCustomLayout",
        "FilterSRAMBankBandwidth",
        "FilterSRAMBankNum",
        "FilterSRAMBankPort",
    ),
    "sparsity": (
        "SparsitySupport",
        "SparseRep",
        "OptimizedMapping",
        "BlockSize",
        "RandomNumberGeneratorSeed",
    ),
    "run_presets": ("InterfaceBandwidth", "UseRamulatorTrace"),
    "network_presets": ("TopologyCsvLoc",),
}
"""Sections and keys of SCALE-Sim 3.0.0's configurations, told apart without regard to case."""

NOT_MODELLED = (
    ("layout", "IfmapCustomLayout"),
    ("layout", "FilterCustomLayout"),
    ("sparsity", "SparsitySupport"),
    ("run_presets", "UseRamulatorTrace"),
)
"""Switches that must be off."""

SWITCH = {"true": True, "yes": True, "on": True, "1": True}
SWITCH |= {"false": False, "no": False, "off": False, "0": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleSimConfig:
    """What a configuration says, in base units."""

    run_name: str
    array: ArraySpec
    ifmap_sram_bytes: int
    filter_sram_bytes: int
    ofmap_sram_bytes: int
    ifmap_offset: int = 0
    """Word address of the first element, as in the peer's traces."""
    filter_offset: int = 10_000_000
    ofmap_offset: int = 20_000_000
    bandwidth_bytes_per_cycle: int | None = None
    """Of main memory, all interfaces together; None in CALC mode, where nothing ever waits."""

    def text(self) -> str:
        """Write it as a configuration file."""
        user = self.bandwidth_bytes_per_cycle is not None
        presets = {
            "ArrayHeight": self.array.rows,
            "ArrayWidth": self.array.cols,
            "IfmapSramSzkB": self.ifmap_sram_bytes // 1024,
            "FilterSramSzkB": self.filter_sram_bytes // 1024,
            "OfmapSramSzkB": self.ofmap_sram_bytes // 1024,
            "IfmapOffset": self.ifmap_offset,
            "FilterOffset": self.filter_offset,
            "OfmapOffset": self.ofmap_offset,
            "Dataflow": self.array.dataflow.value,
            **({"Bandwidth": self.bandwidth_bytes_per_cycle} if user else {}),
        }
        lines = ["[general]", f"run_name = {self.run_name}", "", "[architecture_presets]"]
        lines += [f"{key} : {value}" for key, value in presets.items()]
        lines += ["", "[sparsity]", "SparsitySupport : false", "", "[run_presets]"]
        lines += [f"InterfaceBandwidth: {'USER' if user else 'CALC'}", ""]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of a file and where it stands."""

    path: Path
    line: int
    key: str
    value: str

    def error(self, problem: str) -> SpecError:
        """Make the error for this value."""
        return SpecError(f"{self.path}, line {self.line}: key '{self.key}': {problem}")

    def whole(self, least: int = 1) -> int:
        """Return the value as a whole number; SpecError where it is none."""
        try:
            number = int(self.value)
        except ValueError:
            raise self.error(f"'{self.value}' is not a whole number") from None
        if number < least:
            raise self.error(f"is {number}; it should be at least {least}")
        return number


def read_config(path: Path) -> ScaleSimConfig:
    """Read a configuration; SpecError names file, line and key of what is wrong or not modelled."""
    entries = _entries(path)

    def need(section: str, key: str) -> Entry:
        if (section, key) not in entries:
            raise SpecError(f"{path}: section [{section}]: key '{key}' is missing")
        return entries[section, key]

    for section, key in NOT_MODELLED:
        entry = entries.get((section, key))
        if entry and SWITCH.get(entry.value.lower(), True):
            raise entry.error(f"'{entry.value}': not modelled here; switch it off")
    flow, mode = need("architecture_presets", "Dataflow"), need("run_presets", "InterfaceBandwidth")
    if flow.value not in set(Dataflow):
        raise flow.error(f"no dataflow '{flow.value}'{did_you_mean(flow.value, Dataflow)}")
    if mode.value not in ("CALC", "USER"):
        raise mode.error(f"is '{mode.value}'; it should be CALC or USER")
    rows, cols, ifmap, filters, ofmap = (
        need("architecture_presets", key).whole() for key in KNOWN_KEYS["architecture_presets"][:5]
    )
    offsets = {
        f"{name.lower()}_offset": entry.whole(0)
        for name in ("Ifmap", "Filter", "Ofmap")
        if (entry := entries.get(("architecture_presets", f"{name}Offset")))
    }
    user = mode.value == "USER"
    return ScaleSimConfig(
        run_name=need("general", "run_name").value,
        array=ArraySpec(rows=rows, cols=cols, dataflow=Dataflow(flow.value)),
        ifmap_sram_bytes=ifmap * 1024,
        filter_sram_bytes=filters * 1024,
        ofmap_sram_bytes=ofmap * 1024,
        bandwidth_bytes_per_cycle=(
            _bandwidth(need("architecture_presets", "Bandwidth")) if user else None
        ),
        **offsets,
    )


def _bandwidth(entry: Entry) -> int:
    """Return the sum over interfaces."""
    parts = [Entry(entry.path, entry.line, entry.key, p.strip()) for p in entry.value.split(",")]
    return sum(part.whole() for part in parts)


def _entries(path: Path) -> dict[tuple[str, str], Entry]:
    """Read every `key : value` of a file under its section, as the peer spells them."""
    found: dict[tuple[str, str], Entry] = {}
    section = ""
    for line, text in enumerate(read_text(path).splitlines(), start=1):
        bare = text.strip()
        if not bare or bare[0] in "#;":
            continue
        if bare.startswith("[") and bare.endswith("]"):
            section = bare[1:-1].strip()
            if section not in KNOWN_KEYS:
                hint = did_you_mean(section, KNOWN_KEYS)
                raise SpecError(f"{path}, line {line}: no section [{section}]{hint}")
            continue
        cut = min((at for at in (bare.find(":"), bare.find("=")) if at >= 0), default=-1)
        if cut < 0 or not section:
            raise SpecError(f"{path}, line {line}: '{bare}' is no `key : value` of a section")
        key, value = bare[:cut].strip(), bare[cut + 1 :].strip()
        spelt = next((k for k in KNOWN_KEYS[section] if k.lower() == key.lower()), None)
        entry = Entry(path, line, key, value)
        if spelt is None:
            raise entry.error(f"unknown in [{section}]{did_you_mean(key, KNOWN_KEYS[section])}")
        if (section, spelt) in found:
            raise entry.error(f"is there twice, first in line {found[section, spelt].line}")
        found[section, spelt] = entry
    return found


def read_text(path: Path) -> str:
    """Return a file's text; SpecError where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: cannot be read ({error})") from error
