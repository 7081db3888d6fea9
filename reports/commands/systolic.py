"""`tokenclock systolic`: one matrix product on systolic arrays, or SCALE-Sim's files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reports.columns import aligned
from reports.commands.console import json_option, progress_bar, quiet_option
from reports.commands.scalesim import import_scalesim

if TYPE_CHECKING:
    from reports.systolic import Answer, DataflowRow, Hardware, Srams
    from sim.tpu.array.systolic import ArraySpec, Dataflow, Gemm

DATAFLOWS = ("os", "ws", "is")
DRAINS = ("direct", "overlapped", "serial")
PICTURES = (".png", ".svg")
IMPORT_ONLY = ("topology", "out", "addresses")
PATH = click.Path(path_type=Path)


@click.command(
    epilog="""\b
Examples:
  tokenclock systolic 512 768 768 --array 32x32
  tokenclock systolic 512 768 768 --array 32x32 --sram 64,64,32 --bandwidth 16 --overlapped
  tokenclock systolic 2048 12288 12288 --machine tpu-v4 --json
  tokenclock systolic 3 3 3 --array 3x3 --dataflow ws --picture array.png
  tokenclock systolic --scalesim scale.cfg --topology layers.csv --out reports"""
)
@click.argument("extents", nargs=-1, type=click.IntRange(min=1), metavar="[M N K]")
@click.option("--array", metavar="RxC", help="Rows and columns.  [default: 128x128]")
@click.option(
    "--dataflow",
    type=click.Choice((*DATAFLOWS, "all")),
    help="What stays in the array: outputs, weights (B) or inputs (A).  [default: all]",
)
@click.option("--drain", type=click.Choice(DRAINS), help="How results leave where outputs stay.")
@click.option("--dtype", help="Element type.  [default: bfloat16]")
@click.option("--sram", metavar="KIB[,KIB,KIB]", help="SRAM of each of A, B and C, in KiB.")
@click.option("--bandwidth", help="Main memory's: bytes a cycle, or such as '600 GB/s'.")
@click.option("--clock", help="Such as '940 MHz'.  [default: 1 GHz]")
@click.option(
    "--overlapped/--serial",
    default=None,
    help="Whether a fold's operands load while the fold before streams.  [default: serial]",
)
@click.option("--machine", help="A TPU, by name or YAML file, to take all of this and energy from.")
@click.option("--picture", type=PATH, help="Draw a small array cycle by cycle into this .png/.svg.")
@click.option("--scalesim", type=PATH, help="SCALE-Sim configuration, in place of M N K.")
@click.option("--topology", type=PATH, help="Its layers, as CSV.")
@click.option("--out", type=PATH, help="Folder for its reports; made where it is missing.")
@click.option("--addresses", is_flag=True, help="Write per-cycle address traces too: large files.")
@json_option
@quiet_option
def systolic(
    *,
    extents: tuple[int, ...],
    scalesim: Path | None,
    picture: Path | None,
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Run a product of M x K by K x N on systolic arrays, in each dataflow.

    Without --bandwidth all operands are on chip. With it, a mapper finds each dataflow's best
    blocks for the SRAMs. With --scalesim the layers of a topology run as SCALE-Sim runs them.
    """
    given = {name: value for name, value in given.items() if value not in (None, False)} | (
        {"overlapped": False} if given["overlapped"] is False else {}
    )
    if scalesim is not None:
        _refuse(set(given) - set(IMPORT_ONLY), extents, picture)
        import_scalesim(scalesim, given, as_json=as_json, quiet=quiet)
        return
    alone = [name for name in IMPORT_ONLY if name in given]
    if alone:
        raise click.UsageError(f"--{alone[0]} goes with --scalesim")
    if len(extents) != 3:
        raise click.UsageError(f"a product needs three extents M N K, not {len(extents)}")
    _product(extents, picture, given, as_json=as_json, quiet=quiet)


def _refuse(others: set[str], extents: tuple[int, ...], picture: Path | None) -> None:
    """Say what a configuration decides already."""
    if extents:
        raise click.UsageError("with --scalesim the topology gives the products; leave M N K out")
    words = sorted(others | ({"picture"} if picture else set()))
    if words:
        raise click.UsageError(f"--{words[0]} does not go with --scalesim")


