from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from encoder_decoder_cases import FAMILIES, small

from workloads import ModelError, Phase, Role, generate, load_model
from workloads.answer import answer

every_family = pytest.mark.parametrize("family", FAMILIES)
LENGTHS = {family: 18 if family == "whisper" else 7 for family in FAMILIES}
"""Of a source: tokens, or frames of which a convolution leaves half."""


@every_family
def test_an_answer_with_caches_equals_recomputation_without(family: str) -> None:
    model = small(family)
    run = answer(
        model, source_length=LENGTHS[family], new_tokens=5, batch=2, dtype="float64", seed=3
    )
    for row in range(2):
        for count in range(5):
            begun = [model.config.decoder_start_token_id, *run.token_ids[row, :count]]
            again = answer(model, run.source[row], new_tokens=1, start_ids=begun, dtype="float64")
            assert np.abs(again.logits[0, 0] - run.logits[row, count]).max() < 1e-12
            assert np.abs(again.encoded[0] - run.encoded[row]).max() < 1e-12


@every_family
@pytest.mark.parametrize("batch", [1, 3])
def test_shape_only_gives_the_digest_of_the_executed_answer(family: str, batch: int) -> None:
    asked = {
        "source_length": LENGTHS[family],
        "new_tokens": 4,
        "batch": batch,
        "start_ids": (5, 6),
        "hidden": (1, 2),
    }
    executed = answer(small(family), **asked)
    shaped = answer(small(family), **asked, execute=False)
    assert shaped.trace.digest() == executed.trace.digest()
    assert shaped.trace == executed.trace
    assert shaped.token_ids is shaped.logits is shaped.source is shaped.encoded is None


@every_family
def test_the_source_is_read_once_and_its_keys_in_every_step(family: str) -> None:
    model, length = small(family), LENGTHS[family]
    trace = answer(model, source_length=length, new_tokens=3, batch=2, execute=False).trace
    stack, positions = model.config.decoder, 9 if family == "whisper" else 7
    assert (trace.prompt_tokens, trace.new_tokens) == (positions, 3)
    placed = list(trace.placed_ops())
    assert {(p.op.step, p.op.phase) for p in placed} == {
        (0, Phase.PREFILL),
        (1, Phase.DECODE),
        (2, Phase.DECODE),
    }
    once = {p.op.step for p in placed if p.op.name.startswith("encoder.")}
    once |= {p.op.step for p in placed if p.op.name.startswith(("decoder.cross.key",))}
    assert once == {0}
    scores = [p for p in placed if p.op.name == "decoder.cross.scores" and p.layer == 1]
    size = positions * 2 * stack.heads * stack.head_dim * 4
    assert [p.op.reads[1].bytes for p in scores] == [size] * 3
    kept = [p for p in placed if p.op.name == "decoder.cross.key.append" and p.layer == 1]
    assert len(kept) == 1
    assert all(kept[0].index in p.dependencies for p in scores)
    cache = trace.tensors[scores[0].op.reads[1].tensor]
    assert (cache.role, cache.layers, cache.bytes) == (Role.KV_CACHE, stack.layers, size)


@every_family
def test_no_two_tensors_of_a_stack_overlap_in_memory(family: str) -> None:
    trace = answer(small(family), source_length=LENGTHS[family], new_tokens=2, execute=False).trace
    places = sorted(
        (tensor.address_in(layer), tensor.bytes)
        for tensor in trace.tensors
        for layer in range(tensor.layers)
    )
    assert all(a + size <= b for (a, size), (b, _) in pairwise(places))


def test_a_batch_equals_each_source_alone() -> None:
    model, sources = small("t5"), [[3, 1, 4, 1], [5, 9, 2, 6]]
    together = answer(model, sources, new_tokens=5, batch=2, dtype="float64")
    for row, source in enumerate(sources):
        alone = answer(model, source, new_tokens=5, dtype="float64")
        assert np.abs(alone.logits[0] - together.logits[row]).max() < 1e-12


