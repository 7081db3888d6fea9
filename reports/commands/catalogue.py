"""`tokenclock machines` and `show`: what there is, and where its numbers come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from reports.columns import aligned
from reports.commands.console import json_option
from sim.errors import did_you_mean

if TYPE_CHECKING:
    from sim.lowering import MachineModel

_COMMON_DTYPES = ("float32", "float16", "bfloat16")


@click.command(epilog="\b\nExamples:\n  tokenclock machines\n  tokenclock machines --json")
@json_option
def machines(*, as_json: bool) -> None:
    """List the machines that come with the package."""
    from reports.output import json_text  # noqa: PLC0415 - start-up time
    from reports.quantities import binary_bytes, si  # noqa: PLC0415 - start-up time
    from sim.machine import load_machine, machine_names  # noqa: PLC0415 - start-up time

    known = [load_machine(name) for name in machine_names()]
    if as_json:
        click.echo(json_text([_machine_facts(machine) for machine in known]), nl=False)
        return
    rows = [
        [
            machine.spec.name,
            machine.spec.kind,
            *(_peak(machine, dtype) for dtype in _COMMON_DTYPES),
            si(machine.peaks().memory_bytes_per_second, "B/s"),
            binary_bytes(machine.spec.memory.capacity_bytes),
            machine.spec.title,
        ]
        for machine in known
    ]
    header = ("name", "kind", *_COMMON_DTYPES, "memory", "capacity", "title")
    click.echo(aligned(header, rows, text=(0, 1, len(header) - 1)))


@click.command(
    epilog="""\b
Examples:
  tokenclock show gpu-a100-sxm-80gb
  tokenclock show my-chip.yaml --json
  tokenclock show llama2-7b"""
)
@click.argument("name")
@json_option
def show(*, name: str, as_json: bool) -> None:
    """Show a machine's peaks and the source of every number, or a model's sizes and weights.

    NAME is a machine's or a model's, a YAML file of a machine, or the config.json of a model.
    """
    from reports.commands.models import print_model  # noqa: PLC0415 - start-up time
    from reports.output import json_text  # noqa: PLC0415 - start-up time
    from sim.machine import load_machine, machine_file, machine_names  # noqa: PLC0415 - as above
    from workloads import model_names  # noqa: PLC0415 - as above

    if name.endswith(".json") or name in model_names():
        print_model(name, as_json=as_json)
        return
    if name not in machine_names() and not name.endswith((".yaml", ".yml")):
        hint = did_you_mean(name, (*machine_names(), *model_names()))
        raise click.UsageError(f"no machine or model is named '{name}'{hint}")
    machine = load_machine(name)
    facts = _machine_facts(machine)
    facts["numbers"] = [
        {"key": entry.key, "value": entry.value, "source": entry.source, "note": entry.note}
        for entry in machine_file(name).provenance
    ]
    if as_json:
        click.echo(json_text(facts), nl=False)
    else:
        _print(facts)


def _machine_facts(machine: MachineModel) -> dict[str, Any]:
    spec, peaks = machine.spec, machine.peaks()
    return {
        "name": spec.name,
        "title": spec.title,
        "family": spec.family,
        "kind": spec.kind,
        "description": spec.description,
        "clock_hz": spec.clock_hz,
        "matmul_flops_per_second": dict(peaks.matmul_flops_per_second),
        "ridge_flops_per_byte": {
            dtype: peaks.ridge_flops_per_byte(dtype) for dtype in peaks.matmul_flops_per_second
        },
        "vector_flops_per_second": peaks.vector_flops_per_second,
        "memory_bytes_per_second": peaks.memory_bytes_per_second,
        "memory_kind": spec.memory.kind,
        "memory_capacity_bytes": spec.memory.capacity_bytes,
        "on_chip_bytes": peaks.on_chip_bytes,
        "levels": [
            {
                "name": level.name,
                "capacity_bytes": level.capacity_bytes,
                "bandwidth_bytes_per_second": level.bandwidth_bytes_per_second,
            }
            for level in machine.memory_levels()
        ],
    }


def _print(facts: dict[str, Any]) -> None:
    from reports.quantities import binary_bytes, si, significant  # noqa: PLC0415 - start-up time

    click.echo(f"{facts['name']}: {facts['title']} ({facts['kind']}, {facts['family']})")
    click.echo(" ".join(facts["description"].split()) + "\n")
    rows = [
        [
            dtype,
            si(flops, "FLOP/s"),
            f"{significant(facts['ridge_flops_per_byte'][dtype])} FLOP/byte",
        ]
        for dtype, flops in facts["matmul_flops_per_second"].items()
    ]
    click.echo(aligned(("matrix products", "peak", "ridge point"), rows, text=(0,)))
    vector = si(facts["vector_flops_per_second"], "FLOP/s")
    click.echo(f"\nvector arithmetic {vector}, clock {si(facts['clock_hz'], 'Hz')}\n")
    levels = [
        [
            level["name"],
            binary_bytes(level["capacity_bytes"]),
            si(level["bandwidth_bytes_per_second"], "B/s"),
        ]
        for level in facts["levels"]
    ]
    click.echo(aligned(("memory level", "capacity", "bandwidth"), levels, text=(0,)))
    click.echo("\nWhere each number comes from:")
    sources = list(dict.fromkeys(entry["source"] for entry in facts["numbers"]))
    rows = [
        [key, values, f"[{sources.index(source) + 1}]", note]
        for key, values, source, note in _gathered(facts["numbers"])
    ]
    click.echo(aligned(("key", "value", "source", "note"), rows, text=(0, 1, 2, 3)))
    click.echo()
    for number, source in enumerate(sources, start=1):
        click.echo(f"[{number}] {source}")


def _gathered(numbers: list[dict[str, str]]) -> list[tuple[str, str, str, str]]:
    """Return (key, value, source, note); the numbers of one list item share a line."""
    lines: dict[tuple[str, str, str], list[str]] = {}
    for entry in numbers:
        parent, _, name = entry["key"].rpartition(".")
        in_list = parent.rpartition(".")[2].isdigit()
        key = (parent if in_list else entry["key"], entry["source"], entry["note"])
        value = f"{name} {entry['value']}" if in_list else entry["value"]
        lines.setdefault(key, []).append(value)
    return [(key, ", ".join(values), source, note) for (key, source, note), values in lines.items()]


def _peak(machine: MachineModel, dtype: str) -> str:
    from reports.quantities import si  # noqa: PLC0415 - start-up time

    flops = machine.peaks().matmul_flops_per_second.get(dtype)
    return "-" if flops is None else si(flops, "FLOP/s")
