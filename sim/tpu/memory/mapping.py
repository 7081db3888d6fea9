"""The mapper: which blocks, in which order of loops, a product should be worked on in, and why.

Every candidate has a lower bound that costs next to nothing (`mapping_bounds`, whole grids of tiles
at a time). Candidates are then simulated in the order of their bounds, and the search stops at the
first whose bound cannot beat what is known: the answer is that of trying every one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sim.errors import CapacityError
from sim.tpu.array.systolic import Gemm
from sim.tpu.memory.blocks import ArrayMemory, ArrayUnit, Numbers
from sim.tpu.memory.mapping_bounds import candidates
from sim.tpu.memory.sram import DoubleBuffered

Key = tuple[int, int, int, int]
"""What is compared: cycles, bytes moved, the arrays' own cycles, the place among the candidates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """The best mapping of a product, and what it was chosen over."""

    plan: DoubleBuffered
    runner_up: DoubleBuffered | None
    """The next best; None where there was no other."""
    bounds: Mapping[str, int]
    """Least cycles of the chosen mapping, if only this limited."""
    considered: int
    """Candidates that fit in the SRAMs."""
    simulated: int
    """Of these, those that no bound excluded."""

    @property
    def limited_by(self) -> str:
        """The largest of the bounds."""
        return max(self.bounds, key=lambda name: self.bounds[name])

    @property
    def why(self) -> str:
        """Say in one line what was chosen, what limits it, and what the next best would cost."""
        plan, bound = self.plan, self.bounds[self.limited_by]
        text = f"{describe(plan)}: {plan.total_cycles} cycles ({self.limited_by} alone: {bound})"
        if self.runner_up is None:
            return f"{text}; nothing else fits"
        more = self.runner_up.total_cycles - plan.total_cycles
        extra = self.runner_up.traffic_bytes - plan.traffic_bytes
        return f"{text}; next best {describe(self.runner_up)}: {more:+d} cycles, {extra:+d} bytes"


def describe(plan: DoubleBuffered) -> str:
    """Name a mapping: dataflow, block, and the loops of several turns, outermost first."""
    nest = plan.nest
    loops = " ".join(f"{d}*{nest.tiles[d]}" for d in nest.order if nest.tiles[d] > 1)
    block = "x".join(str(nest.tile[d]) for d in "mnk")
    flow = plan.unit.array.dataflow.value
    return f"{flow}, blocks of {block}{f', loops {loops}' if loops else ''}"


def map_product(
    units: Sequence[ArrayUnit], memory: ArrayMemory, gemm: Gemm, *, batch: int = 1
) -> Mapped:
    """Find the best blocking of a product, and the best of `units` (dataflows) to do it with.

    Raises CapacityError where no candidate's tiles fit in the SRAMs.

    Models: the choice of a compiler that knows the machine: fewest cycles, then fewest
    bytes, then fewest cycles of the arrays.
    Ignores: tiles other than powers of two and a few equal parts; blocks within blocks; loops that
    turn around at their end instead of starting over.
    Source: Parashar et al., Timeloop: A Systematic Approach to DNN Accelerator Evaluation,
    ISPASS 2019 (mapspaces of loop orders and tilings, searched against a model).
    """
    found = _Found(units, memory, gemm, batch)
    best: list[tuple[Key, DoubleBuffered]] = []
    simulated = 0
    for place in found.order(found.bound):
        bound = found.key(found.bound, place)
        if len(best) > 1 and bound > best[1][0]:
            break
        plan = found.plan(place)
        simulated += 1
        best = sorted([*best, ((plan.total_cycles, *bound[1:]), plan)], key=lambda each: each[0])
        del best[2:]
    return _mapped([plan for _, plan in best], found, simulated)


def map_steady(
    units: Sequence[ArrayUnit], memory: ArrayMemory, gemm: Gemm, *, batch: int = 1
) -> Mapped:
    """Find the best blocking of a product between others; CapacityError as `map_product`.

    Its first operands come while the product before is worked on, and its last results leave
    beside the next: what counts is the longer of arrays and channel, then bytes, then the arrays.
    """
    found = _Found(units, memory, gemm, batch)
    best = found.order(np.maximum(found.busy, found.moving))[:2]
    return _mapped([found.plan(place) for place in best], found, len(best))


class _Found:
    """The candidates of all units, one after the other."""

    def __init__(
        self, units: Sequence[ArrayUnit], memory: ArrayMemory, gemm: Gemm, batch: int
    ) -> None:
        self.units, self.memory, self.gemm, self.batch = units, memory, gemm, batch
        self.grids = [candidates(unit, memory, gemm, batch) for unit in units]
        if not any(len(grid) for grid in self.grids):
            raise CapacityError(
                f"no blocks of a {gemm.m}x{gemm.n}x{gemm.k} product fit in the SRAMs, not even of "
                "one fold; enlarge them or take a smaller array"
            )
        self.first = np.cumsum([0, *(len(grid) for grid in self.grids)])
        self.bound = np.concatenate([grid.bound for grid in self.grids])
        self.moved = np.concatenate([grid.moved for grid in self.grids])
        self.busy = np.concatenate([grid.busy for grid in self.grids])
        self.moving = np.concatenate([grid.moving for grid in self.grids])

    def order(self, cycles: Numbers) -> Numbers:
        """Return the candidates' places by key; equal ones stay in their order."""
        return np.lexsort((self.busy, self.moved, cycles))

    def key(self, cycles: Numbers, place: int) -> Key:
        """Return a candidate's key."""
        return int(cycles[place]), int(self.moved[place]), int(self.busy[place]), int(place)

    def plan(self, place: int) -> DoubleBuffered:
        """Simulate a candidate."""
        which = int(np.searchsorted(self.first, place, side="right")) - 1
        blocking = self.grids[which].blocking(int(place - self.first[which]))
        unit = self.units[which]
        return DoubleBuffered(unit, self.memory, self.gemm, blocking, batch=self.batch)


def _mapped(best: Sequence[DoubleBuffered], found: _Found, simulated: int) -> Mapped:
    plan = best[0]
    return Mapped(
        plan=plan,
        runner_up=best[1] if len(best) > 1 else None,
        bounds={"arrays": plan.compute_cycles, "memory": plan.channel_cycles},
        considered=len(found.bound),
        simulated=simulated,
    )
