"""What a mixture of experts and latent attention move and compute, against closed forms."""

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from expert_models import small

from workloads import (
    Model,
    ModelError,
    Op,
    Role,
    Trace,
    TraceError,
    Tracer,
    active_parameter_count,
    generate,
    load_config,
    load_model,
    parameter_count,
)
from workloads.architectures.experts import balanced_choice
from workloads.architectures.registry import parameter_shapes
from workloads.architectures.yarn import Yarn

FIXTURES = Path(__file__).parents[2] / "fixtures" / "experts"


def shaped(model: Model, **request: Any) -> Trace:
    return generate(model, **({"prompt_tokens": 5, "new_tokens": 3} | request), execute=False).trace


def ops_of(trace: Trace, step: int, layer: int | None = None) -> list[Op]:
    placed = trace.placed_ops()
    return [p.op for p in placed if p.op.step == step and layer in (None, p.layer)]


def weight_bytes_read(trace: Trace, ops: list[Op]) -> int:
    accesses = [access for op in ops for access in op.reads]
    return sum(a.bytes for a in accesses if trace.tensors[a.tensor].role is Role.WEIGHT)


@pytest.mark.parametrize(
    ("name", "active"), [("mixtral-8x7b", 12_879_925_248), ("deepseek-v3", 37_552_282_624)]
)
def test_a_token_is_served_by_the_published_part_of_the_weights(name: str, active: int) -> None:
    model = load_model(name)
    assert active_parameter_count(model.config) == active  # 12.9B and 37B as published


def test_every_weight_of_a_dense_model_serves_every_token() -> None:
    model = load_model("llama3-8b")
    assert active_parameter_count(model.config) == model.parameter_count


def test_a_decode_pass_of_mixtral_reads_the_active_weights_and_no_others() -> None:
    model = load_model("mixtral-8x7b")
    trace = shaped(model)
    table = 32_000 * 4_096  # the embedding, of which a pass reads a row
    read = weight_bytes_read(trace, ops_of(trace, step=1))
    assert read == 2 * (active_parameter_count(model.config) - table + 4_096)


def test_a_decode_pass_of_deepseek_reads_the_active_weights_and_no_others() -> None:
    model = load_model("deepseek-v3")
    trace = shaped(model, max_context=64)
    table, corrections = 129_280 * 7_168, 58 * 256
    read = weight_bytes_read(trace, ops_of(trace, step=1))
    assert read == 2 * (active_parameter_count(model.config) - table + 7_168 + corrections)


@pytest.mark.parametrize(
    ("name", "elements"), [("mixtral-8x7b", 32 * 2 * 8 * 128), ("deepseek-v3", 61 * (512 + 64))]
)
def test_the_cache_holds_what_was_published_of_a_token(name: str, elements: int) -> None:
    trace = shaped(load_model(name), max_context=100)
    assert trace.bytes_of(Role.KV_CACHE) == 2 * 100 * elements  # 16-bit


def test_a_trace_of_deepseek_holds_its_weights_where_its_layers_have_them() -> None:
    trace = shaped(load_model("deepseek-v3"), max_context=64)
    tensors = {tensor.name: tensor for tensor in trace.tensors}
    dense, expert = tensors["mlp.up.weight"], tensors["experts.255.up.weight"]
    assert (dense.first_layer, dense.layers) == (0, 3)
    assert (expert.first_layer, expert.layers) == (3, 58)
    assert expert.address_in(3) == expert.address
    assert expert.address_in(4) == expert.address + expert.layer_stride_bytes
    weights = sorted(
        (tensor.address_in(layer), tensor.bytes)
        for tensor in trace.tensors
        if tensor.role is Role.WEIGHT
        for layer in range(tensor.first_layer, tensor.first_layer + tensor.layers)
    )
    assert all(at + size <= after for (at, size), (after, _) in pairwise(weights))
    assert trace.weight_bytes == 2 * (671_026_404_352 + 58 * 256)


def test_a_layer_is_not_given_a_weight_that_it_does_not_have(tracer: Tracer) -> None:
    own = dict.fromkeys((1, 2), np.ones(1))
    tracer.declare("late", Role.WEIGHT, (1,), layers=2, first_layer=1, values=own.__getitem__)
    walk = tracer.layers(3)
    next(walk)
    with pytest.raises(TraceError, match="layer 0 has no tensor late of its own"):
        tracer.get("late")
    next(walk)
    assert tracer.get("late").values is own[1]


