"""Machine files: sources are told from values, and every mistake names file, key and remedy."""

import pytest

from sim.errors import SpecError
from sim.spec import MachineSpec, read_spec_file, validate

GOOD = """
name: tiny
title: tiny
family: cpu
kind: teaching
description: a machine
sources: {book: "Some Book, chapter 1"}
clock_hz: {value: 1 GHz, source: book, note: nominal}
memory:
  source: book
  kind: DDR4
  capacity_bytes: 1 GiB
  bandwidth_bytes_per_second: 25.6 GB/s
  latency_ticks: 80 ns
"""


def spec_from(tmp_path, text):
    path = tmp_path / "tiny.yaml"
    path.write_text(text)
    file = read_spec_file(path)
    return validate(MachineSpec, file.values, file.path), file


def test_values_are_converted_and_sources_kept(tmp_path):
    spec, file = spec_from(tmp_path, GOOD)
    assert spec.clock_hz == 10**9
    assert spec.memory.capacity_bytes == 1024**3
    assert spec.memory.latency_ticks == 80_000_000
    sources = {entry.key: (entry.value, entry.source, entry.note) for entry in file.provenance}
    assert sources["clock_hz"] == ("1 GHz", "Some Book, chapter 1", "nominal")
    assert sources["memory.capacity_bytes"] == ("1 GiB", "Some Book, chapter 1", "")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("capacity_bytes:", "capacty_bytes:", "'memory.capacty_bytes': unknown; did you mean 'cap"),
        ("1 GHz", "1 GiB", "'clock_hz': '1 GiB' is not a frequency: its unit must be one of Hz"),
        ("title: tiny\n", "", "key 'title': missing"),
        ("family: cpu", "family: cpu\nfamily: gpu", "key 'family' twice"),
        ("source: book, note", "source: bok, note", "source 'bok' is not under `sources:`; did"),
        ("note: nominal", "nite: nominal", "'clock_hz.nite': unknown; did you mean 'note'"),
        ("kind: teaching", "kind: toy", "key 'kind': Input should be 'chip' or 'teaching'"),
        ("name: tiny", "name: [tiny", "while parsing"),
    ],
)
def test_a_mistake_names_file_key_and_remedy(tmp_path, old, new, message):
    with pytest.raises(SpecError) as caught:
        spec_from(tmp_path, GOOD.replace(old, new, 1))
    assert "tiny.yaml" in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_chips_number_without_a_source_is_refused(tmp_path):
    chip = GOOD.replace("kind: teaching", "kind: chip").replace("  source: book\n", "")
    with pytest.raises(SpecError, match=r"'memory.capacity_bytes': a chip's number needs a"):
        spec_from(tmp_path, chip)


def test_a_calibration_says_what_it_was_fitted_to(tmp_path):
    text = GOOD + "calibration: {gap: {value: 3 us}}\n"
    with pytest.raises(SpecError, match=r"'calibration.gap': a calibration needs `fitted_to:`"):
        spec_from(tmp_path, text)


def test_a_missing_file_is_an_error_not_a_traceback(tmp_path):
    with pytest.raises(SpecError, match="cannot be read"):
        read_spec_file(tmp_path / "nowhere.yaml")


def test_a_file_that_is_no_mapping_is_refused(tmp_path):
    path = tmp_path / "list.yaml"
    path.write_text("- 1\n")
    with pytest.raises(SpecError, match="should hold keys and values"):
        read_spec_file(path)
