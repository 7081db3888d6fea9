"""The main job: one prompt, one model, every machine, and what came of it as files.

The files: generated.txt, comparison.csv, comparison.json, trace.json.gz, index.html, and the charts
throughput, stacks and roofline as .png and .svg.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

from reports import tables
from reports.charts import CHARTS, draw
from reports.charts.style import png_bytes, svg_text
from reports.energy import MachineEnergy, machine_energy, why_none
from reports.headline import headline
from reports.output import json_text
from reports.page import render_page
from reports.tables import Failure
from reports.traced import Traced, Workload, run_workload, trace_facts
from sim.errors import TokenclockError
from sim.machine import load_machine
from sim.pipeline import Engine
from sim.result import RunResult
from sim.run import run

DEFAULT_MACHINES = (
    "cpu-5stage",
    "cpu-harvard",
    "cpu-simd-8core",
    "cpu-von-neumann",
    "gpu-a100-sxm-80gb",
    "tpu-v3-core",
)
"""Compared where none is named; toys and other generations of a chip run only when named."""

Progress = Callable[[int, int, str], None]
"""Called with work done, work in all, and what is being done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to compare."""

    workload: Workload = field(default_factory=Workload)
    machines: tuple[str, ...] = ()
    """Names or paths; empty for one of each kind."""
    engine: Engine = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One trace on several machines."""

    request: Request
    traced: Traced
    results: tuple[RunResult, ...]
    energies: tuple[MachineEnergy, ...]
    """Of the results, in their order."""
    failures: tuple[Failure, ...]

    @property
    def command(self) -> str:
        """The command line that repeats it."""
        request = self.request
        machines = [word for name in request.machines for word in ("--machine", name)]
        engine = ["--engine", request.engine] if request.engine != "auto" else []
        workload = self.traced.workload
        return shlex.join(["tokenclock", "compare", *workload.options, *machines, *engine])

    @property
    def summary(self) -> pd.DataFrame:
        """The summary table with energy."""
        return tables.with_energy(tables.summary(self.results), self.results, self.energies)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the headline, the trace's facts, and every table."""
        shown = {name: table(self.results) for name, table in tables.TABLES.items()}
        shown |= {"summary": self.summary, "energy": tables.energy(self.energies)}
        return {
            "tokenclock": tokenclock_version(),
            "headline": headline(self.results),
            "command": self.command,
            "prompt": self.traced.prompt,
            "generated": self.traced.generated,
            "trace": trace_facts(self.traced.trace),
            "failures": [{"machine": f.machine, "reason": f.reason} for f in self.failures],
            "no_energy": why_none(self.energies),
            "tables": {name: tables.records(table) for name, table in shown.items()},
        }


def tokenclock_version() -> str:
    """Return the installed version, or say that the sources run as they lie."""
    try:
        return version("tokenclock")
    except PackageNotFoundError:
        return "not installed: run from its sources"


def default_machines() -> tuple[str, ...]:
    """One of each kind that comes with the package; generations of a chip are asked for by name."""
    return DEFAULT_MACHINES


def compare(request: Request, *, progress: Progress | None = None) -> Comparison:
    """Generate, then run the trace on every machine.

    Machines that cannot run it become failures. Raises TokenclockError where none can or a machine
    does not exist, ModelError where the model cannot do what is asked.
    """
    machines = [load_machine(name) for name in request.machines or default_machines()]
    traced = run_workload(request.workload)
    results: list[RunResult] = []
    energies: list[MachineEnergy] = []
    failures: list[Failure] = []
    for number, machine in enumerate(machines):
        report = _part_of(progress, number, len(machines), machine.spec.title)
        try:
            result = run(traced.trace, machine, engine=request.engine, progress=report)
        except TokenclockError as error:
            failures.append(Failure(machine=machine.spec.name, reason=str(error)))
            continue
        results.append(result)
        energies.append(machine_energy(result, machine.spec))
    if not results:
        raise TokenclockError(f"no machine can run this: {failures[0].reason}")
    return Comparison(
        request=request,
        traced=traced,
        results=tuple(results),
        energies=tuple(energies),
        failures=tuple(failures),
    )


def write_comparison(comparison: Comparison, folder: Path) -> None:
    """Write every file of the module's list into a folder that exists."""
    results, traced = comparison.results, comparison.traced
    figures = {name: draw(chart, results) for name, chart in CHARTS.items()}
    for name, figure in figures.items():
        (folder / f"{name}.png").write_bytes(png_bytes(figure))
        (folder / f"{name}.svg").write_text(svg_text(figure), encoding="utf-8")
    text = f"{traced.prompt}{traced.generated}" or "(traced by shape: no text)"
    (folder / "generated.txt").write_text(text + "\n", encoding="utf-8")
    table = tables.with_failures(comparison.summary, comparison.failures)
    (folder / "comparison.csv").write_text(tables.csv_text(table), encoding="utf-8")
    content = comparison.as_dict()
    (folder / "comparison.json").write_text(json_text(content), encoding="utf-8")
    traced.trace.save(folder / "trace.json.gz")
    svgs = {name: svg_text(figure, for_page=True) for name, figure in figures.items()}
    page = render_page(content, results, comparison.energies, svgs)
    (folder / "index.html").write_text(page, encoding="utf-8")


def _part_of(
    progress: Progress | None, number: int, machines: int, what: str
) -> Callable[[int, int], None] | None:
    """Report one machine's steps as that part of all machines' steps."""
    if progress is None:
        return None
    return lambda done, steps: progress(number * steps + done, machines * steps, what)
