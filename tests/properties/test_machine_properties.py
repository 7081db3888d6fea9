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
from workloads.descriptions import read_config
from workloads.zoo import Model

LARGE = "1000 GB"

ABLE = [
    name
    for name in machine_names()
    if "float32" in load_machine(name).peaks().matmul_flops_per_second
]
"""Machines that compute what the traces here hold; an int8 chip does not."""
ALIKE = {
    *("cpu-haswell", "cpu-skylake", "cpu-icelake", "cpu-zen3", "cpu-sapphire-rapids"),
    *("cpu-a76", "cpu-u74"),
}
DISTINCT = [name for name in ABLE if name not in ALIKE]
"""Of CPUs that differ in their cores' kernels only, one out of order and one in order: what memory
does to them is the same code."""


@st.composite
def traces(draw):
    """A trace of a decoder of random shape, prompt and batch, without numbers."""
    heads = draw(st.sampled_from([1, 2, 4, 6]))
    kv_heads = draw(st.sampled_from([h for h in (1, 2, 3, 6) if heads % h == 0]))
    config = read_config(
        {
            "model_type": "llama",
            "source": "made up",
            "vocab_size": draw(st.integers(3, 700)),
            "hidden_size": heads * draw(st.sampled_from([2, 8, 14, 64])),
            "intermediate_size": draw(st.integers(1, 900)),
            "num_hidden_layers": draw(st.integers(1, 3)),
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
        prompt_tokens=draw(st.integers(1, 100)),
        new_tokens=draw(st.integers(1, 4)),
        batch=draw(st.integers(1, 5)),
        execute=False,
    ).trace


@cache
def machine(name, **overrides):
    return load_machine(name, overrides={"memory.capacity_bytes": LARGE, **overrides})


@pytest.mark.parametrize("name", DISTINCT)
@given(trace=traces())
@settings(deadline=None, max_examples=8)
def test_every_run_keeps_the_laws_and_repeats_itself(name, trace):
    require_laws(name, trace)


@pytest.mark.parametrize("name", sorted(ALIKE))
@given(trace=traces())
@settings(deadline=None, max_examples=2)
def test_every_run_on_other_cores_kernels_keeps_the_laws_too(name, trace):
    require_laws(name, trace)


def require_laws(name, trace):
    first, second = (run(trace, machine(name)) for _ in range(2))
    assert first.trace_digest == trace.digest()
    assert [row.cycles for row in first.ops] == [row.cycles for row in second.ops]
    assert sum(row.flops for row in first.ops) == trace.flops
    assert sum(row.count for row in first.ops) == trace.op_count


@pytest.mark.parametrize("name", DISTINCT)
@given(trace=traces(), factor=st.sampled_from([2, 3, 16]))
@settings(deadline=None, max_examples=8)
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


@pytest.mark.parametrize("name", DISTINCT)
@given(trace=traces(), factor=st.sampled_from([2, 8]))
@settings(deadline=None, max_examples=8)
def test_a_longer_memory_latency_is_never_faster(name, trace, factor):
    memory = load_machine(name).spec.memory
    key = "latency_ticks" if memory.dram is None else "path_ticks"
    slower = load_machine(
        name,
        overrides={
            "memory.capacity_bytes": LARGE,
            f"memory.{key}": f"{getattr(memory, key) * factor // 1000} ps",
        },
    )
    assert run(trace, slower).cycles >= run(trace, machine(name)).cycles


RANDOM_MACHINES = {
    "cpu-5stage": {
        "clock_hz": ["100 MHz", "1 GHz", "3.3 GHz"],
        "core.forwarding": [True, False],
        "core.shared_memory_port": [True, False],
        "memory.bandwidth_bytes_per_second": ["100 MB/s", "12.8 GB/s"],
        "memory.path_ticks": ["0 ns", "26.25 ns", "1 us"],
    },
    "cpu-superpipelined": {
        "core.forwarding": [True, False],
        "core.shared_memory_port": [True, False],
        "core.stages.fetch": [1, 3],
        "core.stages.execute": [1, 2],
        "caches.l1.hit_cycles": [1, 3],
    },
    "cpu-dual-issue": {
        "core.issue_width": [1, 2, 4],
        "core.lanes": [1, 8],
        "core.shared_memory_port": [True, False],
        "caches.l1.hit_cycles": [1, 3],
    },
    "cpu-matrix": {
        "core.lanes": [1, 8],
        "core.tiles.registers": [3, 5, 8],
        "core.tiles.rows": [1, 5, 16],
        "core.tiles.row_bytes": ["4 B", "20 B", "64 B"],
        "caches.l1.bytes_per_cycle": [4, 128],
    },
    "cpu-simd-8core": {
        "clock_hz": ["1 GHz", "3.3 GHz"],
        "core.count": [1, 3, 8],
        "memory.bandwidth_bytes_per_second": ["1 GB/s", "51.2 GB/s"],
    },
    "cpu-zen4": {
        "clock_hz": ["1 GHz", "4.5 GHz"],
        "core.vector_bits": [128, 256, 512],
        "core.count": [1, 3, 8],
        "memory.bandwidth_bytes_per_second": ["1 GB/s", "83.2 GB/s"],
    },
    "gpu-a100-sxm-80gb": {
        "clock_hz": ["300 MHz", "1.41 GHz"],
        "sm_count": [1, 7, 108],
        "l2.capacity_bytes": ["64 KiB", "40 MiB"],
        "l2.bytes_per_cycle": [64, 5120],
        "memory.efficiency": [0.3, 1.0],
        "launch.host_interval_ticks": ["0 us", "3.8 us"],
        "launch.queue_depth": [1, 1024],
    },
    "tpu-v3-core": {
        "clock_hz": ["300 MHz", "940 MHz"],
        "arrays.count": [1, 2, 5],
        "arrays.rows": [8, 128],
        "arrays.cols": [16, 128],
        "arrays.double_buffered_weights": [True, False],
        "vector.alus_per_lane": [1, 4],
        "scratchpad.capacity_bytes": ["2 MiB", "16 MiB"],
        "memory.bandwidth_bytes_per_second": ["1 GB/s", "450 GB/s"],
    },
}


@pytest.mark.parametrize("name", RANDOM_MACHINES)
@given(data=st.data(), trace=traces())
@settings(deadline=None, max_examples=10)
def test_the_laws_hold_on_machines_of_any_proportions(name, data, trace):
    keys = {key: st.sampled_from(values) for key, values in RANDOM_MACHINES[name].items()}
    overrides = data.draw(st.fixed_dictionaries(keys))
    overrides["memory.capacity_bytes"] = LARGE
    assert run(trace, load_machine(name, overrides=overrides)).cycles > 0
