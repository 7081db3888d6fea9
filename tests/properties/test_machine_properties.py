"""For any small model on any machine: the laws hold, and more is never worse.

`run` raises LawViolationError itself, so that a run that returns has kept all five laws.
"""

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.machine import load_machine, machine_names
from sim.run import run
from workloads import generate
from workloads.config import ModelConfig
from workloads.zoo import Model

LARGE = "1000 GB"


@st.composite
def traces(draw):
    """A trace of a decoder of random shape, prompt and batch, without numbers."""
    heads = draw(st.sampled_from([1, 2, 4, 6]))
    kv_heads = draw(st.sampled_from([h for h in (1, 2, 3, 6) if heads % h == 0]))
    config = ModelConfig.model_validate(
        {
            "model_type": "llama",
            "source": "made up",
            "vocab_size": draw(st.integers(3, 700)),
            "hidden_size": heads * draw(st.sampled_from([2, 8, 14, 64])),
            "intermediate_size": draw(st.integers(1, 900)),
            "num_hidden_layers": draw(st.integers(1, 4)),
            "num_attention_heads": heads,
            "num_key_value_heads": kv_heads,
            "max_position_embeddings": 256,
            "rms_norm_eps": 1e-6,
            "rope_theta": 10_000.0,
            "hidden_act": "silu",
            "torch_dtype": "float32",
            "tie_word_embeddings": draw(st.booleans()),
        }
    )
    return generate(
        Model(name="random", config=config, tokenizer=None, seed=0),
        prompt_tokens=draw(st.integers(1, 200)),
        new_tokens=draw(st.integers(1, 4)),
        batch=draw(st.integers(1, 5)),
        execute=False,
    ).trace


@cache
def machine(name, **overrides):
    return load_machine(name, overrides={"memory.capacity_bytes": LARGE, **overrides})


@pytest.mark.parametrize("name", machine_names())
@given(trace=traces())
@settings(deadline=None, max_examples=15)
def test_every_run_keeps_the_laws_and_repeats_itself(name, trace):
    first, second = (run(trace, machine(name)) for _ in range(2))
    assert first.trace_digest == trace.digest()
    assert [row.cycles for row in first.ops] == [row.cycles for row in second.ops]
    assert sum(row.flops for row in first.ops) == trace.flops
    assert sum(row.count for row in first.ops) == trace.op_count


@pytest.mark.parametrize("name", machine_names())
@given(trace=traces(), factor=st.sampled_from([2, 3, 16]))
@settings(deadline=None, max_examples=15)
def test_more_memory_bandwidth_is_never_slower(name, trace, factor):
    bandwidth = load_machine(name).spec.memory.bandwidth_bytes_per_second
    wider = load_machine(
        name,
        overrides={
            "memory.capacity_bytes": LARGE,
            "memory.bandwidth_bytes_per_second": f"{bandwidth * factor} B/s",
        },
    )
    assert run(trace, wider).cycles <= run(trace, machine(name)).cycles


@pytest.mark.parametrize("name", machine_names())
@given(trace=traces(), factor=st.sampled_from([2, 8]))
@settings(deadline=None, max_examples=15)
def test_a_longer_memory_latency_is_never_faster(name, trace, factor):
    latency = load_machine(name).spec.memory.latency_ticks
    slower = load_machine(
        name,
        overrides={
            "memory.capacity_bytes": LARGE,
            "memory.latency_ticks": f"{latency * factor // 1000} ps",
        },
    )
    assert run(trace, slower).cycles >= run(trace, machine(name)).cycles
