"""Energy of a comparison's runs, and why some machines have none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sim.energy import EnergyError, RunEnergy, energy_spec, run_energy
from sim.result import RunResult
from sim.spec import MachineSpec

NO_BLOCK = "the description has no energy figures"


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineEnergy:
    """One machine's energy for its run."""

    machine: str
    run: RunEnergy | None
    """None where too little is known."""
    problem: str = ""
    """Why, where there is none."""


def machine_energy(result: RunResult, spec: MachineSpec) -> MachineEnergy:
    """Add up a run's energy where the machine's description has what it takes."""
    try:
        energy_spec(spec)
    except EnergyError:
        return MachineEnergy(machine=result.machine, run=None, problem=NO_BLOCK)
    try:
        return MachineEnergy(machine=result.machine, run=run_energy(result, spec))
    except EnergyError as error:
        return MachineEnergy(machine=result.machine, run=None, problem=str(error))


def why_none(energies: Sequence[MachineEnergy]) -> str:
    """Say in one sentence which machines have no energy and why; empty where all have."""
    machines: dict[str, list[str]] = {}
    for energy in energies:
        if energy.run is None:
            machines.setdefault(energy.problem, []).append(energy.machine)
    reasons = [f"{', '.join(names)} ({problem})" for problem, names in machines.items()]
    return f"No energy is given of {'; '.join(reasons)}." if reasons else ""
