"""Runs a kernel on a core until its steady state is proved, and says what limits it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from sim.cpu.kernelcores import inorder_compiled
from sim.cpu.kernelcores.body import Body, build_body
from sim.cpu.kernelcores.bounds import Bounds, bounds_of
from sim.cpu.kernelcores.inorder import build_in_order
from sim.cpu.kernelcores.ooo_snapshot import find_period, snapshot_length
from sim.cpu.kernelcores.ooo_state import initial_state
from sim.cpu.kernelcores.program import Ints, build_program
from sim.cpu.kernelcores.spec import CoreSpec
from sim.cpu.kernelcores.text import Kernel
from sim.cpu.logs import StageStamp, StampedInstruction
from sim.errors import LawViolationError

SEARCHED_ITERATIONS = 6000
"""How long a period is looked for."""
TABLE_PLACES = 16384
"""Of a table of states by hash: a power of two, more than `SEARCHED_ITERATIONS`."""
SHOWN_ITERATIONS = 3
"""Of which every micro-op's cycles are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """When one micro-op passed each point, in cycles; in order, only issue and completion."""

    iteration: int
    line: int
    text: str
    renamed: int
    issued: int
    complete: int
    retired: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelResult:
    """A kernel's steady state on a core."""

    kernel: str
    core: str
    cycles_per_iteration: Fraction
    instructions_per_iteration: int
    slots_per_iteration: int
    """Fused micro-ops."""
    micro_ops_per_iteration: int
    proved: bool
    """Whether the machine's state came back; else the cycles are a difference over half of the run.
    """
    period_iterations: int
    """After which the state is the same again; of the difference where it is not proved."""
    simulated_iterations: int
    bounds: Bounds
    bottleneck: str
    pressure: tuple[tuple[str, Fraction], ...]
    """Cycles an iteration in which each unit is taken, micro-ops spread evenly over their units."""
    stamps: tuple[Stamp, ...]

    @property
    def instructions_per_cycle(self) -> float:
        """Retired instructions a cycle."""
        return float(self.instructions_per_iteration / self.cycles_per_iteration)

    def stamped(self) -> list[StampedInstruction]:
        """Return the shown micro-ops, as `sim.cpu.logs` exports them."""
        return [
            StampedInstruction(
                number=number,
                text=f"line {stamp.line}: {stamp.text}",
                stamps=tuple(stay for stay in _stays(stamp) if stay.last >= stay.first),
            )
            for number, stamp in enumerate(self.stamps)
        ]


def _stays(stamp: Stamp) -> tuple[StageStamp, ...]:
    """Return the stays between a micro-op's points; those of no length too."""
    return (
        StageStamp("wait", stamp.renamed, stamp.issued - 1),
        StageStamp("execute", stamp.issued, stamp.complete - 1),
        StageStamp("retire", stamp.complete, stamp.retired),
    )


def run_kernel(kernel: Kernel, core: CoreSpec, *, operands_from: str = "l1") -> KernelResult:
    """Simulate a kernel to its steady state.

    The core is simulated with all operands in L1. Where they come from a level further out, the
    loop takes at least the cycles in which that level delivers their bytes.

    Raises KernelError where the core cannot execute it, and LawViolationError where the result
    is below a bound.
    """
    body = build_body(kernel, core)
    run = _out_of_order if core.order == "out" else _in_order
    (cycles, period, simulated, proved), stamps = run(body)
    bounds = bounds_of(body, operands_from)
    limit = max(bounds.ports, bounds.dependencies, Fraction(body.slots, core.issue_width))
    if proved and cycles < limit:
        raise LawViolationError(f"{kernel.name} on {core.name}: {cycles} cycles, at least {limit}")
    cycles = max(cycles, bounds.bandwidth)
    return KernelResult(
        kernel=kernel.name,
        core=core.name,
        cycles_per_iteration=cycles,
        instructions_per_iteration=len(kernel.instructions),
        slots_per_iteration=body.slots,
        micro_ops_per_iteration=len(body.micro_ops),
        proved=proved,
        period_iterations=period,
        simulated_iterations=simulated,
        bounds=bounds,
        bottleneck=bounds.bottleneck(cycles, in_order=core.order == "in"),
        pressure=_pressure(body),
        stamps=_stamps(body, stamps),
    )


