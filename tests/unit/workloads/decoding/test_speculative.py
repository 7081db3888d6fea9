from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from workloads import Model, ModelError, Role, Tracer, generate
from workloads.array import Values
from workloads.decoding.sampling import Sampling
from workloads.decoding.speculative import Round, speculate
from workloads.ops.speculation import accept_likely

PROMPT = [3, 1, 4, 1, 5]


def few(model: Model, seed: int) -> Model:
    """A twin of six tokens, whose next token is not simply the last one again."""
    words = {"vocab_size": 6, "tie_word_embeddings": False}
    config = model.config.model_copy(update=words)
    return Model(name=model.name, config=config, tokenizer=None, seed=seed)


@pytest.mark.parametrize("draft_tokens", [1, 2, 4, 7])
@pytest.mark.parametrize("name", ["llama", "gpt2", "windowed"])
def test_greedy_speculation_writes_what_greedy_decoding_writes(
    request: pytest.FixtureRequest, draft: Model, name: str, draft_tokens: int
) -> None:
    model = request.getfixturevalue(name)
    plain = generate(model, PROMPT, new_tokens=24, dtype="float64")
    for helper in (draft, model):  # one that is seldom right, one that always is
        run = speculate(
            model, helper, PROMPT, new_tokens=24, draft_tokens=draft_tokens, dtype="float64"
        )
        assert np.array_equal(run.token_ids, plain.token_ids)
        assert 22 <= sum(r.accepted + 1 for r in run.rounds) <= 23


def test_a_draft_that_is_the_target_is_always_accepted(llama: Model) -> None:
    run = speculate(llama, llama, PROMPT, new_tokens=22, draft_tokens=4, dtype="float64")
    assert run.rounds == (Round(drafted=4, accepted=4),) * 4
    assert run.acceptance == ((4, 4),) * 4


def test_some_drafts_are_accepted_and_counted_place_by_place(llama: Model, draft: Model) -> None:
    target, helper = few(llama, 1), few(draft, 2)
    run = speculate(target, helper, PROMPT, new_tokens=40, draft_tokens=3)
    judged = [0, 0, 0]
    accepted = [0, 0, 0]
    for each in run.rounds:
        for place in range(each.drafted):
            if place > each.accepted:
                break
            judged[place] += 1
            accepted[place] += place < each.accepted
    count = len(run.acceptance)
    assert run.acceptance == tuple(zip(judged, accepted, strict=True))[:count]
    assert 0 < sum(accepted) < sum(judged)


@pytest.mark.parametrize("temperature", [None, 1.0])
def test_a_run_by_shape_is_told_the_pattern_and_has_the_digest(
    llama: Model, draft: Model, temperature: float | None
) -> None:
    settings = Sampling(temperature=temperature, seed=2)
    target, helper = few(llama, 1), few(draft, 2)
    executed = speculate(target, helper, PROMPT, new_tokens=17, settings=settings)
    shaped = speculate(
        target,
        helper,
        prompt_tokens=5,
        new_tokens=17,
        settings=settings,
        accepted=executed.accepted,
        execute=False,
    )
    assert len(executed.accepted) > 2
    assert shaped.trace == executed.trace
    assert shaped.rounds == executed.rounds
    assert shaped.token_ids is None


def test_a_round_reads_the_targets_weights_once_and_the_drafts_once_a_token(
    llama: Model, draft: Model
) -> None:
    trace = speculate(
        llama, draft, prompt_tokens=5, new_tokens=6, accepted=[4], execute=False
    ).trace
    queries = [p.op for p in trace.placed_ops() if p.op.step == 1 and p.layer == 0]
    rows = Counter((op.name, op.dims["m"]) for op in queries if op.name.endswith("query"))
    assert rows == {("attention.query", 5): 1, ("draft/attention.query", 1): 4}
    heads = [p.op.dims["m"] for p in trace.placed_ops() if p.op.name == "head"]
    assert heads == [1, 5]
    weights = [t for t in trace.tensors if t.role is Role.WEIGHT]
    ours = [t for t in weights if not t.name.startswith("draft/")]
    assert sum(t.total_bytes for t in ours) == llama.parameter_count * 4
    assert sum(t.total_bytes for t in weights) == 4 * (
        llama.parameter_count + draft.parameter_count
    )
    ends = sorted(
        (
            t.address + layer * t.layer_stride_bytes,
            t.address + layer * t.layer_stride_bytes + t.bytes,
        )
        for t in trace.tensors
        for layer in range(t.layers)
    )
    assert all(one[1] <= next_one[0] for one, next_one in pairwise(ends))


