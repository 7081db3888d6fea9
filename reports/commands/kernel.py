"""`tokenclock kernel`: an assembly loop on a core, to its steady state."""

from __future__ import annotations

from pathlib import Path

import click

from reports.commands.console import json_option

PATH = click.Path(path_type=Path)


@click.command(
    epilog="""\b
Examples:
  tokenclock kernel --list
  tokenclock kernel gemm_6x2 --core zen4
  tokenclock kernel dot.s --core zen4
  tokenclock kernel gemm.s --core skylake --json
  tokenclock kernel gemm.s --core skylake --chrome gemm.json
  tokenclock kernel axpy.s --core zen4 --from l3
  tokenclock kernel dot_neon.s --core ./my-core.yaml"""
)
@click.argument("file", required=False)
@click.option("--core", help="Name of a core, or a core's YAML file.")
@click.option("--list", "listed", is_flag=True, help="List cores and packaged kernels.")
@click.option("--kanata", "kanata_path", type=PATH, help="Write a log for the Konata viewer here.")
@click.option("--chrome", "chrome_path", type=PATH, help="Write a trace for Perfetto here.")
@click.option(
    "--from",
    "level",
    default="l1",
    show_default=True,
    metavar="LEVEL",
    help="Where operands that move come from: l1, l2 or l3, as far as the core's file says.",
)
@json_option
def kernel(
    *,
    file: str | None,
    core: str | None,
    listed: bool,
    level: str,
    kanata_path: Path | None,
    chrome_path: Path | None,
    as_json: bool,
) -> None:
    """Simulate FILE's loop body on a core: cycles per iteration, what limits it, a timeline.

    FILE holds one loop body: x86-64 in Intel syntax, AArch64 or RISC-V, as the core executes; or it
    is the name of a packaged kernel. The core runs with all operands in L1, or as slowly as --from
    delivers them. Branches are predicted.
    """
    from reports.kernels import kernel_catalogue, kernel_json, kernel_text  # noqa: PLC0415 - start-up time
    from reports.output import json_text, write_atomically  # noqa: PLC0415 - start-up time
    from sim.cpu.kernelcores import (  # noqa: PLC0415 - start-up time
        load_core,
        named_kernel,
        read_core,
        run_kernel,
    )
    from sim.cpu.logs import chrome_trace, kanata  # noqa: PLC0415 - start-up time

    if listed:
        found = kernel_catalogue()
        click.echo(json_text(found.as_json()) if as_json else found.as_text(), nl=not as_json)
        return
    if file is None or core is None:
        raise click.UsageError("give a kernel and --core, or --list to see both")
    spec = read_core(Path(core)) if core.endswith((".yaml", ".yml")) else load_core(core)
    result = run_kernel(named_kernel(file, spec.isa), spec, operands_from=level)
    if kanata_path is not None:
        write_atomically(kanata_path, kanata(result.stamped()))
    if chrome_path is not None:
        title = f"{result.kernel} on {result.core}"
        write_atomically(chrome_path, json_text(chrome_trace(title, result.stamped())))
    if as_json:
        click.echo(json_text(kernel_json(result)), nl=False)
    else:
        click.echo(kernel_text(result))
