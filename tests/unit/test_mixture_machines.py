"""Mixtures of experts on machines that were made before them."""

import pytest

from sim.machine import load_machine
from sim.run import run
from workloads import Model, Trace, generate, read_config

SMALL = {
    "source": "made up",
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "vocab_size": 64,
    "max_position_embeddings": 32,
    "rms_norm_eps": 1e-6,
    "num_experts_per_tok": 2,
}
MIXTRAL = SMALL | {"model_type": "mixtral", "num_key_value_heads": 2, "num_local_experts": 4}
DEEPSEEK = SMALL | {
    "model_type": "deepseek_v3",
    "q_lora_rank": 12,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 4,
    "v_head_dim": 8,
    "first_k_dense_replace": 1,
    "moe_intermediate_size": 24,
    "n_routed_experts": 8,
    "n_shared_experts": 1,
    "n_group": 4,
    "topk_group": 2,
    "routed_scaling_factor": 2.5,
}
MACHINES = {
    "cpu-5stage": "float32",
    "gpu-a100-sxm-80gb": "float16",
    "tpu-v4": "bfloat16",
}


def traced(given: dict[str, object], dtype: str, **request: object) -> Trace:
    model = Model(name="mixture", config=read_config(given), tokenizer=None, seed=0)
    asked = {"prompt_tokens": 6, "new_tokens": 3, "execute": False} | request
    return generate(model, dtype=dtype, **asked).trace


@pytest.mark.parametrize("given", [MIXTRAL, DEEPSEEK], ids=["mixtral", "deepseek"])
@pytest.mark.parametrize("machine", MACHINES)
def test_a_machine_runs_every_operation_of_a_mixture(
    machine: str, given: dict[str, object]
) -> None:
    trace = traced(given, MACHINES[machine])
    result = run(trace, load_machine(machine))
    assert result.cycles > 0
    assert {row.name for row in result.ops} == {p.op.name for p in trace.placed_ops()}
    assert sum(row.dram_read_bytes for row in result.ops) > 0


def test_a_machine_runs_what_the_numbers_routed() -> None:
    trace = traced(MIXTRAL, "float32", execute=True)
    assert trace.about["routing"] == "data"
    assert run(trace, load_machine("cpu-5stage")).cycles > 0


@pytest.mark.parametrize("machine", MACHINES)
def test_more_experts_of_which_as_many_serve_a_token_cost_decode_hardly_more(machine: str) -> None:
    few, many = (
        run(
            traced(MIXTRAL | {"num_local_experts": count}, MACHINES[machine], prompt_tokens=1),
            load_machine(machine),
        ).cycles
        for count in (4, 64)
    )
    assert few <= many < 1.5 * few
