"""`tokenclock execute`: the embedded model's decode steps, every instruction."""

import json

import pytest

from reports.execute import PROGRAM_EXIT, execute_model
from sim.cpu.riscv.calls import ModelNumbers
from sim.cpu.riscv.decode_step import step_program
from sim.errors import TokenclockError
from sim.machine import load_machine
from sim.stalls import StallCause
from workloads import generate, load_model

NUMBERS = ModelNumbers(
    head_size=32,
    norm_eps=1e-6,
    rope_theta=1e4,
    rope_interleaved=True,
    transposed=frozenset({"head"}),
)


@pytest.fixture(scope="module")
def executed():
    return execute_model("glassllm-en", load_machine("cpu-5stage"), prompt=None, new_tokens=3)


def test_every_executed_token_and_logit_is_numpys(executed):
    assert executed.agrees
    model = load_model("glassllm-en")
    alone = generate(model, model.encode(executed.prompt), new_tokens=4)
    tokens = alone.token_ids[0].tolist()
    assert [step.token for step in executed.steps] == tokens[1:]
    assert executed.first_text + executed.text == model.decode(tokens)
    assert max(step.logits_difference for step in executed.steps) < 1e-5


def test_the_cycles_of_all_operations_are_those_of_the_steps(executed):
    assert executed.stack.total == sum(step.cycles for step in executed.steps)
    assert executed.instructions == sum(step.instructions for step in executed.steps)
    assert executed.stack.busy == executed.instructions
    assert executed.stack.stalls[StallCause.FILL_DRAIN] == 4
    assert {op.name: op.count for op in executed.ops}["attention.query"] == 12


def test_the_machine_model_is_within_two_percent_of_every_operation(executed):
    assert abs(executed.error) < 0.005
    assert abs(executed.error) <= executed.misplaced < 0.01
    for op in executed.ops:
        if op.name != PROGRAM_EXIT:
            assert abs(op.error) < 0.02, op.name


def test_the_machine_model_counts_the_executed_instructions(executed):
    """But those of new maxima in argmax: four each."""
    for op in executed.ops:
        more = op.instructions - op.predicted.busy
        if op.name == "choose":
            assert more > 0
            assert more % 4 == 0
        elif op.name != PROGRAM_EXIT:
            assert more == 0, op.name


def test_two_more_positions_take_more_instructions(executed):
    first, _, last = (step.instructions for step in executed.steps)
    assert 0 < last - first < 0.01 * first


def test_a_core_with_lanes_executes_vector_kernels_in_fewer_instructions(executed):
    machine = load_machine("cpu-simd")
    done = execute_model("glassllm-en", machine, prompt=None, new_tokens=1)
    assert done.agrees
    assert done.steps[0].token == executed.steps[0].token
    assert done.steps[0].logits_difference < 1e-5
    assert 10 * done.instructions < executed.steps[0].instructions
    assert done.stack.busy == done.instructions
    assert done.stack.total == done.steps[0].cycles < executed.steps[0].cycles
    assert executed.same_kernels
    assert not done.same_kernels


def test_the_command_says_that_the_lanes_prediction_is_of_another_program(tokenclock):
    ran = tokenclock("execute", "--machine", "cpu-simd")
    assert (ran.code, ran.err) == (0, "")
    assert "(numpy's too), logits within" in ran.out
    assert "by vector loops of its own" in ran.out


def test_the_command_says_tokens_cycles_and_the_predictions_error(tokenclock):
    asked = ("execute", "glassllm-en", "--machine", "cpu-von-neumann", "--prompt", "Alice")
    ran = tokenclock(*asked)
    assert (ran.code, ran.err) == (0, "")
    assert "(numpy's too), logits within" in ran.out
    assert "Predicted from the trace: " in ran.out
    answer = json.loads(tokenclock(*asked, "--json").out)
    assert answer["agrees"]
    assert answer["cycles"] == sum(answer["stack"].values())
    assert answer["cycles"] == sum(op["cycles"] for op in answer["ops"])
    assert answer["stack"]["structural"] > 0
    assert f"{answer['cycles']:,} cycles" in ran.out


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["--machine", "cpu-simd-8core"], ["one core", "take", "cpu-5stage", "cpu-simd"]),
        (["--machine", "gpu-a100-sxm-80gb"], ["run on the in-order CPUs", "cpu-5stage"]),
        (["--new-tokens", "0"], ["--new-tokens 0", "at least 1"]),
        (["nothing"], ["no model 'nothing'"]),
        (["llama2-7b"], ["weights", "execute"]),
        (["--prompt", ""], ["prompt is empty"]),
    ],
)
def test_what_cannot_be_executed_is_refused_with_the_remedy(tokenclock, asked, words):
    tokenclock("execute", *asked).assert_refused(*words)