def test_corrections_are_set_by_a_rule_and_count_as_no_parameters() -> None:
    model = small("deepseek")
    shapes = parameter_shapes(model.config)
    every = sum(np.prod(p.shape) * len(p.layer_numbers) for p in shapes.values())
    assert every - model.parameter_count == 2 * 12


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_balanced_routing_spreads_tokens_as_evenly_as_can_be(batch: int) -> None:
    experts = small("deepseek").config.experts
    for start, tokens in ((0, 7), (7, 1), (8, 1), (9, 4)):
        choice = balanced_choice(experts, batch, tokens, start)
        assert choice.shape == (batch * tokens, 3)
        assert all(len(set(row)) == 3 for row in choice.tolist())
        times = Counter(choice.ravel().tolist())
        counts = [times[expert] for expert in range(12)]
        assert max(counts) - min(counts) <= 1


def test_pieces_of_a_prompt_are_routed_like_the_whole() -> None:
    experts = small("mixtral").config.experts
    whole = balanced_choice(experts, 2, 6, 0).reshape(2, 6, 2)
    rest = balanced_choice(experts, 2, 4, 2).reshape(2, 4, 2)
    assert np.array_equal(whole[:, 2:], rest)


def test_a_balanced_decode_pass_touches_k_experts_and_the_next_one_others() -> None:
    trace = shaped(small("mixtral"), prompt_tokens=4)
    assert gates_read(trace, step=1) == {"experts.0.gate.weight", "experts.1.gate.weight"}
    assert gates_read(trace, step=2) == {"experts.2.gate.weight", "experts.3.gate.weight"}


def gates_read(trace: Trace, step: int) -> set[str]:
    names = {trace.tensors[a.tensor].name for op in ops_of(trace, step, 1) for a in op.reads}
    return {name for name in names if name.endswith(".gate.weight")}


def test_an_expert_without_tokens_is_not_read_where_numbers_route() -> None:
    run = generate(small("deepseek"), [3, 1, 4, 1, 5], new_tokens=2)
    placed = [p for p in run.trace.placed_ops() if p.op.name == "experts.up"]
    prefill = [p.op.dims["m"] for p in placed if p.op.step == 0 and p.layer == 2]
    decode = [p.op.dims["m"] for p in placed if p.op.step == 1 and p.layer == 2]
    assert sum(prefill) == 5 * 3
    assert decode == [1, 1, 1]


def test_mixtral_counts_the_arithmetic_of_its_experts() -> None:
    ops = ops_of(shaped(small("mixtral")), step=0, layer=0)
    tokens, c, f, k, experts = 5, 16, 24, 2, 4
    router = 2 * tokens * c * experts + 4 * tokens * experts  # product; softmax
    choice = tokens * (k * experts + 2 * k)  # scans; sum and divide
    made = tokens * k * (3 * 2 * c * f + 3 * f + 2 * c)  # products; SwiGLU; weighed sum
    names = ("experts.",)
    assert sum(op.flops for op in ops if op.name.startswith(names)) == router + choice + made


def attention_flops(trace: Trace, step: int) -> int:
    products = ("attention.key", "attention.value", "attention.scores", "attention.mix")
    return sum(op.flops for op in ops_of(trace, step, layer=0) if op.name in products)


def test_the_prefill_is_naive_and_decode_absorbed() -> None:
    trace = shaped(small("deepseek", latent_form=None), prompt_tokens=20, new_tokens=2)
    heads, n, p, v, r = 4, 6, 4, 5, 8
    made = 2 * 20 * r * heads * (n + v)  # keys and values of all positions
    assert attention_flops(trace, 0) == made + 2 * 20 * 20 * heads * (n + p + v)
    folded = 2 * r * heads * (n + v)  # into one query and one result
    assert attention_flops(trace, 1) == folded + 2 * 21 * heads * (2 * r + p)


