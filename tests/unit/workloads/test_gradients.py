"""Every gradient rule against finite differences, and what a rule costs."""

from collections.abc import Callable

import numpy as np
import pytest
from gradient_cases import CASES, Case, numbers, our_gradients, our_loss

from workloads import Array, Family, Op, Role, TraceError, Tracer, ops
from workloads.array import Values
from workloads.training import backward

STEP = 1e-6
CLOSE = 1e-7


@pytest.mark.parametrize("name", CASES)
def test_a_rule_gives_what_finite_differences_give(name: str) -> None:
    case = CASES[name]
    inputs = numbers(name, case.shapes)
    _, gradients = our_gradients(case, inputs)
    for number, gradient in enumerate(gradients):
        expected = differences(case, inputs, number)
        assert np.abs(gradient - expected).max() <= CLOSE * max(1, np.abs(expected).max())
    if name != "attention mix":  # whose query gives a shape only
        assert all(np.abs(gradient).max() > 0 for gradient in gradients)


def differences(case: Case, inputs: list[Values], number: int) -> Values:
    """Central differences of a case's loss by one input."""
    result = np.zeros_like(inputs[number])
    for at in np.ndindex(result.shape):
        ends = []
        for step in (STEP, -STEP):
            moved = [values.copy() for values in inputs]
            moved[number][at] += step
            ends.append(our_loss(case, moved)[1].values[0])
        result[at] = (ends[0] - ends[1]) / (2 * STEP)
    return result


def backward_ops(name: str) -> list[Op]:
    """Operations of a case's own rule: those after the squared error's."""
    case = CASES[name]
    tracer, _ = our_gradients(case, numbers(name, case.shapes))
    recorded = [placed.op for placed in tracer.finish().placed_ops()]
    first = next(n for n, op in enumerate(recorded) if op.kind.endswith("squared_error_grad"))
    return recorded[first + 1 :]


def test_a_product_has_two_gradients_of_its_own_cost() -> None:
    of_x, of_weight = backward_ops("matmul")
    assert (of_x.kind, of_weight.kind) == ("matmul_dgrad", "matmul_wgrad")
    assert of_x.dims == {"batch": 1, "m": 6, "n": 5, "k": 7}
    assert of_weight.dims == {"batch": 1, "m": 5, "n": 7, "k": 6}
    assert of_x.flops == of_weight.flops == 2 * 6 * 5 * 7
    assert of_x.bytes_read == 8 * (6 * 7 + 5 * 7)
    assert of_weight.bytes_written == 8 * 5 * 7


def test_products_of_attention_have_two_gradients_of_their_own_cost() -> None:
    for name in ("attention scores", "attention mix"):
        grads = backward_ops(name)
        kind = name.replace(" ", "_")
        assert [op.kind for op in grads] == [f"{kind}_dgrad", f"{kind}_wgrad"]
        assert {op.flops for op in grads} == {2 * 4 * 6 * 3 * 4}  # groups, rows, positions, size


@pytest.mark.parametrize(
    ("name", "flops", "transcendentals"),
    [
        ("layernorm", [13 * 36 + 5 * 6, 7 * 36 + 3 * 6, 36], 6 + 6),
        ("rmsnorm", [8 * 36 + 4 * 6, 5 * 36 + 2 * 6], 6 + 6),
        ("rmsnorm of 1 + weight", [8 * 36 + 4 * 6 + 6, 5 * 36 + 2 * 6], 6 + 6),
        ("softmax", [5 * 72], 0),
        ("softmax of bent scores", [10 * 72], 72),
        ("silu", [7 * 21], 21),
        ("gelu", [9 * 21], 42),
        ("gelu_new", [17 * 21], 21),
        ("relu", [2 * 21], 0),
        ("gated silu", [8 * 21, 3 * 21], 21 + 21),
        ("softcap", [4 * 21], 0),
        ("rope of halves", [3 * 96 + 3 * 2], 2 * 3 * 2),
        ("embedding", [6 * 4], 0),
        ("add", [0, 0], 0),  # copies to where the gradients of weights lie
        ("add a bias", [30, 0], 0),
        ("add to itself", [0, 6], 0),
        ("scale", [6], 0),
        ("cache append", [0], 0),
    ],
)
def test_a_rule_costs_what_its_formula_does(
    name: str, flops: list[int], transcendentals: int
) -> None:
    grads = backward_ops(name)
    assert [op.flops for op in grads] == flops
    assert sum(op.transcendentals for op in grads) == transcendentals


