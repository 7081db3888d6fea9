"""Regenerates what the README shows of the code: charts and tables between its markers.

    python -m reports.readme                            # everything the repository itself can make
    python -m reports.readme --data FOLDER              # and the validation, from reference tables

A region begins with `<!-- generated: NAME -->` and ends with `<!-- end -->`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

import click

from reports.charts import CHARTS, draw
from reports.charts.style import fastest_first, svg_text
from reports.compare import Comparison, Request, compare
from reports.fidelity import fidelity_tables
from reports.headline import headline
from reports.output import write_atomically
from reports.quantities import percent, significant
from sim.result import RunResult
from sim.validation import SUITES, validate
from workloads.trace import Phase

README = Path(__file__).parents[1] / "README.md"
GALLERY = Path(__file__).with_name("gallery")

README_CHARTS = ("throughput", "stacks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """A suite that the README shows."""

    suite: str
    folder: str
    """Within the folder of reference tables."""
    made_by: str


VALIDATED = (
    Validated(
        suite="systolic",
        folder="systolic",
        made_by="SCALE-Sim 3.0.0: GEMMs in three dataflows on five arrays",
    ),
    Validated(
        suite="cache",
        folder="cache",
        made_by="pycachesim 0.3.1 and cachegrind 3.19: six address traces, 14 hierarchies",
    ),
    Validated(
        suite="dram",
        folder="dram",
        made_by="Ramulator 2.1: five standards, two mappings, with and without refresh",
    ),
    Validated(
        suite="pipeline",
        folder="pipeline",
        made_by="Ripes and QtRvSim 0.9.8: 16 RV32IM programs on their processors, and diagrams",
    ),
    Validated(
        suite="ooo",
        folder="ooo",
        made_by="LLVM 19.1.7 and uiCA: 24 loops on eleven cores; what only LLVM has, by its model",
    ),
    Validated(
        suite="ooo-measured",
        folder="ooo",
        made_by="the same, all cores as measured: where LLVM's models differ, that is an error",
    ),
    Validated(
        suite="cores",
        folder="cores",
        made_by="rvsim 2.1.0: ten loops on twelve cores, three on one to eight coherent ones",
    ),
    Validated(
        suite="tpu",
        folder="gpu",
        made_by="a TPU v6e: GEMMs and attention inside fused programs, by its profiler",
    ),
    Validated(
        suite="gpu",
        folder="gpu",
        made_by="A100s: GEMM kernels on the device, replayed from graphs, or timed by the host",
    ),
)


def with_region(text: str, name: str, content: str) -> str:
    """Return `text` with the region's content replaced; ValueError where it has no such region."""
    pattern = re.compile(rf"(<!-- generated: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"README has no region '{name}'")
    return pattern.sub(lambda found: f"{found[1]}{content.rstrip()}\n{found[2]}", text)


def comparison_table(comparison: Comparison) -> str:
    """Return the headline and a row a machine, in Markdown."""
    text = f"{comparison.traced.prompt}{comparison.traced.generated}"
    columns = ("Machine", "prefill, tokens/s", "decode, tokens/s", "cycles a token", "bound by", "")
    rows = [
        f"`{comparison.command}` writes",
        "",
        *(f"> {line}" for line in text.split("\n")),
        "",
        headline(comparison.results),
        "",
        f"| {' | '.join(columns)} |",
        "|---|---:|---:|---:|---|---:|",
        *(_row(result) for result in fastest_first(comparison.results)),
    ]
    return "\n".join(rows)


def _row(result: RunResult) -> str:
    prefill, decode = result.phase(Phase.PREFILL), result.phase(Phase.DECODE)
    assert prefill is not None  # noqa: S101 - every trace has a prefill
    assert decode is not None  # noqa: S101 - the demonstration generates more than one token
    return (
        f"| `{result.machine}` | {significant(prefill.tokens_per_second)} "
        f"| {significant(decode.tokens_per_second)} | {significant(decode.cycles_per_token)} "
        f"| {decode.binds} | {percent(decode.bound_share)} |"
    )


def validation_table(data: Path) -> str:
    """Return one row a suite, from a run on the tables in `data`."""
    columns = (
        "Suite",
        "reference",
        "compared",
        "rows",
        "ok",
        "left out",
        "median error",
        "mean error",
        "rule",
    )
    rows = [f"| {' | '.join(columns)} |", "|---|---|---|---:|---:|---:|---:|---:|---|"]
    for shown in VALIDATED:
        report = validate(shown.suite, data / shown.folder)
        cells = (
            f"`{shown.suite}`",
            shown.made_by,
            report.quantity,
            str(len(report.rows)),
            str(sum(row.status == "ok" for row in report.rows)),
            str(report.left_out),
            f"{median(report.errors):.1%}",
            f"{fmean(report.errors):.1%}",
            SUITES[shown.suite].bound,
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def chart_links() -> str:
    """Return the README's pictures."""
    return "\n".join(
        f"![{CHARTS[name].title}: {CHARTS[name].caption}](reports/gallery/{name}.svg)"
        for name in README_CHARTS
    )


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), help="Reference tables.")
def main(data: Path | None) -> None:
    """Rewrite the README's generated regions and the charts it shows."""
    comparison = compare(Request())
    GALLERY.mkdir(exist_ok=True)
    for name in README_CHARTS:
        figure = draw(CHARTS[name], comparison.results)
        write_atomically(GALLERY / f"{name}.svg", svg_text(figure))
    text = README.read_text(encoding="utf-8")
    text = with_region(text, "chart", chart_links())
    text = with_region(text, "comparison", comparison_table(comparison))
    text = with_region(text, "fidelity", fidelity_tables())
    if data is not None:
        text = with_region(text, "validation", validation_table(data))
    write_atomically(README, text)


if __name__ == "__main__":
    main()
