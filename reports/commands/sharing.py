"""`tokenclock sharing`: what cores that share memory cost each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reports.columns import aligned
from reports.commands.console import (
    json_option,
    out_option,
    progress_bar,
    quiet_option,
)

if TYPE_CHECKING:
    from reports.sharing_rows import SharingAnswer

RECORDED = ".npz"


@click.command(
    epilog="""\b
Patterns:
  private            each core reads and writes a word in a line of its own
  shared-read        all cores read one table
  true-sharing       all cores add to one counter
  false-sharing      each core reads and writes its own word of one line
  producer-consumer  pairs hand items through a ring whose head and tail share a line
  ping-pong          pairs take turns at one word
  parallel-matmul    cores split the columns of a product, whose sums lie side by side

\b
Examples:
  tokenclock sharing false-sharing
  tokenclock sharing parallel-matmul --system mesh-moesi-16 --cores 8
  tokenclock sharing recorded.npz --system my-multicore.yaml --json"""
)
@click.argument("pattern", metavar="PATTERN-or-FILE.npz")
@click.option("--system", default="ring-mesi-8", show_default=True, help="Name or YAML file.")
@click.option("--cores", type=click.IntRange(min=1), help="Of the system's.  [default: all]")
@click.option(
    "--accesses", type=click.IntRange(min=1), help="Of each core of a pattern.  [default: 1000]"
)
@out_option
@json_option
@quiet_option
def sharing(
    *,
    pattern: str,
    system: str,
    cores: int | None,
    accesses: int | None,
    out: Path,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run a sharing pattern, or recorded accesses, on a coherent multicore.

    Says why caches missed, what the protocol sent, where the cycles went, and what the same work
    costs with the cores' data kept apart. A file is a numpy .npz with `addr` or `addr_delta`,
    `kind` (0 load, 1 store), `size` in bytes and `core`. Systems: bus-mesi-4, crossbar-mesi-4,
    ring-mesi-8, mesh-moesi-16. Writes sharing.json and a chart of growth with cores to --out.
    """
    from reports.output import json_text, output_folder  # noqa: PLC0415 - start-up time
    from reports.sharing import Asked, analyse_sharing, write_sharing  # noqa: PLC0415 - start-up
    from sim.memory.coherent.description import load_system  # noqa: PLC0415 - start-up time
    from sim.memory.coherent.run import DEFAULT_ACCESSES  # noqa: PLC0415 - start-up time
    from sim.memory.coherent.shared_trace import SharedTrace  # noqa: PLC0415 - start-up time

    recorded = pattern.endswith(RECORDED)
    for name, value in (("cores", cores), ("accesses", accesses)):
        if recorded and value is not None:
            raise click.UsageError(f"--{name} goes with a pattern; a file says it itself")
    asked = Asked(
        system=load_system(system),
        pattern=Path(pattern).name if recorded else pattern,
        trace=SharedTrace.read(Path(pattern)) if recorded else None,
        cores=cores,
        accesses=accesses or DEFAULT_ACCESSES,
    )
    with output_folder(out) as folder:
        with progress_bar("running", quiet=quiet or as_json) as report:
            answer = analyse_sharing(asked, report)
        write_sharing(answer, folder)
    if as_json:
        click.echo(json_text(answer.as_dict()), nl=False)
    elif not quiet:
        _print(answer, out)


def _print(answer: SharingAnswer, out: Path) -> None:
    from reports.quantities import percent, significant, times  # noqa: PLC0415 - start-up time

    click.echo(
        f"{answer.pattern} on {answer.system} ({answer.title}, {answer.protocol}), "
        f"{len(answer.cores)} at work: {answer.cycles:,} cycles for {answer.accesses:,} accesses\n"
    )
    classes = list(answer.misses)
    rows = [
        [
            str(row.core),
            f"{row.accesses:,}",
            significant(row.cycles_per_access),
            f"{row.hits + row.forwarded:,}",
            f"{row.upgrades:,}",
            *(f"{row.misses[name]:,}" for name in classes),
            f"{row.invalidations:,}",
        ]
        for row in answer.cores
    ]
    header = ["core", "accesses", "cycles/access", "hits", "upgrades", *classes, "invalidated"]
    click.echo(aligned(header, rows, text=()) + "\n")
    sent = sorted(answer.messages.items(), key=lambda kind: -kind[1])
    click.echo("Messages: " + ", ".join(f"{name} {count:,}" for name, count in sent))
    if answer.fabric == "bus":
        click.echo(f"Bus: taken {percent(answer.busiest_share)} of the time")
    else:
        click.echo(
            f"Channels of the {answer.fabric}: taken {percent(answer.mean_link_share)} of the time "
            f"on average, '{answer.busiest_link}' {percent(answer.busiest_share)}"
        )
    whole = sum(answer.stack.values())
    parts = [f"{name} {percent(part / whole)}" for name, part in answer.stack.items() if part]
    click.echo("Cycles of all cores: " + ", ".join(parts))
    if answer.twin:
        twin = answer.twin
        click.echo(
            f"Against {twin.what} ({twin.cycles:,} cycles): "
            f"{answer.pattern} costs {times(twin.ratio)}"
        )
    click.echo(f"Files: {out}/sharing.json, sharing-growth.png (and .svg)")
