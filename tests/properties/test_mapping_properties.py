"""Operand SRAMs against a walk over every block, the mapper against trying everything, and laws."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sim.errors import CapacityError
from sim.memory.port import MemoryPort
from sim.spec import MemorySpec
from sim.tpu.array.systolic import ArraySpec, Dataflow, Drain, Gemm, SystolicSchedule
from sim.tpu.memory.blocks import (
    ArrayMemory,
    ArrayUnit,
    Blocking,
    Channel,
    OperandStore,
)
from sim.tpu.memory.mapping import map_product
from sim.tpu.memory.mapping_bounds import ORDERS, candidates
from sim.tpu.memory.sram import DoubleBuffered, compulsory_bytes
from sim.tpu.memory.sram_reference import schedule, walk

CLOCK_HZ = 10**9

extent = st.integers(1, 20)
tile = st.integers(1, 9)
gemms = st.builds(Gemm, m=extent, n=extent, k=extent)
blockings = st.builds(Blocking, m=tile, n=tile, k=tile, order=st.sampled_from(ORDERS))
units = st.builds(
    ArrayUnit,
    array=st.builds(
        ArraySpec,
        rows=st.integers(1, 4),
        cols=st.integers(1, 4),
        dataflow=st.sampled_from(Dataflow),
        drain=st.sampled_from(Drain),
    ),
    count=st.integers(1, 3),
    overlapped=st.booleans(),
)


def dram(bytes_per_cycle: int, latency_cycles: int = 0) -> MemoryPort:
    spec = MemorySpec(
        kind="test",
        capacity_bytes="1 GiB",
        bandwidth_bytes_per_second=f"{bytes_per_cycle} GB/s",
        latency_ticks=f"{latency_cycles} ns",
    )
    return MemoryPort(spec, CLOCK_HZ)


@st.composite
def memories(draw: st.DrawFn) -> ArrayMemory:
    """SRAMs from a few bytes to plenty, element sizes that may differ, with and without a port."""
    stores = st.builds(
        OperandStore,
        element_bytes=st.integers(0, 4),
        sram_bytes=st.one_of(st.none(), st.integers(8, 3000)),
    )
    channel = Channel(
        dram(draw(st.integers(1, 40)), draw(st.integers(0, 30))),
        port_bytes_per_cycle=draw(st.one_of(st.none(), st.integers(1, 20))),
    )
    return ArrayMemory(a=draw(stores), b=draw(stores), c=draw(stores), channel=channel)


def costs(plan: DoubleBuffered) -> tuple[int, int, int]:
    return plan.total_cycles, plan.traffic_bytes, plan.compute_cycles


def planned(*arguments: object, batch: int) -> DoubleBuffered:
    try:
        return DoubleBuffered(*arguments, batch=batch)
    except CapacityError:
        assume(False)
        raise


@settings(max_examples=80, deadline=None)
@given(unit=units, memory=memories(), gemm=gemms, blocking=blockings, batch=st.integers(1, 3))
def test_the_closed_form_is_the_walk_over_every_block(
    unit: ArrayUnit, memory: ArrayMemory, gemm: Gemm, blocking: Blocking, batch: int
) -> None:
    plan = planned(unit, memory, gemm, blocking, batch=batch)
    for engine in ("simpy", "compiled") if plan.nest.blocks < 40 else ("compiled",):
        assert schedule(plan, engine=engine).total == plan.total_cycles
    moved = np.array(walk(plan))
    assert moved[:, 0].sum() == sum(each.read_bytes for each in plan.moved.values())
    assert moved[:, 2].sum() == sum(each.written_bytes for each in plan.moved.values())


@settings(max_examples=60, deadline=None)
@given(unit=units, memory=memories(), gemm=gemms, blocking=blockings, batch=st.integers(1, 3))
def test_no_plan_beats_its_arrays_or_the_bytes_that_any_plan_moves(
    unit: ArrayUnit, memory: ArrayMemory, gemm: Gemm, blocking: Blocking, batch: int
) -> None:
    plan = planned(unit, memory, gemm, blocking, batch=batch)
    assert plan.stall_cycles >= plan.latency_cycles
    assert plan.total_cycles >= max(plan.compute_cycles, plan.channel_cycles)
    assert plan.traffic_bytes >= compulsory_bytes(memory, gemm, batch)
    assert plan.compute_cycles * unit.array.elements * unit.count >= gemm.macs * batch
    stack = plan.stack()
    assert (stack.total, stack.busy) == (plan.total_cycles, plan.streaming_cycles)


@settings(max_examples=60, deadline=None)
@given(
    unit=units,
    gemm=gemms,
    blocking=blockings,
    sram=st.lists(st.integers(8, 3000), min_size=2, max_size=2),
    rate=st.lists(st.integers(1, 40), min_size=2, max_size=2),
)
def test_more_sram_or_bandwidth_never_stalls_more(
    unit: ArrayUnit, gemm: Gemm, blocking: Blocking, sram: list[int], rate: list[int]
) -> None:
    stalls = []
    for size, speed in zip(sorted(sram), sorted(rate), strict=True):
        store = OperandStore(element_bytes=2, sram_bytes=size)
        memory = ArrayMemory(a=store, b=store, c=store, channel=Channel(dram(speed)))
        stalls.append(planned(unit, memory, gemm, blocking, batch=1).stall_cycles)
    assert stalls[0] >= stalls[1] >= 0


@settings(max_examples=60, deadline=None)
@given(unit=units, gemm=gemms)
def test_one_block_with_everything_on_chip_is_the_array_s_own_schedule(
    unit: ArrayUnit, gemm: Gemm
) -> None:
    here = OperandStore(element_bytes=0)
    memory = ArrayMemory(a=here, b=here, c=here, channel=Channel(dram(1, 9)))
    whole = Blocking(m=gemm.m, n=gemm.n, k=gemm.k, order="mnk")
    one = ArrayUnit(array=unit.array, overlapped=unit.overlapped)
    schedule = SystolicSchedule(unit.array, gemm)
    expected = schedule.overlapped_cycles if unit.overlapped else schedule.serial_cycles
    assert DoubleBuffered(one, memory, gemm, whole).total_cycles == expected


@settings(max_examples=40, deadline=None)
@given(
    units=st.lists(units, min_size=1, max_size=2),
    memory=memories(),
    gemm=gemms,
    batch=st.integers(1, 2),
)
def test_the_mapper_finds_what_trying_everything_finds(
    units: list[ArrayUnit], memory: ArrayMemory, gemm: Gemm, batch: int
) -> None:
    tried = []
    for unit in units:
        found = candidates(unit, memory, gemm, batch)
        for at in range(len(found)):
            plan = DoubleBuffered(unit, memory, gemm, found.blocking(at), batch=batch)
            assert found.moved[at] == plan.traffic_bytes
            assert found.bound[at] <= plan.total_cycles
            assert found.busy[at] == plan.compute_cycles
            tried.append((plan.total_cycles, plan.traffic_bytes, plan.compute_cycles))
    if not tried:
        return
    mapped = map_product(units, memory, gemm, batch=batch)
    best, *rest = sorted(tried)
    assert costs(mapped.plan) == best
    assert mapped.considered == len(tried)
    if rest:
        assert mapped.runner_up is not None
        assert costs(mapped.runner_up) == rest[0]


@settings(max_examples=60, deadline=None)
@given(unit=units, gemm=gemms)
def test_the_bound_of_the_arrays_is_exact_where_nothing_has_to_move(
    unit: ArrayUnit, gemm: Gemm
) -> None:
    here = OperandStore(element_bytes=0)
    memory = ArrayMemory(a=here, b=here, c=here, channel=Channel(dram(1)))
    found = candidates(unit, memory, gemm, 1)
    for at in range(len(found)):
        plan = DoubleBuffered(unit, memory, gemm, found.blocking(at))
        assert found.bound[at] == plan.total_cycles == plan.compute_cycles
