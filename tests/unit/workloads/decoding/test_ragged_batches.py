import numpy as np
import pytest

from workloads import Model, ModelError, Role, generate
from workloads.decoding.answer import sample
from workloads.decoding.ragged import answer_batch
from workloads.decoding.sampling import Sampling

PROMPTS = [[3, 1, 4, 1, 5, 9, 2], [6], [5, 3, 5, 8]]


@pytest.mark.parametrize("name", ["llama", "gpt2", "windowed", "alibi"])
@pytest.mark.parametrize("chunk_tokens", [None, 3])
def test_each_prompt_of_a_batch_is_answered_as_it_is_alone(
    request: pytest.FixtureRequest, name: str, chunk_tokens: int | None
) -> None:
    model = request.getfixturevalue(name)
    together = answer_batch(
        model, PROMPTS, new_tokens=6, dtype="float64", chunk_tokens=chunk_tokens
    ).generation
    for row, prompt in enumerate(PROMPTS):
        alone = generate(model, prompt, new_tokens=6, dtype="float64")
        assert np.abs(together.logits[row] - alone.logits[0]).max() < 1e-12
        assert np.array_equal(together.token_ids[row], alone.token_ids[0])


@pytest.mark.parametrize("name", ["llama", "gpt2", "windowed", "alibi"])
def test_a_ragged_batch_has_one_digest_by_shape_and_executed(
    request: pytest.FixtureRequest, name: str
) -> None:
    model = request.getfixturevalue(name)
    executed = answer_batch(model, PROMPTS, new_tokens=3)
    shaped = answer_batch(model, prompt_lengths=[7, 1, 4], new_tokens=3, execute=False)
    assert shaped.generation.trace == executed.generation.trace
    assert shaped.padding == executed.padding == (0, 6, 3)
    assert executed.padded_share == 9 / 21


def test_padded_places_cost_what_others_do_and_the_masks_come_on_top(llama: Model) -> None:
    ragged = answer_batch(llama, prompt_lengths=[7, 1, 4], new_tokens=1, execute=False)
    even = sample(llama, prompt_tokens=7, new_tokens=1, batch=3, execute=False)
    extra = {}
    pairs = zip(ragged.generation.trace.placed_ops(), even.trace.placed_ops(), strict=True)
    for padded, plain in pairs:
        assert padded.op.name == plain.op.name
        more = (
            padded.op.flops - plain.op.flops,
            padded.op.transcendentals - plain.op.transcendentals,
            padded.op.bytes_read - plain.op.bytes_read,
        )
        if any(more):
            extra[padded.op.name] = more
    batch, tokens, pairs_of_head, number_bytes = 3, 7, 2, 8
    angles = (batch - 1) * tokens * pairs_of_head  # each prompt has its own
    rope = (angles + 2 * batch * tokens, 2 * angles, batch * number_bytes)
    assert extra == {
        "attention.query.rope": rope,
        "attention.key.rope": rope,
        "attention.softmax": (batch * (tokens + tokens), 0, batch * number_bytes),
    }
    inputs = [t for t in ragged.generation.trace.tensors if t.role is Role.INPUT]
    assert [(t.name, t.shape) for t in inputs] == [("prompt", (3, 7)), ("padding", (3,))]


def test_learned_positions_of_a_ragged_batch_are_gathered_row_by_row(gpt2: Model) -> None:
    trace = answer_batch(gpt2, prompt_lengths=[3, 2], new_tokens=1, execute=False).generation.trace
    (rows,) = [p.op for p in trace.placed_ops() if p.op.name == "embedding.position.rows"]
    assert rows.dims == {"rows": 6, "cols": 16}
    assert (rows.bytes_read, rows.bytes_written) == (6 * 16 * 4 + 2 * 8, 6 * 16 * 4)


def test_drawn_answers_of_a_batch_stay_within_the_filter(llama: Model) -> None:
    settings = Sampling(temperature=2.0, top_k=1, seed=5)
    drawn = answer_batch(llama, PROMPTS, new_tokens=5, settings=settings).generation
    greedy = answer_batch(llama, PROMPTS, new_tokens=5).generation
    assert np.array_equal(drawn.token_ids, greedy.token_ids)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "give either the prompts or their lengths"),
        ({"prompts": [[1], []]}, "a prompt is empty"),
        ({"prompts": [[1], [2.5]]}, "whole token numbers"),
        ({"prompts": [[1], [2, 50]]}, "token number 50 is outside the vocabulary"),
        ({"prompt_lengths": [3, 4]}, "lengths are traced only"),
        ({"prompts": [[1] * 47]}, "exceed the context"),
    ],
)
def test_a_batch_that_cannot_be_answered_says_why(
    llama: Model, given: dict[str, object], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        answer_batch(llama, new_tokens=2, **given)
