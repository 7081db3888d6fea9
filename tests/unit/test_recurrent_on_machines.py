"""A recurrent network runs on every kind of machine, and its chain shows in their cycles."""

from itertools import pairwise
from typing import Any

import pytest

from sim.machine import load_machine
from sim.run import run
from workloads import Model, Trace, read_config, recur
from workloads.trace import Phase

MACHINES = ("cpu-5stage", "gpu-a100-sxm-80gb", "tpu-v4")
CELLS = ("rnn_lm", "lstm_lm", "gru_lm")


def trace(model_type: str, **asked: Any) -> Trace:
    keys = {
        "source": "made up",
        "model_type": model_type,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "vocab_size": 50,
        "num_steps": 8,
    }
    model = Model(name="tiny", config=read_config(keys), tokenizer=None, seed=1)
    return recur(model, execute=False, **asked).trace


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("model_type", CELLS)
def test_a_recurrent_network_runs_on_every_kind_of_machine(machine: str, model_type: str) -> None:
    result = run(trace(model_type, prompt_tokens=6, new_tokens=3), load_machine(machine))
    assert result.phase(Phase.PREFILL).cycles > result.phase(Phase.DECODE).cycles / 2 > 0
    assert sum(op.count for op in result.ops) == 1 + 2 * (2 + 6 * (result_ops(model_type))) + 3 + (
        2 * (1 + 2 * (2 + result_ops(model_type)) + 3)
    )


def result_ops(model_type: str) -> int:
    """Operations of a step: product, bias, and a cell of one operation, or an LSTM's of two."""
    return 4 if model_type == "lstm_lm" else 3


@pytest.mark.parametrize("machine", MACHINES)
def test_a_prompt_of_twice_the_length_takes_its_steps_longer(machine: str) -> None:
    cycles = [
        run(trace("lstm_lm", prompt_tokens=tokens, new_tokens=1), load_machine(machine)).cycles
        for tokens in (8, 16, 32)
    ]
    added = [after - before for before, after in pairwise(cycles)]
    assert 1.8 < added[1] / added[0] < 2.2  # 16 more steps cost twice what 8 more did
