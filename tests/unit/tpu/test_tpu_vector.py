"""The vector unit: padding to lanes and sublanes, and the slot that is needed most."""

from typing import Any

import pytest
from tpu_cases import Builder, spec, tensor

from sim.errors import UnsupportedOpError
from sim.lowering import LoweredOp
from sim.stalls import StallCause
from sim.tpu.machine import TpuMachine
from sim.tpu.vector import padded_registers, stored_registers
from workloads.trace import Family


@pytest.mark.parametrize(
    ("rows", "cols", "registers"),
    [(1, 1, 1), (8, 128, 1), (9, 128, 2), (8, 129, 2), (9, 129, 4), (20, 341, 9), (1, 768, 6)],
)
def test_registers_of_8_by_128_pad_both_extents(rows: int, cols: int, registers: int) -> None:
    assert padded_registers(spec("tpu-v3-core").vector, rows * cols, cols) == registers


@pytest.mark.parametrize(
    ("rows", "element_bytes", "registers"),
    [(16, 4, 2), (16, 2, 1), (17, 2, 2), (1, 2, 1), (32, 1, 1), (16, 8, 4)],
)
def test_narrow_rows_share_a_sublane_in_the_scratchpad(
    rows: int, element_bytes: int, registers: int
) -> None:
    vector = spec("tpu-v3-core").vector
    assert stored_registers(vector, rows * 128, 128, element_bytes) == registers


def lowered(
    machine: str,
    family: Family,
    dims: dict[str, int],
    shape: tuple[int, ...],
    *,
    dtype: str = "float32",
    changes: dict[str, Any] | None = None,
    **op: Any,
) -> LoweredOp:
    build = Builder()
    source, result = tensor("in", *shape, dtype=dtype), tensor("out", *shape, dtype=dtype)
    make = build.elementwise((), source)
    operation = build.op(family, dims, (source,), result, **op)
    model = TpuMachine(spec(machine, **(changes or {})))
    model.start(build.trace(make, operation))
    model.lower(make, None)
    return model.lower(operation, None)


def softmax(machine: str, rows: int, cols: int, **more: Any) -> LoweredOp:
    dims = {"rows": rows, "cols": cols, "passes": 3}
    elements = rows * cols
    counts = {"flops": 5 * elements, "transcendentals": elements}
    return lowered(machine, Family.ROWWISE, dims, (rows, cols), kind="softmax", **counts, **more)


def test_a_softmax_on_the_toy_is_bound_by_its_one_alu() -> None:
    # 3 rows of 5 on 2 x 4 are 4 registers in 2 groups of rows: 5 operations and an exponential
    # each; maximum and sum are rotated and added log2(4) = 2 times for each group
    result = softmax("toy-4x4", 3, 5)
    assert result.stack.busy == 4 * (5 + 1) + 2 * 2 * 2
    # the end of 3 passes; one exponential; 2 reductions of 2 steps of rotation and addition
    assert result.stack.stalls == {StallCause.DATA_DEPENDENCY: 3 * 2 + 2 + 2 * 2 * (1 + 2)}
    assert result.uops.tolist() == [[0, 32 + 20]]
    assert result.units["array"].idle == 52
    assert "arithmetic slot" in result.choice


def test_a_softmax_on_a_tpu_waits_for_two_trips_across_the_lanes() -> None:
    # 8 rows of 128 are one register: 5 operations and 2 for the exponential in two slots; its
    # reductions are two operations of the cross-lane units, 8 cycles in each of the two
    result = softmax("tpu-v3-core", 8, 128)
    assert result.stack.busy == 8
    assert result.stack.stalls == {StallCause.DATA_DEPENDENCY: 3 * 2 + 7 + 2 * 79}
    assert "cross-lane slot" in result.choice


