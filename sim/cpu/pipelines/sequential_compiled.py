"""The twin of `sequential`: what each executed instruction passes, added up in whole arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sim.cpu.pipelines.decode import Decoded, decode
from sim.cpu.pipelines.sequential import stages_of
from sim.cpu.pipelines.spec import PipelineSpec
from sim.cpu.riscv.machine import Execution
from sim.errors import SpecError

Ints = npt.NDArray[np.int64]

NEVER = -1
"""Entry into a stage that an instruction does not pass."""


def sequential_entries(spec: PipelineSpec, execution: Execution) -> tuple[int, Ints]:
    """Return the cycles of a program, and when each instruction [executed, stages] entered a stage.

    SpecError where the machine does not say which stages an executed instruction passes.
    """
    decoded = decode(execution.program)
    passed = [_passes(spec, one) for one in decoded]
    offsets = np.full((len(decoded), len(spec.stages)), NEVER, dtype=np.int64)
    for row, names in zip(offsets, passed, strict=True):
        for place, name in enumerate(names):
            row[spec.stages.index(name)] = place
    lengths = np.array([len(names) for names in passed], dtype=np.int64)[execution.indices]
    if not lengths.all():
        missing = int(execution.indices[int(np.argmin(lengths))])
        stages_of(spec, decoded[missing])  # says what is missing
        raise SpecError(f"{spec.name}: `visits` has an instruction without stages; give it some")
    begins = np.cumsum(lengths) - lengths
    entries = offsets[execution.indices]
    entries[entries != NEVER] += np.broadcast_to(begins[:, None], entries.shape)[entries != NEVER]
    cycles = int(lengths.sum())
    last = int(execution.indices[-1])
    if decoded[last].is_call and spec.exit_state:
        cycles = int(begins[-1]) + _until_exit(spec, passed[last])
        entries[-1, entries[-1] >= cycles] = NEVER
        entries[-1, spec.stages.index(spec.exit_state)] = cycles
    return cycles, entries


def _passes(spec: PipelineSpec, one: Decoded) -> tuple[str, ...]:
    """Return the stages that an instruction passes, none if the machine does not say."""
    try:
        return stages_of(spec, one)
    except SpecError:
        return ()


def _until_exit(spec: PipelineSpec, passed: tuple[str, ...]) -> int:
    """Return the cycles of the closing call before it ends the program."""
    return passed.index(spec.exit_state) if spec.exit_state in passed else len(passed) - 1
