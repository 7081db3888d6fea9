"""The mapper's choices on cases where the best is known."""

import pytest
from sram_cases import memory, unit

from sim.errors import CapacityError
from sim.tpu.array.systolic import Gemm
from sim.tpu.memory.blocks import Operand
from sim.tpu.memory.mapping import describe, map_product, map_steady
from sim.tpu.memory.mapping_bounds import tile_choices


def test_the_loop_is_innermost_that_keeps_the_operand_that_does_not_fit() -> None:
    # either operand would have to come in again for every turn of the other's loop; B is larger
    gemm = Gemm(m=8, n=64, k=64)
    mapped = map_product([unit()], memory(1, a=256, b=256), gemm)
    assert mapped.plan.moved[Operand.B].read_bytes == 64 * 64
    assert mapped.limited_by == "memory"


def test_plenty_of_bandwidth_leaves_the_arrays_as_the_limit() -> None:
    mapped = map_product([unit(overlapped=True)], memory(10_000), Gemm(m=64, n=64, k=64))
    assert mapped.limited_by == "arrays"
    # 256 folds of 64 rows, the first load, the last crossing, and a cycle each to start and end
    assert mapped.plan.compute_cycles == 4 + 256 * 64 + 6
    assert mapped.plan.total_cycles == 4 + 256 * 64 + 6 + 2
    assert mapped.simulated < mapped.considered


def test_a_dataflow_is_chosen_where_there_is_a_choice() -> None:
    units = [unit(flow) for flow in ("ws", "is", "os")]
    deep, tall = Gemm(m=4, n=4, k=400), Gemm(m=400, n=4, k=4)
    best = [map_product(units, memory(64), gemm).plan for gemm in (deep, tall)]
    assert [plan.unit.array.dataflow for plan in best] == ["os", "ws"]


def test_the_mapper_says_what_it_chose_what_limits_it_and_what_else_would_cost() -> None:
    mapped = map_product([unit()], memory(4), Gemm(m=8, n=8, k=4))
    assert mapped.why == (
        "ws, blocks of 4x4x4, loops n*2 m*2: 48 cycles (arrays alone: 36); "
        "next best ws, blocks of 8x4x4, loops n*2: +8 cycles, +0 bytes"
    )


def test_a_single_candidate_has_no_runner_up() -> None:
    mapped = map_product([unit()], memory(4), Gemm(m=1, n=1, k=1))
    assert mapped.runner_up is None
    assert mapped.why.endswith("nothing else fits")


def test_srams_that_hold_no_fold_are_refused() -> None:
    with pytest.raises(CapacityError, match="no blocks of a 8x8x8 product fit"):
        map_product([unit()], memory(4, b=7), Gemm(m=8, n=8, k=8))


@pytest.mark.parametrize(
    ("extent", "choices"), [(3, [3]), (4, [4]), (9, [4, 8, 9]), (32, [4, 8, 12, 16, 32])]
)
def test_tiles_are_powers_of_two_of_the_array_and_equal_parts(
    extent: int, choices: list[int]
) -> None:
    assert tile_choices(extent, 4) == choices


def test_between_others_a_product_s_first_arrival_and_last_departure_do_not_count() -> None:
    alone = map_product([unit()], memory(4), Gemm(m=8, n=8, k=4))
    between = map_steady([unit()], memory(4), Gemm(m=8, n=8, k=4))
    assert max(between.bounds.values()) == 36
    # small blocks would start earlier; of those with as many bytes and array cycles, the first
    assert describe(alone.plan) == "ws, blocks of 4x4x4, loops n*2 m*2"
    assert describe(between.plan) == "ws, blocks of 8x4x4, loops n*2"
