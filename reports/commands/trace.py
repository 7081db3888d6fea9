"""`tokenclock trace`: what a model computes, by kind of operation, before any hardware."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from reports.columns import aligned
from reports.commands.console import (
    json_option,
    progress_bar,
    require_one_prompt,
    workload_options,
)

if TYPE_CHECKING:
    from workloads import Trace

SAVED = ".json.gz"
GRAPH = ".onnx"


@click.command(
    epilog="""\b
Examples:
  tokenclock trace glassllm-en --prompt "Alice was beginning to"
  tokenclock trace llama3-8b --prompt-tokens 512 --kinds --out out
  tokenclock trace gpt3-175b --prompt-tokens 1920 --new-tokens 128 --save gpt3.json.gz
  tokenclock trace gpt3.json.gz --csv
  tokenclock trace exported.onnx --dim batch=1 --dim sequence=128"""
)
@click.argument("model")
@workload_options
@click.option("--new-tokens", type=int, default=40, show_default=True, help="To be generated.")
@click.option("--dim", "dims", multiple=True, metavar="NAME=SIZE", help="Open size of a graph.")
@click.option("--kinds", is_flag=True, help="Show the kinds of operations in each layer, too.")
@click.option("--save", type=click.Path(path_type=Path), help=f"Write the trace here, as *{SAVED}.")
@click.option("--out", type=click.Path(path_type=Path), help="Write a chart and tables here.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV by phase, layer and kind.")
@json_option
def trace(
    *,
    model: str,
    save: Path | None,
    out: Path | None,
    kinds: bool,
    as_csv: bool,
    as_json: bool,
    **asked: Any,
) -> None:
    """Show the operations of MODEL, a name, a YAML file, a saved trace or an ONNX graph.

    The model is traced by shape: nothing is computed, so any size will do. Bytes are what the
    operations name, before any cache; FLOP/byte is the arithmetic intensity.
    """
    from reports.mix_files import csv_of, mix_content, write_mix  # noqa: PLC0415 - start-up time
    from reports.output import OutputError, json_text  # noqa: PLC0415 - start-up time

    require_one_prompt(asked["prompt"], asked["prompt_tokens"])
    if as_csv and as_json:
        raise click.UsageError("give --json or --csv, not both")
    with progress_bar("tracing", quiet=as_json or as_csv):
        traced = _traced(model, asked)
    if save is not None:
        try:
            traced.save(save)
        except OSError as error:
            raise OutputError(
                f"cannot write '{save}': {error.strerror}; choose another place"
            ) from error
    if out is not None:
        write_mix(traced, out)
    if as_json:
        click.echo(json_text(mix_content(traced)), nl=False)
    elif as_csv:
        click.echo(csv_of(traced), nl=False)
    else:
        _print(traced, kinds=kinds)


def _traced(model: str, asked: Mapping[str, Any]) -> Trace:
    from reports.traced import Workload, run_workload  # noqa: PLC0415 - start-up time
    from workloads import Trace  # noqa: PLC0415 - start-up time

    asked = dict(asked)
    dims = asked.pop("dims")
    if model.endswith(GRAPH):
        return _graph(Path(model), dims, asked)
    if dims:
        raise click.UsageError(f"--dim gives the sizes of an ONNX graph, *{GRAPH}")
    if model.endswith(SAVED):
        return Trace.load(Path(model))
    return run_workload(Workload(model=model, **asked), execute=False).trace


def _graph(path: Path, dims: Sequence[str], asked: Mapping[str, Any]) -> Trace:
    from workloads.onnx_graph import import_onnx  # noqa: PLC0415 - start-up time

    source_of = click.get_current_context().get_parameter_source
    given = [name for name in asked if source_of(name) is ParameterSource.COMMANDLINE]
    if given:
        option = given[0].replace("_", "-")
        raise click.UsageError(f"--{option} is not for a graph; give its sizes by --dim")
    sizes = {}
    for text in dims:
        name, _, size = text.rpartition("=")
        if not name or not size.isdecimal():
            raise click.UsageError(f"--dim {text}: write NAME=SIZE, such as batch=1")
        sizes[name] = int(size)
    return import_onnx(path, sizes)


_AMOUNTS = ("count", "flops", "of all", "bytes", "of all", "FLOP/byte")


def _print(traced: Trace, *, kinds: bool) -> None:
    from reports.mix import layer_rows, layer_totals, mix_rows, phase_rows  # noqa: PLC0415
    from reports.quantities import si  # noqa: PLC0415 - start-up time

    click.echo(
        f"{traced.model}, {traced.dtype}, batch {traced.batch}: {traced.prompt_tokens} prompt "
        f"tokens, {traced.new_tokens} new tokens, {traced.op_count:,} operations, "
        f"{si(traced.flops, 'FLOP')}, weights {si(traced.weight_bytes, 'B')}\n"
    )
    rows = [[row["phase"], row["kind"], row["family"], *_amounts(row)] for row in mix_rows(traced)]
    rows += [[row["phase"], "all", "", *_amounts(row)] for row in phase_rows(traced)]
    click.echo(aligned(("phase", "kind", "family", *_AMOUNTS), rows, text=(0, 1, 2)))
    found = layer_rows(traced) if kinds else layer_totals(traced)
    if any(row["first_layer"] is not None for row in found):
        rows = [
            [
                row["phase"],
                _layers(row),
                *([row["kind"]] if kinds else []),
                *_amounts(row, each=True),
            ]
            for row in found
        ]
        header = ("phase", "layers", *(["kind"] if kinds else []), *_AMOUNTS)
        click.echo("\n" + aligned(header, rows, text=(0, 1, 2) if kinds else (0, 1)))
    click.echo(f"\ndigest {traced.digest()}")


def _amounts(row: Mapping[str, Any], *, each: bool = False) -> list[str]:
    """Cells of a row's amounts; of `each` of its layers, where it stands for several."""
    from reports.quantities import percent, si, significant  # noqa: PLC0415 - start-up time

    layers = row["layers"] if each else 1
    return [
        f"{row['count'] // layers:,}",
        si(row["flops"] / layers, "FLOP"),
        percent(row["flops_share"] / layers),
        si(row["bytes"] / layers, "B"),
        percent(row["bytes_share"] / layers),
        significant(row["flops_per_byte"]),
    ]


def _layers(row: Mapping[str, Any]) -> str:
    if row["first_layer"] is None:
        return "outside"
    if row["layers"] == 1:
        return str(row["first_layer"])
    return f"{row['first_layer']} to {row['last_layer']}, each"