def test_steps_batches_and_operations_without_programs_are_refused():
    model = load_model("glassllm-en")
    trace = generate(model, prompt_tokens=4, new_tokens=2, execute=False).trace
    with pytest.raises(TokenclockError, match="no decode step 2"):
        step_program(trace, 2, NUMBERS)
    pair = generate(model, prompt_tokens=4, new_tokens=2, batch=2, execute=False).trace
    with pytest.raises(TokenclockError, match="batch 1 and dtype float32"):
        step_program(pair, 1, NUMBERS)


LLAMA = """
source: made for this test
model_type: llama
hidden_size: 24
num_hidden_layers: 2
num_attention_heads: 4
num_key_value_heads: 2
intermediate_size: 13
vocab_size: 37
max_position_embeddings: 40
hidden_act: silu
rms_norm_eps: 1.0e-6
rope_theta: 10000.0
tie_word_embeddings: false
"""
GPT2 = """
source: made for this test
model_type: gpt2
hidden_size: 20
num_hidden_layers: 3
num_attention_heads: 4
num_key_value_heads: 4
intermediate_size: 21
vocab_size: 31
max_position_embeddings: 40
hidden_act: gelu_new
layer_norm_epsilon: 1.0e-5
tie_word_embeddings: true
"""


@pytest.mark.parametrize("machine", ["cpu-5stage", "cpu-simd"])
@pytest.mark.parametrize("description", [LLAMA, GPT2])
def test_models_of_both_styles_and_awkward_sizes_give_numpys_logits(tmp_path, description, machine):
    path = tmp_path / "small.yaml"
    path.write_text(description)
    done = execute_model(str(path), load_machine(machine), prompt=None, new_tokens=4)
    model = load_model(str(path))
    logits = generate(model, prompt_tokens=32, new_tokens=5).logits
    assert done.agrees
    assert max(step.logits_difference for step in done.steps) < 2e-5 * abs(logits).max()


def test_a_small_drawn_model_has_the_same_instructions_and_cycles_within_two_percent(tmp_path):
    """Heads of 16 elements, so that operands are whole lines; a cache that its weights overflow."""
    path = tmp_path / "lines.yaml"
    path.write_text(LLAMA.replace("hidden_size: 24", "hidden_size: 64").replace(": 13", ": 96"))
    machine = load_machine("cpu-5stage", overrides={"caches.l1.capacity_bytes": "8 KiB"})
    done = execute_model(str(path), machine, prompt=None, new_tokens=3)
    assert done.agrees
    assert abs(done.error) < 0.005
    for op in done.ops:
        if op.name not in (PROGRAM_EXIT, "choose"):
            assert op.instructions == op.predicted.busy, op.name
        if op.stack.total > 0.01 * done.stack.total:
            assert abs(op.error) < 0.02, op.name


def test_a_scenario_executes_every_instruction_and_checks_token_logits_and_time(
    tokenclock, tmp_path
):
    ran = tokenclock("run", "every-instruction", "--out", str(tmp_path))
    assert (ran.code, ran.err) == (0, "")
    for said in (
        "numpy's too",
        "where the cycles went",
        "Predicted from the trace",
        "it is off by 0 cycles",
    ):
        assert said in ran.out
    assert "MISSED" not in ran.out
    answer = json.loads((tmp_path / "every-instruction.json").read_text())
    assert answer["executed"][0]["agrees"]
    assert len(answer["executed"][0]["steps"]) == 2
    assert {point["run_extrapolation_error_bound"] for point in answer["points"]} == {0}


@pytest.mark.parametrize(
    "workload",
    [
        {"prompt_tokens": 4, "new_tokens": 2},
        {"prompt": "Alice", "new_tokens": 1},
        {"prompt": "Alice", "new_tokens": 2, "batch": 2},
        {"prompt": "Alice", "new_tokens": 2, "dtype": "bfloat16"},
    ],
)
def test_a_scenario_that_cannot_be_executed_is_refused_with_the_remedy(
    tokenclock, tmp_path, workload
):
    path = tmp_path / "mine.yaml"
    content = {
        "name": "mine",
        "question": "Does it?",
        "workload": {"model": "glassllm-en", **workload},
        "machines": ["cpu-5stage"],
        "execute": True,
    }
    path.write_text(json.dumps(content))
    ran = tokenclock("run", str(path), "--out", str(tmp_path))
    ran.assert_refused("to execute, `workload:` needs a `prompt:`", "batch 1 and float32")


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("gemma2-2b", "gemma2-2b has a sliding window, which the kernels"),
        ("bloom-176b", "bloom-176b has ALiBi, which the kernels"),
        ("mixtral-8x7b", "mixtral-8x7b has experts, which the kernels"),
        ("bert-base-uncased", "bert-base-uncased is no decoder but encoder"),
    ],
)
def test_what_the_kernels_would_compute_otherwise_is_refused(tokenclock, model, said) -> None:
    ran = tokenclock("execute", model, "--machine", "cpu-5stage")
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert ran.err.count("\n") == 1
