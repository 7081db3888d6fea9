"""One product on systolic arrays: what the answer says of cycles, memory and energy."""

import json
from dataclasses import replace

import pytest

from reports.systolic import Hardware, machine_hardware, solve, with_bandwidth
from sim.errors import CapacityError, SpecError
from sim.machine import load_machine
from sim.tpu.array.systolic import ArraySpec, Dataflow, Drain, Gemm, sequence_cycles
from sim.tpu.energy import dataflows_by_energy

SMALL = Hardware(array=ArraySpec(rows=4, cols=4))
FLOWS = tuple(Dataflow)


def test_without_a_memory_the_cycles_are_the_closed_form_s() -> None:
    answer = solve(Gemm(m=6, n=8, k=8), SMALL, FLOWS)
    # ws: 4 folds of 4 + 6 + 3 + 3; os: 4 folds of 8 + 3 + 3; is: 4 folds of 4 + 8 + 3 + 3
    assert [row.cycles for row in answer.rows] == [64, 56, 72]
    assert answer.fastest.dataflow is Dataflow.OUTPUT_STATIONARY
    assert answer.fastest.utilisation == 6 * 8 * 8 / (56 * 16)
    assert answer.thriftiest is None
    assert answer.as_dict()["why"] is None


def test_overlapped_folds_are_chosen_where_the_hardware_has_them() -> None:
    answer = solve(Gemm(m=6, n=8, k=8), replace(SMALL, overlapped=True), FLOWS[:1])
    assert answer.rows[0].cycles == 4 + 4 * 6 + 3 + 3


@pytest.mark.parametrize("overlapped", [False, True])
@pytest.mark.parametrize("drain", list(Drain))
@pytest.mark.parametrize("flow", FLOWS)
def test_several_arrays_share_the_folds(flow: Dataflow, drain: Drain, overlapped: bool) -> None:
    array = ArraySpec(rows=4, cols=4, drain=drain)
    hardware = Hardware(array=array, arrays=3, overlapped=overlapped)
    (row,) = solve(Gemm(m=20, n=20, k=20), hardware, (flow,)).rows
    streams = [20] * 9  # of 25 folds, the most that one of three arrays gets
    assert row.cycles == sequence_cycles(row.schedule.array, streams, overlapped=overlapped)


def test_ample_bandwidth_costs_the_first_operands_and_the_last_results_only() -> None:
    gemm = Gemm(m=64, n=8, k=8)
    slow = solve(gemm, with_bandwidth(SMALL, 10**9), FLOWS)
    fast = solve(gemm, with_bandwidth(SMALL, 1000 * 10**9), FLOWS)
    for late, early in zip(slow.rows, fast.rows, strict=True):
        assert late.mapped is not None
        assert late.stall_cycles > early.stall_cycles >= 0
        assert late.mapped.limited_by == "memory"
        # every operand of two bytes once, a byte a cycle, and nothing beside the first and last
        assert late.cycles >= 2 * (64 * 8 + 8 * 8 + 64 * 8)


def test_an_sram_that_holds_no_fold_is_refused() -> None:
    hardware = replace(with_bandwidth(SMALL, 10**9), srams=(16, 16, 16))
    with pytest.raises(CapacityError, match="not even of one fold"):
        solve(Gemm(m=64, n=64, k=64), hardware, FLOWS)


def test_a_machine_gives_arrays_memory_and_energy() -> None:
    hardware = machine_hardware("tpu-v4", None)
    spec = load_machine("tpu-v4").spec
    assert (hardware.array.rows, hardware.arrays, hardware.dtype) == (128, 8, "bfloat16")
    assert hardware.overlapped
    assert hardware.memory == spec.memory
    row = solve(Gemm(m=512, n=512, k=512), hardware, FLOWS[:1]).rows[0]
    assert row.energy is not None
    assert row.mapped is not None
    parts = row.energy.picojoules_by_part
    assert parts["static"] == pytest.approx(90 * row.cycles / 1.05e9 * 1e12)
    assert parts["dram"] == pytest.approx(row.mapped.plan.traffic_bytes * 8 * 3.92)


def test_energy_without_a_memory_is_that_of_the_dataflow_alone() -> None:
    hardware = replace(machine_hardware("tpu-v4", None), memory=None, arrays=1)
    gemm = Gemm(m=512, n=512, k=512)
    answer = solve(gemm, hardware, FLOWS)
    assert hardware.energy is not None
    expected = dataflows_by_energy(
        hardware.array,
        gemm,
        hardware.energy,
        dtype="bfloat16",
        clock_hz=hardware.clock_hz,
        overlapped=True,
    )
    assert {row.dataflow: row.energy for row in answer.rows} == {e.dataflow: e for e in expected}
    assert answer.thriftiest is not None
    assert answer.thriftiest.dataflow is expected[0].dataflow


def test_a_machine_without_energy_figures_says_so() -> None:
    hardware = machine_hardware("tpu-v6e", None)
    assert hardware.energy is None
    assert "no `energy:` block" in hardware.no_energy


def test_a_dtype_that_the_arrays_do_not_take_is_refused() -> None:
    with pytest.raises(SpecError, match="the arrays of tpu-v1 take no float32; known: int8"):
        machine_hardware("tpu-v1", "float32")
    assert machine_hardware("tpu-v1", None).dtype == "int8"


def test_a_machine_of_another_family_is_refused() -> None:
    with pytest.raises(SpecError, match="family 'cpu'"):
        machine_hardware("cpu-5stage", None)


def test_a_product_on_an_array_of_one_element_needs_no_list_of_its_folds() -> None:
    answer = solve(
        Gemm(m=10**6, n=10**6, k=10**6), Hardware(array=ArraySpec(rows=1, cols=1)), FLOWS
    )
    assert answer.fastest.cycles == 10**18


def test_an_answer_is_strict_json() -> None:
    hardware = machine_hardware("tpu-v4", None)
    content = solve(Gemm(m=1, n=4096, k=4096), hardware, FLOWS).as_dict()
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    for row in content["dataflows"]:
        stack = row["mapping"]["stack"]
        assert sum(stack.values()) == row["cycles"]
        assert row["cycles"] >= row["least_cycles"]
