"""`tokenclock trace`: what a model computes, by kind of operation, before any hardware."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reports.commands.console import (
    aligned,
    json_option,
    progress_bar,
    require_one_prompt,
    workload_options,
)

if TYPE_CHECKING:
    from workloads import Trace

SAVED = ".json.gz"


@click.command(
    epilog="""\b
Examples:
  tokenclock trace glassllm-en --prompt "Alice was beginning to"
  tokenclock trace gpt3-175b --prompt-tokens 1920 --new-tokens 128 --save gpt3.json.gz
  tokenclock trace gpt3.json.gz --json"""
)
@click.argument("model")
@workload_options
@click.option("--new-tokens", type=int, default=40, show_default=True, help="To be generated.")
@click.option("--save", type=click.Path(path_type=Path), help=f"Write the trace here, as *{SAVED}.")
@json_option
def trace(*, model: str, save: Path | None, as_json: bool, **asked: Any) -> None:
    """Show the operations of MODEL, a name, a YAML file or a saved trace.

    The model is traced by shape: nothing is computed, so any size will do.
    """
    from reports.mix import mix_rows  # noqa: PLC0415 - start-up time
    from reports.output import OutputError, json_text  # noqa: PLC0415 - start-up time
    from reports.traced import (  # noqa: PLC0415 - start-up time
        Workload,
        run_workload,
        trace_facts,
    )
    from workloads import Trace  # noqa: PLC0415 - start-up time

    require_one_prompt(asked["prompt"], asked["prompt_tokens"])
    with progress_bar("tracing", quiet=as_json):
        if model.endswith(SAVED):
            traced = Trace.load(Path(model))
        else:
            traced = run_workload(Workload(model=model, **asked), execute=False).trace
    if save is not None:
        try:
            traced.save(save)
        except OSError as error:
            raise OutputError(
                f"cannot write '{save}': {error.strerror}; choose another place"
            ) from error
    if as_json:
        content = {"trace": trace_facts(traced), "mix": mix_rows(traced)}
        click.echo(json_text(content), nl=False)
    else:
        _print(traced)


def _print(traced: Trace) -> None:
    from reports.mix import mix_rows  # noqa: PLC0415 - start-up time
    from reports.quantities import percent, si, significant  # noqa: PLC0415 - start-up time

    click.echo(
        f"{traced.model}, {traced.dtype}, batch {traced.batch}: {traced.prompt_tokens} prompt "
        f"tokens, {traced.new_tokens} new tokens, {traced.op_count:,} operations, "
        f"{si(traced.flops, 'FLOP')}, weights {si(traced.weight_bytes, 'B')}\n"
    )
    rows = [
        [
            row["phase"],
            row["kind"],
            row["family"],
            f"{row['count']:,}",
            si(row["flops"], "FLOP"),
            percent(row["flops"] / max(traced.flops, 1)),
            si(row["bytes"], "B"),
            significant(row["flops_per_byte"]),
        ]
        for row in mix_rows(traced)
    ]
    header = ("phase", "kind", "family", "count", "flops", "of all", "bytes", "FLOP/byte")
    click.echo(aligned(header, rows, text=(0, 1, 2)))
    click.echo(f"\ndigest {traced.digest()}")
