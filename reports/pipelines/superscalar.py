"""Programs on a superscalar core, a program a hardware thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reports.pipelines.look import Cells, Shown, Table, no_watches, printed_line
from sim.cpu.cores import CoreRun, load_core, run_core
from sim.cpu.cores.predictor import Guess
from sim.cpu.cores.views import O3_STAGES, stamped, text_diagram
from sim.cpu.logs import O3Stages, StampedInstruction
from sim.cpu.riscv import assemble_file, execute
from sim.errors import SpecError


@dataclass(frozen=True, slots=True)
class SuperscalarLook:
    """A run on a superscalar core."""

    run: CoreRun

    @classmethod
    def of(
        cls, name: str | Path, programs: Sequence[Path], watched: Sequence[str], limit: int
    ) -> SuperscalarLook:
        """Run RV64 assembly text, a program a hardware thread."""
        no_watches(name, watched)
        executions = (execute(assemble_file(path, xlen=64), limit=limit) for path in programs)
        return cls(run_core(load_core(name), *executions))

    @property
    def title(self) -> str:
        """Of the core."""
        return self.run.spec.title

    @property
    def heading(self) -> str:
        """Title and description of the core."""
        return f"{self.run.spec.title}: {self.run.spec.description}"

    def drawing(self, shown: Shown) -> str:
        """Return fetch, rename, issue, completion and retirement of each instruction."""
        return text_diagram(self.run, first=shown.first, count=shown.rows)

    def tables(self, shown: Shown) -> dict[str, Table]:
        """Return none; SpecError where a cycle is asked for."""
        if shown.at is not None:
            raise SpecError(f"--at is not for '{self.run.spec.name}', which keeps stamps only")
        return {}

    def counts(self) -> dict[str, Any]:
        """Return what the run took, with a list of threads."""
        run, stream = self.run, self.run.stream
        levels = run.spec.memory.levels
        answered = np.bincount(stream.fill_level, minlength=len(levels) + 1)
        begins = stream.groups[:-1]
        controls = run.control_flow
        return {
            "machine": run.spec.name,
            "cycles": run.cycles,
            "retired": run.instructions,
            "instructions per cycle": round(run.ipc, 4),
            "branches and jumps": controls,
            "predicted right": controls - run.mispredicted,
            "targets found at decode": int(np.count_nonzero(stream.guess == Guess.LATE)),
            "fetches": len(begins),
            "fetches that missed": int(np.count_nonzero(stream.fetch_stall[begins])),
            "loads and stores": int(np.count_nonzero(stream.fill >= 0)),
            "lines fetched": {
                place: int(answered[depth])
                for depth, place in enumerate((*(level.name for level in levels), "memory"))
                if depth
            },
            "threads": [
                {
                    "a0": execution.registers[10],
                    "printed": execution.output,
                    "retired": execution.retired,
                    "cycles": stack.total,
                    "busy": stack.busy,
                    "stalls": {str(cause): lost for cause, lost in stack.stalls.items()},
                }
                for execution, stack in zip(run.executions, run.timing.stacks, strict=True)
            ],
        }

    def cells(self) -> Cells:
        """Return the counts as rows, thread by thread where there are several."""
        numbers = self.counts()
        threads = numbers.pop("threads")
        lines = numbers.pop("lines fetched")
        cells = [[key, str(value)] for key, value in numbers.items()]
        cells += [[f"lines fetched from {place}", str(count)] for place, count in lines.items()]
        for number, thread in enumerate(threads):
            whose = f"thread {number}: " if len(threads) > 1 else ""
            shown = ("a0", "retired", "cycles") if whose else ("a0",)
            own = {key: thread[key] for key in shown}
            own["cycles that retired"] = thread["busy"]
            own |= {f"cycles lost: {cause}": lost for cause, lost in thread["stalls"].items()}
            cells += [[f"{whose}{key}", str(value)] for key, value in own.items()]
        return cells

    @property
    def printed(self) -> str:
        """What the programs printed."""
        return "".join(printed_line(execution.output) for execution in self.run.executions)

    def stamped(self) -> list[StampedInstruction]:
        """Return every instruction with its stages."""
        return stamped(self.run)

    def o3_stages(self) -> O3Stages:
        """Return the stages; decoding is fetch's, dispatch is rename's."""
        return O3_STAGES
