import re
from typing import Any

import numpy as np
import pytest

from workloads import Model, ModelError, Phase, Role, encode, generate, load_model, read_config
from workloads.architectures.encoder_config import EncoderConfig

SMALL = {
    "source": "made up",
    "model_type": "bert",
    "hidden_size": 12,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "intermediate_size": 20,
    "vocab_size": 50,
    "max_position_embeddings": 16,
}


def small(**changes: object) -> Model:
    return Model(name="small", config=read_config(SMALL | changes), tokenizer=None, seed=1)


@pytest.fixture
def bert() -> Model:
    return small()


def pass_flops(config: EncoderConfig, lengths: tuple[int, ...], *, sentences: bool) -> int:
    """Arithmetic of one pass, each term written down apart from the operations' own rules."""
    batch, longest = len(lengths), max(lengths)
    width, wide, heads = config.hidden_size, config.intermediate_size, config.num_attention_heads
    rows = batch * longest
    scores = batch * heads * longest * longest
    norm = 7 * rows * width + 3 * rows
    gelu = 4
    products = 2 * rows * (4 * width * width + 2 * width * wide)
    biases = rows * (4 * width + wide + width)
    attention = 2 * 2 * rows * longest * width + 5 * scores
    attention += scores if len(set(lengths)) > 1 else 0
    layer = products + biases + attention + gelu * rows * wide + 2 * rows * width + 2 * norm
    total = rows * width * (2 + bool(config.task_type_vocab_size)) + norm
    total += config.num_hidden_layers * layer
    if config.pooler:
        total += 2 * batch * width * width + batch * width
    if config.masked_lm_head:
        total += 2 * rows * width * width + (1 + gelu) * rows * width + norm
        total += 2 * rows * width * config.vocab_size + rows * config.vocab_size
    if sentences:
        total += sum(lengths) * width + batch * width + 3 * batch * width + batch
    return total


@pytest.mark.parametrize("lengths", [(1,), (16,), (6, 6), (4, 9, 2)])
@pytest.mark.parametrize("sentences", [False, True])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"pooler": False},
        {"masked_lm_head": True},
        {"model_type": "ernie", "use_task_id": True},
    ],
)
def test_flops_and_bytes_have_their_closed_forms(
    lengths: tuple[int, ...], changes: dict[str, object], sentences: bool
) -> None:
    model = small(**changes)
    asked = {"tokens": lengths, "batch": len(lengths), "sentences": sentences}
    trace = encode(model, **asked, execute=False).trace
    assert trace.flops == pass_flops(model.config, lengths, sentences=sentences)
    assert trace.weight_bytes == 4 * model.parameter_count
    assert trace.bytes_of(Role.KV_CACHE) == 0
    rows = len(lengths) * max(lengths)
    padding = 4 * rows * (len(set(lengths)) > 1)
    assert trace.bytes_of(Role.INPUT) == 2 * 8 * rows + padding


def test_activations_take_the_buffers_of_one_layer(bert: Model) -> None:
    trace = encode(bert, tokens=5, batch=2, execute=False).trace
    rows, width, wide, heads = 10, 12, 20, 3
    wides = 2 * rows * wide  # up, its activation
    narrow = 8 * rows * width  # residual, segments, q, k, v, mix, output, down
    scores = 2 * 2 * heads * 5 * 5  # before and after the softmax
    pooler = 2 * 2 * width  # before and after the tanh
    assert trace.bytes_of(Role.ACTIVATION) == 4 * (wides + narrow + scores + pooler)


def test_weights_have_their_closed_form() -> None:
    width, wide, layers = 12, 20, 3
    layer = 4 * (width * width + width) + 2 * width * wide + wide + width + 4 * width
    rows = (50 + 16 + 2 + 2) * width  # tokens, positions, segments; the norm's weight and bias
    pooler = width * width + width
    assert small().parameter_count == rows + layers * layer + pooler
    assert small(pooler=False).parameter_count == rows + layers * layer
    ernie = small(model_type="ernie", use_task_id=True, task_type_vocab_size=5)
    assert ernie.parameter_count == rows + 5 * width + layers * layer + pooler
    masked = small(masked_lm_head=True, pooler=False)
    head = width * width + 3 * width + 50
    assert masked.parameter_count == rows + layers * layer + head


def test_the_layers_of_an_encoder_are_one_block(bert: Model) -> None:
    trace = encode(bert, tokens=4, execute=False).trace
    assert [block.repeats for block in trace.blocks] == [1, 3, 1]
    assert (trace.prompt_tokens, trace.new_tokens) == (4, 0)
    assert {(p.op.step, p.op.phase) for p in trace.placed_ops()} == {(0, Phase.PREFILL)}


def test_attention_waits_for_queries_keys_and_values_of_its_own_pass(bert: Model) -> None:
    trace = encode(bert, tokens=[4, 2], batch=2, execute=False).trace
    placed = {p.op.name: p for p in trace.placed_ops() if p.layer == 1}
    scores, mix = placed["attention.scores"], placed["attention.mix"]
    for name in ("attention.query", "attention.key"):
        assert placed[f"{name}.bias_add"].index in scores.dependencies
    assert placed["attention.value.bias_add"].index in mix.dependencies
    assert placed["attention.softmax"].index in mix.dependencies
    assert scores.index in placed["attention.padding"].dependencies


