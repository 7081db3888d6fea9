import pytest

from reports.quantities import binary_bytes, percent, si, significant, times


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (2_039e9, "B/s", "2.04 TB/s"),
        (156e12, "FLOP/s", "156 TFLOP/s"),
        (20.6e-6, "s", "20.6 µs"),
        (999.7e9, "B/s", "1.00 TB/s"),
        (0.9999e-6, "s", "1.00 µs"),
        (0, "B", "0 B"),
        (float("inf"), "B", "∞ B"),
    ],
)
def test_a_value_has_three_digits_and_an_si_prefix(value: float, unit: str, text: str) -> None:
    assert si(value, unit) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0781, "0.0781"), (7.5, "7.50"), (99.96, "100"), (48_619.4, "48,619"), (0, "0")],
)
def test_small_numbers_keep_three_digits_and_large_ones_all(value: float, text: str) -> None:
    assert significant(value) == text


def test_capacities_are_binary_unless_they_are_whole_gigabytes() -> None:
    assert binary_bytes(40 * 2**20) == "40 MiB"
    assert binary_bytes(80 * 10**9) == "80.0 GB"
    assert binary_bytes(512) == "512 B"


def test_a_share_that_rounds_to_nothing_says_so() -> None:
    assert [percent(share) for share in (0, 0.001, 0.273, 1)] == ["0 %", "<1 %", "27 %", "100 %"]


def test_ratios_keep_two_digits_below_ten_and_what_tells_them_from_one() -> None:
    assert [times(ratio) for ratio in (1.04, 3.42, 14.81, 340.2)] == [
        "1.04x",
        "3.4x",
        "14.8x",
        "340x",
    ]
