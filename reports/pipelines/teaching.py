"""A program on a teaching pipeline: its diagram, and registers and memory at every cycle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reports.pipelines.counts import common_counts, count_cells
from reports.pipelines.look import Cells, Shown, Table, one_program, printed_line
from reports.pipelines.watch import Recorder, read_watches
from sim.cpu.logs import O3Stages, StampedInstruction
from sim.cpu.pipelines import PipelineRun, load_pipeline, run_pipeline
from sim.cpu.pipelines.diagram import text_diagram
from sim.cpu.riscv import assemble_file


@dataclass(frozen=True, slots=True)
class TeachingLook:
    """A run on a teaching pipeline."""

    run: PipelineRun
    recorder: Recorder

    @classmethod
    def of(
        cls, name: str | Path, programs: Sequence[Path], watched: Sequence[str], limit: int
    ) -> TeachingLook:
        """Run one RV32 program, and keep what happens to registers and what is watched."""
        spec = load_pipeline(name)
        program = assemble_file(one_program(name, programs), text_base=spec.text_base)
        recorder = Recorder(read_watches(watched, program))
        return cls(run_pipeline(spec, program, limit=limit, observe=recorder), recorder)

    @property
    def title(self) -> str:
        """Of the machine."""
        return self.run.spec.title

    @property
    def heading(self) -> str:
        """Title and description of the machine."""
        return f"{self.run.spec.title}: {self.run.spec.description}"

    def drawing(self, shown: Shown) -> str:
        """Return the textbook's pipeline diagram."""
        return text_diagram(self.run, first=shown.first, count=shown.rows)

    def tables(self, shown: Shown) -> dict[str, Table]:
        """Return the changes of what is watched; stages and registers at the end of a cycle."""
        tables = {}
        if self.recorder.watches:
            tables["watched"] = self.recorder.changes()
        if shown.at is not None:
            tables |= self.recorder.state(shown.at)
        return tables

    def counts(self) -> dict[str, Any]:
        """Return what the run took."""
        counts = common_counts(self.run)
        if self.run.predictions is not None:
            counts["predictions"] = self.run.predictions
            counts["right predictions"] = self.run.correct_predictions
        return counts

    def cells(self) -> Cells:
        """Return the counts as rows."""
        return count_cells(self.counts())

    @property
    def printed(self) -> str:
        """What the program printed."""
        return printed_line(self.run.machine.output)

    def stamped(self) -> list[StampedInstruction]:
        """Return every instruction that entered a stage."""
        return self.run.stamped()

    def o3_stages(self) -> O3Stages:
        """Return the stages by their roles; SpecError for a machine that is not pipelined."""
        return self.run.o3_stages()
