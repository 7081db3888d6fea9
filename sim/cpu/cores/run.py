"""Programs on superscalar cores: the one call, readable or compiled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.cpu.cores.compiled import run_compiled
from sim.cpu.cores.engine import SuperscalarCore
from sim.cpu.cores.spec import CoreSpec
from sim.cpu.cores.stream import Engine, Stream, make_stream
from sim.cpu.cores.timing import Timing
from sim.cpu.riscv.machine import Execution
from sim.errors import LawViolationError


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreRun:
    """A whole run on one core."""

    spec: CoreSpec
    executions: tuple[Execution, ...]
    """One a hardware thread."""
    stream: Stream
    timing: Timing

    @property
    def cycles(self) -> int:
        """Until the last instruction had retired."""
        return self.timing.stack.total

    @property
    def instructions(self) -> int:
        """Retired."""
        return len(self.stream)

    @property
    def ipc(self) -> float:
        """Instructions retired a cycle."""
        return self.instructions / self.cycles

    @property
    def mispredicted(self) -> int:
        """Branches and jumps guessed wrong."""
        return self.stream.mispredicted

    @property
    def control_flow(self) -> int:
        """Branches and jumps retired."""
        return sum(
            int(
                np.array([i.operation.transfers_control for i in execution.program.instructions])[
                    execution.indices
                ].sum()
            )
            for execution in self.executions
        )


def run_core(
    spec: CoreSpec,
    *executions: Execution,
    engine: Engine = "compiled",
    stream: Stream | None = None,
) -> CoreRun:
    """Time the retired instructions of a run, or of one a hardware thread, on a core.

    Both engines give the same cycles. `stream` is what `make_stream` gave for the same core and
    runs, where it is known already. Raises SpecError for more runs than the core has threads, and
    LawViolationError for a result that cannot be.
    """
    stream = make_stream(spec, *executions, engine=engine) if stream is None else stream
    timing = (
        run_compiled(spec, stream) if engine == "compiled" else SuperscalarCore(spec, stream).run()
    )
    run = CoreRun(spec=spec, executions=executions, stream=stream, timing=timing)
    if run.instructions > spec.width * run.cycles:
        raise LawViolationError(f"{spec.name}: {run.ipc:.3f} instructions a cycle retired")
    return run
