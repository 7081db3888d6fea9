"""What an in-order pipeline is told: its stages and width, and the instructions executed.

Stages come in roles, each a number of stages, in this order:

    fetch  decode  execute  memory  check  write
    IF     ID      EX       MEM     -      WB        one each, no check: the classic five stages
    IF IS  RF      EX       DF DS   TC     WB        the MIPS R4000's eight

All delays follow from the numbers: a taken branch costs the stages from the first fetch to the last
execute stage, less one; a load's user waits one cycle for each memory stage; a result that only
the register file passes on waits until the write stage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from sim.stalls import StallCause


class Unit(IntEnum):
    """A part of the core that only one instruction can enter in a cycle, however wide it is."""

    ANY = 0
    """Integer arithmetic: there is one for each instruction of a group."""
    MEMORY = 1
    BRANCH = 2
    FLOATING = 3
    TILE = 4
    """Products of tiles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineRules:
    """What tells one in-order pipeline from another; ValueError for one that cannot be.

    Models: the depth by role, and the width: so many instructions may enter each stage in one
    cycle, in order; those that issue together need different units, and no result of each other.
    Ignores: alignment of a group within a line of instructions; late arithmetic behind a load; a
    multiplier or divider of integers that only one of a group could use.
    Source: SiFive U74 Core Complex Manual (dual-issue pipeline: one memory access, one branch and
    one floating-point instruction in a pair); J. Heinrich, MIPS R4000 Microprocessor User's Manual,
    chapter 3.
    """

    forwarding: bool
    """Whether a result goes straight to the next EX, or through the register file."""
    shared_port: bool
    """Whether fetches and data accesses share one memory port (von Neumann), or not (Harvard)."""
    fetch_stages: int = 1
    decode_stages: int = 1
    """The last one reads registers and issues."""
    execute_stages: int = 1
    """The last one resolves branches, and ends integer arithmetic."""
    memory_stages: int = 1
    """The first one accesses the cache and holds a miss, the last one has the data."""
    check_stages: int = 0
    """Between memory and write-back, as for the R4000's check of tags."""
    issue_width: int = 1
    """Instructions that each stage takes in a cycle."""

    def __post_init__(self) -> None:
        for name in ("fetch", "decode", "execute", "memory"):
            if getattr(self, f"{name}_stages") < 1:
                raise ValueError(f"a pipeline needs one {name} stage at least")
        if self.check_stages < 0 or self.issue_width < 1:
            raise ValueError("a pipeline needs check stages of 0 or more and a width of 1 or more")

    @property
    def issue(self) -> int:
        """Index of the last decode stage, where instructions wait for what they need."""
        return self.fetch_stages + self.decode_stages - 1

    @property
    def resolve(self) -> int:
        """Index of the last execute stage."""
        return self.issue + self.execute_stages

    @property
    def loaded(self) -> int:
        """Index of the last memory stage; the first is the one after `resolve`."""
        return self.resolve + self.memory_stages

    @property
    def write(self) -> int:
        """Index of the last stage."""
        return self.loaded + self.check_stages + 1

    @property
    def stage_names(self) -> tuple[str, ...]:
        """Names of all stages in order: numbered where a role has several."""
        roles = {
            "IF": self.fetch_stages,
            "ID": self.decode_stages,
            "EX": self.execute_stages,
            "MEM": self.memory_stages,
            "TC": self.check_stages,
            "WB": 1,
        }
        return tuple(
            f"{name}{number}" if count > 1 else name
            for name, count in roles.items()
            for number in range(1, count + 1)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One executed instruction, with all that its time depends on."""

    dest: int | None = None
    sources: tuple[int, ...] = ()
    latency_cycles: int = 1
    """From the start of EX until a forwarded result can enter EX; its unit is pipelined."""
    accesses_memory: bool = False
    result_from_memory: bool = False
    """A load: the result is there at the end of the last memory stage."""
    miss_cycles: int = 0
    """By which a miss lengthens the first memory stage."""
    missed_to: StallCause = StallCause.CACHE
    """Where the miss was served: CACHE or DRAM."""
    taken: bool = False
    """A branch that goes elsewhere."""
    branch: bool = False
    """A branch or jump, whether taken or not."""
    floating: bool = False
    """Done by the floating-point or vector unit."""
    tile: bool = False
    """Done by the tile unit."""
    busy_cycles: int = 1
    """Before the unit takes another; for a memory access, beside its miss, in the first memory
    stage."""

    @property
    def unit(self) -> Unit:
        """What it needs alone in the cycle in which it issues."""
        if self.accesses_memory:
            return Unit.MEMORY
        if self.branch or self.taken:
            return Unit.BRANCH
        if self.tile:
            return Unit.TILE
        return Unit.FLOATING if self.floating else Unit.ANY

    @property
    def unit_cycles(self) -> int:
        """From its issue until another may issue to its unit; an access waits for MEM instead."""
        return 1 if self.accesses_memory else self.busy_cycles


def users_before(steps: Sequence[Step]) -> list[int | None]:
    """For each step the last one before that needs the same unit; none where each has its own."""
    user: dict[Unit, int] = {}
    found = []
    for number, step in enumerate(steps):
        found.append(user.get(step.unit))
        if step.unit is not Unit.ANY:
            user[step.unit] = number
    return found
