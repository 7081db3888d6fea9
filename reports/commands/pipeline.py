"""`tokenclock pipeline`: a RISC-V program on a pipeline or a core, cycle by cycle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reports.columns import aligned
from reports.commands.console import json_option

if TYPE_CHECKING:
    from reports.pipelines import Look, Shown

PATH = click.Path(path_type=Path)


@click.command(
    epilog="""\b
Examples:
  tokenclock pipeline program.s
  tokenclock pipeline program.s --on five-stage-bare --rows 20
  tokenclock pipeline program.s --watch a0 --watch table:8 --at 12
  tokenclock pipeline program.s --on r4000-eight-stage --chrome trace.json
  tokenclock pipeline program.s --on predict-2-bit --kanata program.kanata --json
  tokenclock pipeline program.s --on scoreboard --at 19
  tokenclock pipeline program.s --on ooo-w4-rob128-gshare
  tokenclock pipeline one.s two.s --on ooo-w4-rob128-smt2
  tokenclock pipeline program.s --on ./mine.yaml
  tokenclock pipeline --list"""
)
@click.argument("programs", metavar="PROGRAM...", type=PATH, nargs=-1)
@click.option(
    "--on",
    "name",
    default="five-stage-forward",
    show_default=True,
    help="The machine: a name, or its YAML file.",
)
@click.option("--list", "lists", is_flag=True, help="List the machines and leave.")
@click.option("--rows", default=24, show_default=True, type=click.IntRange(min=0), help="To draw.")
@click.option("--first", default=0, type=click.IntRange(min=0), help="Fetched instruction drawn.")
@click.option(
    "--watch",
    "watched",
    multiple=True,
    metavar="WHAT",
    help="Tell each change of a register (a0), or of bytes at a label or address (table:8).",
)
@click.option(
    "--at", type=click.IntRange(min=0), help="Show stages or units, and registers, at that cycle."
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help="Cycles, or instructions, after which it counts as endless.  [default: 500000]",
)
@click.option("--kanata", "kanata_path", type=PATH, help="Write a log for the Konata viewer here.")
@click.option("--o3", "o3_path", type=PATH, help="Write gem5's O3PipeView trace here.")
@click.option("--chrome", "chrome_path", type=PATH, help="Write a trace for Perfetto here.")
@json_option
def pipeline(
    *,
    programs: tuple[Path, ...],
    name: str,
    lists: bool,
    rows: int,
    first: int,
    watched: tuple[str, ...],
    at: int | None,
    limit: int | None,
    kanata_path: Path | None,
    o3_path: Path | None,
    chrome_path: Path | None,
    as_json: bool,
) -> int:
    """Execute PROGRAM on a machine and draw its pipeline.

    PROGRAM is assembly text of RV32IM with F and D for the teaching pipelines, of RV64 for the
    textbook's dynamically scheduled machines and for the superscalar cores, where each hardware
    thread may have a PROGRAM of its own.
    """
    from reports.output import json_text  # noqa: PLC0415 - start-up time
    from reports.pipelines import LIMIT, Shown, look_at, machine_list  # noqa: PLC0415 - start-up time

    if lists:
        click.echo(machine_list())
        return 0
    if not programs:
        raise click.UsageError("give a PROGRAM, or --list")
    look = look_at(name, programs, watched, limit=limit or LIMIT)
    shown = Shown(first=first, rows=rows, at=at)
    tables = look.tables(shown)
    _write_logs(look, kanata_path, o3_path, chrome_path)
    if as_json:
        records = {
            key: [dict(zip(heading, row, strict=True)) for row in rows]
            for key, (heading, *rows) in tables.items()
        }
        answer: dict[str, Any] = {**look.counts(), **records}
        click.echo(json_text(answer), nl=False)
    else:
        _print(look, shown)
    return 0


def _write_logs(
    look: Look, kanata_path: Path | None, o3_path: Path | None, chrome_path: Path | None
) -> None:
    from reports.output import json_text, write_atomically  # noqa: PLC0415 - start-up time
    from sim.cpu.logs import chrome_trace, kanata, o3_pipe_view  # noqa: PLC0415 - start-up time

    contents: dict[Path, str] = {}
    if kanata_path is not None:
        contents[kanata_path] = kanata(look.stamped())
    if o3_path is not None:
        contents[o3_path] = o3_pipe_view(look.stamped(), look.o3_stages())
    if chrome_path is not None:
        contents[chrome_path] = json_text(chrome_trace(look.title, look.stamped()))
    for path, content in contents.items():
        write_atomically(path, content)


def _print(look: Look, shown: Shown) -> None:
    click.echo(f"{look.heading}\n")
    if drawing := look.drawing(shown):
        click.echo(drawing)
    for name, (heading, *rows) in look.tables(shown).items():
        click.echo(f"{name}:\n{aligned(heading, rows, text=(0, len(heading) - 1))}\n")
    click.echo(aligned(["", ""], look.cells(), text=(0,)))
    click.echo(look.printed, nl=False)
