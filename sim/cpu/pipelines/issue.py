"""Which two neighbours a dual-issue machine starts together."""

from __future__ import annotations

from sim.cpu.pipelines.decode import Decoded


def may_pair(first: Decoded, second: Decoded) -> bool:
    """Whether two instructions go on in the same cycle.

    Not when the first transfers control, when both access memory (one port) or either is an
    environment call, nor when one reads what the other writes: after Ripes' dual-issue machine.
    """
    if first.transfers_control or first.is_call or second.is_call:
        return False
    if first.accesses_memory and second.accesses_memory:
        return False
    reads_new = first.dest and first.dest in second.sources
    overwrites = second.dest and second.dest in first.sources
    return not (reads_new or overwrites)
