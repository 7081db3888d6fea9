"""Weights in few bits: how far they may be off, and what products of them cost."""

from collections.abc import Callable

import numpy as np
import pytest

from workloads import Array, ModelError, Tracer
from workloads.ops import quantised
from workloads.ops.quantised import by_row
from workloads.ops.stored import product
from workloads.rewrites import Float8, Quantise
from workloads.rewrites.quantise import quantise, scale_shape, to_float8
from workloads.trace import PACKED_BITS, stored_bytes

Given = Callable[..., Array]
WAYS = [("tensor", None), ("channel", None), ("group", 8), ("group", 5)]


def drawn(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).standard_normal(shape) + 0.3


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize(("per", "group"), WAYS)
@pytest.mark.parametrize("symmetric", [True, False])
def test_no_weight_moves_by_more_than_half_a_step(
    bits: int, per: str, group: int | None, symmetric: bool
) -> None:
    weight = drawn(21, 6)
    rounded = quantise(weight, bits=bits, per=per, group=group, symmetric=symmetric)
    assert rounded.scale.shape == scale_shape(weight.shape, per, group)
    half = by_row(rounded.scale, 21) / 2
    assert (np.abs(rounded.widened() - weight) <= half * (1 + 1e-12)).all()
    top = 2 ** (bits - 1) - 1
    assert -top - (not symmetric) <= rounded.weight.min()
    assert rounded.weight.max() <= top


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize(("per", "group"), WAYS)
@pytest.mark.parametrize("symmetric", [True, False])
def test_a_product_is_off_by_at_most_half_a_step_for_each_unit_of_its_row(
    *, tracer: Tracer, given: Given, bits: int, per: str, group: int | None, symmetric: bool
) -> None:
    weight, x = drawn(21, 6), given("x", 3, 21)
    rounded = quantise(weight, bits=bits, per=per, group=group, symmetric=symmetric)
    given("p.weight", values=rounded.weight, dtype="int8")
    given("p.scale", values=rounded.scale)
    if rounded.zero is not None:
        given("p.zero", values=rounded.zero, dtype="int8")
    y = product(x, "p")
    assert np.abs(y.values - x.values @ rounded.widened()).max() < 1e-12
    step = np.broadcast_to(by_row(rounded.scale, 21), weight.shape)
    bound = np.abs(x.values) @ (step / 2)
    assert (np.abs(y.values - x.values @ weight) <= bound * (1 + 1e-9)).all()


def test_steps_are_those_of_the_largest_weight_that_shares_them() -> None:
    weight = np.array([[1.0, -2.0], [0.5, 4.0], [-3.0, 0.0], [0.0, 8.0]])
    assert quantise(weight, bits=8, per="tensor").scale.tolist() == [[8 / 127]]
    assert quantise(weight, bits=4, per="channel").scale.tolist() == [[3 / 7, 8 / 7]]
    groups = quantise(weight, bits=4, per="group", group=2).scale
    assert groups.tolist() == [[1 / 7, 4 / 7], [3 / 7, 8 / 7]]
    uneven = quantise(weight, bits=8, per="tensor", symmetric=False)
    assert uneven.scale.tolist() == [[11 / 255]]
    assert uneven.zero.tolist() == [[round(-128 + 3 * 255 / 11)]]


def test_the_asymmetric_zero_is_exactly_zero() -> None:
    weight = np.abs(drawn(12, 4))
    weight[3] = 0
    rounded = quantise(weight, bits=4, per="channel", symmetric=False)
    assert (rounded.widened()[3] == 0).all()


def test_a_weight_of_zeros_stays_zero() -> None:
    for symmetric in (True, False):
        rounded = quantise(np.zeros((4, 3)), bits=8, per="channel", symmetric=symmetric)
        assert (rounded.widened() == 0).all()


def float8_values(mantissa: int, least: int, largest: float) -> list[float]:
    """Every number of at least zero that the format has, from the meaning of its bits."""
    steps = 2**mantissa
    values = [m * 2.0 ** (least - mantissa) for m in range(steps)]  # subnormal
    exponents = range(least, 17)
    values += [(steps + m) * 2.0 ** (e - mantissa) for e in exponents for m in range(steps)]
    return [value for value in values if value <= largest]


