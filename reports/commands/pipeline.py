"""`tokenclock pipeline`: a RISC-V program on a teaching pipeline, cycle by cycle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reports.commands.console import aligned, json_option

if TYPE_CHECKING:
    from sim.cpu.pipelines import PipelineRun

PATH = click.Path(path_type=Path)


@click.command(
    epilog="""\b
Examples:
  tokenclock pipeline program.s
  tokenclock pipeline program.s --on five-stage-bare --rows 20
  tokenclock pipeline program.s --on predict-2-bit --kanata program.kanata --json"""
)
@click.argument("program", type=PATH)
@click.option("--on", "name", default="five-stage-forward", show_default=True, help="The machine.")
@click.option("--rows", default=24, show_default=True, type=click.IntRange(min=0), help="To draw.")
@click.option("--first", default=0, type=click.IntRange(min=0), help="Fetched instruction drawn.")
@click.option("--kanata", "kanata_path", type=PATH, help="Write a log for the Konata viewer here.")
@click.option("--o3", "o3_path", type=PATH, help="Write gem5's O3PipeView trace here.")
@click.option("--chrome", "chrome_path", type=PATH, help="Write a trace for Perfetto here.")
@json_option
def pipeline(
    *,
    program: Path,
    name: str,
    rows: int,
    first: int,
    kanata_path: Path | None,
    o3_path: Path | None,
    chrome_path: Path | None,
    as_json: bool,
) -> int:
    """Execute PROGRAM, RV32IM assembly text with F and D, on a machine and draw its pipeline."""
    from reports.output import json_text, write_atomically  # noqa: PLC0415 - start-up time
    from sim.cpu.logs import chrome_trace, kanata, o3_pipe_view  # noqa: PLC0415 - start-up time
    from sim.cpu.pipelines import load_pipeline, run_pipeline  # noqa: PLC0415 - start-up time
    from sim.cpu.pipelines.diagram import text_diagram  # noqa: PLC0415 - start-up time
    from sim.cpu.riscv import assemble_file  # noqa: PLC0415 - start-up time

    spec = load_pipeline(name)
    assembled = assemble_file(program, text_base=spec.text_base)
    ran = run_pipeline(spec, assembled)
    if kanata_path is not None:
        write_atomically(kanata_path, kanata(ran.stamped()))
    if o3_path is not None:
        write_atomically(o3_path, o3_pipe_view(ran.stamped(), ran.o3_stages()))
    if chrome_path is not None:
        write_atomically(chrome_path, json_text(chrome_trace(spec.title, ran.stamped())))
    if as_json:
        click.echo(json_text(_counts(ran)), nl=False)
        return 0
    click.echo(f"{spec.title}: {spec.description}\n")
    if drawing := text_diagram(ran, first=first, count=rows):
        click.echo(drawing)
    cells = [[key, str(value)] for key, value in _counts(ran).items() if key != "stalls"]
    cells += [[f"cycles lost: {cause}", str(lost)] for cause, lost in ran.stack.stalls.items()]
    click.echo(aligned(["", ""], cells, text=(0,)))
    if ran.machine.output:
        click.echo(f"printed: {ran.machine.output}")
    return 0


def _counts(ran: PipelineRun) -> dict[str, Any]:
    counts: dict[str, Any] = {
        "machine": ran.spec.name,
        "cycles": ran.cycles,
        "retired": ran.retired,
        "cycles per instruction": round(ran.cpi, 4),
        "a0": ran.machine.registers[10],
        "stalls": {str(cause): lost for cause, lost in ran.stack.stalls.items()},
    }
    if ran.predictions is not None:
        counts["predictions"] = ran.predictions
        counts["right predictions"] = ran.correct_predictions
    return counts
