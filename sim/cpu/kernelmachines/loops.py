"""How long a kernel's loop takes for any number of iterations, exactly, without walking them all.

The engine of `kernelcores` runs the loop from an empty core until its whole state comes back. Up to
there each iteration's end is known; beyond, the ends repeat with the period that the state proves.
What a loop takes for n iterations is therefore its ramp (how much longer the first ones take) and n
times the steady state, to the cycle what the engine would say after n iterations.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np

from sim.cpu.kernelcores import Kernel, load_core
from sim.cpu.kernelcores import inorder_compiled as in_order
from sim.cpu.kernelcores.body import Body, build_body
from sim.cpu.kernelcores.bounds import bounds_of
from sim.cpu.kernelcores.inorder import InOrderCore, build_in_order
from sim.cpu.kernelcores.ooo import OutOfOrderCore
from sim.cpu.kernelcores.ooo_snapshot import find_period, snapshot_length
from sim.cpu.kernelcores.ooo_state import initial_state
from sim.cpu.kernelcores.program import build_program
from sim.errors import LawViolationError
from sim.stalls import CycleStack, StallCause

SEARCHED_ITERATIONS = 2000
"""Within which a state is to come back."""
COMPARED_SLOTS = 50
"""Micro-ops, in whole iterations and at least one, on which the readable core must say the same."""

core_named = cache(load_core)
"""A core's description, read once."""

CAUSES = {
    "dependencies": StallCause.DATA_DEPENDENCY,
    "in-order issue": StallCause.DATA_DEPENDENCY,
    "ports": StallCause.STRUCTURAL,
    "divider": StallCause.STRUCTURAL,
    "memory": StallCause.STRUCTURAL,
    "scheduling": StallCause.STRUCTURAL,
    "front end": StallCause.CONTROL,
}
"""What a steady state's bottleneck is called in the one vocabulary; of several, the first here."""