def test_an_embeddings_gradient_scatters_rows_and_writes_the_whole_table() -> None:
    (scatter,) = backward_ops("embedding")
    assert scatter.family is Family.GATHER
    assert scatter.dims == {"rows": 6, "cols": 4}
    assert [access.bytes for access in scatter.reads] == [6 * 4 * 8, 6 * 8]
    assert scatter.bytes_written == 5 * 4 * 8


def test_the_loss_is_one_row_of_logits_a_target() -> None:
    tracer, _ = our_gradients(CASES["masked cross entropy"], numbers("", ((2, 3, 5),)))
    loss, gradient = (placed.op for placed in tracer.finish().placed_ops())
    assert (loss.dims, loss.flops) == ({"rows": 6, "cols": 5, "passes": 2}, 3 * 30 + 4 * 6 + 1)
    assert loss.transcendentals == 30 + 6
    assert (gradient.flops, gradient.transcendentals) == (5 * 30 + 3 * 6 + 1, 30)


def test_an_ignored_target_counts_for_nothing() -> None:
    logits = numbers("logits", ((2, 3, 5),))
    _, masked = our_loss(CASES["masked cross entropy"], logits)
    chances = np.exp(logits[0]) / np.exp(logits[0]).sum(axis=-1, keepdims=True)
    asked = [chances[0, 0, 3], chances[0, 2, 1], chances[1, 0, 0], chances[1, 1, 4]]
    assert masked.values == pytest.approx(-np.log(asked).mean(), rel=1e-12)


@pytest.fixture
def training() -> Tracer:
    return Tracer(model="test", dtype="float64", execute=True, trains=True)


def test_what_a_rule_reads_again_must_not_be_overwritten(training: Tracer) -> None:
    tracer = training
    x = declared(tracer, "x", 3)
    bent = ops.activate(x, activation="silu", name="bent")
    loss = ops.squared_error(ops.activate(bent, activation="silu", name="twice"), x, name="loss")
    ops.activate(x, activation="silu", name="bent")  # in the place that `twice` reads again
    with pytest.raises(TraceError, match="reads bent, which has been overwritten"):
        backward(tracer, loss, declared(tracer, "seed", 1, role=Role.INPUT))


def test_an_operation_in_place_sets_aside_what_its_rule_reads_again(training: Tracer) -> None:
    tracer = training
    x = ops.scale(declared(tracer, "x", 3), 2.0, name="y")
    z = ops.rmsnorm(x, declared(tracer, "w", 3), eps=1.0, name="norm", buffer="y")
    loss = ops.squared_error(z, declared(tracer, "t", 3, role=Role.INPUT), name="loss")
    backward(tracer, loss, declared(tracer, "seed", 1, role=Role.INPUT))
    kinds = [placed.op.kind for placed in tracer.finish().placed_ops()]
    assert kinds[:3] == ["scale", "set_aside", "rmsnorm"]


def declared(tracer: Tracer, name: str, *shape: int, role: Role = Role.WEIGHT) -> Array:
    values, gradient = np.ones(shape), np.zeros(shape)
    tracer.declare(name, role, shape, values=lambda _: values)
    if role is Role.WEIGHT:
        tracer.declare(f"{name}.grad", Role.GRADIENT, shape, values=lambda _: gradient)
    return tracer.get(name)


def test_inference_puts_nothing_on_a_tape(tracer: Tracer, given: Callable[..., Array]) -> None:
    ops.matmul(given("x", 2, 3), given("w", 3, 4), name="y")
    assert tracer.take_tape() == []
