"""Scenarios: read, run, checked; and mistakes found before anything runs."""

import pytest
import yaml

from sim.errors import SpecError
from sim.scenario import load_scenario, metric_names, run_scenario, scenario_names

DECODE = "decode.tokens_per_second"
GOOD = {
    "name": "test",
    "question": "Is more bandwidth faster?",
    "workload": {"model": "glassllm-en", "prompt_tokens": 4, "new_tokens": 3},
    "machines": ["toy-4x4"],
    "sweep": {
        "machine.memory.bandwidth_bytes_per_second": ["200 MB/s", "400 MB/s"],
        "workload.batch": [1, 2],
    },
    "expect": [
        {
            "claim": "twice the bandwidth decodes faster",
            "left": {
                "machine": "toy-4x4",
                "metric": DECODE,
                "at": {
                    "machine.memory.bandwidth_bytes_per_second": "400 MB/s",
                    "workload.batch": 1,
                },
            },
            "relation": ">",
            "right": {
                "machine": "toy-4x4",
                "metric": DECODE,
                "at": {
                    "machine.memory.bandwidth_bytes_per_second": "200 MB/s",
                    "workload.batch": 1,
                },
            },
        }
    ],
}


def scenario(tmp_path, **changes):
    path = tmp_path / "test.yaml"
    path.write_text(yaml.safe_dump({**GOOD, **changes}))
    return load_scenario(str(path))


def test_every_combination_of_the_sweep_is_run(tmp_path):
    seen = []
    outcome = run_scenario(
        scenario(tmp_path), progress=lambda done, total, what: seen.append((done, total, what))
    )
    assert len(outcome.points) == 4
    assert outcome.passed
    assert seen[0][:2] == (0, 4)
    assert "workload.batch=1" in seen[0][2]
    by_batch = {point.parameters["workload.batch"]: point.result.batch for point in outcome.points}
    assert by_batch == {1: 1, 2: 2}


def test_an_expectation_that_fails_is_reported_with_both_values(tmp_path):
    expect = [{**GOOD["expect"][0], "relation": "<", "times": 0.5}]
    outcome = run_scenario(scenario(tmp_path, expect=expect))
    assert not outcome.passed
    assert " < " in outcome.checks[0].detail


def test_shares_of_a_phase_can_be_measured():
    assert "decode.share.bandwidth" in metric_names()
    assert "prefill.share.busy" in metric_names()


@pytest.mark.parametrize("name", scenario_names())
def test_every_packaged_scenario_has_a_question_and_expectations(name):
    loaded = load_scenario(name)
    assert loaded.name == name
    assert loaded.question.endswith("?")
    assert loaded.expect


def test_a_small_packaged_scenario_holds():
    assert run_scenario(load_scenario("one-port-or-two")).passed


MEASURE = {"machine": "toy-4x4", "metric": DECODE}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"questoin": "?"}, "key 'questoin': unknown; did you mean 'question'"),
        ({"machines": ["toy-4x5"]}, "no machine is named 'toy-4x5'; did you mean 'toy-4x4'"),
        ({"machines": []}, "key 'machines'"),
        ({"workload": {"model": "glassllm-en"}}, "key 'workload.new_tokens': missing"),
        ({"sweep": {"workload.bach": [1]}}, "'sweep.workload.bach'.*did you mean 'workload.batch'"),
        ({"sweep": {"workload.batch": [1]}}, "'machine.memory.*' is not swept"),
        ({"sweep": {**GOOD["sweep"], "workload.batch": [2]}}, "'expect.0.left'.at: must pick one"),
        (
            {"sweep": {}, "expect": [{**GOOD["expect"][0], "left": {**MEASURE, "metric": "fast"}}]},
            "'fast' is not a metric",
        ),
        (
            {"sweep": {}, "expect": [{**GOOD["expect"][0], "left": {**MEASURE, "machine": "x"}}]},
            "'x' is not run here",
        ),
    ],
)
def test_a_mistake_is_found_before_anything_runs(tmp_path, changes, message):
    with pytest.raises(SpecError, match=message):
        scenario(tmp_path, **changes)


def test_a_misspelt_scenario_names_the_nearest():
    with pytest.raises(SpecError, match="did you mean 'batch-sweep'"):
        load_scenario("batch-swep")


EXECUTED = {
    "claim": "nothing is wrong",
    "left": {"machine": "toy-4x4", "metric": "executed.wrong_tokens"},
    "relation": "==",
    "right": 0,
}


def test_an_executed_metric_needs_a_scenario_that_executes(tmp_path):
    with pytest.raises(SpecError, match=r"'executed.wrong_tokens' needs `execute: true`"):
        scenario(tmp_path, sweep={}, expect=[EXECUTED])


def test_a_scenario_that_executes_needs_an_executor_and_measures_what_it_returns(tmp_path):
    described = scenario(tmp_path, sweep={}, expect=[EXECUTED], execute=True)
    with pytest.raises(SpecError, match="needs an executor; use `tokenclock run`"):
        run_scenario(described)
    right, wrong = (
        run_scenario(described, executor=lambda *_, count=count: {"wrong_tokens": count})
        for count in (0, 1)
    )
    assert right.passed
    assert not wrong.passed
