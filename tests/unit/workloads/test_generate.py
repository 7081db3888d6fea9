from typing import Any

import glassllm
import numpy as np
import pytest

from workloads import Family, Model, ModelError, Phase, Role, Tracer, generate, load_model
from workloads.packages import GLASSLLM, package_file

PROMPTS = ["Alice", "Alice was beginning to", "“Off with her head!” said the Queen.\n\nThe"]


@pytest.mark.parametrize("prompt", PROMPTS)
def test_logits_agree_with_glassllm(english: Model, oracle: Any, prompt: str) -> None:
    ids = english.encode(prompt)
    run = generate(english, ids, new_tokens=20)
    sequence = [*ids, *run.token_ids[0, :-1]]
    expected = oracle[0].forward(sequence).data[0, len(ids) - 1 :]
    assert np.abs(run.logits[0] - expected).max() < 1e-5


@pytest.mark.parametrize("prompt", PROMPTS)
def test_greedy_text_is_that_of_glassllm(english: Model, oracle: Any, prompt: str) -> None:
    ids = english.encode(prompt)
    run = generate(english, ids, new_tokens=40)
    expected = [step.token for step in oracle[0].generate(ids, 40, greedy=True)]
    assert run.token_ids[0].tolist() == expected


def test_float64_logits_agree_with_glassllm_in_float64_to_rounding(
    english: Model, oracle: Any
) -> None:
    exact = glassllm.GlassLM.load(package_file(GLASSLLM, "en.npz"), dtype=np.float64)
    ids = english.encode(PROMPTS[1])
    run = generate(english, ids, new_tokens=1, dtype="float64")
    assert np.abs(run.logits[0, 0] - exact.forward(ids).data[0, -1]).max() < 1e-12


@pytest.mark.parametrize("name", ["tiny_gpt2", "tiny_llama"])
def test_decode_with_a_cache_equals_recomputation_without(
    request: pytest.FixtureRequest, name: str
) -> None:
    model = request.getfixturevalue(name)
    prompts = [[3, 1, 4], [1, 5, 9]]
    run = generate(model, prompts, new_tokens=6, batch=2, dtype="float64")
    for row, prompt in enumerate(prompts):
        for count in range(6):
            whole = [*prompt, *run.token_ids[row, :count]]
            again = generate(model, whole, new_tokens=1, dtype="float64")
            assert np.abs(again.logits[0, 0] - run.logits[row, count]).max() < 1e-12


@pytest.mark.parametrize("name", ["english", "tiny_gpt2", "tiny_llama"])
@pytest.mark.parametrize("batch", [1, 3])
def test_shape_only_gives_the_digest_of_the_executed_run(
    request: pytest.FixtureRequest, name: str, batch: int
) -> None:
    model = request.getfixturevalue(name)
    executed = generate(model, prompt_tokens=5, new_tokens=4, batch=batch)
    shaped = generate(model, prompt_tokens=5, new_tokens=4, batch=batch, execute=False)
    assert shaped.trace.digest() == executed.trace.digest()
    assert shaped.trace == executed.trace
    assert shaped.token_ids is shaped.logits is shaped.prompt_ids is None


def test_the_prefill_gives_the_first_token_and_each_decode_pass_one_more(english: Model) -> None:
    trace = generate(english, prompt_tokens=7, new_tokens=4, execute=False).trace
    assert (trace.prompt_tokens, trace.new_tokens) == (7, 4)
    steps = {(placed.op.step, placed.op.phase) for placed in trace.placed_ops()}
    decode = {(step, Phase.DECODE) for step in (1, 2, 3)}
    assert steps == {(0, Phase.PREFILL)} | decode
    heads = [p.op.dims["m"] for p in trace.placed_ops() if p.op.name == "head"]
    assert heads == [1, 1, 1, 1]


def test_each_pass_of_glassllm_has_eighty_operations(english: Model) -> None:
    trace = generate(english, prompt_tokens=7, new_tokens=3, execute=False).trace
    assert trace.op_count == 3 * (1 + 4 * 19 + 3)
    assert [block.repeats for block in trace.blocks] == [1, 4, 1] * 3


def test_a_decode_pass_reads_only_the_filled_part_of_the_cache(english: Model) -> None:
    trace = generate(english, prompt_tokens=7, new_tokens=3, execute=False).trace
    scores = [p.op for p in trace.placed_ops() if p.op.name == "attention.scores" and p.layer == 2]
    assert [op.reads[1].bytes for op in scores] == [n * 2 * 32 * 4 for n in (7, 8, 9)]
    cache = trace.tensors[scores[0].reads[1].tensor]
    assert (cache.role, cache.bytes, cache.layers) == (Role.KV_CACHE, 128 * 2 * 32 * 4, 4)


def test_attention_waits_for_this_append_and_the_append_for_the_one_before(english: Model) -> None:
    trace = generate(english, prompt_tokens=7, new_tokens=2, execute=False).trace
    placed = [p for p in trace.placed_ops() if p.layer == 3]
    append = [p for p in placed if p.op.name == "attention.key.append"]
    scores = [p for p in placed if p.op.name == "attention.scores"]
    assert append[0].index in append[1].dependencies
    assert all(a.index in s.dependencies for a, s in zip(append, scores, strict=True))


def test_weights_take_the_parameters_times_their_element_size(english: Model) -> None:
    for dtype, size in (("float16", 2), ("float64", 8)):
        run = generate(english, prompt_tokens=3, new_tokens=1, execute=False, dtype=dtype)
        assert run.trace.weight_bytes == 852_608 * size
        assert run.trace.about["parameters"] == 852_608


