"""`tokenclock compare`: one prompt on every machine."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reports.columns import aligned
from reports.commands.console import (
    json_option,
    out_option,
    progress_bar,
    quiet_option,
    require_one_prompt,
    workload_options,
)

if TYPE_CHECKING:
    from reports.compare import Comparison
    from sim.pipeline import Engine
    from sim.result import PhaseRow, RunResult

TEXT_WIDTH = 96
ENGINES = ("auto", "simpy", "compiled")


@click.command(
    epilog="""\b
Examples:
  tokenclock compare
  tokenclock compare --prompt "The White Rabbit" --new-tokens 24 --out rabbit
  tokenclock compare --model gpt3-175b --prompt-tokens 512 --new-tokens 16 --dtype float16
  tokenclock compare --machine cpu-5stage --machine gpu-a100-sxm-80gb --json"""
)
@click.option("--model", default="glassllm-en", show_default=True, help="Name or YAML file.")
@workload_options
@click.option("--new-tokens", type=int, default=40, show_default=True, help="To be generated.")
@click.option(
    "--machine",
    "machines",
    multiple=True,
    help="Name or YAML file; may be repeated.  [default: one of each kind]",
)
@click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default="auto",
    show_default=True,
    help="SimPy reference or its compiled twin; both give the same cycles.",
)
@out_option
@json_option
@quiet_option
def compare(
    *,
    out: Path,
    as_json: bool,
    quiet: bool,
    machines: tuple[str, ...],
    engine: Engine,
    **asked: Any,
) -> None:
    """Generate text with a model and time its trace on every machine.

    Writes the text, a table, three charts, the trace and a page that shows them into --out.
    """
    from reports.compare import Request, write_comparison  # noqa: PLC0415 - start-up time
    from reports.compare import compare as run_comparison  # noqa: PLC0415 - start-up time
    from reports.output import json_text, output_folder  # noqa: PLC0415 - start-up time
    from reports.traced import Workload  # noqa: PLC0415 - start-up time

    require_one_prompt(asked["prompt"], asked["prompt_tokens"])
    request = Request(workload=Workload(**asked), machines=machines, engine=engine)
    with (
        output_folder(out) as folder,
        progress_bar("tracing the model", quiet=quiet or as_json) as report,
    ):
        comparison = run_comparison(request, progress=report)
        report(1, 1, "drawing")
        write_comparison(comparison, folder)
    if as_json:
        click.echo(json_text(comparison.as_dict()), nl=False)
    elif not quiet:
        _print(comparison, out)


def _print(comparison: Comparison, out: Path) -> None:
    from reports.charts.style import fastest_first  # noqa: PLC0415 - start-up time
    from reports.headline import headline  # noqa: PLC0415 - start-up time
    from reports.obtained import obtained  # noqa: PLC0415 - start-up time
    from workloads.trace import Phase  # noqa: PLC0415 - start-up time

    text = f"{comparison.traced.prompt}{comparison.traced.generated}"
    if text:
        click.echo(textwrap.fill(" ".join(text.split()), TEXT_WIDTH) + "\n")
    rows = [
        [
            result.machine,
            _rate(result.phase(Phase.PREFILL)),
            _rate(result.phase(Phase.DECODE)),
            *_decode_cells(row := result.phase(Phase.DECODE) or result.phases[-1]),
            _energy_cell(comparison, result, row),
        ]
        for result in fastest_first(comparison.results)
    ]
    header = (
        "machine",
        "prefill tokens/s",
        "decode tokens/s",
        "per token",
        "binds",
        "energy per token",
    )
    click.echo(aligned(header, rows, text=(0, 4)))
    problems = dict.fromkeys(each.problem for each in comparison.energies if each.problem)
    if problems:
        click.echo(f"energy -: {'; '.join(problems)}")
    for failure in comparison.failures:
        click.echo(f"{failure.machine}  did not run: {failure.reason}")
    click.echo()
    click.echo(obtained(fastest_first(comparison.results)))
    click.echo("\n" + textwrap.fill(headline(comparison.results), TEXT_WIDTH))
    click.echo(f"\nCharts, tables and trace: {out}/  (open {out / 'index.html'})")


def _rate(row: PhaseRow | None) -> str:
    from reports.quantities import significant  # noqa: PLC0415 - start-up time

    return "none" if row is None else significant(row.tokens_per_second)


def _energy_cell(comparison: Comparison, result: RunResult, row: PhaseRow) -> str:
    from reports.quantities import si  # noqa: PLC0415 - start-up time

    energy = comparison.energies[comparison.results.index(result)].run
    phase = energy.phase(row.phase) if energy is not None else None
    return "-" if phase is None else si(phase.joules_per_token, "J")


def _decode_cells(row: PhaseRow) -> tuple[str, str]:
    from reports.quantities import percent, si  # noqa: PLC0415 - start-up time

    per_token = si(row.seconds / row.tokens, "s") if row.tokens else ""
    return per_token, f"{row.binds} {percent(row.bound_share)}"
