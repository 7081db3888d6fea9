"""Analytic bounds: from the trace and the peaks alone."""

from dataclasses import replace

import machine_double

from sim.limits import compulsory_bytes, step_limits
from workloads.trace import Access, Block, Family, Role, Tensor

CACHE = Tensor(name="kv", role=Role.KV_CACHE, shape=(100,), dtype="int8", address=0)


def test_weights_of_every_layer_count_and_activations_do_not():
    blocks = machine_double.trace().blocks[:1]
    assert compulsory_bytes(blocks, machine_double.trace().tensors) == 15


def test_what_a_step_itself_appends_to_the_cache_is_not_compulsory():
    tensors = (CACHE,)
    append = replace(
        machine_double.ADD, family=Family.COPY, reads=(), writes=(Access(0, 10),), layer=None
    )
    look = replace(machine_double.ADD, reads=(Access(0, 60),), writes=(), layer=None)
    blocks = [Block(ops=(append, look))]
    assert compulsory_bytes(blocks, tensors) == 50


def test_state_that_is_read_and_then_overwritten_is_compulsory():
    state = replace(CACHE, role=Role.OPTIMIZER_STATE)
    step = replace(machine_double.ADD, reads=(Access(0, 60),), writes=(Access(0, 60),), layer=None)
    assert compulsory_bytes([Block(ops=(step,))], (state,)) == 60


def test_of_a_tensor_read_twice_the_larger_reading_counts():
    look = replace(machine_double.ADD, reads=(Access(0, 60),), writes=(), layer=None)
    glance = replace(look, reads=(Access(0, 5),))
    assert compulsory_bytes([Block(ops=(glance, look))], (CACHE,)) == 60


def test_what_can_stay_on_chip_is_compulsory_only_when_cold():
    machine = machine_double.machine()
    peaks = replace(machine.peaks(), on_chip_bytes=10, launch_ticks_per_op=2_000_000)
    blocks = machine_double.trace().blocks[:1]
    tensors = machine_double.trace().tensors
    cold, warm = (
        step_limits(blocks, tensors, peaks, machine.spec.clock_hz, cold=cold)
        for cold in (True, False)
    )
    assert (cold["bandwidth"], warm["bandwidth"]) == (15, 5)
    assert cold["launch"] == 6 * 2


def test_layers_that_blocks_fold_differently_count_once_each():
    weight = replace(CACHE, role=Role.WEIGHT, layers=2, layer_stride_bytes=128)
    both = replace(machine_double.ADD, reads=(Access(0, 60),), writes=(), layer=0)
    second = replace(both, reads=(Access(0, 100),), layer=1)
    blocks = [Block(ops=(both,), repeats=2), Block(ops=(both,)), Block(ops=(second,))]
    assert compulsory_bytes(blocks, (weight,)) == 60 + 100
