from collections import Counter
from collections.abc import Callable
from itertools import combinations
from math import ceil, exp, log2

import numpy as np
import pytest

from workloads import Array, Model, ModelError, ShapeError, Tracer, generate
from workloads.decoding.answer import sample
from workloads.decoding.sampling import Sampling, choose
from workloads.ops import sampling

LOGITS = [[0.0, 3.0, 1.0, 2.0, -1.0], [5.0, 5.0, -9.0, 5.0, 4.0]]
EXPS = [[exp(x) for x in row] for row in LOGITS]


def kept(array: Array) -> list[list[int]]:
    values = array.values
    assert np.array_equal(values[np.isfinite(values)], np.array(LOGITS)[np.isfinite(values)])
    return [np.flatnonzero(np.isfinite(row)).tolist() for row in values]


@pytest.mark.parametrize(
    ("k", "left"),
    [
        (1, [[1], [0, 1, 3]]),
        (2, [[1, 3], [0, 1, 3]]),
        (4, [[0, 1, 2, 3], [0, 1, 3, 4]]),
        (5, [[0, 1, 2, 3, 4]] * 2),
    ],
)
def test_top_k_keeps_the_k_likeliest_and_their_equals(
    given: Callable[..., Array], k: int, left: list[list[int]]
) -> None:
    assert kept(sampling.top_k(given("x", values=LOGITS), k, name="k")) == left


def fewest(row: list[float], p: float) -> float:
    """Size of the smallest set of tokens whose probabilities reach p, by trying all."""
    shares = np.array(row) / sum(row)
    for size in range(1, len(row) + 1):
        if any(sum(shares[list(c)]) >= p - 1e-12 for c in combinations(range(len(row)), size)):
            return size
    raise AssertionError


@pytest.mark.parametrize("p", [0.01, 0.3, 0.6, 0.64, 0.7, 0.9, 0.97, 0.999, 1.0])
def test_top_p_keeps_the_fewest_tokens_that_reach_p(given: Callable[..., Array], p: float) -> None:
    for left, row in zip(
        kept(sampling.top_p(given("x", values=LOGITS), p, name="p")), EXPS, strict=True
    ):
        assert len(left) == fewest(row, p)
        assert sum(row[i] for i in left) >= p * sum(row) - 1e-9
        assert min(row[i] for i in left) >= max(
            (x for i, x in enumerate(row) if i not in left), default=0
        )


def test_of_equals_top_p_keeps_the_lower_number(given: Callable[..., Array]) -> None:
    assert kept(sampling.top_p(given("x", values=LOGITS), 0.4, name="p"))[1] == [0, 1]


def test_min_p_keeps_what_is_at_least_p_times_as_likely(given: Callable[..., Array]) -> None:
    for p in (0.9, 0.3, 0.1, 0.01, 1.0):
        left = kept(sampling.min_p(given(f"x{p}", values=LOGITS), p, name=f"m{p}"))
        expected = [[i for i, x in enumerate(row) if x >= p * max(row)] for row in EXPS]
        assert left == expected


def test_drawn_tokens_are_distributed_as_the_filtered_softmax(tracer: Tracer) -> None:
    count = 20_000
    rows = np.tile([[0.0, 1.0, 2.0, -1.0, 0.5]], (count, 1))
    tracer.declare("x", "weight", rows.shape, values=lambda _: rows)
    settings = Sampling(temperature=0.7, top_k=4, top_p=0.95, min_p=0.05, seed=3)
    drawn = choose(tracer.get("x"), settings, np.random.default_rng(settings.seed))
    # 4 of 5 by top-k; 0.5 and below sum to less than 1 - 0.95 nowhere; min-p leaves out e^(-2/0.7)
    exps = {i: exp(x / 0.7) for i, x in enumerate(rows[0])}
    order = sorted(exps, key=exps.__getitem__, reverse=True)[:4]
    whole, below, left = sum(exps[i] for i in order), 0.0, []
    for i in order:
        if below < 0.95 * whole:
            left.append(i)
        below += exps[i]
    left = [i for i in left if exps[i] >= 0.05 * exps[order[0]]]
    total = sum(exps[i] for i in left)
    found = Counter(drawn.values[:, 0].tolist())
    assert set(found) == set(left)
    chi_square = sum(
        (found[i] - count * exps[i] / total) ** 2 / (count * exps[i] / total) for i in left
    )
    assert chi_square < 16.3  # 3 degrees of freedom at most: one in a thousand


