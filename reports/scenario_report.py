"""What came of a scenario: a table of its points, its checks, and a chart over what was swept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import rc_context

from reports import tables
from reports.charts.style import RC, png_bytes, svg_text
from reports.charts.sweep import SweepPoint, sweep
from reports.executed import Executed
from reports.output import json_text
from sim.scenario import ScenarioOutcome

POINT_COLUMNS = (
    "machine",
    "phase",
    "tokens",
    "cycles",
    "seconds",
    "tokens_per_second",
    "cycles_per_token",
    "flops_per_byte",
    "binds",
    "bound_share",
    "nearest_limit",
    "nearest_limit_cycles",
    "run_simulated_share",
    "run_replayed_share",
    "run_extrapolated_share",
    "run_extrapolation_error_bound",
    "result_digest",
)


def point_table(outcome: ScenarioOutcome) -> pd.DataFrame:
    """One row a point and phase: the swept values, then the columns of `POINT_COLUMNS`."""
    parts = []
    for point in outcome.points:
        table = tables.summary([point.result])[list(POINT_COLUMNS)]
        for at, (name, value) in enumerate(point.parameters.items()):
            table.insert(at, short_name(name), value)
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def short_name(key: str) -> str:
    """Return a swept key without its `workload.` or `machine.`."""
    return key.partition(".")[2] or key


def as_dict(outcome: ScenarioOutcome, executed: Sequence[Executed] = ()) -> dict[str, Any]:
    """Plain values for JSON; what was executed stands under `executed`, where anything was."""
    steps = {"executed": [done.as_dict() for done in executed]} if executed else {}
    return {
        "scenario": outcome.scenario.name,
        "question": outcome.scenario.question,
        "passed": outcome.passed,
        "points": tables.records(point_table(outcome)),
        "checks": [
            {"claim": check.text, "passed": check.passed, "detail": check.detail}
            for check in outcome.checks
        ],
        **steps,
    }


def write_scenario(
    outcome: ScenarioOutcome, folder: Path, executed: Sequence[Executed] = ()
) -> None:
    """Write NAME.csv, NAME.json, NAME.png and NAME.svg into a folder that exists."""
    name = outcome.scenario.name
    points = [
        SweepPoint(
            parameters={short_name(key): value for key, value in point.parameters.items()},
            result=point.result,
        )
        for point in outcome.points
    ]
    with rc_context(RC):
        figure = sweep(points)
    (folder / f"{name}.csv").write_text(tables.csv_text(point_table(outcome)), encoding="utf-8")
    (folder / f"{name}.json").write_text(json_text(as_dict(outcome, executed)), encoding="utf-8")
    (folder / f"{name}.png").write_bytes(png_bytes(figure))
    (folder / f"{name}.svg").write_text(svg_text(figure), encoding="utf-8")
