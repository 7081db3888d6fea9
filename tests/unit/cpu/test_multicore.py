import pytest
from cpu_cases import cpu, lower, matmul, spec

from sim.cpu.multicore import CoreWork, barrier_cycles, meet
from sim.stalls import CycleStack, StallCause

SPEC = spec("cpu-simd-8core")
BARRIER = 2 * 3 * 42  # three rounds of two trips to the last-level cache


def work(cycles, *, shared=0, dram=0):
    return CoreWork(stack=CycleStack(busy=cycles), shared_bytes=shared, dram_read_bytes=dram)


def test_eight_cores_need_three_rounds_to_meet():
    assert barrier_cycles(SPEC) == BARRIER


def test_equal_cores_without_traffic_take_one_core_s_time_and_the_barrier():
    meeting = meet(SPEC, [work(1000)] * 8)
    assert meeting.cycles == 1000 + BARRIER
    alone = CycleStack(busy=1000, stalls={StallCause.SYNCHRONISATION: BARRIER})
    assert meeting.stacks == (alone,) * 8


def test_who_is_early_waits_for_the_last():
    meeting = meet(SPEC, [work(100), work(900), *[work(0)] * 6])
    assert meeting.last == 1
    assert meeting.stacks[0].stalls[StallCause.SYNCHRONISATION] == 800 + BARRIER


def test_one_core_s_stream_costs_a_latency_and_then_the_longer_of_fill_and_work():
    part = 128 * 10  # ten cycles of the shared cache's port
    meeting = meet(SPEC, [work(8 * 30, shared=8 * part), *[work(0)] * 7])
    assert meeting.cycles == 42 + 10 + 8 * 30 + BARRIER
    assert dict(meeting.stacks[0].stalls) == {
        StallCause.CACHE: 42,
        StallCause.BANDWIDTH: 10,
        StallCause.SYNCHRONISATION: BARRIER,
    }


def test_eight_cores_share_the_port_in_turn():
    part = 128 * 10
    meeting = meet(SPEC, [work(8, shared=8 * part)] * 8)
    assert meeting.cycles == 42 + 8 * 8 * 10 + 1 + BARRIER
    assert meeting.last == 7


def test_a_saturated_memory_bus_is_no_faster_than_its_bandwidth():
    moved = 8 * 10**6
    meeting = meet(SPEC, [work(1000, shared=moved // 8, dram=moved // 8)] * 8)
    assert meeting.cycles >= SPEC.dram.transfer_cycles(moved)
    assert meeting.stacks[meeting.last].stalls[StallCause.BANDWIDTH] > 0.9 * meeting.cycles


@pytest.mark.parametrize("faster", ["51.3 GB/s", "60 GB/s", "102.4 GB/s", "1 TB/s"])
@pytest.mark.parametrize("dims", [(1, 200, 96), (20, 333, 64)])
def test_more_bandwidth_is_never_slower(faster, dims):
    slow = lower(cpu("cpu-simd-8core"), matmul(*dims))
    quick = lower(
        cpu("cpu-simd-8core", memory={"bandwidth_bytes_per_second": faster}), matmul(*dims)
    )
    assert quick.main_cycles <= slow.main_cycles


@pytest.mark.parametrize(
    ("product", "choice"),
    [
        (matmul(1, 256, 64), "tiles 1x16, columns over 8 cores"),
        (matmul(64, 16, 64), "tiles 4x16, rows over 8 cores"),
        (matmul(1, 16, 64, batch=8), "tiles 1x16, batch over 8 cores"),
        (matmul(1, 16, 64), "tiles 1x16"),
    ],
)
def test_a_product_is_cut_where_it_loads_the_cores_most_evenly(product, choice):
    lowered = lower(cpu("cpu-simd-8core"), product)
    assert lowered.choice == choice
    assert set(lowered.units) == {f"core{n}" for n in range(8)}


def test_what_all_cores_share_outlives_an_operation_and_private_caches_do_not():
    product = matmul(4, 64, 64)
    cold = lower(cpu("cpu-simd-8core"), product)
    warm = lower(cpu("cpu-simd-8core"), product, times=2)
    assert warm.traffic["dram"].read_bytes == 0 < cold.traffic["dram"].read_bytes
    assert warm.traffic["llc"] == cold.traffic["llc"]
    assert warm.main_cycles < cold.main_cycles
