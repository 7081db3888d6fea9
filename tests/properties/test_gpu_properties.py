"""For any kernel on any GPU: the SM models agree, cycles are conserved, more is never slower."""

from copy import deepcopy
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

import sim.spec
from sim.gpu.gemm import GemmPlanner, Product
from sim.gpu.kernel import Device, Kernel
from sim.gpu.machine import GpuMachine
from sim.gpu.sm import Round, SmWork, run_sm
from sim.gpu.spec import GpuSpec
from sim.lowering import DRAM, LoweredOp
from workloads.trace import Access, Block, Family, Op, Phase, Role, Tensor, Trace

FILE = sim.spec.read_spec_file(
    Path(sim.spec.__file__).with_name("machines") / "gpu-a100-sxm-80gb.yaml"
)

small = st.integers(0, 40)

rounds = st.builds(Round, blocks=st.integers(1, 4), load_cycles=small, store_cycles=small)

works = st.builds(
    SmWork,
    rounds=st.lists(rounds, min_size=1, max_size=2).map(tuple),
    chunks=st.integers(1, 6),
    math_cycles=small,
    latency_cycles=st.integers(0, 120),
    buffers=st.integers(2, 9),
    resident=st.integers(1, 4),
)

sizes = st.one_of(st.integers(1, 300), st.sampled_from([512, 768, 2048, 4096]))


@st.composite
def gpus(draw):
    """An A100 with some of its numbers drawn anew, as plain values."""
    values = deepcopy(dict(FILE.values))
    values["kind"] = "teaching"
    values["sm_count"] = draw(st.integers(1, 120))
    values["memory"]["bandwidth_bytes_per_second"] = f"{draw(st.integers(10, 4000))} GB/s"
    values["l2"]["bytes_per_cycle"] = draw(st.integers(32, 8192))
    values["l2"]["capacity_bytes"] = f"{draw(st.integers(1, 40_000))} KiB"
    values["sm"]["max_blocks"] = draw(st.integers(1, 32))
    return values


@st.composite
def operations(draw):
    """One operation, with the reads and writes that its dims ask for."""
    family = draw(st.sampled_from([f for f in Family if f is not Family.ATTENTION]))
    m, n, k, batch = draw(sizes), draw(sizes), draw(sizes), draw(st.integers(1, 3))
    if family is Family.MATMUL:
        dims = {"batch": batch, "m": m, "n": n, "k": k}
        flops, special = 2 * batch * m * n * k, 0
        reads = (Access(0, 2 * batch * m * k), Access(1, 2 * batch * n * k))
        written = 2 * batch * m * n
    else:
        elements = m * n
        special = elements * draw(st.integers(0, 1))
        flops = elements * draw(st.integers(0, 8))
        dims = {"rows": m, "cols": n} if family is not Family.ELEMENTWISE else {}
        if family is Family.ROWWISE:
            dims["passes"] = draw(st.integers(1, 3))
        elif family is not Family.GATHER:
            dims = {"elements": elements}
        if family in (Family.COPY, Family.GATHER):
            flops = special = 0
        reads, written = (Access(0, 2 * elements),), 2 * elements
    return Op(
        kind=str(family),
        family=family,
        name=str(family),
        dims=dims,
        flops=flops,
        transcendentals=special,
        reads=reads,
        writes=(Access(2, written),),
        dtype="float16",
        phase=Phase.PREFILL,
        step=0,
    )


def trace_of(ops):
    """A trace of operations over three tensors as large as any of them needs."""
    room = 3 * 4096 * 4096
    tensors = tuple(
        Tensor(name=name, role=Role.ACTIVATION, shape=(room,), dtype="float16", address=0)
        for name in "abc"
    )
    return Trace(
        model="random",
        dtype="float16",
        batch=1,
        prompt_tokens=1,
        new_tokens=1,
        tensors=tensors,
        blocks=(Block(ops=tuple(ops)),),
    )


def lower_all(values, ops) -> tuple[GpuMachine, list[LoweredOp]]:
    machine = GpuMachine(GpuSpec.model_validate(values))
    machine.start(trace_of(ops))
    return machine, [machine.lower(op, None) for op in ops]


