"""Programs on a superscalar core: the answer of `tokenclock pipeline` for the cores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sim.cpu.cores import CoreRun, load_core, run_core
from sim.cpu.cores.predictor import Guess
from sim.cpu.cores.views import text_diagram
from sim.cpu.riscv import assemble_file, execute


def run_programs(name: str, programs: Sequence[Path]) -> CoreRun:
    """Run RV64 assembly text, a program a hardware thread, on a core by its name.

    Raises SpecError for more programs than threads, AssemblyError and ExecutionError for a
    program that is none.
    """
    return run_core(load_core(name), *(execute(assemble_file(path, xlen=64)) for path in programs))


def counts(run: CoreRun) -> dict[str, Any]:
    """Return what a run took, in numbers, with a list of threads."""
    stream = run.stream
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


def text(run: CoreRun, *, first: int, rows: int) -> tuple[str, list[list[str]], str]:
    """Return a run's diagram, its counts as cells, and what the programs printed."""
    numbers = counts(run)
    threads = numbers.pop("threads")
    lines = numbers.pop("lines fetched")
    cells = [[key, str(value)] for key, value in numbers.items()]
    cells += [[f"lines fetched from {place}", str(count)] for place, count in lines.items()]
    for number, thread in enumerate(threads):
        whose = f"thread {number}: " if len(threads) > 1 else ""
        own = {key: thread[key] for key in ("a0", "retired", "cycles")} if whose else {}
        if not whose:
            own = {"a0": thread["a0"]}
        own["cycles that retired"] = thread["busy"]
        own |= {f"cycles lost: {cause}": lost for cause, lost in thread["stalls"].items()}
        cells += [[f"{whose}{key}", str(value)] for key, value in own.items()]
    printed = "".join(f"printed: {thread['printed']}\n" for thread in threads if thread["printed"])
    return text_diagram(run, first=first, count=rows), cells, printed
