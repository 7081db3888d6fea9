"""`tokenclock pipeline`: a RISC-V program on a teaching pipeline, cycle by cycle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reports.commands.console import aligned, json_option

if TYPE_CHECKING:
    from sim.cpu.dynamic import DynamicRun
    from sim.cpu.pipelines import PipelineRun

PATH = click.Path(path_type=Path)


@click.command(
    epilog="""\b
Examples:
  tokenclock pipeline program.s
  tokenclock pipeline program.s --on five-stage-bare --rows 20
  tokenclock pipeline program.s --on predict-2-bit --kanata program.kanata --json
  tokenclock pipeline program.s --on scoreboard --at 19"""
)
@click.argument("program", type=PATH)
@click.option("--on", "name", default="five-stage-forward", show_default=True, help="The machine.")
@click.option("--rows", default=24, show_default=True, type=click.IntRange(min=0), help="To draw.")
@click.option("--first", default=0, type=click.IntRange(min=0), help="Fetched instruction drawn.")
@click.option("--kanata", "kanata_path", type=PATH, help="Write a log for the Konata viewer here.")
@click.option("--o3", "o3_path", type=PATH, help="Write gem5's O3PipeView trace here.")
@click.option("--at", "cycle", type=click.IntRange(min=1), help="Show units and registers then.")
@json_option
def pipeline(
    *,
    program: Path,
    name: str,
    rows: int,
    first: int,
    kanata_path: Path | None,
    o3_path: Path | None,
    cycle: int | None,
    as_json: bool,
) -> int:
    """Execute PROGRAM, RV32IM assembly text with F and D, on a machine and draw its pipeline.

    Machines with a scoreboard, reservation stations or long units are 64 bits wide; of them the
    instruction-status table is drawn, and with --at the state at the end of that cycle.
    """
    from reports.output import json_text, write_atomically  # noqa: PLC0415 - start-up time
    from sim.cpu.dynamic import dynamic_names  # noqa: PLC0415 - start-up time
    from sim.cpu.pipelines import (  # noqa: PLC0415 - start-up time
        load_pipeline,
        pipeline_names,
        run_pipeline,
    )
    from sim.cpu.pipelines.diagram import text_diagram  # noqa: PLC0415 - start-up time
    from sim.cpu.pipelines.kanata import kanata  # noqa: PLC0415 - start-up time
    from sim.cpu.pipelines.o3_pipe_view import o3_pipe_view  # noqa: PLC0415 - start-up time
    from sim.cpu.riscv import assemble_file  # noqa: PLC0415 - start-up time
    from sim.errors import SpecError, did_you_mean  # noqa: PLC0415 - start-up time

    if name in dynamic_names():
        if kanata_path is not None or o3_path is not None:
            raise click.UsageError(f"--kanata and --o3 are for pipelines; '{name}' draws tables")
        return _on_dynamic(program, name, rows=rows, first=first, cycle=cycle, as_json=as_json)
    if name not in (known := pipeline_names()):
        known += dynamic_names()
        raise SpecError(f"no pipeline is named '{name}'{did_you_mean(name, known)}")
    if cycle is not None:
        raise click.UsageError(f"--at is for {', '.join(dynamic_names())}; '{name}' is drawn whole")
    spec = load_pipeline(name)
    assembled = assemble_file(program, text_base=spec.text_base)
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
    _print_counts(ran, _counts(ran))
    return 0


def _on_dynamic(
    program: Path, name: str, *, rows: int, first: int, cycle: int | None, as_json: bool
) -> int:
    from reports.output import json_text  # noqa: PLC0415 - start-up time
    from sim.cpu.dynamic import load_dynamic, run_dynamic  # noqa: PLC0415 - start-up time
    from sim.cpu.dynamic.status import (  # noqa: PLC0415 - start-up time
        Table,
        instruction_status,
        register_status,
        reorder_buffer,
        unit_status,
    )
    from sim.cpu.riscv import assemble_file  # noqa: PLC0415 - start-up time

    spec = load_dynamic(name)
    ran = run_dynamic(spec, assemble_file(program, xlen=spec.xlen))
    tables: dict[str, Table] = {
        "instructions": instruction_status(ran, first=first, count=rows, at=cycle)
    }
    if cycle is not None:
        tables["units"] = unit_status(ran, cycle)
        if spec.technique == "tomasulo-speculative":
            tables["reorder buffer"] = reorder_buffer(ran, cycle)
        waiting = register_status(ran, cycle)
        tables["registers"] = [["register", "waits for"], *(list(row) for row in waiting.items())]
    if as_json:
        records = {
            key: [dict(zip(t[0], r, strict=True)) for r in t[1:]] for key, t in tables.items()
        }
        click.echo(json_text({**_common_counts(ran), **records}), nl=False)
        return 0
    click.echo(f"{spec.title}: {spec.description}\n")
    for heading, *cells in tables.values():
        click.echo(aligned(heading, cells, text=(0,)) + "\n")
    _print_counts(ran, _common_counts(ran))
    return 0


def _print_counts(ran: PipelineRun | DynamicRun, counts: dict[str, Any]) -> None:
    cells = [[key, str(value)] for key, value in counts.items() if key != "stalls"]
    cells += [[f"cycles lost: {cause}", str(lost)] for cause, lost in ran.stack.stalls.items()]
    click.echo(aligned(["", ""], cells, text=(0,)))
    if ran.machine.output:
        click.echo(f"printed: {ran.machine.output}")


def _counts(ran: PipelineRun) -> dict[str, Any]:
    counts = _common_counts(ran)
    if ran.predictions is not None:
        counts["predictions"] = ran.predictions
        counts["right predictions"] = ran.correct_predictions
    return counts


def _common_counts(ran: PipelineRun | DynamicRun) -> dict[str, Any]:
    return {
        "machine": ran.spec.name,
        "cycles": ran.cycles,
        "retired": ran.retired,
        "cycles per instruction": round(ran.cpi, 4),
        "a0": ran.machine.registers[10],
        "stalls": {str(cause): lost for cause, lost in ran.stack.stalls.items()},
    }