def test_every_token_sees_every_other(bert: Model) -> None:
    ids = [7, 8, 9, 10]
    hidden = encode(bert, ids).hidden[0]
    for changed in range(4):
        other = encode(bert, [*ids[:changed], 30, *ids[changed + 1 :]]).hidden[0]
        assert (np.abs(other - hidden).max(axis=-1) > 1e-4).all()


def test_segments_change_what_a_token_means(bert: Model) -> None:
    plain = encode(bert, [7, 8, 9]).hidden
    assert np.array_equal(plain, encode(bert, [7, 8, 9], types=[0, 0, 0]).hidden)
    assert not np.allclose(plain, encode(bert, [7, 8, 9], types=[0, 0, 1]).hidden, atol=1e-3)


def test_one_text_may_fill_a_batch(bert: Model) -> None:
    run = encode(bert, [7, 8, 9], types=[0, 1, 1], batch=3)
    assert run.ids.tolist() == [[7, 8, 9]] * 3
    alone = encode(bert, [7, 8, 9], types=[0, 1, 1], dtype="float64")
    again = encode(bert, [[7, 8, 9]] * 3, types=[[0, 1, 1]] * 3, batch=3, dtype="float64")
    assert np.abs(again.hidden - alone.hidden).max() < 1e-12


def test_sentence_vectors_have_length_one(bert: Model) -> None:
    run = encode(bert, tokens=[3, 8], batch=2, sentences=True)
    assert np.abs(np.linalg.norm(run.sentences, axis=1) - 1).max() < 1e-6
    mean = run.hidden[0, :3].mean(axis=0)
    assert np.abs(run.sentences[0] - mean / np.linalg.norm(mean)).max() < 1e-6


def test_bfloat16_is_traced_without_numbers_and_another_context_sizes_the_table(
    bert: Model,
) -> None:
    asked = {"tokens": [20, 8], "batch": 2, "execute": False, "max_context": 32}
    trace = encode(bert, **asked, dtype="bfloat16").trace
    assert trace.dtype == "bfloat16"
    assert trace.weight_bytes == 2 * (bert.parameter_count + 16 * 12)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "either as token numbers or as lengths"),
        ({"ids": [1], "tokens": 1}, "either as token numbers or as lengths"),
        ({"ids": []}, "a text is empty"),
        ({"tokens": 0}, "a text is empty"),
        ({"tokens": [3, 0], "batch": 2}, "a text is empty"),
        ({"ids": [[1], []], "batch": 2}, "a text is empty"),
        ({"ids": [1, 50]}, "token number 50 is outside the model's; use 0 to 49"),
        ({"ids": [-1]}, "token number -1 is outside"),
        ({"ids": [0.5]}, "whole token numbers"),
        ({"ids": 5}, "a list of token numbers"),
        ({"ids": "text"}, "a list of token numbers"),
        ({"ids": [[1], [[2], [3, 4]]], "batch": 2}, "not of lists of lists"),
        ({"ids": [[1], [2]]}, "2 texts for a batch of 1; make the two equal"),
        ({"tokens": [1, 2]}, "2 lengths for a batch of 1; make the two equal"),
        ({"ids": [1, 2], "types": [0]}, "differ in length; give each token one type"),
        ({"ids": [1, 2], "types": [0, 2]}, "type 2 is outside the model's; use 0 to 1"),
        ({"tokens": 17}, "a text of 17 tokens exceeds the context of small, 16 tokens; shorten"),
        ({"tokens": 1, "batch": 0}, "batch is 0; give at least 1"),
        ({"tokens": 1, "seed": -1}, "seed is -1; give 0 or more"),
        ({"tokens": 1, "dtype": "int8"}, "unknown dtype 'int8'"),
        ({"tokens": 1, "dtype": "bfloat16"}, "numpy has no bfloat16; choose float32"),
    ],
)
def test_a_pass_that_cannot_be_made_is_refused_with_its_remedy(
    bert: Model, asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=re.escape(message)) as error:
        encode(bert, **asked)
    assert "\n" not in str(error.value)


def test_decoders_do_not_encode_and_encoders_do_not_go_on(bert: Model) -> None:
    with pytest.raises(ModelError, match="glassllm-en is no encoder but decoder"):
        encode(load_model("glassllm-en"), tokens=3)
    with pytest.raises(ModelError, match="small is no decoder but encoder"):
        generate(bert, prompt_tokens=3, new_tokens=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"position_embedding_type": "relative_key"}, "only 'absolute' is known here"),
        ({"is_decoder": True}, "key 'is_decoder': only False"),
        ({"hidden_act": "tanh"}, "key 'activation': .*got 'tanh'"),
        ({"num_attention_heads": 5}, "hidden_size must be a multiple of num_attention_heads"),
        ({"task_type_vocab_size": 3}, "unknown key 'task_type_vocab_size'; did you mean"),
        ({"intermediate_sise": 3}, "unknown key 'intermediate_sise'; did you mean 'intermediate"),
        ({"type_vocab_size": 0}, "key 'type_vocab_size': .*greater than 0"),
    ],
)
def test_a_wrong_description_is_named_with_its_key(
    changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        small(**changes)
