"""`tokenclock pipeline`: a RISC-V program on a pipeline or a superscalar core, cycle by cycle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reports.commands.console import aligned, json_option
from sim.errors import SpecError, did_you_mean

if TYPE_CHECKING:
    from sim.cpu.pipelines import PipelineRun

PATH = click.Path(path_type=Path)


@click.command(
    epilog="""\b
Examples:
  tokenclock pipeline program.s
  tokenclock pipeline program.s --on five-stage-bare --rows 20
  tokenclock pipeline program.s --on predict-2-bit --kanata program.kanata --json
  tokenclock pipeline program.s --on ooo-w4-rob128-gshare
  tokenclock pipeline one.s two.s --on ooo-w4-rob128-smt2"""
)
@click.argument("programs", metavar="PROGRAM...", type=PATH, nargs=-1, required=True)
@click.option("--on", "name", default="five-stage-forward", show_default=True, help="The machine.")
@click.option("--rows", default=24, show_default=True, type=click.IntRange(min=0), help="To draw.")
@click.option("--first", default=0, type=click.IntRange(min=0), help="Fetched instruction drawn.")
@click.option("--kanata", "kanata_path", type=PATH, help="Write a log for the Konata viewer here.")
@click.option("--o3", "o3_path", type=PATH, help="Write gem5's O3PipeView trace here.")
@json_option
def pipeline(
    *,
    programs: tuple[Path, ...],
    name: str,
    rows: int,
    first: int,
    kanata_path: Path | None,
    o3_path: Path | None,
    as_json: bool,
) -> int:
    """Execute PROGRAM on a machine and draw its pipeline.

    Assembly text of RV32IM with F and D for the teaching pipelines; of RV64 for the superscalar
    cores, where each hardware thread may have a PROGRAM of its own.
    """
    from reports.output import json_text, write_atomically  # noqa: PLC0415 - start-up time
    from sim.cpu.cores import core_names  # noqa: PLC0415 - start-up time
    from sim.cpu.pipelines import load_pipeline, pipeline_names, run_pipeline  # noqa: PLC0415 - start-up time
    from sim.cpu.pipelines.diagram import text_diagram  # noqa: PLC0415 - start-up time
    from sim.cpu.pipelines.kanata import kanata  # noqa: PLC0415 - start-up time
    from sim.cpu.pipelines.o3_pipe_view import o3_pipe_view  # noqa: PLC0415 - start-up time
    from sim.cpu.riscv import assemble_file  # noqa: PLC0415 - start-up time

    if name in core_names():
        return _on_core(name, programs, first, rows, kanata_path, o3_path, as_json=as_json)
    known = (*pipeline_names(), *core_names())
    if name not in known:
        raise SpecError(f"no machine is named '{name}'{did_you_mean(name, known)}")
    spec = load_pipeline(name)
    if len(programs) > 1:
        raise click.UsageError(f"{name} runs one program; {len(programs)} were given")
    assembled = assemble_file(programs[0], text_base=spec.text_base)
    ran = run_pipeline(spec, assembled)
    if kanata_path is not None:
        write_atomically(kanata_path, kanata(ran))
    if o3_path is not None:
        write_atomically(o3_path, o3_pipe_view(ran))
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


def _on_core(  # noqa: PLR0917 - the command's options
    name: str,
    programs: tuple[Path, ...],
    first: int,
    rows: int,
    kanata_path: Path | None,
    o3_path: Path | None,
    *,
    as_json: bool,
) -> int:
    from reports import superscalar  # noqa: PLC0415 - start-up time
    from reports.output import json_text, write_atomically  # noqa: PLC0415 - start-up time
    from sim.cpu.cores import views  # noqa: PLC0415 - start-up time

    ran = superscalar.run_programs(name, programs)
    if kanata_path is not None:
        write_atomically(kanata_path, views.kanata(ran))
    if o3_path is not None:
        write_atomically(o3_path, views.o3_pipe_view(ran))
    if as_json:
        click.echo(json_text(superscalar.counts(ran)), nl=False)
        return 0
    drawing, cells, printed = superscalar.text(ran, first=first, rows=rows)
    click.echo(f"{ran.spec.title}: {ran.spec.description}\n")
    if drawing:
        click.echo(drawing)
    click.echo(aligned(["", ""], cells, text=(0,)))
    click.echo(printed, nl=False)
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
