"""`tokenclock validate`: the simulator against a reference table that was made elsewhere."""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reports.columns import aligned
from reports.commands.console import progress_bar

if TYPE_CHECKING:
    from sim.validation import RowOutcome


@click.command(
    epilog="""\b
Examples:
  tokenclock validate systolic --data validation/systolic --where dataflow=ws
  tokenclock validate systolic --data validation/systolic --worst 10 --json systolic.json"""
)
@click.argument("suite")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Folder of the table.")
@click.option("--where", multiple=True, metavar="COLUMN=VALUE", help="Take only such rows.")
@click.option("--worst", type=click.IntRange(min=1), metavar="N", help="Print the worst N only.")
@click.option(
    "--json", "json_path", type=click.Path(path_type=Path), help="Write all rows here as JSON."
)
def validate(
    *, suite: str, data: Path, where: tuple[str, ...], worst: int | None, json_path: Path | None
) -> int:
    """Simulate every row of SUITE's table; exit 1 when the suite's bound is missed.

    Prints one line a row (reference, simulated, error), and a summary line last.
    """
    from reports.output import json_text, write_atomically  # noqa: PLC0415 - start-up time
    from sim.validation import validate as run_suite  # noqa: PLC0415 - start-up time

    conditions = [_condition(text) for text in where]
    with progress_bar(f"simulating the rows of {suite}"):
        report = run_suite(suite, data, conditions)
    rows = list(report.rows)
    if json_path is not None:
        content = {
            "suite": suite,
            "quantity": report.quantity,
            "bound": report.bound,
            "passed": report.passed,
            "summary": report.summary,
            "rows": [_row(row) for row in rows],
        }
        write_atomically(json_path, json_text(content))
    if worst is not None:
        rows = sorted(rows, key=_badness, reverse=True)[:worst]
    cells = [
        [
            row.label,
            _number(row.reference),
            _number(row.simulated),
            _error(row),
            row.status,
            row.note,
        ]
        for row in rows
    ]
    header = ["row", "reference", "simulated", "error", "status", "note"]
    if not any(row.note for row in rows):
        header, cells = header[:-1], [line[:-1] for line in cells]
    click.echo(aligned(header, cells, text=(0, 4, 5)))
    click.echo(report.summary)
    return 0 if report.passed else 1


def _condition(text: str) -> tuple[str, str]:
    column, equals, value = text.partition("=")
    if not equals or not column:
        raise click.UsageError(f"--where '{text}': write COLUMN=VALUE")
    return column, value


def _row(row: RowOutcome) -> dict[str, Any]:
    return {
        "label": row.label,
        "reference": row.reference,
        "simulated": row.simulated,
        "error": row.error,
        "status": row.status,
        "note": row.note,
    }


def _badness(row: RowOutcome) -> tuple[bool, float]:
    return row.status != "ok", inf if row.error is None else abs(row.error)


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.6g}"


def _error(row: RowOutcome) -> str:
    return "-" if row.error is None else f"{100 * row.error:+.3g} %"
