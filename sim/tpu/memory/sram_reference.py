"""Operand SRAMs block by block: the readable specification of `sram`.

Every block is visited in loop order. What each SRAM holds is a set of tiles; a tile that is not
there is fetched, a tile that goes has its bytes written where it is a result. Then the moved bytes
and the arrays' cycles of all blocks pass through the one pipeline of `sim.pipeline`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from sim.pipeline import Engine, Flow, Schedule, StageSpec, run_pipeline
from sim.tpu.memory.blocks import ABSENT, TOUCHES, Operand
from sim.tpu.memory.sram import DoubleBuffered

STAGES = (StageSpec(name="dma"), StageSpec(name="arrays"))

Tile = tuple[int, ...]


@dataclass(slots=True)
class Sram:
    """One operand's SRAM: which tiles are there, of which set, and how complete the sums are."""

    here: dict[Tile, int] = field(default_factory=dict)
    """Bytes by tile."""
    current: Tile = ()
    """The set of tiles that the loops outside the absent one are at."""
    most_bytes: int = 0
    """Held at once, at most."""


def walk(plan: DoubleBuffered) -> list[tuple[int, int, int]]:
    """Return of each block: bytes read, of these for the stationary operand, bytes written."""
    nest, memory = plan.nest, plan.memory
    srams = {operand: Sram() for operand in Operand}
    moved = []
    for at in _blocks(plan):
        read = dict.fromkeys(Operand, 0)
        for operand, sram in srams.items():
            tile = tuple(at[d] for d in ("batch", *TOUCHES[operand]))
            elements = _elements(plan, operand, at)
            _change_set(plan, operand, sram, at)
            if tile not in sram.here:
                if not plan.held[operand]:
                    sram.here.clear()
                if operand is not Operand.C:
                    read[operand] = elements * memory.store(operand).element_bytes
                elif at["k"] > 0:
                    read[operand] = elements * memory.partial_bytes
                sram.here[tile] = elements * memory.held_element_bytes(operand)
            sram.most_bytes = max(sram.most_bytes, sum(sram.here.values()))
        written = 0
        sums = _elements(plan, Operand.C, at)
        if at["k"] == nest.tiles["k"] - 1:
            written = sums * memory.c.element_bytes
        elif not plan.held[Operand.C]:
            written = sums * memory.partial_bytes
        moved.append((sum(read.values()), read[plan.core.stays], written))
    _require_room(plan, srams)
    return moved


def schedule(plan: DoubleBuffered, *, engine: Engine = "auto") -> Schedule:
    """Pass every block of a plan through DMA and arrays; its total is the plan's."""
    moved = walk(plan)
    count = len(moved)
    lead = plan.lead_cycles()
    rows = [[_dma(plan, moved[0][1], 0), lead[1]]] if lead else []
    numbers = np.arange(count)
    core = plan.core.cycles(numbers, plan.nest.index(numbers)).tolist()
    for turn in range(count + 2):
        read = moved[turn][0] if turn < count else 0
        if lead:  # the stationary operand runs a block ahead of the others
            read -= moved[turn][1] if turn < count else 0
            read += moved[turn + 1][1] if turn + 1 < count else 0
        written = moved[turn - 2][2] if turn >= 2 else 0
        rows.append([_dma(plan, read, written), core[turn] if turn < count else 0])
    rows[0][0] += plan.latency_cycles
    cycles = np.array(rows, dtype=np.int64)
    flow = Flow(cycles=cycles, fences=np.zeros(len(rows), dtype=np.bool_))
    return run_pipeline(STAGES, flow, engine=engine)


def _blocks(plan: DoubleBuffered) -> Iterator[dict[str, int]]:
    nest = plan.nest
    loops = [range(nest.batch), *(range(nest.tiles[d]) for d in nest.order)]
    for at in product(*loops):
        yield dict(zip(("batch", *nest.order), at, strict=True))


def _elements(plan: DoubleBuffered, operand: Operand, at: dict[str, int]) -> int:
    nest = plan.nest
    first, second = (
        min(nest.tile[d], nest.extent[d] - at[d] * nest.tile[d]) for d in TOUCHES[operand]
    )
    return first * second


def _change_set(plan: DoubleBuffered, operand: Operand, sram: Sram, at: dict[str, int]) -> None:
    """Forget the tiles of a set that the loops outside the absent one have left."""
    outer = plan.nest.order[: plan.nest.order.index(ABSENT[operand])]
    now = tuple(at[d] for d in ("batch", *outer))
    if now != sram.current:
        sram.here.clear()
        sram.current = now


def _require_room(plan: DoubleBuffered, srams: dict[Operand, Sram]) -> None:
    for operand, sram in srams.items():
        capacity = plan.memory.store(operand).sram_bytes
        if capacity is not None and sram.most_bytes > capacity:
            raise AssertionError(f"operand {operand.value}: {sram.most_bytes} in {capacity} bytes")


def _dma(plan: DoubleBuffered, read: int, written: int) -> int:
    return int(plan.memory.channel.busy_cycles(np.array([read]), np.array([written]))[0])
