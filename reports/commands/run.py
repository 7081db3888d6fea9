"""`tokenclock run`: a scenario's question, its runs, and whether its answer still holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reports.columns import aligned
from reports.commands.console import (
    json_option,
    out_option,
    progress_bar,
    quiet_option,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reports.executed import Executed
    from sim.scenario import ScenarioOutcome


@click.command(
    epilog="""\b
Examples:
  tokenclock run batch-sweep
  tokenclock run every-instruction
  tokenclock run my-question.yaml --out answers
  tokenclock run prefill-against-decode --json"""
)
@click.argument("scenario")
@out_option
@json_option
@quiet_option
def run(*, scenario: str, out: Path, as_json: bool, quiet: bool) -> int:
    """Run SCENARIO, a name or a YAML file, and check what it expects; exit 1 if a check fails.

    Writes the table as CSV and JSON and a chart of tokens/s into --out.
    """
    from reports.executor import Executor  # noqa: PLC0415 - start-up time
    from reports.output import json_text, output_folder  # noqa: PLC0415 - start-up time
    from reports.scenario_report import as_dict, write_scenario  # noqa: PLC0415 - start-up time
    from sim.scenario import load_scenario, run_scenario  # noqa: PLC0415 - start-up time

    described = load_scenario(scenario)
    executor = Executor()
    with output_folder(out) as folder:
        with progress_bar("starting", quiet=quiet or as_json) as report:
            outcome = run_scenario(described, progress=report, executor=executor)
        write_scenario(outcome, folder, executor.done)
    if as_json:
        click.echo(json_text(as_dict(outcome, executor.done)), nl=False)
    elif not quiet:
        _print(outcome, out, executor.done)
    return 0 if outcome.passed else 1


def _print(outcome: ScenarioOutcome, out: Path, executed: Sequence[Executed]) -> None:
    from reports.commands.execute import print_executed  # noqa: PLC0415 - start-up time
    from reports.obtained import obtained  # noqa: PLC0415 - start-up time
    from reports.quantities import percent, si, significant  # noqa: PLC0415 - start-up time
    from reports.scenario_report import short_name  # noqa: PLC0415 - start-up time

    click.echo(outcome.scenario.question + "\n")
    swept = list(outcome.points[0].parameters)
    rows = [
        [
            *(str(point.parameters[key]) for key in swept),
            point.machine,
            str(row.phase),
            significant(row.tokens_per_second),
            si(row.seconds / row.tokens, "s") if row.tokens else "",
            f"{row.binds} {percent(row.bound_share)}",
        ]
        for point in outcome.points
        for row in point.result.phases
    ]
    names = [short_name(key) for key in swept]
    header = (*names, "machine", "phase", "tokens/s", "per token", "binds")
    click.echo(aligned(header, rows, text=(len(swept), len(swept) + 1, len(swept) + 4)))
    click.echo()
    click.echo(obtained(point.result for point in outcome.points))
    click.echo()
    for done in executed:
        print_executed(done)
        click.echo()
    for check in outcome.checks:
        mark = "holds " if check.passed else "MISSED"
        click.echo(f"{mark}  {check.text}  ({check.detail})")
    click.echo(f"\nTable and chart: {out}/{outcome.scenario.name}.csv, .json, .png, .svg")