@given(work=works)
@settings(max_examples=200, deadline=None)
def test_the_compiled_sm_keeps_the_times_of_the_simpy_sm(work):
    specified, compiled = run_sm(work, engine="simpy"), run_sm(work, engine="compiled")
    assert specified.chunks.tolist() == compiled.chunks.tolist()
    assert specified.store_leave.tolist() == compiled.store_leave.tolist()


@given(work=works)
@settings(max_examples=200, deadline=None)
def test_an_sm_accounts_for_every_cycle_and_never_beats_its_bound(work):
    times = run_sm(work)
    account = times.account()
    parts = (
        account.math_cycles,
        account.bandwidth_cycles,
        account.latency_cycles,
        account.fill_cycles,
        account.drain_cycles,
    )
    assert min(parts) >= 0
    assert sum(parts) == times.total >= work.bound_cycles + work.latency_cycles


@given(values=gpus(), ops=st.lists(operations(), min_size=1, max_size=3))
@settings(max_examples=100, deadline=None)
def test_no_kernel_beats_the_peaks_or_moves_less_than_it_must(values, ops):
    machine, lowered = lower_all(values, ops)  # LoweredOp itself refuses stacks that do not sum
    peaks, hertz = machine.peaks(), machine.spec.clock_hz
    for op, low in zip(ops, lowered, strict=True):
        moved = low.traffic[DRAM].read_bytes + low.traffic[DRAM].written_bytes
        assert low.main_cycles >= moved * hertz // peaks.memory_bytes_per_second
        rate = peaks.vector_flops_per_second
        if op.family is Family.MATMUL:
            rate = peaks.matmul_flops_per_second["float16"]
        assert low.main_cycles >= (op.flops + op.transcendentals) * hertz // rate
        assert low.traffic["l2"].read_bytes >= low.traffic[DRAM].read_bytes
    first = lowered[0].traffic[DRAM]
    assert first.read_bytes >= ops[0].bytes_read
    assert first.written_bytes >= ops[0].bytes_written


@given(values=gpus(), ops=st.lists(operations(), min_size=1, max_size=3))
@settings(max_examples=50, deadline=None)
def test_the_same_operations_lower_alike_on_a_machine_built_anew(values, ops):
    (_, first), (_, second) = lower_all(values, ops), lower_all(values, ops)
    for one, other in zip(first, second, strict=True):
        assert one.uops.tolist() == other.uops.tolist()
        assert (one.stack, one.traffic, one.choice) == (other.stack, other.traffic, other.choice)


@given(values=gpus(), ops=st.lists(operations(), min_size=1, max_size=3), factor=st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_more_dram_or_l2_bandwidth_never_slows_a_kernel(values, ops, factor):
    faster = deepcopy(values)
    old = int(values["memory"]["bandwidth_bytes_per_second"].split()[0])
    faster["memory"]["bandwidth_bytes_per_second"] = f"{old * factor} GB/s"
    faster["l2"]["bytes_per_cycle"] *= factor
    (_, slow), (_, fast) = lower_all(values, ops), lower_all(faster, ops)
    for before, after in zip(slow, fast, strict=True):
        assert after.main_cycles <= before.main_cycles


@given(
    values=gpus(),
    product=st.builds(
        Product,
        batch=st.integers(1, 3),
        m=sizes,
        n=sizes,
        k=sizes,
        dtype=st.just("float16"),
        missed_bytes=st.integers(0, 10**7),
        written_bytes=st.integers(1, 10**7),
    ),
)
@settings(max_examples=40, deadline=None)
def test_pruning_by_bounds_never_misses_the_fastest_tile(values, product):
    planner = GemmPlanner(Device(GpuSpec.model_validate(values)))

    def cycles(kernel: Kernel) -> int:
        return run_sm(planner.device.work(kernel)).total

    _, times = planner.fastest(product)
    assert times.total == min(cycles(kernel) for kernel in planner.kernels(product))