@pytest.mark.parametrize(
    ("kind", "mantissa", "least", "largest", "count"),
    [("e4m3", 3, -6, 448.0, 127), ("e5m2", 2, -14, 57344.0, 124)],
)
def test_float8_rounds_to_the_nearest_of_its_table_and_ties_to_even(
    kind: str, mantissa: int, least: int, largest: float, count: int
) -> None:
    table = float8_values(mantissa, least, largest)
    assert len(table) == count  # codes of one sign, less NaN and infinity
    exact = np.array(table)
    assert (to_float8(exact, kind) == exact).all()
    assert (to_float8(-exact, kind) == -exact).all()
    middle = (exact[1:] + exact[:-1]) / 2
    even = np.where(np.arange(count - 1) % 2 == 0, exact[:-1], exact[1:])
    assert (to_float8(middle, kind) == even).all()
    assert (to_float8(np.nextafter(middle, np.inf), kind) == exact[1:]).all()
    assert (to_float8(np.nextafter(middle, 0), kind) == exact[:-1]).all()
    assert to_float8(np.array([1e9]), kind).tolist() == [largest]


@pytest.mark.parametrize(("bits", "expected"), [("int4", 11), ("int8", 21), ("uint2", 6)])
def test_packed_elements_share_bytes(bits: str, expected: int) -> None:
    assert stored_bytes(21, bits) == expected
    assert set(PACKED_BITS) == {"int4", "uint2"}


@pytest.mark.parametrize(
    ("groups", "zero", "around"),
    [
        (1, False, 3 * 6),  # a scale for each result
        (1, True, 3 * 3 * 6 + 3 * 21),  # and the zero point times each row's sum, taken off
        (3, False, 21 * 6),  # a scale for each weight
        (3, True, 2 * 21 * 6),
    ],
)
def test_what_surrounds_a_product_of_few_bits_is_counted(
    tracer: Tracer, given: Given, groups: int, zero: bool, around: int
) -> None:
    x = given("x", 3, 21)
    weight = given("w", values=np.ones((21, 6)), dtype="int8")
    scale = given("s", groups, 6)
    zeros = given("z", values=np.zeros((groups, 6)), dtype="int8") if zero else None
    quantised.matmul(x, weight, scale, zeros, name="p")
    op = tracer.finish().blocks[0].ops[0]
    assert op.flops == 2 * 3 * 21 * 6 + around
    assert (op.kind, op.dtype) == ("matmul_int8", "float64")
    reads = [3 * 21 * 8, 21 * 6, groups * 6 * 8] + [groups * 6] * zero
    assert [access.bytes for access in op.reads] == reads


def test_whole_products_are_exact_but_for_the_scales(tracer: Tracer, given: Given) -> None:
    x, weight = given("x", 5, 32), drawn(32, 6)
    rounded = quantise(weight, bits=8, per="channel")
    given("p.weight", values=rounded.weight, dtype="int8")
    given("p.column_scale", values=rounded.scale)
    y = product(x, "p")
    scale, whole, multiplied = tracer.finish().blocks[0].ops
    steps = np.abs(x.values).max(axis=1, keepdims=True) / 127
    integers = np.rint(x.values / steps).astype(np.int64)
    expected = (integers @ rounded.weight.astype(np.int64)) * steps * rounded.scale
    assert np.abs(y.values - expected).max() < 1e-12
    # half a step of x for each unit of the weight, and half a step of the weight of x
    bound = steps / 2 * np.abs(rounded.widened()).sum(axis=0)
    bound = bound + np.abs(x.values).sum(axis=1, keepdims=True) * rounded.scale / 2
    assert (np.abs(y.values - x.values @ weight) <= bound).all()
    assert (scale.kind, whole.kind, multiplied.kind) == (
        "row_scale",
        "quantise",
        "matmul_int8_int8",
    )
    assert scale.flops == 5 * 32 + 2 * 5
    assert whole.flops == 4 * 5 * 32
    assert whole.bytes_written == 5 * 32
    assert (multiplied.dtype, multiplied.flops) == ("int8", 2 * 5 * 32 * 6 + 2 * 5 * 6)
    assert [a.bytes for a in multiplied.reads] == [5 * 32, 32 * 6, 5 * 8, 6 * 8]
    assert multiplied.bytes_written == 5 * 6 * 8


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Quantise(bits=3), "weights of 3 bits are not known; choose 4 or 8"),
        (lambda: Quantise(per="row"), "no scale is per 'row'; valid: channel, group, tensor"),
        (lambda: Quantise(per="group"), "give `group`, 1 row or more, with per='group'"),
        (lambda: Quantise(group=4), "give `group`, 1 row or more, with per='group' and only then"),
        (lambda: Float8(kind="e4m3fn"), "no 8-bit floating point 'e4m3fn'; did you mean 'e4m3'?"),
    ],
)
def test_an_unknown_form_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ModelError) as error:
        make()
    assert message in str(error.value)


def test_a_scale_of_the_wrong_shape_is_refused(tracer: Tracer, given: Given) -> None:
    x, weight, scale = given("x", 3, 4), given("w", 4, 6), given("s", 1, 5)
    with pytest.raises(ValueError, match=r"scale \[groups, n\], got x \[3, 4\]"):
        quantised.matmul(x, weight, scale, None, name="p")
