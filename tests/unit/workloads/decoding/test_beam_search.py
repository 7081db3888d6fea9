from itertools import product

import numpy as np
import pytest
from scipy.special import log_softmax

from workloads import Family, Model, ModelError, Role, generate
from workloads.decoding.beam import search

PROMPT = [3, 1, 4]


@pytest.fixture
def few_tokens(llama: Model) -> Model:
    config = llama.config.model_copy(update={"vocab_size": 5})
    return Model(name="few", config=config, tokenizer=None, seed=1)


def likelihood(model: Model, answer: tuple[int, ...]) -> float:
    """Log-probability of an answer, each token after a prefill of all before it."""
    total = 0.0
    for at, token in enumerate(answer):
        run = generate(model, [*PROMPT, *answer[:at]], new_tokens=1, dtype="float64")
        total += log_softmax(run.logits[0, 0])[token]
    return total


def test_enough_beams_find_what_exhaustive_search_finds(few_tokens: Model) -> None:
    beams = search(few_tokens, PROMPT, new_tokens=3, beams=25, dtype="float64")
    everything = {c: likelihood(few_tokens, c) for c in product(range(5), repeat=3)}
    best = sorted(everything, key=everything.__getitem__, reverse=True)[:25]
    assert [tuple(ids) for ids in beams.token_ids.tolist()] == best
    assert np.abs(beams.scores - [everything[c] for c in best]).max() < 1e-12


def test_scores_are_the_likelihoods_of_the_answers(few_tokens: Model) -> None:
    beams = search(few_tokens, PROMPT, new_tokens=4, beams=3, dtype="float64")
    expected = [likelihood(few_tokens, tuple(ids)) for ids in beams.token_ids.tolist()]
    assert np.abs(beams.scores - expected).max() < 1e-12
    assert (np.diff(beams.scores) < 0).all()


def test_one_beam_is_greedy(llama: Model) -> None:
    greedy = generate(llama, PROMPT, new_tokens=8)
    assert np.array_equal(search(llama, PROMPT, new_tokens=8, beams=1).token_ids, greedy.token_ids)


def test_more_beams_than_answers_leave_the_rest_without_a_score(few_tokens: Model) -> None:
    beams = search(few_tokens, PROMPT, new_tokens=1, beams=7)
    assert np.isfinite(beams.scores[:5]).all()
    assert np.isneginf(beams.scores[5:]).all()


@pytest.mark.parametrize("name", ["llama", "gpt2", "windowed"])
@pytest.mark.parametrize("beams", [1, 4])
def test_a_search_has_one_digest_by_shape_and_executed(
    request: pytest.FixtureRequest, name: str, beams: int
) -> None:
    model = request.getfixturevalue(name)
    executed = search(model, PROMPT, new_tokens=4, beams=beams)
    shaped = search(model, prompt_tokens=3, new_tokens=4, beams=beams, execute=False)
    assert shaped.trace == executed.trace
    assert shaped.token_ids is shaped.scores is None


def test_every_layers_cache_is_reordered_after_each_choice_but_the_first_and_last(
    llama: Model,
) -> None:
    trace = search(llama, prompt_tokens=3, new_tokens=4, beams=2, execute=False).trace
    moves = [p for p in trace.placed_ops() if p.op.kind == "cache_reorder"]
    assert [(p.op.step, p.layer) for p in moves] == [
        (step, layer) for step in (2, 3) for layer in (0, 0, 1, 1, 2, 2)
    ]
    position_bytes = 2 * 2 * 4 * 4  # beams, key/value heads, head size, float32
    for placed in moves:
        filled = 3 + placed.op.step - 1
        assert placed.op.family is Family.GATHER
        assert placed.op.bytes_written == filled * position_bytes
        assert placed.op.bytes_read == filled * position_bytes + 2 * 8
        assert trace.tensors[placed.op.writes[0].tensor].role is Role.KV_CACHE


def test_choosing_among_beams_costs_what_its_formulas_do(llama: Model) -> None:
    trace = search(llama, prompt_tokens=3, new_tokens=1, beams=4, execute=False).trace
    ops = {p.op.name: p.op for p in trace.placed_ops()}
    assert (ops["beam.totals"].flops, ops["beam.totals"].transcendentals) == (804, 204)
    harmonic = [sum(1 / i for i in range(1, n + 1)) for n in range(201)]
    select = 2 * (201 * harmonic[200] - 199 * harmonic[197] - 6 * harmonic[4] + 203)
    assert ops["beam.best"].flops == round(select) + 200 + 4 * 2 + 2 * 4
    assert ops["beam.scores"].bytes_read == 4 * 4 + 2 * 4 * 8


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"prompt_ids": [1], "beams": 0}, "beams is 0; keep at least 1"),
        ({"prompt_tokens": 2, "beams": 2}, "a length is traced only"),
        ({"prompt_ids": [[1], [2]], "beams": 2}, "give one prompt"),
    ],
)
def test_a_search_that_cannot_be_made_says_why(
    llama: Model, given: dict[str, object], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        search(llama, new_tokens=2, **given)
