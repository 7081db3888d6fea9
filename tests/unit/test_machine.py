"""Machines by name, from a file, and with values set otherwise."""

import pytest

from sim.errors import SpecError
from sim.machine import load_machine, machine_file, machine_names

NAMED_BY_THE_README = {
    "cpu-von-neumann",
    "cpu-harvard",
    "cpu-5stage",
    "cpu-simd-8core",
    "gpu-a100-sxm-80gb",
    "tpu-v3-core",
    "toy-4x4",
}


def test_the_machines_that_the_readme_names_exist():
    assert set(machine_names()) >= NAMED_BY_THE_README


@pytest.mark.parametrize("name", machine_names())
def test_every_machine_loads_under_its_own_name_and_has_peaks(name):
    machine = load_machine(name)
    assert machine.spec.name == name
    peaks = machine.peaks()
    assert all(rate > 0 for rate in peaks.matmul_flops_per_second.values())
    assert peaks.memory_bytes_per_second == machine.spec.memory.bandwidth_bytes_per_second
    assert [level.name for level in machine.memory_levels()][-1] == "dram"


def test_a_misspelt_machine_names_the_nearest():
    with pytest.raises(SpecError, match="did you mean 'gpu-a100-sxm-80gb'"):
        load_machine("gpu-a100-sxm-80")


def test_a_file_of_ones_own_is_a_machine(tmp_path):
    text = machine_file("cpu-5stage").path.read_text().replace("1 GHz", "2 GHz", 1)
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    assert load_machine(str(path)).spec.clock_hz == 2 * 10**9


def test_an_unknown_family_names_the_known_ones(tmp_path):
    path = tmp_path / "odd.yaml"
    path.write_text("name: odd\nfamily: gpus\n")
    with pytest.raises(SpecError, match="no machine family 'gpus'; did you mean 'gpu'"):
        load_machine(str(path))


def test_a_value_can_be_set_by_its_dotted_key():
    overrides = {"memory.bandwidth_bytes_per_second": "1 TB/s"}
    machine = load_machine("gpu-a100-sxm-80gb", overrides=overrides)
    assert machine.spec.memory.bandwidth_bytes_per_second == 10**12
    plain = load_machine("gpu-a100-sxm-80gb")
    assert plain.spec.memory.bandwidth_bytes_per_second == 2_039_000_000_000


@pytest.mark.parametrize("key", ["memory.bandwith", "memry.bandwidth_bytes_per_second", "clock"])
def test_setting_a_key_that_is_not_there_is_an_error(key):
    with pytest.raises(SpecError, match=f"no key '{key}' to set"):
        load_machine("gpu-a100-sxm-80gb", overrides={key: "1 GB/s"})


def test_setting_a_wrong_unit_is_an_error():
    with pytest.raises(SpecError, match="'clock_hz': '3 GB' is not a frequency"):
        load_machine("cpu-5stage", overrides={"clock_hz": "3 GB"})
