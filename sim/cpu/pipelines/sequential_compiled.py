"""The twin of `sequential`: what each executed instruction passes, added up in whole arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sim.cpu.pipelines.decode import decode
from sim.cpu.pipelines.sequential import stages_of
from sim.cpu.pipelines.spec import PipelineSpec
from sim.cpu.riscv.machine import Execution

Ints = npt.NDArray[np.int64]

NEVER = -1
"""Entry into a stage that an instruction does not pass."""


def sequential_run(
    spec: PipelineSpec, execution: Execution, *, stamps: bool = False
) -> tuple[int, Ints]:
    """Return the cycles of a program, and when each instruction [executed, stages] entered a stage.

    Entries are left empty unless asked for. SpecError where the machine does not say which stages
    an executed instruction passes.
    """
    program, executed = execution.program, execution.indices
    decoded = decode(program, vectors=True)
    counts = np.bincount(executed, minlength=len(decoded))
    passed = [stages_of(spec, program, one) if counts[n] else () for n, one in enumerate(decoded)]
    lengths = np.array([len(names) for names in passed], dtype=np.int64)
    last = int(executed[-1])
    before = int(counts @ lengths) - len(passed[last])
    closes = decoded[last].is_call and bool(spec.exit_state)
    cycles = before + (_until_exit(spec, passed[last]) if closes else len(passed[last]))
    if not stamps:
        return cycles, np.zeros((0, len(spec.stages)), dtype=np.int64)
    offsets = np.full((len(decoded), len(spec.stages)), NEVER, dtype=np.int64)
    for row, names in zip(offsets, passed, strict=True):
        for place, name in enumerate(names):
            row[spec.stages.index(name)] = place
    taken = lengths[executed]
    begins = (np.cumsum(taken) - taken)[:, None]
    entries = np.where(offsets[executed] == NEVER, NEVER, offsets[executed] + begins)
    if closes:
        entries[-1, entries[-1] >= cycles] = NEVER
        entries[-1, spec.stages.index(spec.exit_state)] = cycles
    return cycles, entries


def _until_exit(spec: PipelineSpec, passed: tuple[str, ...]) -> int:
    """Return the cycles of the closing call before it ends the program."""
    return passed.index(spec.exit_state) if spec.exit_state in passed else len(passed) - 1