Step = Callable[[], tuple[int, int, bytes]]
"""Runs one more iteration: cycle, iterations done by then, state."""
Steady = tuple[Fraction, int, int, bool]
"""Cycles an iteration, the period, iterations simulated, whether it is proved."""


def _steady(step: Step) -> Steady:
    """Run until a state comes back."""
    seen: dict[bytes, int] = {}
    marks: list[tuple[int, int]] = []
    for done in range(SEARCHED_ITERATIONS):
        cycle, iteration, state = step()
        if state in seen:
            then, before = marks[seen[state]]
            return Fraction(cycle - then, iteration - before), iteration - before, done + 1, True
        seen[state] = done
        marks.append((cycle, iteration))
    return _unproved(marks)


def _unproved(marks: Sequence[Sequence[int]]) -> Steady:
    """Take the difference over the second half of cycles and iterations done by then."""
    (then, before), (cycle, iteration) = marks[len(marks) // 2], marks[-1]
    return Fraction(cycle - then, iteration - before), iteration - before, len(marks), False


def _out_of_order(body: Body) -> tuple[Steady, Ints]:
    program = build_program(body)
    state = initial_state(program)
    stamps = np.zeros((SHOWN_ITERATIONS * len(program.latency), 4), dtype=np.int64)
    marks = np.zeros((SEARCHED_ITERATIONS, 3), dtype=np.int64)
    rows = np.empty((SEARCHED_ITERATIONS, snapshot_length(program, state)), dtype=np.int64)
    table = np.full(TABLE_PLACES, -1, dtype=np.int64)
    done = find_period(program, state, stamps, (marks, rows, table))
    if not done:
        return _unproved(marks[:, :2].tolist()), stamps
    then, before, _ = marks[marks[done - 1, 2]].tolist()
    cycle, iteration, _ = marks[done - 1].tolist()
    period = iteration - before
    return (Fraction(cycle - then, period), period, done, True), stamps


def _in_order(body: Body) -> tuple[Steady, Ints]:
    code = build_in_order(body)
    state = inorder_compiled.initial_in_order(code)
    count = len(body.kernel.instructions)
    issued = np.zeros(SHOWN_ITERATIONS * count, dtype=np.int64)
    stamps = np.zeros((SHOWN_ITERATIONS * len(body.micro_ops), 4), dtype=np.int64)
    done = 0

    def step() -> tuple[int, int, bytes]:
        nonlocal done
        cycle = inorder_compiled.advance_in_order(code, state, issued, done)
        if done < SHOWN_ITERATIONS:
            for at, op in enumerate(body.micro_ops):
                start = int(issued[done * count + op.instruction])
                row = (start, start, start + op.latency, start + op.latency)
                stamps[done * len(body.micro_ops) + at] = row
        done += 1
        return int(cycle), done, inorder_compiled.snapshot_in_order(code, state).tobytes()

    return _steady(step), stamps


def _pressure(body: Body) -> tuple[tuple[str, Fraction], ...]:
    core = body.core
    load = dict.fromkeys((*core.ports, *core.dividers, *core.tile_units), Fraction(0))
    for op in body.micro_ops:
        for need in op.needs:
            for unit in need.units:
                load[unit] += Fraction(need.cycles, len(need.units))
    return tuple(load.items())


def _stamps(body: Body, rows: Ints) -> tuple[Stamp, ...]:
    count = len(body.micro_ops)
    result: list[Stamp] = []
    for at, (renamed, issued, complete, retired) in enumerate(rows.tolist()):
        iteration, op = divmod(at, count)
        line = body.kernel.instructions[body.micro_ops[op].instruction]
        if retired >= renamed and complete:
            result.append(
                Stamp(
                    iteration=iteration,
                    line=line.line,
                    text=line.text,
                    renamed=renamed,
                    issued=issued,
                    complete=complete,
                    retired=retired,
                )
            )
    return tuple(result)
