"""`tokenclock systolic --scalesim`: the layers of SCALE-Sim's files, its reports and traces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reports.columns import aligned
from reports.commands.console import progress_bar

if TYPE_CHECKING:
    from reports.scalesim import Imported


def import_scalesim(config: Path, given: dict[str, Any], *, as_json: bool, quiet: bool) -> None:
    """Run the layers and write the reports; UsageError where an option is missing."""
    from reports.output import json_text, output_folder  # noqa: PLC0415 - start-up time
    from reports.scalesim import (  # noqa: PLC0415 - start-up time
        import_layers,
        write_addresses,
        write_reports,
    )

    for option in ("topology", "out"):
        if option not in given:
            raise click.UsageError(f"--scalesim needs --{option}")
    with (
        output_folder(given["out"]) as folder,
        progress_bar("reading", quiet=quiet or as_json) as report,
    ):
        imported = import_layers(config, given["topology"], progress=report)
        write_reports(imported, folder)
        if "addresses" in given:
            write_addresses(imported, folder, progress=report)
    if as_json:
        click.echo(json_text(imported.as_dict()), nl=False)
    elif not quiet:
        _print_layers(imported, given["out"], addresses="addresses" in given)


def _print_layers(imported: Imported, out: Path, *, addresses: bool) -> None:
    rows = []
    for result in imported.results:
        gemm, plan, compute = result.layer.gemm, result.plan, result.compute_row
        rows.append(
            [
                result.layer.name,
                f"{gemm.m}x{gemm.n}x{gemm.k}",
                str(result.layer.batch),
                f"{plan.total_cycles:,}",
                f"{compute['Stall Cycles']:,}",
                f"{compute['Overall Util %']:.1f} %",
                f"{compute['Mapping Efficiency %']:.1f} %",
            ]
        )
    header = ("layer", "MxNxK", "batch", "cycles", "stalls", "utilisation", "mapping")
    click.echo(aligned(header, rows, text=(0,)))
    traces = ", layerN/*_TRACE.csv" if addresses else ""
    click.echo(
        f"\n{imported.cycles:,} cycles in all. Reports: {out}/COMPUTE_REPORT.csv, "
        f"BANDWIDTH_REPORT.csv{traces}"
    )
