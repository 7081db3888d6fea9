"""The stream between host and device, L2 between kernels, and what a GPU refuses."""

from pathlib import Path

import numpy as np
import pytest
from gpu_double import (
    START,
    elementwise,
    gpu,
    lowered,
    matmul,
    tensor,
    trace_of,
    values,
    vector,
)

import sim.spec
from sim.errors import SpecError, UnsupportedOpError
from sim.gpu.machine import GpuMachine
from sim.gpu.spec import GpuSpec
from sim.lowering import DRAM
from sim.pipeline import Flow, run_pipeline
from sim.run import run
from sim.spec import read_spec_file, validate
from sim.stalls import StallCause
from workloads.trace import Access, Family, Role

HOST = 1000
A100 = Path(sim.spec.__file__).with_name("machines") / "gpu-a100-sxm-80gb.yaml"


def schedule_of(machine, ops):
    uops = np.concatenate([op.uops for op in ops])
    return run_pipeline(machine.stages, Flow(cycles=uops, fences=np.zeros(len(uops), bool)))


def test_short_kernels_wait_for_the_host_to_launch_them():
    machine = gpu()
    ops = lowered(machine, *[matmul(8, 8, 8)] * 3)
    schedule = schedule_of(machine, ops)
    assert schedule.total == 3 * HOST + ops[2].main_cycles
    account = schedule.account(machine.main_stage)
    assert account.stalls[StallCause.LAUNCH] == 2 * HOST - sum(o.main_cycles for o in ops[:2])


def test_long_kernels_hide_all_launches_but_the_first():
    machine = gpu()
    ops = lowered(machine, *[elementwise(6400)] * 3)
    assert min(op.main_cycles for op in ops) > HOST
    assert schedule_of(machine, ops).total == HOST + sum(op.main_cycles for op in ops)


def test_a_full_queue_blocks_the_host():
    machine = gpu(launch__queue_depth=1)
    schedule = schedule_of(machine, lowered(machine, *[elementwise(6400)] * 3))
    assert schedule.account(0).stalls[StallCause.STRUCTURAL] > 0


def test_a_kernel_pays_the_device_start_even_when_it_has_nothing_to_wait_for():
    op = lowered(gpu(), matmul(8, 8, 8))[0]
    assert op.stack.stalls[StallCause.LAUNCH] == START


def test_equal_cases_lower_to_the_same_object():
    first, second, third = lowered(gpu(), *[matmul(8, 8, 8)] * 3)
    assert second is third
    assert first is not second  # cold, then warm


def test_a_result_stays_in_l2_for_its_reader():
    write = vector(Family.COPY, {"elements": 64}, read=128, written=128)
    read = vector(Family.COPY, {"elements": 64}, read=128, written=128)
    reader = type(read)(
        **{
            **{name: getattr(read, name) for name in read.__slots__},
            "reads": (Access(2, 128),),
        }
    )
    _, second = lowered(gpu(), write, reader)
    assert second.traffic[DRAM].read_bytes == 0


def test_a_cache_grows_by_what_is_appended_to_it():
    tensors = (tensor("new", 32), tensor("b", 32), tensor("cache", 1024, Role.KV_CACHE))
    append = vector(Family.COPY, {"elements": 32}, read=64, written=64)
    machine = gpu()
    machine.start(trace_of(append, tensors=tensors))
    for _ in range(3):
        machine.lower(append, None)
    assert ("cache", None, 192, False) in machine.state_key(0)


def test_a_gather_leaves_nothing_of_the_table_in_l2():
    gather = vector(Family.GATHER, {"rows": 2, "cols": 32}, read=128, written=128)
    first, second = lowered(gpu(), gather, gather)
    assert first is second
    assert second.traffic[DRAM].read_bytes == 128


def test_layers_of_one_shape_reach_the_same_state():
    tensors = (
        tensor("x", 256),
        tensor("weight", 256, Role.WEIGHT, layers=4),
        tensor("y", 256),
    )
    op = matmul(16, 16, 16, layer=0)
    machine = gpu()
    machine.start(trace_of(op, tensors=tensors, repeats=4))
    keys = []
    for layer in range(3):
        keys.append(machine.state_key(layer))
        machine.lower(op, layer)
    assert keys[1] != keys[0]
    machine.skip_layers(1)
    skipped = machine.state_key(4)
    machine.skip_layers(-1)
    assert machine.state_key(3) == skipped


def test_start_forgets_what_l2_held():
    machine = gpu()
    cold = lowered(machine, matmul(8, 8, 8))[0]
    assert lowered(machine, matmul(8, 8, 8))[0].main_cycles == cold.main_cycles


def test_a_whole_run_keeps_the_laws():
    op = matmul(8, 8, 8)
    result = run(trace_of(op, elementwise(64), op, op), gpu())
    assert result.cycles == sum(row.cycles for row in result.ops)
    assert {unit.name for unit in result.units} >= {"sm.tensor", "sm.vector", "host"}


def test_a_dtype_without_tensor_cores_is_an_error_that_names_it():
    with pytest.raises(UnsupportedOpError, match=r"float64.*has float16.*sim/gpu/machine.py"):
        gpu().start(trace_of(matmul(8, 8, 8, dtype="float64")))


def test_a_dtype_without_vector_arithmetic_is_an_error_that_names_it():
    with pytest.raises(UnsupportedOpError, match="int32"):
        gpu().start(trace_of(elementwise(8, dtype="int32")))


def test_a_tile_that_fits_no_sm_is_an_error(tmp_path):
    with pytest.raises(SpecError, match="no tile"):
        validate(GpuSpec, values(sm__shared_memory_bytes="256 B"), tmp_path / "g.yaml")


def test_the_a100_has_the_peaks_of_its_datasheet():
    file = read_spec_file(A100)
    peaks = GpuMachine(validate(GpuSpec, file.values, file.path)).peaks()
    assert peaks.matmul_flops_per_second["float16"] == pytest.approx(312e12, rel=1e-3)
    assert peaks.matmul_flops_per_second["float32"] == pytest.approx(156e12, rel=1e-3)
    assert peaks.vector_flops_per_second == pytest.approx(19.5e12, rel=1e-3)
    assert peaks.memory_bytes_per_second == 2_039_000_000_000
    assert peaks.launch_ticks_per_op == 3_800_000_000
