"""The mix of a trace as JSON, CSV and a chart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from reports.charts.mix import mix_chart
from reports.charts.style import png_bytes, svg_text
from reports.mix import layer_rows, mix_rows, phase_rows
from reports.output import json_text, output_folder
from reports.tables import csv_text
from reports.traced import trace_facts
from workloads.trace import Trace


def mix_content(trace: Trace) -> dict[str, Any]:
    """Return what `tokenclock trace --json` prints: facts, and the mix in three cuts."""
    return {
        "trace": trace_facts(trace),
        "mix": mix_rows(trace),
        "phases": phase_rows(trace),
        "layers": layer_rows(trace),
    }


def csv_of(trace: Trace) -> str:
    """Return one line a phase, run of equal layers and kind; layers stay empty outside them."""
    table = pd.DataFrame(layer_rows(trace))
    whole = ["first_layer", "last_layer"]
    return csv_text(table.astype(dict.fromkeys(whole, "Int64")))


def write_mix(trace: Trace, out: Path) -> None:
    """Write mix.png, .svg, .csv and .json into a folder; OutputError where that cannot be."""
    with output_folder(out) as folder:
        figure = mix_chart(trace)
        (folder / "mix.png").write_bytes(png_bytes(figure))
        (folder / "mix.svg").write_text(svg_text(figure), encoding="utf-8")
        (folder / "mix.csv").write_text(csv_of(trace), encoding="utf-8")
        (folder / "mix.json").write_text(json_text(mix_content(trace)), encoding="utf-8")