def test_wide_rows_are_bound_by_arithmetic_and_narrow_rows_by_the_cross_lane_unit() -> None:
    wide, narrow = softmax("tpu-v3-core", 64, 4096), softmax("tpu-v3-core", 2048, 128)
    # 256 registers each: 7 operations in 2 slots; 2 reductions of 8 or 256 groups on 2 units
    assert (wide.stack.busy, narrow.stack.busy) == (256 * 7 // 2, 2 * 256 // 2 * 8)


def test_a_reduction_unit_saves_the_rotations() -> None:
    unit = {"count": 1, "interval_cycles": 1, "latency_cycles": 1, "reduces": True}
    with_unit = softmax("toy-4x4", 3, 5, changes={"vector__cross_lane": unit})
    assert with_unit.stack.busy == 24
    assert with_unit.stack.stalls == {StallCause.DATA_DEPENDENCY: 3 * 2 + 2 + 2 * 1}


def test_bfloat16_is_widened_and_narrowed_by_the_alus() -> None:
    # 16 x 128: one packed register in memory, two in 32 bits; 2 additions, 2 operations to
    # widen and 1 to narrow in two slots
    added = lowered(
        "tpu-v3-core",
        Family.ELEMENTWISE,
        {"elements": 16 * 128},
        (16, 128),
        dtype="bfloat16",
        flops=16 * 128,
    )
    assert added.stack.busy == 3
    assert "1 register loads" in added.choice


def test_rotary_positions_pay_for_sines_and_for_rotations() -> None:
    # 64 x 128 in float32: 8 registers, rotated twice each; 2 x 64 x 64 sines are 8 registers' worth
    rope = lowered(
        "tpu-v3-core",
        Family.ELEMENTWISE,
        {"elements": 64 * 128},
        (64, 128),
        kind="rope",
        flops=3 * 64 * 128,
        transcendentals=64 * 128,
    )
    assert rope.stack.busy == 8 * (3 + 198) // 2
    assert rope.stack.stalls == {StallCause.DATA_DEPENDENCY: 2 + 79}


def test_a_transpose_hands_each_register_to_the_cross_lane_units_once() -> None:
    turned = lowered("tpu-v4", Family.COPY, {"elements": 128 * 128}, (128, 128), kind="transpose")
    assert turned.stack.busy == 16 // 4 * 8
    assert turned.stack.stalls == {StallCause.DATA_DEPENDENCY: 2 + 79}


def test_a_norms_root_is_taken_once_a_row_and_not_once_an_element() -> None:
    norm = lowered(
        "tpu-v3-core",
        Family.ROWWISE,
        {"rows": 8, "cols": 4096, "passes": 2},
        (8, 4096),
        kind="rmsnorm",
        flops=4 * 8 * 4096,
        transcendentals=8,
    )
    assert norm.stack.busy == (4 * 32 + 12) // 2
    assert norm.stack.stalls == {StallCause.DATA_DEPENDENCY: 2 * 2 + 7 + 79}


def test_a_copy_is_bound_by_the_load_slot() -> None:
    copied = lowered("tpu-v3-core", Family.COPY, {"elements": 16 * 256}, (16, 256))
    assert copied.uops.tolist() == [[0, 4 + 2]]
    assert "load slot" in copied.choice


def test_hyperbolic_tangents_are_bound_by_their_own_unit() -> None:
    tangent = lowered(
        "tpu-v3-core",
        Family.ELEMENTWISE,
        {"elements": 16 * 256},
        (16, 256),
        kind="gelu",
        flops=16 * 256,
        transcendentals=16 * 256,
    )
    assert tangent.stack.busy == 4 * 2
    assert "special slot" in tangent.choice


def test_a_kind_that_nobody_classified_counts_as_the_dearest_function() -> None:
    unknown = lowered(
        "tpu-v3-core",
        Family.ELEMENTWISE,
        {"elements": 8 * 128},
        (8, 128),
        transcendentals=8 * 128,
    )
    assert unknown.stack.busy == 198 // 2


def test_one_row_costs_as_much_as_eight() -> None:
    one, eight = (
        lowered("tpu-v3-core", Family.ELEMENTWISE, {"elements": n * 128}, (n, 128), flops=n * 128)
        for n in (1, 8)
    )
    assert one.main_cycles == eight.main_cycles == 3


def test_a_unit_without_a_path_between_lanes_refuses_a_softmax() -> None:
    with pytest.raises(UnsupportedOpError, match="nothing moves data from lane to lane"):
        softmax("tpu-v1", 8, 128, dtype="int8")


def test_a_unit_without_a_function_refuses_what_needs_it() -> None:
    with pytest.raises(UnsupportedOpError, match="its vector unit has no 'exp'"):
        lowered(
            "tpu-v1",
            Family.ELEMENTWISE,
            {"elements": 256},
            (1, 256),
            dtype="int8",
            kind="swiglu",
            transcendentals=256,
        )
