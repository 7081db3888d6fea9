import io
import json

import pandas as pd
import pytest

from reports.energy import MachineEnergy
from reports.tables import (
    TABLES,
    Failure,
    csv_text,
    energy,
    records,
    summary,
    with_energy,
    with_failures,
)
from sim.result import RunResult


@pytest.mark.parametrize("name", TABLES)
def test_every_table_has_rows_for_every_machine(name: str, results: list[RunResult]) -> None:
    table = TABLES[name](results)
    assert set(table["machine"]) == {result.machine for result in results}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_s_records_are_strict_json(name: str, make_result) -> None:
    rows = records(TABLES[name]([make_result(dram_bytes=0), make_result("b")]))
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows


def test_intensity_without_dram_traffic_is_null(make_result) -> None:
    assert records(summary([make_result(dram_bytes=0)]))[0]["flops_per_byte"] is None


def test_cycles_by_cause_sum_to_the_phase(results: list[RunResult]) -> None:
    sums = TABLES["stacks"](results).groupby(["machine", "phase"])["cycles"].sum()
    for result in results:
        for phase in result.phases:
            assert sums[result.machine, str(phase.phase)] == phase.cycles


def test_operations_sum_to_the_run(results: list[RunResult]) -> None:
    sums = TABLES["ops"](results).groupby("machine")["cycles"].sum()
    assert {r.machine: r.cycles for r in results} == sums.to_dict()


def test_a_unit_s_causes_sum_to_its_cycles(results: list[RunResult]) -> None:
    table = TABLES["units"](results)
    parts = table.drop(columns=["machine", "unit", "cycles", "utilisation"])
    assert (parts.sum(axis=1) == table["cycles"]).all()


def test_a_machine_that_did_not_run_has_a_row_with_the_reason(results: list[RunResult]) -> None:
    failure = Failure(machine="toy-4x4", reason="too small")
    table = with_failures(summary(results), [failure])
    read = pd.read_csv(io.StringIO(csv_text(table)))
    assert read.iloc[-1]["machine"] == "toy-4x4"
    assert read.iloc[-1]["status"] == "too small"
    assert (read["status"][:-1] == "ok").all()
    assert read.iloc[0]["cycles"] == results[0].phases[0].cycles


def test_the_nearest_limit_stands_beside_the_simulated_rate(make_result) -> None:
    row = records(summary([make_result()]))[0]
    assert row["nearest_limit"] == "bandwidth"
    assert row["nearest_limit_tokens_per_second"] == pytest.approx(
        row["tokens_per_second"] * 3, rel=1e-4
    )


def test_joules_per_token_stand_beside_the_rates_and_are_empty_where_unknown(
    results: list[RunResult], energies: list[MachineEnergy]
) -> None:
    rows = records(with_energy(summary(results), results, energies))
    *unknown, prefill, decode = rows
    assert {row["joules_per_token"] for row in unknown} == {None}
    for row in (prefill, decode):
        assert row["mean_watts"] == pytest.approx(100)
        assert row["joules_per_token"] == pytest.approx(100 * row["seconds"] / row["tokens"])


def test_parts_of_the_energy_sum_to_the_phase(energies: list[MachineEnergy]) -> None:
    table = energy(energies)
    assert set(table["machine"]) == {"tpu-v3-core"}
    assert table.groupby("phase")["share"].sum().tolist() == pytest.approx([1, 1])
    assert list(energy(energies[:1]).columns) == list(table.columns)
