"""Where an in-order pipeline's cycles went: the CPI stack, from each instruction's stamps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from sim.cpu.inorder_rules import PipelineRules, Step, users_before
from sim.stalls import CycleStack, StallCause

START, DONE, LEAVE = range(3)

Stamps = npt.NDArray[np.int64]
"""[steps, stages, 3]: start, done and leave of each step in each stage, in cycles."""


def account(steps: Sequence[Step], stamps: Stamps, rules: PipelineRules) -> CycleStack:
    """Return the CPI stack: in each cycle WB retires something, or has a bubble with one cause.

    Bubbles in front of a step come from its own delays; of several, the one nearest to WB counts
    first, since an earlier one may have been hidden behind older instructions.
    """
    stalls: dict[StallCause, int] = dict.fromkeys(StallCause, 0)
    users = users_before(steps)
    for number in range(len(steps)):
        bubbles = int(stamps[number, rules.write, START])
        if number:
            bubbles = max(0, bubbles - int(stamps[number - 1, rules.write, LEAVE]))
        for cause, cycles in _delays(steps, stamps, rules, number, users[number]):
            taken = min(bubbles, cycles)
            stalls[cause] += taken
            bubbles -= taken
        stalls[StallCause.FILL_DRAIN] += bubbles
    total = int(stamps[-1, rules.write, LEAVE]) if len(steps) else 0
    return CycleStack(busy=total - sum(stalls.values()), stalls=stalls)


def _delays(
    steps: Sequence[Step], stamps: Stamps, rules: PipelineRules, number: int, user: int | None
) -> Iterator[tuple[StallCause, int]]:
    """Yield a step's own delays, from MEM back to IF."""
    step, own, issue = steps[number], stamps[number], rules.issue
    yield step.missed_to, step.miss_cycles
    if step.accesses_memory:
        yield StallCause.STRUCTURAL, step.busy_cycles - 1
    nothing = np.zeros(own.shape, dtype=np.int64)
    before = stamps[number - 1] if number else nothing
    place = stamps[number - rules.issue_width] if number >= rules.issue_width else nothing
    could_leave = max(
        int(own[issue, DONE]), int(place[issue + 1, LEAVE]), int(before[issue, LEAVE])
    )
    unit_free = 0
    if user is not None:
        unit_free = int(stamps[user, issue, LEAVE]) + steps[user].unit_cycles
    could_issue = max(could_leave, unit_free)
    yield StallCause.DATA_DEPENDENCY, int(own[issue, LEAVE]) - could_issue
    could_start = max(int(place[0, LEAVE]), int(before[0, START]))
    redirected = could_start
    if number and steps[number - 1].taken:
        redirected = max(could_start, int(before[rules.resolve, DONE]))
    port = int(own[0, START]) - redirected
    yield StallCause.STRUCTURAL, could_issue - could_leave + port
    yield StallCause.CONTROL, redirected - could_start
