"""`tokenclock models`: the models there are, their sizes, and what one token costs them."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import click

from reports.columns import aligned
from reports.commands.console import json_option

Facts = dict[str, Any]


@click.command(
    epilog="""\b
Examples:
  tokenclock models
  tokenclock models llama
  tokenclock models 'gpt?-*' --seen-tokens 2048 --csv
  tokenclock models --kind decoder --json"""
)
@click.argument("pattern", default="")
@click.option("--kind", help="Only of this kind or architecture, such as decoder or llama.")
@click.option(
    "--seen-tokens",
    type=click.IntRange(min=2),
    help="Positions that the token sees whose cost is given.  [default: 1024]",
)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, and nothing else.")
@json_option
def models(
    *, pattern: str, kind: str | None, seen_tokens: int | None, as_csv: bool, as_json: bool
) -> None:
    """List the models that come with the package, or those that PATTERN names or is part of.

    FLOP/token is a decode step at 1,024 positions seen, or at the end of a shorter context (of
    an encoder's pass, a token's share); KV/token is what the cache grows by. `tokenclock show
    NAME` tells more of one.
    """
    from reports.models import CONTEXT_TOKENS, model_facts  # noqa: PLC0415 - start-up time
    from reports.output import json_text  # noqa: PLC0415 - start-up time
    from workloads import load_model  # noqa: PLC0415 - start-up time

    if as_csv and as_json:
        raise click.UsageError("give --json or --csv, not both")
    seen = seen_tokens or CONTEXT_TOKENS
    known = [load_model(name) for name in _matching(pattern)]
    rows = [
        facts
        for model in known
        for facts in [model_facts(model, seen)]
        if kind in {None, facts["kind"], facts["architecture"]}
    ]
    if not rows:
        kinds = _kinds(known)
        raise click.UsageError(f"no such model is of kind '{kind}'; kinds: {', '.join(kinds)}")
    if as_json:
        click.echo(json_text(rows), nl=False)
    elif as_csv:
        click.echo(_csv(rows), nl=False)
    else:
        _print(rows)


def print_model(name: str, *, as_json: bool) -> None:
    """Print all that is known of one model, for `tokenclock show`."""
    from reports.models import model_facts, parameter_rows  # noqa: PLC0415 - start-up time
    from reports.output import json_text  # noqa: PLC0415 - start-up time
    from reports.quantities import percent, si  # noqa: PLC0415 - start-up time
    from workloads import load_model  # noqa: PLC0415 - start-up time

    model = load_model(name)
    facts = model_facts(model)
    parameters = parameter_rows(model)
    config = model.config.model_dump(mode="json", exclude={"source"}, exclude_none=True)
    if as_json:
        content = {**facts, "config": config, "tensors": parameters}
        click.echo(json_text(content), nl=False)
        return
    click.echo(f"{facts['name']}: {facts['kind']}, {facts['architecture']}\n")
    size = f"{facts['parameters']:,} parameters, {si(facts['weight_bytes'], 'B')}"
    click.echo(f"{size} in {facts['dtype']}, context {facts['context_tokens']:,} tokens")
    if facts["untraced"]:
        click.echo(f"no step was traced: {facts['untraced']}")
    else:
        click.echo(
            f"a token that sees {facts['seen_tokens']:,}: {si(facts['flops_per_token'], 'FLOP')}, "
            f"{si(facts['bytes_per_token'], 'B')} touched, "
            f"cache grows by {si(facts['kv_bytes_per_token'], 'B')}"
        )
    click.echo(f"weights: {facts['weights']}\nsource: {facts['source']}\n")
    rows = [
        [
            row["name"],
            " x ".join(map(str, row["shape"])),
            str(row["layers"]),
            f"{row['parameters']:,}",
            percent(row["share"]),
        ]
        for row in parameters
    ]
    header = ("weight", "shape", "layers", "parameters", "of all")
    click.echo(aligned(header, rows, text=(0,)) + "\n")
    cells = [[key, str(value)] for key, value in config.items()]
    click.echo(aligned(("key", "value"), cells, text=(0, 1)))


def _matching(pattern: str) -> list[str]:
    """Names that a pattern with * or ? matches, or that a plain one is part of."""
    from sim.errors import did_you_mean  # noqa: PLC0415 - start-up time
    from workloads import model_names  # noqa: PLC0415 - start-up time

    wild = pattern if set(pattern) & set("*?[") else f"*{pattern}*"
    names = [name for name in model_names() if fnmatchcase(name, wild)]
    if not names:
        hint = did_you_mean(pattern, model_names())
        raise click.UsageError(f"no model's name matches '{pattern}'{hint}")
    return names


def _kinds(known: Sequence[Any]) -> list[str]:
    from workloads.architectures.registry import architecture_of  # noqa: PLC0415 - start-up time

    kinds = {architecture_of(model.config).name for model in known}
    return sorted(kinds | {model.config.model_type for model in known})


def _csv(rows: Sequence[Facts]) -> str:
    import pandas as pd  # noqa: PLC0415 - start-up time

    from reports.tables import csv_text  # noqa: PLC0415 - start-up time

    table = pd.DataFrame(rows)
    whole = [name for name in table if str(name).endswith("_per_token")]
    return csv_text(table.astype(dict.fromkeys(whole, "Int64")))


def _print(rows: Sequence[Facts]) -> None:
    from reports.quantities import si  # noqa: PLC0415 - start-up time

    sources = list(dict.fromkeys(row["source"] for row in rows))

    def amount(value: int | None, unit: str) -> str:
        return "-" if value is None else si(value, unit)

    cells = [
        [
            row["name"],
            row["kind"],
            si(row["parameters"], "").replace("G", "B"),  # billions, as models are named
            si(row["weight_bytes"], "B"),
            amount(row["kv_bytes_per_token"], "B"),
            amount(row["flops_per_token"], "FLOP"),
            f"{row['context_tokens']:,}",
            f"[{sources.index(row['source']) + 1}]",
        ]
        for row in rows
    ]
    header = ("name", "kind", "parameters", "weights", "KV/token", "FLOP/token")
    click.echo(aligned((*header, "context", "source"), cells, text=(0, 1)))
    click.echo()
    for number, source in enumerate(sources, start=1):
        click.echo(f"[{number}] {source}")
    for row in rows:
        if row["untraced"]:
            click.echo(f"{row['name']}: no step was traced: {row['untraced']}")
