"""How operations become chunks of DMA and core time, with every cycle said."""

import numpy as np
import pytest
from tpu_cases import Builder, composed, spec, tensor

from sim.errors import UnsupportedOpError
from sim.lowering import DRAM
from sim.stalls import CycleStack, StallCause
from sim.tpu.machine import TpuMachine
from sim.tpu.overlap import WINDOW
from workloads.trace import Family, Op, Phase, Role

DMA, CORE = 0, 1

X = tensor("x", 10, 4)
WEIGHT = tensor("w", 4, 8, role=Role.WEIGHT)
Y = tensor("y", 10, 8)


AMPLE = {"memory__bandwidth_bytes_per_second": "1 TB/s"}
"""More than the array can ask for."""


def toy(**changes: object) -> TpuMachine:
    return TpuMachine(spec("toy-4x4", **changes))


def test_weights_arrive_while_the_operation_before_is_computed() -> None:
    build = Builder()
    make_x = build.elementwise((), X, flops=40)  # 5 registers: 5 cycles, and 2 until the result
    product = build.matmul(X, WEIGHT, Y)  # 2 folds of 64 bytes, 10 + 2*4 + 4 - 2 cycles each
    schedule, uops = composed(toy(), build, make_x, product)
    assert uops == [[0, 7], [16, 20], [16, 20]]  # 4 bytes a cycle
    assert schedule.start[:, CORE].tolist() == [0, 16, 36]
    assert schedule.start[:, DMA].tolist() == [0, 0, 16]
    assert schedule.total == 56
    assert schedule.account(CORE).stalls == {StallCause.BANDWIDTH: 16 - 7}


def test_an_activation_from_memory_waits_for_earlier_work_and_its_weights_do_not() -> None:
    build = Builder()
    before = build.elementwise((), tensor("other", 200, 4), flops=800)
    product = build.matmul(X, WEIGHT, Y)  # x is not on chip: 160 bytes written out and read again
    schedule, uops = composed(toy(), build, before, product)
    # first weights; the barrier; latency 10 and half of x; the other half and the other weights
    assert uops == [[0, 102], [16, 0], [0, 0], [10 + 40, 20], [16 + 40, 20]]
    assert schedule.start[:, DMA].tolist() == [0, 0, 102, 102, 152]
    assert schedule.start[:, CORE].tolist() == [0, 102, 102, 152, 208]
    assert schedule.total == 228


def test_an_activation_stays_on_chip_until_it_does_not_fit() -> None:
    build = Builder()
    small, large = tensor("small", 64, 4), tensor("large", 8192 * 4 + 1)
    make, use = build.elementwise((), small, flops=1), build.elementwise((small,), X, flops=1)
    spill, reuse = build.elementwise((), large, flops=1), build.elementwise((large,), X, flops=1)
    machine = toy()  # half of 256 KiB holds activations, one word fewer than `large`
    machine.start(build.trace(make, use, spill, reuse))
    traffic = [machine.lower(op, None).traffic[DRAM] for op in (make, use, spill, reuse)]
    assert [(t.read_bytes, t.written_bytes) for t in traffic] == [
        (0, 0),
        (0, 0),
        (0, large.bytes),
        (large.bytes, 0),
    ]


def test_an_evicted_activation_is_written_out_to_be_read_again() -> None:
    build = Builder()
    first, second = tensor("first", 128, 128), tensor("second", 128, 129)  # 64 KiB and a bit more
    ops = (
        build.elementwise((), first, flops=1),
        build.elementwise((), second, flops=1),
        build.elementwise((first,), X, flops=1),
    )
    machine = toy()
    machine.start(build.trace(*ops))
    last = [machine.lower(op, None) for op in ops][-1]
    assert last.traffic[DRAM].read_bytes == last.traffic[DRAM].written_bytes == first.bytes


def test_weights_pass_through_in_every_step() -> None:
    build = Builder()
    ops = [build.matmul(X, WEIGHT, Y, step=step) for step in (1, 2, 3)]
    machine = toy()
    machine.start(build.trace(*ops))
    reads = [machine.lower(op, None).traffic[DRAM].read_bytes for op in ops]
    assert reads == [160 + 128, 128, 128]  # x is fetched once


