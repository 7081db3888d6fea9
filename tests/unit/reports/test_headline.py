import pytest

from reports.headline import headline
from sim.result import RunResult
from sim.stalls import StallCause


def test_the_fastest_machine_comes_first_with_its_lead(results: list[RunResult]) -> None:
    assert headline(results).startswith(
        "TPU v3 core generates text fastest, at 9,947 tokens/s in decode, "
        "1.19x the next, SIMD 8-core CPU."
    )


def test_what_binds_each_machine_is_said(results: list[RunResult]) -> None:
    text = headline(results)
    assert "TPU v3 core by fill/drain (41 % of its cycles)" in text
    assert "A100 80 GB by launch (69 %)" in text
    assert all(result.title in text for result in results)


def test_another_winner_at_prefill_is_named(make_result) -> None:
    slow_start = make_result("a", scale=100, prompt_tokens=1)
    fast_start = make_result("b", scale=120, prompt_tokens=60)
    text = headline([slow_start, fast_start])
    assert text.startswith("a generates text fastest")
    assert "b reads the prompt fastest" in text


def test_machines_within_one_percent_are_tied(make_result) -> None:
    text = headline([make_result("a", scale=1000), make_result("b", scale=1005)])
    assert text.startswith("a and b are equally fast in decode")


def test_a_single_machine_is_compared_with_nobody(make_result) -> None:
    text = headline([make_result("alone", scale=1000)])
    assert text.startswith("alone generates text at 10,000 tokens/s (decode).")
    assert "next" not in text


def test_without_decode_prefill_is_ranked(make_result) -> None:
    stalls = {StallCause.BANDWIDTH: 900}
    text = headline([make_result("a", new_tokens=1), make_result("b", new_tokens=1, stalls=stalls)])
    assert text.startswith("a reads the prompt fastest")
    assert "b by bandwidth" in text


def test_no_result_has_no_headline() -> None:
    with pytest.raises(ValueError, match="at least one"):
        headline([])
