"""A body on a core as plain arrays, which both fidelities of both engines read."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sim.cpu.kernelcores.body import Body
from sim.cpu.kernelcores.spec import CoreSpec
from sim.cpu.kernelcores.text import KernelError

Ints = npt.NDArray[np.int64]
UNROLL_AT_MOST = 8
"""Copies of a loop that a loop buffer holds; https://github.com/andreas-abel/uiCA."""


class Widths(NamedTuple):
    """A core's numbers; the units are those of `CoreSpec`."""

    rename: int
    retire: int
    reorder_buffer: int
    load_buffer: int
    store_buffer: int
    stores_per_cycle: int
    queue: int
    fetch: int
    fetch_group: int
    """Slots after which fetch starts a new cycle; 0 for no such end."""
    one_loop_per_cycle: bool
    """Whether fetch that starts an iteration ends with it."""
    delay: int
    """Cycles from rename to the first possible issue."""
    bind_at_rename: bool
    whole_instructions: bool


class Program(NamedTuple):
    """Micro-ops by number in the body, slots by number, units by number."""

    widths: Widths
    latency: Ints
    sources: Ints
    """[micro-ops, operands, 2]: how many micro-ops before (0: none), cycles early."""
    needs: Ints
    """[micro-ops, needs, 2]: bits of the units (0: none), cycles."""
    scheduler: Ints
    loads: Ints
    stores: Ints
    first: Ints
    """[slots + 1]: first micro-op of each slot."""
    instruction_slots: Ints
    """Of a slot that starts an instruction, how many it has; otherwise 0."""
    scheduler_entries: Ints
    units: int
    alternating: int
    """Bits of a pair of load ports that rename takes in turn; 0 for none."""


def build_program(body: Body) -> Program:
    """Give units and micro-ops numbers; KernelError for a unit or scheduler that is missing."""
    core, ops = body.core, body.micro_ops
    if not ops:
        raise KernelError(f"{body.kernel.name}: nothing in it executes; add an instruction")
    numbers = {name: at for at, name in enumerate((*core.ports, *core.dividers, *core.tile_units))}
    operands = max(1, *(len(op.sources) for op in ops))
    sources = np.zeros((len(ops), operands, 2), dtype=np.int64)
    needs = np.zeros((len(ops), max(1, *(len(op.needs) for op in ops)), 2), dtype=np.int64)
    for at, op in enumerate(ops):
        for place, source in enumerate(op.sources):
            back = source.distance * len(ops) + at - source.producer
            sources[at, place] = back, source.early_cycles
        for place, need in enumerate(op.needs):
            needs[at, place] = _bits(need.units, numbers, core), need.cycles
    slots = np.array(body.slot_instructions, dtype=np.int64)
    starts = np.array([op.slot for op in ops], dtype=np.int64)
    first = np.searchsorted(starts, np.arange(body.slots + 1)).astype(np.int64)
    counts = np.zeros(body.slots, dtype=np.int64)
    for at in range(body.slots):
        if at == 0 or slots[at] != slots[at - 1]:
            counts[at] = int(np.sum(slots == slots[at]))
    return Program(
        widths=_widths(body),
        latency=np.array([op.latency for op in ops], dtype=np.int64),
        sources=sources,
        needs=needs,
        scheduler=np.array([_scheduler(op.needs[0].units, core) for op in ops], dtype=np.int64),
        loads=np.array([op.loads for op in ops], dtype=np.int64),
        stores=np.array([op.stores for op in ops], dtype=np.int64),
        first=first,
        instruction_slots=counts,
        scheduler_entries=np.array([s.entries for s in core.schedulers] or [1], dtype=np.int64),
        units=len(numbers),
        alternating=_alternating(core, numbers),
    )


def _widths(body: Body) -> Widths:
    core, slots = body.core, body.slots
    looped = body.kernel.instructions[-1].branch
    group = 0
    if looped and slots <= core.loop_buffer_micro_ops:
        copies = max(1, min(UNROLL_AT_MOST, core.calibration.loop_unroll_micro_ops // slots))
        group = copies * slots
    return Widths(
        rename=core.issue_width,
        retire=core.retire_width,
        reorder_buffer=core.reorder_buffer,
        load_buffer=core.load_buffer,
        store_buffer=core.store_buffer,
        stores_per_cycle=core.stores_per_cycle,
        queue=core.queue,
        fetch=core.issue_width if group else core.fetch_width,
        fetch_group=group,
        one_loop_per_cycle=looped and not group,
        delay=core.rename_to_issue_cycles,
        bind_at_rename=core.binding == "rename",
        whole_instructions=core.whole_instructions,
    )


def _bits(units: tuple[str, ...], numbers: dict[str, int], core: CoreSpec) -> int:
    for name in units:
        if name not in numbers:
            raise KernelError(f"{core.name}: a cost needs unit '{name}'; add it to `ports`")
    return sum(1 << numbers[name] for name in units)


def _scheduler(units: tuple[str, ...], core: CoreSpec) -> int:
    for at, scheduler in enumerate(core.schedulers):
        if units[0] in scheduler.ports:
            return at
    if core.order == "out":
        raise KernelError(f"{core.name}: no scheduler has port '{units[0]}'; add it to one")
    return 0


def _alternating(core: CoreSpec, numbers: dict[str, int]) -> int:
    names = [name for name in ("p2", "p3") if name in numbers]
    return sum(1 << numbers[name] for name in names) if core.binding == "rename" else 0