@dataclass(frozen=True, slots=True)
class Orbit:
    """A kernel's loop on a core: when each iteration ends, for ever.

    Models: every cycle of the loop's iterations from an empty core to the last retirement.
    Ignores: overlap with what comes before and after the loop, as if its last branch were
    mispredicted; other than first-level hits.
    Source: period search as in uiCA (Abel and Reineke, ICS 2022), with the state as proof.
    """

    ends: tuple[int, ...]
    """Cycles from the start to each iteration's end, as far as simulated."""
    period: int
    """Iterations after which the state is the same."""
    proved: bool
    """Whether it is; else the period is the second half of the simulated iterations."""
    period_cycles: int
    drain_cycles: int
    """From the last iteration's end until all results are there: in order, where an iteration ends
    with its last issue, the longest latency; else 0, since it ends with its last retirement."""
    slots: int
    """Fused micro-ops an iteration; in order: instructions."""
    issue_width: int
    bottleneck: StallCause

    @property
    def steady_cycles(self) -> Fraction:
        """Cycles an iteration once the loop is under way."""
        return Fraction(self.period_cycles, self.period)

    def cycles(self, iterations: int) -> int:
        """Cycles of so many iterations from an empty core; none for none."""
        if iterations == 0:
            return 0
        known = len(self.ends)
        periods = max(0, -(-(iterations - known) // self.period))
        end = self.ends[iterations - 1 - periods * self.period]
        return end + periods * self.period_cycles + self.drain_cycles

    def extrapolated_cycles(self, iterations: int) -> int:
        """How many of those cycles the period stands for."""
        return self.cycles(iterations) - self.cycles(min(iterations, len(self.ends)))

    def stack(self, iterations: int) -> CycleStack:
        """Account for those cycles.

        Busy are as many as the core would need if it issued at its full width; what the steady
        state takes beyond goes to its bottleneck; the rest, the ramp, is fill and drain.
        """
        total = self.cycles(iterations)
        busy = min(total, -(-iterations * self.slots // self.issue_width))
        steady = -(-iterations * self.period_cycles // self.period)
        waits = min(total - busy, max(0, steady - busy))
        ramp = CycleStack(stalls={StallCause.FILL_DRAIN: total - busy - waits})
        return CycleStack(busy=busy, stalls={self.bottleneck: waits}) + ramp


@dataclass(frozen=True, slots=True)
class _Walked:
    """What a search for the period saw."""

    ends: list[int]
    """Cycle of each iteration's end."""
    cycle: int
    """Now."""
    earlier: tuple[int, int] | None
    """Iterations and cycle when the state was the same as now; None if it never was."""


@cache
def orbit_of(kernel: Kernel, core: str, *, once: bool = False) -> Orbit:
    """Run a kernel's loop on a core, by name, until it is known for ever.

    `once`: straight-line code between loops, of which no iteration overlaps another. Raises
    KernelError where the core cannot execute it, and LawViolationError where the readable core
    says other cycles.
    """
    body = build_body(kernel, core_named(core))
    ordered = body.core.order == "in"
    walked = (_in_order if ordered else _out_of_order)(body, 1 if once else SEARCHED_ITERATIONS)
    ends, cycle = walked.ends, walked.cycle
    proved = once or walked.earlier is not None
    if once:
        ends, before, then, cycle = ends[:1], 0, 0, ends[0]
    elif walked.earlier is not None:
        before, then = walked.earlier
    else:
        before = len(ends) // 2
        cycle, then = ends[-1], ends[before - 1]
    _require_same_fidelity(body, ends)
    steady = Fraction(cycle - then, len(ends) - before)
    drain = max(op.latency for op in body.micro_ops) if ordered else 0
    return Orbit(
        ends=tuple(ends),
        period=len(ends) - before,
        proved=proved,
        period_cycles=cycle - then + drain * once,
        drain_cycles=drain,
        slots=body.slots,
        issue_width=body.core.issue_width,
        bottleneck=StallCause.FILL_DRAIN if once else _bottleneck(body, steady),
    )


def _bottleneck(body: Body, steady: Fraction) -> StallCause:
    limits = bounds_of(body).bottleneck(steady, in_order=body.core.order == "in").split(", ")
    return next(cause for name, cause in CAUSES.items() if name in limits)


def _out_of_order(body: Body, iterations: int) -> _Walked:
    program = build_program(body)
    state = initial_state(program)
    marks = np.zeros((iterations, 3), dtype=np.int64)
    rows = np.empty((iterations, snapshot_length(program, state)), dtype=np.int64)
    table = np.full(1 << (2 * iterations).bit_length(), -1, dtype=np.int64)
    done = find_period(program, state, np.zeros((0, 4), dtype=np.int64), (marks, rows, table))
    seen = marks[: done or iterations]
    ended = np.diff(seen[:, 1], prepend=0)
    earlier = None
    if done:
        then, before, _ = marks[seen[-1, 2]].tolist()
        earlier = before, then
    return _Walked(np.repeat(seen[:, 0], ended).tolist(), int(seen[-1, 0]), earlier)


def _in_order(body: Body, iterations: int) -> _Walked:
    code = build_in_order(body)
    state = in_order.initial_in_order(code)
    stamps = np.zeros(0, dtype=np.int64)
    ends: list[int] = []
    seen: dict[bytes, tuple[int, int]] = {}
    earlier = None
    while len(ends) < iterations and earlier is None:
        ends.append(int(in_order.advance_in_order(code, state, stamps, 0)))
        key = in_order.snapshot_in_order(code, state).tobytes()
        earlier = seen.get(key)
        seen[key] = len(ends), ends[-1]
    return _Walked(ends, ends[-1], earlier)


def _require_same_fidelity(body: Body, ends: list[int]) -> None:
    """Raise LawViolationError unless the readable core agrees on the first iterations."""
    count = min(max(1, COMPARED_SLOTS // body.slots), len(ends))
    if body.core.order == "in":
        readable = InOrderCore(build_in_order(body)).run(count)
    else:
        readable = [end + 1 for end in OutOfOrderCore(build_program(body)).run(count)]
    if readable != ends[:count]:
        raise LawViolationError(
            f"{body.kernel.name} on {body.core.name}: the readable core ends iterations at "
            f"{readable}, the compiled one at {ends[:count]}"
        )
