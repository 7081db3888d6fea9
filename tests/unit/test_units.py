"""Quantities: what people write becomes whole base units, or an error that says what to write."""

import pytest

from sim.units import parse_quantity


@pytest.mark.parametrize(
    ("text", "dimension", "value"),
    [
        ("40 MiB", "bytes", 40 * 1024**2),
        ("80GB", "bytes", 80 * 10**9),
        ("1.41 GHz", "frequency", 1_410_000_000),
        ("2039 GB/s", "bandwidth", 2_039_000_000_000),
        ("2.4 us", "time", 2_400_000_000),
        ("1 ps", "time", 1_000),
    ],
)
def test_a_quantity_becomes_whole_base_units(text, dimension, value):
    assert parse_quantity(text, dimension) == value


@pytest.mark.parametrize("text", ["40", 40, "MiB", "-3 MiB", "40 MiB extra", "", None])
def test_a_quantity_without_number_and_unit_is_refused(text):
    with pytest.raises(ValueError, match="write a number and one of B, kB"):
        parse_quantity(text, "bytes")


def test_a_wrong_dimension_names_the_right_units():
    with pytest.raises(ValueError, match="'40 GHz' is not a bytes: its unit must be one of B"):
        parse_quantity("40 GHz", "bytes")


def test_what_is_finer_than_a_base_unit_is_refused():
    with pytest.raises(ValueError, match="finer"):
        parse_quantity("0.5 B", "bytes")
