from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from workloads import Array, Family, Op, ShapeError, Tracer, ops
from workloads.array import Values
from workloads.ops import latent, routing

Given = Callable[..., Array]


def last_op(tracer: Tracer) -> Op:
    return tracer.finish().blocks[-1].ops[-1]


def test_softmax_scores_cost_four_flops_and_an_exponential_an_expert(
    tracer: Tracer, given: Given
) -> None:
    logits = given("logits", 2, 3, 5)
    scores = routing.expert_scores(logits, scoring="softmax", name="scores")
    op = last_op(tracer)
    exps = np.exp(logits.values)
    assert np.allclose(scores.values, exps / exps.sum(axis=-1, keepdims=True))
    assert (op.dims, op.flops) == ({"rows": 6, "cols": 5, "passes": 3}, 4 * 30)
    assert op.transcendentals == 30


def test_sigmoid_scores_cost_two_flops_and_an_exponential_an_expert(
    tracer: Tracer, given: Given
) -> None:
    logits = given("logits", values=[[[-800.0, 0.0, 2.0]]])
    scores = routing.expert_scores(logits, scoring="sigmoid", name="scores")
    op = last_op(tracer)
    assert np.allclose(scores.values, [[[0, 0.5, 1 / (1 + np.exp(-2))]]])
    assert (op.dims, op.flops, op.transcendentals) == ({"elements": 3}, 6, 3)


def chosen_of(
    given: Given, scores: list[float], bias: list[float] | None = None, **rule: int
) -> list[int]:
    array = given("scores", values=[[scores]])
    added = None if bias is None else given("bias", values=bias)
    rule = {"count": 2, "groups": 1, "groups_chosen": 1} | rule
    return routing.choose_experts(array, added, name="choose", **rule).values[0].tolist()


def test_the_best_are_chosen_the_best_first(tracer: Tracer, given: Given) -> None:
    assert chosen_of(given, [0.1, 0.4, 0.2, 0.3]) == [1, 3]
    op = last_op(tracer)
    assert (op.dims, op.flops) == ({"rows": 1, "cols": 4, "passes": 2}, 2 * 4)
    assert op.bytes_written == 2 * 8


def test_a_correction_changes_the_choice(tracer: Tracer, given: Given) -> None:
    assert chosen_of(given, [0.1, 0.4, 0.2, 0.3], [0.5, 0.0, 0.0, 0.0]) == [0, 1]
    assert last_op(tracer).flops == 2 * 4 + 4


def test_only_groups_with_the_best_two_together_are_chosen_from(
    tracer: Tracer, given: Given
) -> None:
    scores = [0.9, 0.0, 0.1, 0.5, 0.5, 0.4]  # two groups: 0.9 + 0.1 and 0.5 + 0.5, then a tie
    assert chosen_of(given, [*scores[:4], 0.6, 0.4], groups=2) == [4, 3]
    op = last_op(tracer)
    assert op.flops == 2 * 6 + 2 * 6 + 2 + 2  # choose; two scans of groups; sums; best group


def test_a_choice_made_elsewhere_costs_the_same_and_is_taken(tracer: Tracer, given: Given) -> None:
    scores = given("scores", values=[[[0.9, 0.8, 0.0]]])
    rule = {"count": 2, "groups": 1, "groups_chosen": 1}
    other = np.array([[2, 0]])
    chosen = routing.choose_experts(scores, None, name="choose", instead=other, **rule)
    assert chosen.values.tolist() == [[2, 0]]
    assert last_op(tracer).flops == 6


def test_weights_are_scores_divided_by_their_sum_and_scaled(tracer: Tracer, given: Given) -> None:
    scores, chosen = given("scores", 1, 2, 4), given("chosen", values=[[2, 1], [0, 3]])
    chosen = given("numbers", values=[[2, 1], [0, 3]], dtype="int64")
    weights = routing.expert_weights(scores, chosen, normalised=True, scale=2.5, name="weigh")
    op = last_op(tracer)
    picked = np.array([scores.values[0, 0, [2, 1]], scores.values[0, 1, [0, 3]]])
    assert np.allclose(weights.values, 2.5 * picked / picked.sum(axis=1, keepdims=True))
    assert (op.flops, op.dims) == (3 * 4, {"rows": 2, "cols": 2, "passes": 2})
    assert [access.bytes for access in op.reads] == [4 * 8, 4 * 8]


def test_weights_as_they_are_cost_nothing(tracer: Tracer, given: Given) -> None:
    scores, chosen = given("scores", 1, 1, 3), given("chosen", values=[[2, 1]], dtype="int64")
    weights = routing.expert_weights(scores, chosen, normalised=False, scale=1.0, name="weigh")
    assert np.array_equal(weights.values[0], scores.values[0, 0, [2, 1]])
    assert last_op(tracer).flops == 0


def test_an_expert_gathers_its_tokens_alone(tracer: Tracer, given: Given) -> None:
    x, chosen = given("x", 2, 3, 4), given("chosen", values=[[0]] * 6, dtype="int64")
    y = routing.gather_tokens(x, chosen, rows=[1, 5], name="gather", buffer="gather")
    op = last_op(tracer)
    assert np.array_equal(y.values, x.values.reshape(6, 4)[[1, 5]])
    assert (op.family, op.dims, op.flops) == (Family.GATHER, {"rows": 2, "cols": 4}, 0)
    assert [access.bytes for access in op.reads] == [2 * 4 * 8, 2 * 8]


