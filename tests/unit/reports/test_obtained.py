"""How a run's cycles were obtained, as a table and a sentence."""

from dataclasses import replace

from reports.obtained import PROVED, UNPROVED, obtained
from sim.machine import load_machine
from sim.result import Shares
from sim.run import run
from workloads import generate, load_model


def test_the_shares_and_what_proves_them_are_said_of_each_machine():
    trace = generate(load_model("glassllm-en"), prompt_tokens=2, new_tokens=2, execute=False).trace
    result = run(trace, load_machine("cpu-5stage"))
    heading, row, sentence = obtained([result, result]).splitlines()
    assert heading.split()[-3:] == ["simulated", "replayed", "extrapolated"]
    assert row.split()[0] == "cpu-5stage"
    assert sentence == PROVED
    assert result.shares.total == result.cycles
    assert result.shares.extrapolated_cycles > result.cycles // 2
    assert result.shares.error_bound_cycles == 0

    shares = Shares(simulated_cycles=50, extrapolated_cycles=50, unproved_cycles=25)
    heading, row, sentence = obtained([replace(result, shares=shares)]).splitlines()
    assert heading.endswith("of it unproved")
    assert row.split() == ["cpu-5stage", "50", "%", "0", "%", "50", "%", "25", "%"]
    assert sentence == UNPROVED
    assert shares.error_bound_cycles == 25