def test_half_precision_runs_close_to_single(english: Model) -> None:
    ids = english.encode(PROMPTS[1])
    half, single = (
        generate(english, ids, new_tokens=1, dtype=dtype).logits for dtype in ("float16", "float32")
    )
    assert half.dtype == np.float16
    assert np.abs(half - single).max() < 0.2


def test_gpt2_small_executes_with_seeded_weights() -> None:
    run = generate(load_model("gpt2-small"), [464, 2068, 7586], new_tokens=2)
    assert run.logits.shape == (1, 2, 50257)
    assert np.isfinite(run.logits).all()


def test_a_batch_of_equal_prompts_gives_equal_rows(english: Model) -> None:
    ids = english.encode(PROMPTS[1])
    run = generate(english, ids, new_tokens=8, batch=3)
    alone = generate(english, ids, new_tokens=8)
    assert (run.token_ids == alone.token_ids).all()
    assert run.prompt_ids.tolist() == [ids] * 3


def test_sampling_repeats_with_its_seed_and_differs_from_greedy(english: Model) -> None:
    ids = english.encode(PROMPTS[1])
    first, second, other = (
        generate(english, ids, new_tokens=20, temperature=1.0, seed=seed) for seed in (1, 1, 2)
    )
    assert (first.token_ids == second.token_ids).all()
    assert (first.token_ids != other.token_ids).any()
    assert first.trace.digest() == other.trace.digest()
    kinds = {placed.op.kind for placed in first.trace.placed_ops()}
    assert "sample" in kinds
    assert "argmax" not in kinds


def test_a_cold_temperature_approaches_greedy(english: Model) -> None:
    ids = english.encode(PROMPTS[1])
    cold = generate(english, ids, new_tokens=10, temperature=1e-6)
    assert (cold.token_ids == generate(english, ids, new_tokens=10).token_ids).all()


def test_a_context_of_choice_sizes_the_position_table_and_the_cache() -> None:
    model = load_model("gpt3-175b")
    run = generate(model, prompt_tokens=2048, new_tokens=9, execute=False, max_context=2304)
    tensors = {tensor.name: tensor for tensor in run.trace.tensors}
    assert tensors["embedding.position.weight"].shape == (2304, 12288)
    assert tensors["attention.key.cache"].shape == (2304, 1, 96, 128)


def test_gpt3_with_128_decode_passes_is_walked_one_layer_a_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorded = []
    record = Tracer.record
    monkeypatch.setattr(
        Tracer, "record", lambda *a, **k: recorded.append(k["kind"]) or record(*a, **k)
    )
    model = load_model("gpt3-175b")
    trace = generate(
        model, prompt_tokens=2048, new_tokens=129, execute=False, max_context=2304
    ).trace
    assert len(recorded) == sum(len(block.ops) for block in trace.blocks) < 129 * 30
    assert {block.repeats for block in trace.blocks} == {1, 96}
    matmuls = [p for p in trace.placed_ops() if p.op.family is Family.MATMUL and p.op.step == 0]
    assert len(matmuls) == 96 * 8 + 1


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"prompt_ids": []}, "the prompt is empty; give at least one token"),
        ({"prompt_tokens": 0}, "the prompt is empty; give at least one token"),
        ({}, "either as token numbers or as a length"),
        ({"prompt_ids": [1], "prompt_tokens": 1}, "either as token numbers or as a length"),
        ({"prompt_ids": [1, 1024]}, "token number 1024 is outside the vocabulary; use 0 to 1023"),
        ({"prompt_ids": [-1]}, "token number -1 is outside"),
        ({"prompt_ids": [0.5]}, "whole token numbers"),
        ({"prompt_ids": 5}, "whole token numbers"),
        ({"prompt_ids": [[1, 2], [3]], "batch": 2}, "differ in length"),
        ({"prompt_ids": [[1], [2]]}, "2 prompts for a batch of 1; make the two equal"),
        ({"prompt_ids": [1], "new_tokens": 0}, "new_tokens is 0; ask for at least 1"),
        ({"prompt_ids": [1], "batch": 0}, "batch is 0; give at least 1"),
        ({"prompt_ids": [1], "seed": -1}, "seed is -1; give 0 or more"),
        ({"prompt_ids": [1], "temperature": 0.0}, "temperature must be above 0"),
        ({"prompt_ids": [1], "dtype": "bfloat16"}, "numpy has no bfloat16; choose float32"),
        ({"prompt_ids": [1], "dtype": "int8"}, "unknown dtype 'int8'"),
        (
            {"prompt_tokens": 120, "new_tokens": 9},
            "120 prompt and 9 new tokens exceed the context of glassllm-en, 128 tokens; shorten",
        ),
        ({"prompt_tokens": 5, "new_tokens": 4, "max_context": 8}, "context of glassllm-en, 8 "),
    ],
)
def test_a_request_that_cannot_be_met_is_refused_with_its_remedy(
    english: Model, asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message) as error:
        generate(english, **({"new_tokens": 1} | asked))
    assert "\n" not in str(error.value)


def test_the_whole_context_can_be_filled(english: Model) -> None:
    run = generate(english, prompt_tokens=120, new_tokens=8)
    assert run.token_ids.shape == (1, 8)


def test_a_model_too_large_to_execute_is_refused_before_any_weight_is_drawn() -> None:
    with pytest.raises(ModelError, match=r"llama2-7b has 12.6 GiB.*execute=False"):
        generate(load_model("llama2-7b"), prompt_tokens=1, new_tokens=1)


def test_bfloat16_is_traced_without_numbers() -> None:
    trace = generate(load_model("llama3-8b"), prompt_tokens=4, new_tokens=2, execute=False).trace
    assert trace.dtype == "bfloat16"
    assert trace.weight_bytes == 2 * 8_030_261_248
