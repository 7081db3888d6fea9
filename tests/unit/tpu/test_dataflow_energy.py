"""Which dataflow takes the least energy, on cases small enough to count by hand."""

import pytest

from sim.energy import EnergySpec
from sim.tpu.array.systolic import ArraySpec, Dataflow, Gemm
from sim.tpu.energy import GemmEnergy, dataflows_by_energy, gemm_energy

SPEC = EnergySpec(process_nanometres=7, memory_picojoules_per_bit=4, static_watts=0)
WS, OS, IS = Dataflow.WEIGHT_STATIONARY, Dataflow.OUTPUT_STATIONARY, Dataflow.INPUT_STATIONARY


def energy(gemm: Gemm, flow: Dataflow, *, spec: EnergySpec = SPEC) -> GemmEnergy:
    array = ArraySpec(rows=4, cols=4, dataflow=flow)
    return gemm_energy(array, gemm, spec, dtype="int8", clock_hz=10**9)


@pytest.mark.parametrize(
    ("flow", "edge"),
    [
        # one fold each way holds all: each operand once, each sum of 4 bytes once
        (WS, 16 + 16 + 16 * 4),
        (OS, 16 + 16 + 16 * 4),
        (IS, 16 + 16 + 16 * 4),
    ],
)
def test_a_product_of_the_arrays_size_crosses_the_edge_once(flow: Dataflow, edge: int) -> None:
    assert energy(Gemm(m=4, n=4, k=4), flow).sram_bytes == edge


@pytest.mark.parametrize(
    ("flow", "edge"),
    [
        # a deep reduction: two folds along it write the sums twice and read them once
        (WS, 8 * 4 + 8 * 4 + 3 * 16 * 4),
        (IS, 8 * 4 + 8 * 4 + 3 * 16 * 4),
        (OS, 8 * 4 + 8 * 4 + 16 * 4),
    ],
)
def test_sums_stay_inside_where_outputs_do(flow: Dataflow, edge: int) -> None:
    assert energy(Gemm(m=4, n=4, k=8), flow).sram_bytes == edge


@pytest.mark.parametrize(("flow", "edge"), [(WS, 400 + 16 + 1600), (OS, 400 + 25 * 16 + 1600)])
def test_weights_cross_once_where_they_stay_and_once_a_fold_where_they_do_not(
    flow: Dataflow, edge: int
) -> None:
    assert energy(Gemm(m=100, n=4, k=4), flow).sram_bytes == edge


def test_many_rows_favour_weights_many_columns_inputs_and_a_deep_sum_outputs() -> None:
    def best(m: int, n: int, k: int) -> Dataflow:
        array = ArraySpec(rows=4, cols=4)
        gemm = Gemm(m=m, n=n, k=k)
        return dataflows_by_energy(array, gemm, SPEC, dtype="int8", clock_hz=10**9)[0].dataflow

    assert best(400, 8, 4) is WS
    assert best(8, 400, 4) is IS
    assert best(4, 4, 400) is OS


def test_static_power_is_drawn_for_as_long_as_the_folds_run() -> None:
    leaky = EnergySpec(process_nanometres=7, memory_picojoules_per_bit=4, static_watts=2)
    gemm = Gemm(m=4, n=4, k=4)
    still, drawn = energy(gemm, WS), energy(gemm, WS, spec=leaky)
    assert drawn.cycles == 4 + 2 * 4 + 4 - 2
    assert drawn.picojoules - still.picojoules == pytest.approx(2 * drawn.cycles * 1000)


def test_arithmetic_and_main_memory_are_the_same_in_every_dataflow() -> None:
    gemm = Gemm(m=9, n=10, k=11)
    rows = [energy(gemm, flow) for flow in (WS, OS, IS)]
    for part in ("matrix arithmetic", "dram"):
        assert len({row.picojoules_by_part[part] for row in rows}) == 1
    assert rows[0].dram_bytes == 9 * 11 + 11 * 10 + 9 * 10
