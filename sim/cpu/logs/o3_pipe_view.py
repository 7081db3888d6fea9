"""Export to gem5's O3PipeView trace, which its `o3-pipeview.py` and Konata draw.

Source: gem5, util/o3-pipeview.py and src/cpu/o3/commit.cc.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass

from sim.cpu.logs.stamps import StampedInstruction

TICKS_PER_CYCLE = 1000
_BEFORE = 0
"""The tick of what never happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class O3Stages:
    """Which of a core's stages stands for each of gem5's."""

    fetch: str
    decode: str
    rename: str
    dispatch: str
    issue: str
    complete: str
    retire: str


def o3_pipe_view(instructions: Iterable[StampedInstruction], stages: O3Stages) -> str:
    """Return the trace, in order of fetch.

    Each time is when the stage was entered; a stage without a cycle of its own has the next one's.
    What an instruction never reached, and the retirement of one that was squashed, is at tick 0.
    """
    lines = []
    for each in instructions:
        entered = {stage: (first + 1) * TICKS_PER_CYCLE for stage, first, _ in each.stamps}
        if stages.fetch not in entered:
            continue
        times = [entered.get(stage, _BEFORE) for stage in astuple(stages)]
        for place in range(len(times) - 2, -1, -1):  # passed through on the way to the next
            times[place] = times[place] or times[place + 1]
        fetched, decoded, renamed, dispatched, issued, completed, retired = times
        lines += [
            f"O3PipeView:fetch:{fetched}:0x{each.address or 0:08x}:0:{each.number + 1}:{each.text}",
            f"O3PipeView:decode:{decoded}",
            f"O3PipeView:rename:{renamed}",
            f"O3PipeView:dispatch:{dispatched}",
            f"O3PipeView:issue:{issued}",
            f"O3PipeView:complete:{completed}",
            f"O3PipeView:retire:{retired if each.retired else _BEFORE}:store:0",
        ]
    return "".join(f"{line}\n" for line in lines)
