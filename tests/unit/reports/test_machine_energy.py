"""Which machines of a comparison have energy, and the sentence for those that have none."""

from dataclasses import replace

from reports.energy import NO_BLOCK, MachineEnergy, machine_energy, why_none
from sim.machine import load_machine


def test_a_description_without_energy_figures_gives_none(make_result) -> None:
    found = machine_energy(make_result("cpu-5stage"), load_machine("cpu-5stage").spec)
    assert found == MachineEnergy(machine="cpu-5stage", run=None, problem=NO_BLOCK)


def test_a_dtype_without_energy_figures_gives_none_and_names_it(make_result) -> None:
    result = replace(make_result("tpu-v4"), dtype="int32")
    found = machine_energy(result, load_machine("tpu-v4").spec)
    assert found.run is None
    assert "int32" in found.problem


def test_static_power_is_drawn_for_as_long_as_the_run_takes(make_result) -> None:
    result = make_result("tpu-v4")
    found = machine_energy(result, load_machine("tpu-v4").spec)
    assert found.run is not None
    for phase, energy in zip(result.phases, found.run.phases, strict=True):
        assert energy.joules_by_part["static"] == 90 * phase.seconds


def test_machines_without_energy_are_named_once_by_reason() -> None:
    energies = [
        MachineEnergy(machine=name, run=None, problem=problem)
        for name, problem in (("a", "too old"), ("b", "too new"), ("c", "too old"))
    ]
    assert why_none(energies) == "No energy is given of a, c (too old); b (too new)."
    assert why_none([]) == ""