def test_the_cache_is_written_through_and_prefetched_in_decode_only() -> None:
    build = Builder()
    cache = tensor("keys", 4, 8, role=Role.KV_CACHE, layers=2)
    make_x = build.elementwise((), X, flops=40)
    append = build.op(Family.COPY, {"elements": 32}, (), cache)
    decode = build.matmul(X, cache, Y, layer=0)
    prefill = build.matmul(X, cache, Y, layer=0, phase=Phase.PREFILL, step=0)
    machine = toy()
    machine.start(build.trace(make_x, append, decode, prefill))
    machine.lower(make_x, None)
    assert machine.lower(append, 0).traffic[DRAM].written_bytes == cache.bytes
    assert machine.lower(decode, 0).uops.tolist() == [[16, 20], [16, 20]]
    assert machine.lower(prefill, 0).uops.tolist() == [[0, 0], [26, 20], [16, 20]]


def test_gathered_rows_are_fetched_after_the_tokens_are_known() -> None:
    build = Builder()
    table = tensor("table", 10, 4, role=Role.WEIGHT)
    gather = build.op(Family.GATHER, {"rows": 10, "cols": 4}, (table,), X)
    machine = toy()
    machine.start(build.trace(gather))
    lowered = machine.lower(gather, None)
    assert lowered.uops.tolist() == [[0, 0], [10 + 40, 0]]
    assert lowered.main_cycles == 0


def test_two_arrays_share_the_folds() -> None:
    build = Builder()
    make_x = build.elementwise((), X, flops=40)
    product = build.matmul(X, WEIGHT, Y)
    _, uops = composed(toy(arrays__count=2), build, make_x, product)
    assert uops[1:] == [[32, 20]]


def test_double_buffered_weights_hide_all_loads_but_the_first() -> None:
    build = Builder()
    make_x = build.elementwise((), X, flops=40)
    product = build.matmul(X, WEIGHT, Y)
    machine = toy(arrays__double_buffered_weights=True)
    _, uops = composed(machine, build, make_x, product)
    # 4 to load and 10 to stream; then 10 to stream and 6 to cross
    assert uops[1:] == [[16, 14], [16, 16]]
    machine = toy(arrays__double_buffered_weights=True, **AMPLE)
    composed(machine, build, make_x, product)
    stack = machine.lower(product, None).stack
    assert (stack.busy, dict(stack.stalls)) == (20, {StallCause.FILL_DRAIN: 4 + 6})


def test_one_row_waits_for_the_weight_port() -> None:
    build = Builder()
    row, result = tensor("row", 1, 4), tensor("result", 1, 8)
    make, product = build.elementwise((), row, flops=4), build.matmul(row, WEIGHT, result)
    machine = toy(arrays__double_buffered_weights=True, **AMPLE)
    composed(machine, build, make, product)
    stack = machine.lower(product, None).stack
    # load 4, stream 1 and wait 3 for the second load, stream 1, cross 6
    assert stack.total == 15
    assert stack.stalls == {StallCause.FILL_DRAIN: 10, StallCause.STRUCTURAL: 3}


def test_what_arrays_wait_for_themselves_while_bytes_are_under_way_is_charged_to_bandwidth() -> (
    None
):
    build = Builder()
    row, result = tensor("row", 1, 4), tensor("result", 1, 8)
    make, product = build.elementwise((), row, flops=4), build.matmul(row, WEIGHT, result)
    # 128 bytes of weights; the arrays are busy for 2 of 15 cycles
    for bandwidth, stalls in (
        ("400 MB/s", {StallCause.BANDWIDTH: 13}),
        ("1600 MB/s", {StallCause.BANDWIDTH: 6, StallCause.FILL_DRAIN: 7}),
        (
            "3200 MB/s",
            {StallCause.BANDWIDTH: 2, StallCause.STRUCTURAL: 1, StallCause.FILL_DRAIN: 10},
        ),
    ):
        changes = {"memory__bandwidth_bytes_per_second": bandwidth}
        machine = toy(arrays__double_buffered_weights=True, **changes)
        composed(machine, build, make, product)
        assert machine.lower(product, None).stack == CycleStack(busy=2, stalls=stalls)


