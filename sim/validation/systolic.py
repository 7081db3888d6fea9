"""The systolic schedule against SCALE-Sim's: same folds, same cycles, same utilisation."""

from __future__ import annotations

from sim.errors import UnsupportedOpError
from sim.tpu.array.systolic import ArraySpec, Dataflow, Gemm, SystolicSchedule
from sim.validation.suite import RowOutcome
from sim.validation.table import TableRow

PERCENT_TOLERANCE = 1e-4
"""In percentage points; the tables print six decimals."""

STALL_FREE_MODE = "CALC"
"""Rows of other modes add the peer's memory model, whose stalls are not compared."""


class SystolicSuite:
    """Rows of `scalesim.csv`: one matrix product on one array, folds one after another.

    Models: compute cycles of the three dataflows, exactly; mapping efficiency; utilisation of rows
    without stalls. Results of an output-stationary array leave directly, as the peer's do.
    Ignores: the peer's memory model: stalls and totals of its USER modes are not compared.
    Source: SCALE-Sim 3.0.0, whose `compute_cycles` is the index of the last cycle: one less than
    the number of cycles.
    """

    name = "systolic"
    pattern = "*.csv"
    columns: tuple[str, ...] = (
        "array_rows",
        "array_cols",
        "dataflow",
        "M",
        "N",
        "K",
        "mode",
        "compute_cycles",
        "stall_cycles",
        "total_cycles",
        "overall_util_pct",
        "mapping_eff_pct",
    )
    quantity = "cycles"
    bound = "cycles equal, utilisation and mapping within 0.0001 points"

    def outcome(self, row: TableRow) -> RowOutcome:
        """Compare one row; SpecError where it cannot be read."""
        gemm = Gemm(m=row.whole("M", least=1), n=row.whole("N", least=1), k=row.whole("K", least=1))
        rows, cols = row.whole("array_rows", least=1), row.whole("array_cols", least=1)
        reference = row.whole("compute_cycles") + 1
        flow, mode = row.text("dataflow"), row.text("mode")
        label = f"{rows}x{cols} {flow} {gemm.m}x{gemm.n}x{gemm.k} {mode}"
        try:
            array = ArraySpec(rows=rows, cols=cols, dataflow=_dataflow(flow))
            schedule = SystolicSchedule(array, gemm)
        except UnsupportedOpError as error:
            return RowOutcome(
                label=label,
                reference=reference,
                simulated=None,
                error=None,
                status="unsupported",
                note=str(error),
            )
        simulated = schedule.serial_cycles
        notes = _percentages(row, schedule, stall_free=mode == STALL_FREE_MODE)
        met = simulated == reference and not notes
        return RowOutcome(
            label=label,
            reference=reference,
            simulated=simulated,
            error=(simulated - reference) / reference,
            status="ok" if met else "missed",
            note=notes,
        )


def _dataflow(word: str) -> Dataflow:
    try:
        return Dataflow(word)
    except ValueError:
        known = ", ".join(Dataflow)
        raise UnsupportedOpError(f"dataflow '{word}' is not known here ({known})") from None


def _percentages(row: TableRow, schedule: SystolicSchedule, *, stall_free: bool) -> str:
    """Say which percentages are off; empty where all are met."""
    expected = {"mapping_eff_pct": 100 * schedule.mapping_efficiency}
    if stall_free and row.whole("stall_cycles") == 0:
        # the peer divides by the index of its last cycle, which is 0 for a schedule of one cycle
        last = max(1, schedule.serial_cycles - 1)
        expected["overall_util_pct"] = 100 * schedule.utilisation(last)
    off = [
        f"{column} is {row.real(column):.6f}, simulated {simulated:.6f}"
        for column, simulated in expected.items()
        if abs(row.real(column) - simulated) > PERCENT_TOLERANCE
    ]
    return "; ".join(off)
