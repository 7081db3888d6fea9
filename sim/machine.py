"""Machines by name: the families, the files, and a wired machine out of a description."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from sim.cpu.kernelmachines import KernelCpuMachine, KernelCpuSpec
from sim.cpu.machine import CpuMachine
from sim.cpu.spec import CpuSpec
from sim.errors import SpecError, did_you_mean
from sim.gpu.machine import GpuMachine
from sim.gpu.spec import GpuSpec
from sim.lowering import MachineModel
from sim.memory.port import check_peak
from sim.spec import MachineSpec, SpecFile, read_spec_file, validate
from sim.tpu.machine import TpuMachine
from sim.tpu.spec import TpuSpec

MACHINES = Path(__file__).with_name("machines")

FAMILIES: dict[str, tuple[type[MachineSpec], Callable[..., MachineModel]]] = {
    "cpu": (CpuSpec, CpuMachine),
    "gpu": (GpuSpec, GpuMachine),
    "tpu": (TpuSpec, TpuMachine),
}

KERNEL_CORE = "kernel_core"
"""The key of a CPU's `core` that names a core of `kernelcores`, in place of a five-stage one."""
KERNEL_CPU: tuple[type[MachineSpec], Callable[..., MachineModel]] = (
    KernelCpuSpec,
    KernelCpuMachine,
)

BANDWIDTH = "memory.bandwidth_bytes_per_second"


def machine_names() -> tuple[str, ...]:
    """Names of the machines that come with the package."""
    return tuple(sorted(path.stem for path in MACHINES.glob("*.yaml")))


def machine_file(name_or_path: str) -> SpecFile:
    """Read the description of a machine by name, or of a YAML file of one's own.

    Raises SpecError, with the nearest name, where there is none.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        path = MACHINES / f"{name_or_path}.yaml"
        if name_or_path not in machine_names():
            hint = did_you_mean(name_or_path, machine_names())
            raise SpecError(f"no machine is named '{name_or_path}'{hint}")
    return read_spec_file(path)


def load_machine(name_or_path: str, *, overrides: Mapping[str, Any] | None = None) -> MachineModel:
    """Build the machine that a name or a YAML file describes.

    `overrides` replaces values by their dotted keys (`memory.bandwidth_bytes_per_second`), as a
    sweep does. An overridden bandwidth stands for so many more, or fewer, channels of the DRAM.
    Raises SpecError where the description cannot be used.
    """
    file = machine_file(name_or_path)
    values = _overridden(file, overrides or {})
    spec_type, model_type = family_of(values, file.path)
    spec = validate(spec_type, values, file.path)
    if BANDWIDTH not in (overrides or {}):
        check_peak(spec.memory, file.path)
    return model_type(spec)


def family_of(
    values: Mapping[str, Any], path: Path
) -> tuple[type[MachineSpec], Callable[..., MachineModel]]:
    """Return how a description is read and built; SpecError for a family that does not exist."""
    family = str(values.get("family", ""))
    if family not in FAMILIES:
        hint = did_you_mean(family, FAMILIES)
        raise SpecError(f"{path}: key 'family': no machine family '{family}'{hint}")
    core = values.get("core")
    if family != "cpu" or not isinstance(core, Mapping):
        return FAMILIES[family]
    near = get_close_matches(KERNEL_CORE, core, n=1, cutoff=0.8)
    if near and near[0] != KERNEL_CORE:
        raise SpecError(f"{path}: key 'core.{near[0]}': unknown; did you mean '{KERNEL_CORE}'?")
    return KERNEL_CPU if near else FAMILIES[family]


def _overridden(file: SpecFile, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Copy the file's values with some replaced; only keys that exist can be."""
    values = deepcopy(dict(file.values))
    for dotted, value in overrides.items():
        *parents, last = dotted.split(".")
        holder = values
        for part in parents:
            holder = holder.get(part, {})
        if last not in holder:
            hint = did_you_mean(last, holder)
            raise SpecError(f"{file.path}: no key '{dotted}' to set{hint}")
        holder[last] = value
    return values
