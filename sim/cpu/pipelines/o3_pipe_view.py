"""Export to gem5's O3PipeView trace, which its `o3-pipeview.py` and Konata draw.

Source: gem5, util/o3-pipeview.py and src/cpu/o3/commit.cc.
"""

from __future__ import annotations

from sim.cpu.pipelines.result import PipelineRun
from sim.errors import SpecError

TICKS_PER_CYCLE = 1000
_BEFORE = 0
"""The tick of what never happened."""


def o3_pipe_view(run: PipelineRun) -> str:
    """Return the trace of a run, in order of fetch.

    SpecError for a machine without stages of its own to fetch, execute and write back in.

    Registers have no renaming here: rename is stamped with decode, dispatch with the stage that
    reads registers. A squashed instruction retires at tick 0.
    """
    spec = run.spec
    if not {spec.read_stage, spec.execute_stage, spec.memory_stage} <= set(spec.stages):
        raise SpecError(
            f"{spec.name}: O3PipeView needs stages to decode, execute and access memory"
        )
    fetch, decode, write = spec.stages[0], spec.stages[1], spec.stages[-1]
    lines = []
    for flight in run.flights:
        entered = {stage: (first + 1) * TICKS_PER_CYCLE for stage, first, _ in flight.stamps}
        if fetch not in entered:
            continue
        decoded = entered.get(decode, _BEFORE)
        instruction = flight.instruction
        address = f"0x{instruction.address:08x}"
        lines += [
            f"O3PipeView:fetch:{entered[fetch]}:{address}:0:{flight.number + 1}:{instruction}",
            f"O3PipeView:decode:{decoded}",
            f"O3PipeView:rename:{decoded}",
            f"O3PipeView:dispatch:{entered.get(spec.read_stage, _BEFORE)}",
            f"O3PipeView:issue:{entered.get(spec.execute_stage, _BEFORE)}",
            f"O3PipeView:complete:{entered.get(spec.memory_stage, entered.get(write, _BEFORE))}",
            f"O3PipeView:retire:{entered.get(write, _BEFORE)}:store:0",
        ]
    return "".join(f"{line}\n" for line in lines)