def test_absorbed_attention_reads_the_cache_as_it_lies() -> None:
    trace = shaped(small("deepseek"), prompt_tokens=7, new_tokens=2, batch=2)
    ops = {op.name: op for op in ops_of(trace, 1, layer=0)}
    assert ops["attention.scores"].reads[1].bytes == 8 * 2 * (8 + 4) * 4
    assert ops["attention.mix"].reads[1].bytes == 8 * 2 * 8 * 4
    assert ops["attention.latent.append"].bytes_written == 2 * (8 + 4) * 4
    assert ops["attention.scores"].dims == {"batch": 2, "m": 4, "n": 8, "k": 12}


def test_a_long_piece_of_a_prompt_is_cheaper_naive() -> None:
    latent = load_model("deepseek-v3").config.latent
    assert latent.is_absorbed(1, 1)
    assert latent.is_absorbed(170, 4096)  # 512 * 256 / (2 * 512 - 256) is 170.7
    assert not latent.is_absorbed(171, 4096)
    assert not latent.is_absorbed(1, 0)


def test_yarn_slows_what_turns_seldom_and_keeps_what_turns_often() -> None:
    yarn = Yarn(factor=40, original_context=4096, rotary_strength=1, score_strength=1)
    plain = [10_000 ** (-2 * pair / 64) for pair in range(32)]
    slowed = np.array(plain) / np.array(yarn.frequencies(theta=1e4, rotated=64))
    assert np.allclose(slowed[:11], 1)  # 64 ln(4096 / (32 * 2 pi)) / (2 ln 1e4) is 10.5
    assert np.allclose(slowed[23:], 40)  # and 22.5 for one turn
    assert (np.diff(slowed[10:24]) > 0).all()
    assert yarn.rotary_factor == 1
    assert yarn.score_factor == pytest.approx((0.1 * np.log(40) + 1) ** 2)


@pytest.mark.parametrize(
    ("name", "parameters"), [("mixtral", 46_702_792_704), ("deepseek_v3", 671_026_404_352)]
)
def test_a_published_config_json_is_read_as_it_is(name: str, parameters: int) -> None:
    config = load_config(FIXTURES / f"{name}.config.json")
    assert parameter_count(config) == parameters


def test_the_zoo_has_deepseek_as_published() -> None:
    published = load_config(FIXTURES / "deepseek_v3.config.json")
    ours = load_model("deepseek-v3").config
    assert ours == published.model_copy(update={"source": ours.source})


@pytest.mark.parametrize(
    ("family", "changes", "message"),
    [
        ("mixtral", {"num_experts_per_tok": 5}, "more experts than its groups hold"),
        (
            "mixtral",
            {"num_local_expert": 4},
            "unknown key 'num_local_expert'; did you mean 'num_local_experts'",
        ),
        ("mixtral", {"num_local_experts": None}, "key 'num_local_experts' is missing; add it"),
        ("mixtral", {"routing": "fair"}, "key 'routing': .*'data' or 'balanced', got 'fair'"),
        ("mixtral", {"rope_scaling": 4}, "key 'rope_scaling': must hold keys of its own, got 4"),
        ("mixtral", {"rope_scaling": {"type": "yarn"}}, "key 'rope_scaling': key 'factor' is miss"),
        ("deepseek", {"n_group": 5}, "must divide into groups of one size"),
        ("deepseek", {"n_group": 12, "topk_group": 3}, "at least two experts"),
        ("deepseek", {"topk_group": 5}, "no more groups can be chosen than there are"),
        ("deepseek", {"first_k_dense_replace": 4}, "no more layers can be dense than there are"),
        ("deepseek", {"scoring_func": "softmax"}, "'scoring_func': only 'sigmoid' is known"),
        ("deepseek", {"num_key_value_heads": 2}, "'num_key_value_heads': must equal num_att"),
        ("deepseek", {"qk_rope_head_dim": 3}, "must be even for rotary"),
        ("deepseek", {"n_shared_experts": "one"}, "key 'shared': .*valid integer.*got 'one'"),
        ("deepseek", {"latent_form": "thin"}, "key 'form': .*'naive' or 'absorbed', got 'thin'"),
        ("deepseek", {"rope_scaling": {"type": "linear"}}, "only 'default' or 'yarn' is known"),
        (
            "deepseek",
            {"rope_scaling": {}, "rope_parameters": {}},
            "'rope_scaling' and 'rope_parameters' mean the same; keep one",
        ),
    ],
)
def test_a_description_that_is_wrong_is_refused_in_one_line(
    family: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message) as error:
        small(family, **changes)
    assert "\n" not in str(error.value)
