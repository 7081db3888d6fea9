"""Which two neighbours a dual-issue machine starts together."""

from __future__ import annotations

from sim.cpu.pipelines.result import Flight
from sim.cpu.riscv.operation import Kind


def may_pair(first: Flight, second: Flight) -> bool:
    """Whether two instructions go on in the same cycle.

    Not when the first transfers control, when both access memory (one port) or either is an
    environment call, nor when one reads what the other writes: after Ripes' dual-issue machine.
    """
    one, two = first.instruction, second.instruction
    if one.operation.transfers_control:
        return False
    if one.operation.accesses_memory and two.operation.accesses_memory:
        return False
    if Kind.ENVIRONMENT in (one.operation.kind, two.operation.kind):
        return False
    reads_new = one.dest is not None and one.dest in two.sources
    overwrites = two.dest is not None and two.dest in one.sources
    return not (reads_new or overwrites)