def _product(
    extents: tuple[int, ...],
    picture: Path | None,
    given: dict[str, Any],
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    from reports.output import json_text  # noqa: PLC0415 - start-up time
    from reports.systolic import solve  # noqa: PLC0415 - start-up time
    from sim.tpu.array.systolic import Dataflow, Gemm  # noqa: PLC0415 - start-up time

    m, n, k = extents
    gemm = Gemm(m=m, n=n, k=k)
    asked = given.get("dataflow", "all")
    flows = [Dataflow(name) for name in (DATAFLOWS if asked == "all" else (asked,))]
    hardware = _hardware(given)
    if picture is not None:
        _draw(picture, hardware, gemm, flows)
    with progress_bar("searching for blocks", quiet=quiet or as_json):
        answer = solve(gemm, hardware, flows)
    if as_json:
        click.echo(json_text(answer.as_dict()), nl=False)
    elif not quiet:
        _print(answer, picture)


def _draw(picture: Path, hardware: Hardware, gemm: Gemm, flows: list[Dataflow]) -> None:
    from reports.charts.array import array_picture  # noqa: PLC0415 - start-up time
    from reports.charts.style import png_bytes, svg_text  # noqa: PLC0415 - start-up time
    from reports.output import write_atomically  # noqa: PLC0415 - start-up time

    if picture.suffix not in PICTURES:
        raise click.UsageError(f"--picture '{picture}': should end in {' or '.join(PICTURES)}")
    if len(flows) > 1:
        raise click.UsageError("--picture draws one dataflow; add --dataflow os, ws or is")
    array = replace(hardware.array, dataflow=flows[0])
    figure = array_picture(array, gemm, overlapped=hardware.overlapped)
    write_atomically(picture, svg_text(figure) if picture.suffix == ".svg" else png_bytes(figure))


def _hardware(given: dict[str, Any]) -> Hardware:
    """Take what a machine says, and put what was given in its place."""
    from reports.systolic import Hardware, machine_hardware, with_bandwidth  # noqa: PLC0415 - start-up
    from sim.errors import SpecError, did_you_mean  # noqa: PLC0415 - start-up time
    from sim.tpu.array.systolic import Drain  # noqa: PLC0415 - start-up time
    from workloads.trace import DTYPE_BYTES  # noqa: PLC0415 - start-up time

    dtype = given.get("dtype")
    if dtype is not None and dtype not in DTYPE_BYTES:
        raise SpecError(f"no element type is named '{dtype}'{did_you_mean(dtype, DTYPE_BYTES)}")
    if "machine" in given:
        hardware = machine_hardware(given["machine"], dtype)
    else:
        hardware = Hardware(dtype=dtype or Hardware().dtype)
    if "array" in given:
        hardware = replace(hardware, array=_array(given["array"]))
    if "drain" in given:
        drain = Drain(given["drain"])
        hardware = replace(hardware, array=replace(hardware.array, drain=drain))
    if "clock" in given:
        hardware = replace(hardware, clock_hz=_quantity("clock", given["clock"], "frequency"))
    if "overlapped" in given:
        hardware = replace(hardware, overlapped=given["overlapped"])
    if "bandwidth" in given:
        rate = _bandwidth(given["bandwidth"], hardware.clock_hz)
        hardware = with_bandwidth(hardware, rate)
    if "sram" in given:
        if hardware.memory is None:
            raise click.UsageError("--sram needs --bandwidth: without it all operands are on chip")
        hardware = replace(hardware, srams=_srams(given["sram"]))
    return hardware


def _array(text: str) -> ArraySpec:
    from reports.systolic import DEFAULT_ARRAY  # noqa: PLC0415 - start-up time

    rows, _, cols = text.partition("x")
    if not (rows.isdecimal() and cols.isdecimal() and int(rows) and int(cols)):
        raise click.UsageError(f"--array '{text}': write rows x columns, such as 128x128")
    return replace(DEFAULT_ARRAY, rows=int(rows), cols=int(cols))


def _srams(text: str) -> Srams:
    parts = text.split(",")
    if len(parts) not in (1, 3) or not all(p.strip().isdecimal() and int(p) for p in parts):
        raise click.UsageError(f"--sram '{text}': write one size in KiB, or three: A,B,C")
    a, b, c = (1024 * int(part) for part in (parts * 3)[:3])
    return a, b, c


def _bandwidth(text: str, clock_hz: int) -> int:
    """Return bytes a second."""
    if text.strip().isdecimal() and int(text):
        return int(text) * clock_hz
    return _quantity("bandwidth", text, "bandwidth")


def _quantity(option: str, text: str, dimension: str) -> int:
    from sim.units import parse_quantity  # noqa: PLC0415 - start-up time

    try:
        value = parse_quantity(text, dimension)
    except ValueError as error:
        raise click.UsageError(f"--{option}: {error}") from error
    if value < 1:
        raise click.UsageError(f"--{option} '{text}': should be more than nothing")
    return value


def _print(answer: Answer, picture: Path | None) -> None:
    from reports.quantities import si  # noqa: PLC0415 - start-up time

    click.echo(_heading(answer) + "\n")
    hardware = answer.hardware
    header = ["dataflow", "folds", "serial", "overlapped"]
    header += ["with memory", "stalls", "bound by"] if hardware.memory else []
    header += ["utilisation", "mapping"] + (["energy"] if hardware.energy else [])
    rows = [_cells(row) for row in answer.rows]
    click.echo(aligned(header, rows, text=(0,)))
    best = answer.fastest
    seconds = si(best.cycles / hardware.clock_hz, "s")
    click.echo(f"\nFastest: {best.dataflow.value}, {best.cycles:,} cycles, {seconds}")
    if best.mapped:
        click.echo(f"Why: {best.mapped.why}")
    if answer.thriftiest is None:
        click.echo(f"Energy: none, {hardware.no_energy}")
    elif answer.thriftiest.energy is not None:
        parts = sorted(answer.thriftiest.energy.picojoules_by_part.items(), key=lambda p: -p[1])
        shares = ", ".join(f"{name} {si(each * 1e-12, 'J')}" for name, each in parts)
        click.echo(f"Least energy: {answer.thriftiest.dataflow.value} ({shares})")
    if picture is not None:
        click.echo(f"Picture: {picture}")


def _heading(answer: Answer) -> str:
    from reports.quantities import binary_bytes, si  # noqa: PLC0415 - start-up time

    gemm, hardware = answer.gemm, answer.hardware
    array = f"{hardware.array.rows}x{hardware.array.cols}"
    where = f"{hardware.arrays} arrays of {array}" if hardware.arrays > 1 else array
    parts = [f"{gemm.m}x{gemm.n}x{gemm.k} (MxNxK) {hardware.dtype} on {where}"]
    parts += [hardware.name] * bool(hardware.name)
    parts += [
        f"{si(hardware.clock_hz, 'Hz')}, folds {'overlapped' * hardware.overlapped or 'serial'}"
    ]
    rate = hardware.streamed_bytes_per_second
    if rate is not None:
        sizes = zip("ABC", hardware.srams, strict=True)
        rooms = [f"{name} {binary_bytes(size)}" for name, size in sizes if size is not None]
        parts += [f"memory {si(rate, 'B/s')}"]
        parts += [f"SRAM of {', '.join(rooms)}"] * bool(rooms)
    return ", ".join(parts)


def _cells(row: DataflowRow) -> list[str]:
    from reports.quantities import si  # noqa: PLC0415 - start-up time

    cells = [row.dataflow.value, f"{row.schedule.folds:,}"]
    cells += [f"{row.array_cycles(overlapped=way):,}" for way in (False, True)]
    if row.mapped:
        cells += [f"{row.cycles:,}", f"{row.stall_cycles:,}", row.mapped.limited_by]
    cells += [f"{100 * row.utilisation:.1f} %", f"{100 * row.schedule.mapping_efficiency:.1f} %"]
    return cells + ([si(row.energy.picojoules * 1e-12, "J")] if row.energy else [])