def test_costs_of_the_filters_are_those_of_their_loops(
    tracer: Tracer, given: Callable[..., Array]
) -> None:
    x = given("x", 3, 50)
    sampling.top_k(x, 7, name="k")
    sampling.top_p(x, 0.9, name="p")
    sampling.min_p(x, 0.1, name="m")
    chances = sampling.probabilities(x, name="c")
    sampling.draw(chances, random=np.random.default_rng(0), name="d")
    ops = {p.op.name: p.op for p in tracer.finish().placed_ops()}
    harmonic = [sum(1 / i for i in range(1, n + 1)) for n in range(51)]
    select = 2 * (51 * harmonic[50] - 46 * harmonic[44] - 9 * harmonic[7] + 53)
    assert ops["k"].flops == 3 * (round(select) + 50)
    assert (ops["p"].flops, ops["p"].transcendentals) == (3 * 50 * (7 + ceil(log2(50))), 150)
    assert ops["p"].dims["passes"] == 3 + 6
    assert (ops["m"].flops, ops["m"].transcendentals) == (3 * 101, 0)
    assert (ops["c"].flops, ops["c"].transcendentals) == (4 * 150, 150)
    assert ops["d"].flops == 3 * 151
    assert all(op.bytes_read == 3 * 50 * 8 for op in ops.values())


@pytest.mark.parametrize(("n", "k"), [(1, 1), (2, 1), (2, 2), (9, 3), (40, 20)])
def test_selection_counts_the_mean_comparisons_of_quickselect(n: int, k: int) -> None:
    def mean(n: int, k: int, known: dict[tuple[int, int], float]) -> float:
        """By its recurrence: the pivot is any of the n with the same chance."""
        if (n, k) not in known:
            left = sum(mean(n - i, k - i, known) for i in range(1, k))
            right = sum(mean(i - 1, k, known) for i in range(k + 1, n + 1))
            known[n, k] = 0.0 if n < 2 else n - 1 + (left + right) / n
        return known[n, k]

    assert sampling.selection_comparisons(n, k) == round(mean(n, k, {}))


def test_draws_repeat_with_their_seed_and_change_with_it(llama: Model) -> None:
    def ids(seed: int) -> list[int]:
        settings = Sampling(temperature=3.0, top_p=0.9, seed=seed)
        return sample(llama, [1, 2], new_tokens=12, settings=settings).token_ids[0].tolist()

    assert ids(4) == ids(4) != ids(5)


def test_without_filters_sampling_is_that_of_generate(llama: Model) -> None:
    ours = sample(llama, [1, 2], new_tokens=6, settings=Sampling(temperature=1.0, seed=3))
    plain = generate(llama, [1, 2], new_tokens=6, temperature=1.0, seed=3)
    assert np.array_equal(ours.token_ids, plain.token_ids)
    assert ours.trace == plain.trace


def test_filtered_runs_have_one_digest_by_shape_and_executed(llama: Model) -> None:
    settings = Sampling(temperature=0.8, top_k=20, top_p=0.9, min_p=0.01)
    executed = sample(llama, [1, 2, 3], new_tokens=3, settings=settings)
    shaped = sample(llama, prompt_tokens=3, new_tokens=3, settings=settings, execute=False)
    assert shaped.trace == executed.trace


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"top_k": 3}, "top_k has no meaning in greedy decoding; give temperature"),
        ({"temperature": 0.0}, "temperature must be above 0"),
        ({"temperature": 1.0, "top_k": 0}, "top_k is 0; keep at least 1"),
        ({"temperature": 1.0, "top_p": 1.5}, "top_p is 1.5; give more than 0"),
        ({"temperature": 1.0, "min_p": 0.0}, "min_p is 0.0; give more than 0"),
        ({"seed": -1}, "seed is -1; give 0 or more"),
    ],
)
def test_settings_without_meaning_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        Sampling(**settings)


def test_ops_refuse_what_cannot_be_kept(given: Callable[..., Array]) -> None:
    x = given("x", 2, 5)
    with pytest.raises(ShapeError, match="k is 6; give 1 to 5"):
        sampling.top_k(x, 6, name="k")
    with pytest.raises(ShapeError, match="p is 0; give more than 0"):
        sampling.top_p(x, 0, name="p")
