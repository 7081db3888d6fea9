"""How a run's cycles were obtained, in one line."""

from reports.obtained import obtained
from sim.machine import load_machine
from sim.run import run
from workloads import generate, load_model


def test_the_three_shares_and_the_bound_are_said_of_each_machine():
    trace = generate(load_model("glassllm-en"), prompt_tokens=2, new_tokens=2, execute=False).trace
    result = run(trace, load_machine("cpu-5stage"))
    line = obtained(result)
    assert line.startswith("cpu-5stage: ")
    for word in ("simulated", "replayed", "extrapolated", "error bound 0"):
        assert word in line
    assert result.shares.total == result.cycles
    assert result.shares.extrapolated_cycles > result.cycles // 2
