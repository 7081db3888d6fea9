"""`tokenclock memory`: a model's or a recorded stream of addresses through a machine's caches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reports.columns import aligned
from reports.commands.console import (
    json_option,
    out_option,
    progress_bar,
    quiet_option,
    require_one_prompt,
    workload_options,
)

if TYPE_CHECKING:
    from reports.commands.console import Report
    from reports.memory_rows import MemoryAnswer
    from sim.lowering import MachineModel
    from sim.memory.layout import Piece
    from workloads import Trace

SAVED_TRACE, ADDRESSES = ".json.gz", ".npz"


@click.command(
    epilog="""\b
Examples:
  tokenclock memory glassllm-en --machine cpu-5stage
  tokenclock memory gpt2-small --machine cpu-simd-8core --step 1
  tokenclock memory glassllm-en --machine cpu-5stage --step 1 --prefetch L1=stream
  tokenclock memory gpt2-small --step 1 --layer 0 --tlb skylake --page "2 MiB"
  tokenclock memory glassllm-en --machine cpu-5stage --timed 20000 --outstanding 4
  tokenclock memory addresses.npz --machine cpu-5stage --json"""
)
@click.argument("workload")
@click.option("--machine", default="cpu-simd-8core", show_default=True, help="Name or YAML file.")
@workload_options
@click.option("--new-tokens", type=int, default=3, show_default=True, help="To be generated.")
@click.option("--step", type=int, help="Only this step: 0 is the prefill, decode counts from 1.")
@click.option("--layer", type=int, help="Only this layer, counted from 0.")
@click.option(
    "--prefetch",
    multiple=True,
    metavar="LEVEL=KIND",
    help="Give a cache a prefetcher: next-line, stride or stream. May be repeated.",
)
@click.option("--tlb", metavar="CHIP", help="Translate by a chip's TLBs: skylake, cortex-a76, ...")
@click.option("--page", default="4 KiB", show_default=True, help="Page size, with --tlb.")
@click.option("--timed", type=click.IntRange(min=1), help="Pass the first N accesses in time.")
@click.option("--mshrs", type=click.IntRange(min=1), default=8, show_default=True, help="A level.")
@click.option(
    "--outstanding",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Loads that the core has under way; with --timed, as --mshrs.",
)
@out_option
@json_option
@quiet_option
def memory(
    *,
    workload: str,
    machine: str,
    step: int | None,
    layer: int | None,
    prefetch: tuple[str, ...],
    tlb: str | None,
    page: str,
    timed: int | None,
    mshrs: int,
    outstanding: int,
    out: Path,
    as_json: bool,
    quiet: bool,
    **asked: Any,
) -> None:
    """Stream WORKLOAD through the caches of a machine: who hits, who misses and why.

    WORKLOAD is a model, a saved trace (.json.gz), or recorded addresses: a numpy .npz with `addr`
    or `addr_delta`, `kind` (0 load, 1 store) and `size` in bytes. Writes tables and charts to
    --out. What the caches ask of main memory is replayed through the machine's DRAM.
    """
    from reports.memory import Extras, analyse, levels_of  # noqa: PLC0415 - start-up time
    from reports.memory_files import write_memory  # noqa: PLC0415 - start-up time
    from reports.output import json_text, output_folder  # noqa: PLC0415 - start-up time
    from sim.machine import load_machine  # noqa: PLC0415 - start-up time
    from sim.run import run  # noqa: PLC0415 - start-up time

    require_one_prompt(asked["prompt"], asked["prompt_tokens"])
    extras = Extras(
        prefetchers=_prefetchers(prefetch),
        tlb=tlb,
        page_bytes=_page_bytes(page),
        timed=timed,
        mshrs=mshrs,
        outstanding=outstanding,
    )
    built = load_machine(machine)
    line_bytes = levels_of(built.spec)[0].line_bytes
    with output_folder(out) as folder:
        with progress_bar("tracing", quiet=quiet or as_json) as report:
            if workload.endswith(ADDRESSES):
                _refuse(step, layer)
                pieces, result = _recorded(workload, line_bytes), None
            else:
                trace = _trace(workload, asked)
                pieces = _streamed(trace, line_bytes, step, layer, report)
                result = run(trace, built)
            answer = analyse(
                pieces,
                built.spec,
                workload=_label(workload, step, layer),
                result=result,
                extras=extras,
            )
        write_memory(answer, folder)
    if as_json:
        click.echo(json_text(answer.as_dict()), nl=False)
    elif not quiet:
        _print(answer, built, out)


def _prefetchers(words: tuple[str, ...]) -> dict[str, str]:
    kinds: dict[str, str] = {}
    for word in words:
        level, equals, kind = word.partition("=")
        if not equals or level in kinds:
            raise click.UsageError(f"--prefetch {word}: say LEVEL=KIND, each level once")
        kinds[level] = kind
    return kinds


def _page_bytes(page: str) -> int:
    from sim.units import parse_quantity  # noqa: PLC0415 - start-up time

    try:
        return int(parse_quantity(page, "bytes"))
    except ValueError as error:
        raise click.UsageError(f"--page: {error}") from error


def _refuse(step: int | None, layer: int | None) -> None:
    for name, value in (("step", step), ("layer", layer)):
        if value is not None:
            raise click.UsageError(f"--{name} goes with a model or a trace, not with addresses")


def _trace(workload: str, asked: dict[str, Any]) -> Trace:
    from reports.traced import Workload, run_workload  # noqa: PLC0415 - start-up time
    from workloads import Trace  # noqa: PLC0415 - start-up time

    if workload.endswith(SAVED_TRACE):
        return Trace.load(Path(workload))
    return run_workload(Workload(model=workload, **asked), execute=False).trace


def _streamed(
    trace: Trace, line_bytes: int, step: int | None, layer: int | None, report: Report
) -> Iterator[Piece]:
    from sim.memory.layout import trace_lines  # noqa: PLC0415 - start-up time

    touched = sum(
        op.bytes_read + op.bytes_written
        for block in trace.blocks
        for op in block.ops * block.repeats
        if step in (None, op.step)
    )
    done = 0
    for piece in trace_lines(trace, line_bytes, step=step, layer=layer):
        done += len(piece) * line_bytes
        report(min(done, touched), touched, "streaming addresses")
        yield piece


def _recorded(path: str, line_bytes: int) -> Iterator[Piece]:
    from sim.memory.cache.run import AddressTrace  # noqa: PLC0415 - start-up time
    from sim.memory.layout import address_lines  # noqa: PLC0415 - start-up time

    trace = AddressTrace.read(Path(path))
    return address_lines(trace.addresses, trace.sizes, trace.kinds == 1, line_bytes)


def _label(workload: str, step: int | None, layer: int | None) -> str:
    parts = [Path(workload).name]
    parts += [f"step {step}"] * (step is not None) + [f"layer {layer}"] * (layer is not None)
    return ", ".join(parts)


def _print(answer: MemoryAnswer, built: MachineModel, out: Path) -> None:
    from reports.memory_text import part_lines  # noqa: PLC0415 - start-up time
    from reports.quantities import binary_bytes, percent, si  # noqa: PLC0415 - start-up time

    click.echo(
        f"{answer.workload} on {built.spec.title}: {answer.accesses:,} lines of "
        f"{answer.line_bytes} B touched, one core's view, caches empty at first\n"
    )
    rows = [
        [
            row.level,
            binary_bytes(row.capacity_bytes),
            f"{row.accesses:,}",
            percent(row.hit_rate),
            *(f"{count:,}" for count in (row.cold, row.capacity, row.conflict)),
            si(row.fetched_bytes, "B"),
            si(row.written_back_bytes, "B"),
        ]
        for row in answer.levels
    ]
    header = ["level", "size", "accesses", "hits", "cold", "capacity", "conflict"]
    click.echo(aligned([*header, "fetched", "written back"], rows, text=(0,)) + "\n")
    if len(answer.roles) > 1:
        kinds = [
            [
                row.role,
                f"{row.accesses:,}",
                si(row.distinct_bytes, "B"),
                si(row.from_memory_bytes, "B"),
                percent(row.from_memory_share),
            ]
            for row in answer.roles
        ]
        header = ["data", "accesses", "distinct", "from memory", "of accesses"]
        click.echo(aligned(header, kinds, text=(0,)) + "\n")
    moved = answer.memory_read_bytes + answer.memory_written_bytes
    click.echo(
        f"Main memory: {si(answer.memory_read_bytes, 'B')} read, "
        f"{si(answer.memory_written_bytes, 'B')} written; {si(moved, 'B')} take at least "
        f"{si(answer.least_seconds, 's')} at {si(answer.memory_bytes_per_second, 'B/s')}"
    )
    for line in part_lines(answer):
        click.echo(line)
    for rate in answer.rates:
        click.echo(
            f"Achieved in {rate.phase}, the whole run simulated: "
            f"{si(rate.bytes_per_second, 'B/s')}, {percent(rate.peak_share)} of the peak"
        )
    click.echo(f"Tables and charts: {out}/memory.json, .csv, miss-ratio.png, misses.png (and .svg)")