def test_three_passes_a_product_stream_three_times_as_long() -> None:
    build = Builder()
    product = build.matmul(X, WEIGHT, Y)
    machine = toy(arrays__cycles_per_row={"float32": 3})
    machine.start(build.trace(product))
    assert machine.lower(product, None).main_cycles == 2 * (30 + 10)
    assert machine.peaks().matmul_flops_per_second == {"float32": 2 * 16 * 100_000_000 // 3}


TALL = tensor("tall", 8200, 4)  # 131,200 bytes beside 131,072 for activations, half for results


def test_rows_that_do_not_fit_go_in_blocks_that_read_the_weights_again() -> None:
    build = Builder()
    weight = tensor("wide", 4, 8196, role=Role.WEIGHT)  # 131,136 bytes: more than two buffers
    product = build.matmul(TALL, weight, tensor("out", 8200, 8196))
    machine = toy()
    machine.start(build.trace(product))
    lowered = machine.lower(product, None)
    # 2048 rows of 16 bytes, or of sums for four columns, twice in 65,536 bytes
    assert "2049 folds of 4x4 on 1 array, 5 blocks of rows" in lowered.choice
    assert "bound by memory" in lowered.choice
    assert lowered.traffic[DRAM].read_bytes == TALL.bytes + 5 * weight.bytes
    assert lowered.main_cycles == 2049 * (8200 + 5 * 10)


def test_an_operand_that_does_not_fit_streams_past_each_block_of_columns_where_that_is_less() -> (
    None
):
    build = Builder()
    deep, weight = tensor("deep", 4, 8208), tensor("large", 8208, 8192, role=Role.WEIGHT)
    product = build.matmul(deep, weight, tensor("out", 4, 8192))
    machine = toy()
    machine.start(build.trace(product))
    lowered = machine.lower(product, None)
    # sums of 4 x 2048 results, twice in 65,536 bytes: four blocks of columns
    assert "1 block of rows" in lowered.choice
    assert lowered.traffic[DRAM].read_bytes == 4 * deep.bytes + weight.bytes


def test_weights_that_the_buffers_hold_are_read_once_whatever_the_rows() -> None:
    build = Builder()
    product = build.matmul(TALL, WEIGHT, tensor("out", 8200, 8))
    machine = toy()
    machine.start(build.trace(product))
    lowered = machine.lower(product, None)
    assert lowered.traffic[DRAM].read_bytes == TALL.bytes + WEIGHT.bytes


@pytest.mark.parametrize(
    ("op", "message"),
    [
        ({"dtype": "float16"}, "float32, bfloat16, not in float16"),
        ({"reads": ()}, "needs two operands"),
    ],
)
def test_what_the_arrays_cannot_do_is_an_error_naming_op_machine_and_file(
    op: dict[str, object], message: str
) -> None:
    build = Builder()
    fields = {name: getattr(build.matmul(X, WEIGHT, Y), name) for name in Op.__slots__}
    with pytest.raises(UnsupportedOpError, match=message) as caught:
        toy().start(build.trace(Op(**{**fields, **op})))
    assert "'y' (matmul, matmul) cannot run on toy-4x4" in str(caught.value)
    assert "sim/tpu/lowering.py" in str(caught.value)


def test_equal_cases_give_the_same_object_and_other_cases_do_not() -> None:
    build = Builder()
    product = build.matmul(X, WEIGHT, Y)
    machine = toy()
    machine.start(build.trace(product))
    cold, warm, again = (machine.lower(product, None) for _ in range(3))
    assert warm is again
    assert warm is not cold
    machine.start(build.trace(product))
    afresh = machine.lower(product, None)
    assert afresh is not cold
    assert np.array_equal(afresh.uops, cold.uops)


def test_layers_that_do_the_same_leave_the_same_state() -> None:
    build = Builder()
    weight = tensor("w", 4, 4, role=Role.WEIGHT, layers=8)
    hidden, back = tensor("hidden", 10, 4), tensor("x", 10, 4)
    ops = (build.matmul(X, weight, hidden, layer=0), build.elementwise((hidden,), back, layer=0))
    machine = toy()
    machine.start(build.trace(*ops))
    keys = []
    for layer in range(WINDOW + 2):  # the overlap remembers so many products
        lowered = [machine.lower(op, layer) for op in ops]
        keys.append((machine.state_key(layer + 1), [id(each) for each in lowered]))
    assert keys[-1] == keys[-2]
    assert keys[-1][1] == keys[1][1]
    machine.skip_layers(5)
    assert machine.state_key(WINDOW + 7) == keys[-1][0]
