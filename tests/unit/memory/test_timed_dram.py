"""Timed caches in front of a simulated DRAM."""

import simpy

from sim.memory.port import channel_of, dram_latency
from sim.memory.timed.dram import DramMemory
from sim.spec import DramSpec

DRAM = DramSpec(standard="ddr4", organisation="DDR4_8Gb_x8", timing="DDR4_2400R", channels=1)
PATH_TICKS = 5_000_000


def time_of(size_bytes, write=False):
    env = simpy.Environment()
    memory = DramMemory(env, DRAM, path_ticks=PATH_TICKS)
    env.run(memory.request(64, size_bytes, write))
    return env.now, memory.waiting_for


def test_a_lone_read_takes_the_drams_latency_and_the_paths():
    tick = channel_of(DRAM).tick_femtoseconds
    now, waiting = time_of(64)
    assert 0 <= now - dram_latency(DRAM) - PATH_TICKS <= tick
    assert waiting == ""


def test_a_longer_piece_is_there_with_its_last_transfer():
    burst = channel_of(DRAM).burst_ticks * channel_of(DRAM).tick_femtoseconds
    assert time_of(128)[0] - time_of(64)[0] >= burst


def test_a_write_is_taken_before_its_data_has_moved():
    now, waiting = time_of(64, write=True)
    assert now < dram_latency(DRAM)
    assert waiting == "channel 0: 1 accesses"
