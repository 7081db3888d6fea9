"""The files of `tokenclock memory`: tables, and the charts of misses."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pandas as pd
from matplotlib import rc_context

from reports import tables
from reports.charts.miss_ratio import miss_ratio
from reports.charts.misses import misses
from reports.charts.style import RC, png_bytes, svg_text
from reports.memory_rows import MemoryAnswer
from reports.output import json_text

CHARTS = {"miss-ratio": miss_ratio, "misses": misses}


def level_table(answer: MemoryAnswer) -> pd.DataFrame:
    """One row a cache."""
    return pd.DataFrame([asdict(row) for row in answer.levels])


def curve_table(answer: MemoryAnswer) -> pd.DataFrame:
    """One row a size, one column for each kind of data."""
    table = pd.DataFrame({"size_bytes": answer.curves[0].sizes_bytes})
    for curve in answer.curves:
        table[curve.role] = curve.ratios
    return table


def write_memory(answer: MemoryAnswer, folder: Path) -> None:
    """Write memory.json, memory.csv, miss-ratio.csv and two charts into a folder that exists."""
    (folder / "memory.json").write_text(json_text(answer.as_dict()), encoding="utf-8")
    for name, table in (("memory", level_table(answer)), ("miss-ratio", curve_table(answer))):
        (folder / f"{name}.csv").write_text(tables.csv_text(table), encoding="utf-8")
    for name, draw in CHARTS.items():
        with rc_context(RC):
            figure = draw(answer)
        (folder / f"{name}.png").write_bytes(png_bytes(figure))
        (folder / f"{name}.svg").write_text(svg_text(figure), encoding="utf-8")
