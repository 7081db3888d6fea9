"""A program on one of the textbook's dynamically scheduled machines: its tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reports.columns import aligned
from reports.pipelines.counts import common_counts, count_cells
from reports.pipelines.look import Cells, Shown, Table, no_watches, one_program, printed_line
from sim.cpu.dynamic import DynamicRun, load_dynamic, run_dynamic
from sim.cpu.dynamic.status import (
    instruction_status,
    register_status,
    reorder_buffer,
    stamped,
    unit_status,
)
from sim.cpu.logs import O3Stages, StampedInstruction
from sim.cpu.riscv import assemble_file
from sim.errors import SpecError


@dataclass(frozen=True, slots=True)
class DynamicLook:
    """A run on a machine with a scoreboard, reservation stations or long units."""

    run: DynamicRun

    @classmethod
    def of(
        cls, name: str | Path, programs: Sequence[Path], watched: Sequence[str], limit: int
    ) -> DynamicLook:
        """Run one program of the machine's width."""
        no_watches(name, watched)
        spec = load_dynamic(name)
        program = assemble_file(one_program(name, programs), xlen=spec.xlen)
        return cls(run_dynamic(spec, program, limit=limit))

    @property
    def title(self) -> str:
        """Of the machine."""
        return self.run.spec.title

    @property
    def heading(self) -> str:
        """Title and description of the machine."""
        return f"{self.run.spec.title}: {self.run.spec.description}"

    def drawing(self, shown: Shown) -> str:
        """Return the instruction-status table."""
        heading, *rows = self._instructions(shown)
        return aligned(heading, rows, text=(0,)) + "\n"

    def tables(self, shown: Shown) -> dict[str, Table]:
        """Return the state at the end of a cycle: units or stations, registers."""
        if shown.at is None:
            return {}
        tables = {"units": unit_status(self.run, shown.at)}
        if self.run.spec.technique == "tomasulo-speculative":
            tables["reorder buffer"] = reorder_buffer(self.run, shown.at)
        waiting = register_status(self.run, shown.at)
        tables["registers"] = [["register", "waits for"], *(list(row) for row in waiting.items())]
        return tables

    def counts(self) -> dict[str, Any]:
        """Return what the run took, and every instruction's stamps."""
        heading, *rows = instruction_status(self.run)
        status = [dict(zip(heading, row, strict=True)) for row in rows]
        return {**common_counts(self.run), "instructions": status}

    def cells(self) -> Cells:
        """Return the counts as rows."""
        return count_cells(common_counts(self.run))

    @property
    def printed(self) -> str:
        """What the program printed."""
        return printed_line(self.run.machine.output)

    def stamped(self) -> list[StampedInstruction]:
        """Return every instruction with its steps."""
        return stamped(self.run)

    def o3_stages(self) -> O3Stages:
        """Raise SpecError: these machines' steps are not gem5's stages."""
        raise SpecError(
            f"O3PipeView needs gem5's stages; '{self.run.spec.name}' has others: take --kanata"
        )

    def _instructions(self, shown: Shown) -> Table:
        return instruction_status(self.run, first=shown.first, count=shown.rows, at=shown.at)
