"""Run a program on one of the machines."""

from __future__ import annotations

from collections.abc import Mapping

from sim.cpu.dynamic.engine import CYCLE_LIMIT
from sim.cpu.dynamic.flight import DynamicRun
from sim.cpu.dynamic.in_order import InOrder
from sim.cpu.dynamic.scoreboard import Scoreboard
from sim.cpu.dynamic.spec import InOrderSpec, ScoreboardSpec, Spec
from sim.cpu.dynamic.speculative import SpeculativeTomasulo
from sim.cpu.dynamic.tomasulo import Tomasulo
from sim.cpu.riscv.program import Program
from sim.cpu.riscv.registers import NUMBERS, ZERO
from sim.errors import SpecError, did_you_mean


def run_dynamic(
    spec: Spec,
    program: Program,
    registers: Mapping[str, int] | None = None,
    *,
    limit: int = CYCLE_LIMIT,
) -> DynamicRun:
    """Execute a program to its exit call; `registers` are 64-bit patterns that it starts with.

    ExecutionError names the line that cannot be done, or that still runs after `limit` cycles (of
    in-order machines, instructions); SpecError an unknown register.
    """
    start = {_number(name): value for name, value in (registers or {}).items()}
    if isinstance(spec, ScoreboardSpec):
        return Scoreboard(spec, program, start).run(limit)
    if isinstance(spec, InOrderSpec):
        return InOrder(spec, program, start).run(limit)
    engine = SpeculativeTomasulo if spec.technique == "tomasulo-speculative" else Tomasulo
    return engine(spec, program, start).run(limit)


def _number(name: str) -> int:
    if name not in NUMBERS or NUMBERS[name] == ZERO:
        raise SpecError(f"no register '{name}' can be set{did_you_mean(name, NUMBERS)}")
    return NUMBERS[name]