def test_what_an_expert_made_is_added_weighed_where_its_tokens_lie(
    tracer: Tracer, given: Given
) -> None:
    x = ops.add(given("a", 1, 3, 4), given("b", 1, 3, 4), name="x", buffer="x")
    before = x.values.copy()
    made, weights = given("made", 2, 4), given("weights", 3, 2)
    chosen = given("chosen", values=[[0, 1]] * 3, dtype="int64")
    total = routing.scatter_add(
        x, made, weights, chosen, rows=[0, 2], places=[1, 0], name="scatter"
    )
    op = last_op(tracer)
    expected = before.copy()
    expected[0, 0] += weights.values[0, 1] * made.values[0]
    expected[0, 2] += weights.values[2, 0] * made.values[1]
    assert np.allclose(total.values, expected)
    assert (op.flops, op.dims) == (2 * 8, {"rows": 2, "cols": 4, "passes": 1})
    assert [a.bytes for a in op.reads] == [64, 64, 2 * 8, 2 * 8]
    assert (op.bytes_written, op.depends_back) == (64, (1,))
    with pytest.raises(ValueError, match="overwritten"):
        ops.add(x, x, name="stale", buffer="stale")


def test_a_joint_repeats_what_all_heads_share(tracer: Tracer, given: Given) -> None:
    x, y = given("x", 2, 1, 3, 4), given("y", 2, 1, 1, 2)
    joined = latent.join(x, y, name="join")
    op = last_op(tracer)
    assert np.array_equal(joined.values[..., :4], x.values)
    assert np.array_equal(joined.values[:, :, 2, 4:], y.values[:, :, 0])
    assert (op.family, op.dims, op.flops) == (Family.COPY, {"elements": 36}, 0)


def test_each_head_is_multiplied_by_its_own_weight(tracer: Tracer, given: Given) -> None:
    x, w = given("x", 2, 3, 4 * 5), given("w", 4, 5, 6)
    y = latent.each_head(x, w, name="y")
    op = last_op(tracer)
    heads = x.values.reshape(2, 3, 4, 5)
    assert np.allclose(y.values, np.einsum("bthk,hkn->bthn", heads, w.values).reshape(2, 3, 24))
    assert (op.dims, op.flops) == ({"batch": 4, "m": 6, "n": 6, "k": 5}, 2 * 4 * 6 * 6 * 5)


@pytest.mark.parametrize("transposed", [False, True])
def test_what_heads_share_is_read_once_for_all_of_them(
    tracer: Tracer, given: Given, transposed: bool
) -> None:
    x, w = given("x", 3, 2, 1, 5), given("w", 4, 6, 5) if transposed else given("w", 4, 5, 6)
    y = latent.for_every_head(x, w, name="y", transposed=transposed)
    op = last_op(tracer)
    rule = "sbk,hnk->sbhn" if transposed else "sbk,hkn->sbhn"
    assert np.allclose(y.values, np.einsum(rule, x.values[:, :, 0], w.values))
    assert (op.dims, op.flops) == ({"batch": 1, "m": 6, "n": 24, "k": 5}, 2 * 6 * 24 * 5)
    assert op.reads[0].bytes == 3 * 2 * 5 * 8


def misfits() -> Iterator[Any]:
    yield lambda a: latent.join(a("x", 2, 3), a("y", 3, 2), name="j"), r"join.*\[2, 3\].*\[3, 2\]"
    yield lambda a: latent.each_head(a("x", 1, 1, 7), a("w", 2, 3, 4), name="e"), r"each_head.*7\]"
    yield (
        lambda a: latent.for_every_head(a("x", 1, 1, 2, 3), a("w", 2, 3, 4), name="f"),
        r"for_every_head.*\[1, 1, 2, 3\]",
    )
    yield (
        lambda a: routing.choose_experts(
            a("s", 1, 1, 4), a("b", 3), count=1, groups=1, groups_chosen=1, name="c"
        ),
        r"choose_experts: bias is \[E\].*\[1, 1, 4\].*\[3\]",
    )
    yield (
        lambda a: routing.expert_weights(
            a("s", 1, 2, 4), a("c", 3, 2), normalised=True, scale=1.0, name="w"
        ),
        r"expert_weights.*\[1, 2, 4\].*\[3, 2\]",
    )
    yield (
        lambda a: routing.gather_tokens(
            a("x", 1, 2, 4), a("c", 2, 2), rows=[2], name="g", buffer="g"
        ),
        r"gather_tokens.*\[1, 2, 4\]",
    )
    yield (
        lambda a: routing.scatter_add(
            a("x", 1, 2, 4),
            a("y", 2, 3),
            a("w", 2, 1),
            a("c", 2, 1),
            rows=[0],
            places=[0],
            name="s",
        ),
        r"scatter_add.*\[2, 3\]",
    )


@pytest.mark.parametrize(("call", "message"), list(misfits()))
def test_experts_and_latents_that_do_not_fit_are_named_with_the_operation(
    given: Given, call: Callable[[Given], Values], message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        call(given)