def test_caches_forget_what_was_refused(llama: Model, draft: Model) -> None:
    trace = speculate(
        llama, draft, prompt_tokens=5, new_tokens=12, accepted=[1, 4, 3], execute=False
    ).trace
    reads = [
        (p.op.name, p.op.step, p.op.dims["n"])
        for p in trace.placed_ops()
        if p.layer == 0 and p.op.name.endswith("scores")
    ]
    # 5 of the prompt; round 1 judges places 5 to 9 and keeps 5 and 6; round 2 judges 7 to 11 and
    # keeps all; round 3 judges 12 to 15; the draft first takes in place 11.
    ours = [("attention.scores", step, n) for step, n in ((0, 5), (1, 10), (2, 12), (3, 16))]
    steps = [(0, 5), *((1, n) for n in (6, 7, 8, 9)), *((2, n) for n in (8, 9, 10, 11))]
    theirs = [
        ("draft/attention.scores", step, n)
        for step, n in (*steps, *((3, n) for n in (12, 13, 14, 15)))
    ]
    assert sorted(reads) == sorted(ours + theirs)


def chi_square(found: Counter[int], expected: Values) -> float:
    """Of counts by number; the 1 in 1000 of 5 degrees of freedom is 20.5."""
    assert expected.min() >= 5
    return sum((found[i] - count) ** 2 / count for i, count in enumerate(expected))


@pytest.mark.parametrize("drafted", [1, 2])
def test_an_accepted_or_redrawn_token_is_distributed_as_the_targets(
    tracer: Tracer, drafted: int
) -> None:
    random = np.random.default_rng(11)
    p, q = random.dirichlet(np.ones(6) * 2, size=(2, drafted + 1))
    tracer.declare("p", Role.INPUT, p.shape, values=lambda _: p)
    tokens, verdict = np.zeros((1, drafted), int), np.zeros((1, 2), int)
    tracer.declare("q", Role.INPUT, (drafted, 6), values=lambda _: q[:drafted])
    tracer.declare("tokens", Role.INPUT, (1, drafted), dtype="int64", values=lambda _: tokens)
    tracer.declare("out", Role.ACTIVATION, (1, 2), dtype="int64", values=lambda _: verdict)
    runs, first, last, all_accepted = 6000, Counter(), Counter(), 0
    for _ in range(runs):
        for at in range(drafted):
            tokens[0, at] = random.choice(6, p=q[at])
        accepted, token = accept_likely(
            tracer.get("p"),
            tracer.get("q"),
            tracer.get("tokens"),
            random=random,
            into=tracer.get("out"),
        ).values[0]
        first[int(tokens[0, 0]) if accepted else int(token)] += 1
        if accepted == drafted:
            last[int(token)] += 1
            all_accepted += 1
    assert chi_square(first, runs * p[0]) < 20.5
    assert chi_square(last, all_accepted * p[drafted]) < 20.5
    chance = np.prod([np.minimum(p[at], q[at]).sum() for at in range(drafted)])
    assert abs(all_accepted / runs - chance) < 4 * (chance * (1 - chance) / runs) ** 0.5


def test_sampled_speculation_keeps_the_targets_distribution(llama: Model, draft: Model) -> None:
    target, helper = few(llama, 1), few(draft, 2)
    settings, runs = Sampling(temperature=0.1), 120
    logits = generate(target, [*PROMPT, 2], new_tokens=1, dtype="float64").logits[0, 0]
    expected = np.exp(logits / 0.1)
    expected *= 1 / expected.sum()
    found: Counter[int] = Counter()
    given_first = accepted = 0
    for seed in range(runs):
        run = speculate(
            target,
            helper,
            PROMPT,
            new_tokens=3,
            draft_tokens=1,
            settings=replace(settings, seed=seed),
            dtype="float64",
        )
        first, second = run.token_ids[0, :2].tolist()
        accepted += run.rounds[0].accepted
        if first == 2:  # the likeliest
            given_first += 1
            found[second] += 1
    assert 0.1 < accepted / runs < 0.95
    deviations = [
        (found[i] - given_first * e) / (given_first * e * (1 - e)) ** 0.5
        for i, e in enumerate(expected)
    ]
    assert given_first > 30
    assert np.abs(deviations).max() < 4


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"draft_tokens": 0}, "draft_tokens is 0; draft at least 1"),
        ({"accepted": [1]}, "give `accepted` where execute is False"),
        ({"execute": False}, "give `accepted` where execute is False"),
        ({"execute": False, "accepted": [4]}, "pattern ends after 1 rounds"),
        ({"execute": False, "accepted": [5]}, "round 1 accepts 5 of 4"),
        ({"execute": False, "accepted": [4, 3, 0]}, "1 rounds too many"),
    ],
)
def test_a_speculation_that_cannot_be_says_why(
    llama: Model, draft: Model, given: dict[str, object], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        speculate(llama, draft, PROMPT, new_tokens=10, **given)


def test_a_draft_of_another_vocabulary_is_refused(llama: Model, draft: Model) -> None:
    with pytest.raises(ModelError, match="a draft must have the same vocabulary"):
        speculate(llama, few(draft, 1), PROMPT, new_tokens=3)
