"""Counts that runs on machines with one thread share."""

from __future__ import annotations

from typing import Any

from reports.pipelines.look import Cells
from sim.cpu.dynamic import DynamicRun
from sim.cpu.pipelines import PipelineRun


def common_counts(run: PipelineRun | DynamicRun) -> dict[str, Any]:
    """Return cycles, instructions, the result register and the lost cycles by cause."""
    return {
        "machine": run.spec.name,
        "cycles": run.cycles,
        "retired": run.retired,
        "cycles per instruction": round(run.cpi, 4),
        "a0": run.machine.registers[10],
        "stalls": {str(cause): lost for cause, lost in run.stack.stalls.items()},
    }


def count_cells(counts: dict[str, Any]) -> Cells:
    """Return counts as rows, the lost cycles last."""
    cells = [[key, str(value)] for key, value in counts.items() if key != "stalls"]
    return cells + [[f"cycles lost: {cause}", str(n)] for cause, n in counts["stalls"].items()]