def test_an_executed_answer_ends_where_all_have_stopped() -> None:
    model, sources = small("t5"), [[3, 1, 4, 1], [5, 9, 2, 6]]
    whole = answer(model, sources, new_tokens=12, batch=2)
    stop = int(whole.token_ids[0, 3])
    first = [row.tolist().index(stop) if stop in row else 12 for row in whole.token_ids]
    for batch, ends in ((1, first[0] + 1), (2, min(max(first) + 1, 12))):
        run = answer(model, sources[:batch], new_tokens=12, batch=batch, stop_id=stop)
        assert np.array_equal(run.token_ids, whole.token_ids[:batch, :ends])
        assert run.trace.new_tokens == ends
        shaped = answer(model, source_length=4, new_tokens=ends, batch=batch, execute=False)
        assert shaped.trace.digest() == run.trace.digest()


def test_hidden_tokens_are_not_chosen_and_some_not_first() -> None:
    model, source = small("marian"), [3, 1, 4, 1]
    free = answer(model, source, new_tokens=3)
    favourite = int(free.token_ids[0, 0])
    never = answer(model, source, new_tokens=3, hidden=(favourite,))
    assert favourite not in never.token_ids
    assert np.array_equal(never.logits[:, 0], free.logits[:, 0])
    ranked = np.argsort(-free.logits[0, 0])
    assert answer(model, source, new_tokens=1, hidden_first=(favourite,)).token_ids == ranked[1]
    kinds = [
        p.op.kind
        for p in answer(model, source, new_tokens=3, hidden_first=(favourite,)).trace.placed_ops()
    ]
    assert kinds.count("hide") == 1


def test_t5_11b_is_traced_without_numbers_and_refused_with_them() -> None:
    model = load_model("t5-11b")
    trace = answer(model, source_length=512, new_tokens=8, execute=False).trace
    assert trace.weight_bytes == 4 * 11_307_321_344
    with pytest.raises(ModelError, match=r"t5-11b has 42.1 GiB of weights.*execute=False"):
        answer(model, source_length=4, new_tokens=1)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "either as what it is or as a length"),
        ({"source": [1], "source_length": 1}, "either as what it is or as a length"),
        ({"source": []}, "the source is empty"),
        ({"source": [[1, 2], [3]], "batch": 2}, "differ in length"),
        ({"source": [[1], [2]]}, "2 sources for a batch of 1; make the two equal"),
        ({"source": 5}, "a source has 1 axes"),
        ({"source": [0.5]}, "token numbers must be whole"),
        ({"source": [50]}, "token number 50 is outside the vocabulary; use 0 to 49"),
        ({"source": [1], "start_ids": (-1,)}, "token number -1 is outside"),
        ({"source": [1], "start_ids": ()}, "start_ids is empty"),
        ({"source": [1], "hidden": (99,)}, "token number 99 is outside"),
        ({"source": [1], "stop_id": 99}, "token number 99 is outside"),
        ({"source": [1], "new_tokens": 0}, "new_tokens is 0; ask for at least 1"),
        ({"source": [1], "batch": 0}, "batch is 0; give at least 1"),
        ({"source_length": 3, "seed": -1}, "seed is -1; give 0 or more"),
        ({"source_length": 0}, "a source of length 0 does not fit the encoder of drawn; give 1"),
        ({"source_length": 17}, "a source of length 17 does not fit .* give 1 to 16"),
        ({"source": [1], "new_tokens": 16}, "1 start and 16 new tokens exceed the context"),
        ({"source": [1], "dtype": "bfloat16"}, "numpy has no bfloat16; choose float32"),
        ({"source": [1], "dtype": "int8"}, "unknown dtype 'int8'"),
    ],
)
def test_a_request_that_cannot_be_met_is_refused_with_its_remedy(
    asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message) as error:
        answer(small("transformer"), **({"new_tokens": 1} | asked))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"source": np.zeros((18, 4))}, "a spectrogram is real numbers, 5 in each frame"),
        ({"source": np.zeros((18, 5), int)}, "a spectrogram is real numbers"),
        ({"source": np.zeros(18)}, "a source has 2 axes"),
        ({"source_length": 17}, "halves the 17 frames; give an even one"),
        ({"source_length": 20}, "give 1 to 18"),
    ],
)
def test_a_spectrogram_that_does_not_fit_is_refused(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        answer(small("whisper"), **asked, new_tokens=1)


def test_each_kind_of_model_refuses_the_others_task() -> None:
    with pytest.raises(ModelError, match="gpt2-small is no encoder-decoder but decoder"):
        answer(load_model("gpt2-small"), [1], new_tokens=1)
    with pytest.raises(ModelError, match="t5-small is no decoder but encoder-decoder"):
        generate(load_model("t5-small"), [1], new_tokens=1)
