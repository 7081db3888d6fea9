"""Main memory: two figures, or what a DRAM gives, in the caller's cycles."""

from fractions import Fraction
from math import ceil
from pathlib import Path

import numpy as np
import pytest

from sim.errors import SpecError
from sim.machine import load_machine, machine_names
from sim.memory.dram import ControllerSpec, load_device, sustained_bytes_per_second
from sim.memory.port import MemoryPort, channel_of, check_peak, dram_latency, dram_profile
from sim.spec import DramSpec, MemorySpec

SPEC = MemorySpec(
    kind="test",
    capacity_bytes="1 GiB",
    bandwidth_bytes_per_second="20 GB/s",
    efficiency=0.8,
    latency_ticks="50 ns",
)


@pytest.mark.parametrize(("moved", "cycles"), [(0, 0), (1, 1), (16, 1), (17, 2), (16_000, 1000)])
def test_sixteen_sustained_bytes_a_cycle_at_one_gigahertz(moved, cycles):
    assert MemoryPort(SPEC, 10**9).transfer_cycles(moved) == cycles


def test_a_part_is_rounded_up_by_itself():
    assert MemoryPort(SPEC, 10**9).transfer_cycles(64, parts=3) == 2


def test_latency_is_a_time_so_its_cycles_follow_the_clock():
    assert MemoryPort(SPEC, 10**9).latency_cycles == 50
    assert MemoryPort(SPEC, 3 * 10**9).latency_cycles == 151  # a period of 333,333 fs, rounded up


def test_without_a_dram_a_read_and_a_written_byte_cost_alike():
    memory = MemoryPort(SPEC, 10**9)
    assert memory.transfer_cycles(8000, 8000) == memory.transfer_cycles(16_000) == 1000
    assert memory.streamed_bytes_per_second == 16 * 10**9


DDR4 = {
    "standard": "ddr4",
    "organisation": "DDR4_8Gb_x8",
    "timing": "DDR4_1600K",
    "channels": 1,
    "mapping": "MOP4CLXOR",
}


def memory_of(*, efficiency=None, **changes):
    return MemorySpec(
        kind="DDR4-1600",
        capacity_bytes="8 GiB",
        bandwidth_bytes_per_second="12.8 GB/s",
        efficiency=efficiency,
        dram={**DDR4, **changes},
        path_ticks="26.25 ns",
    )


def test_a_dram_adds_its_own_latency_to_that_of_the_path():
    # a tick to be accepted, then tRCD 11, CL 11 and a burst of 4, in clocks of 1.25 ns
    assert dram_latency(DramSpec(**DDR4)) == 27 * 1_250_000
    assert MemoryPort(memory_of(), 10**9).latency_cycles == 60


def test_a_read_stream_takes_its_bytes_over_the_share_of_the_peak_that_it_gets():
    share = dram_profile(DramSpec(**DDR4)).reading
    cycles = MemoryPort(memory_of(), 10**9).transfer_cycles(10**6)
    assert cycles == ceil(10**6 / 12.8 / Fraction(share))


def test_as_much_read_as_written_takes_as_long_as_two_streams_in_turn():
    profile = dram_profile(DramSpec(**DDR4))
    cycles = MemoryPort(memory_of(), 10**9).transfer_cycles(10**6, 10**6)
    assert cycles == pytest.approx(2 * 10**6 / 12.8 / profile.copying, abs=1.01)
    apart = 10**6 / 12.8 * (1 / profile.reading + 1 / profile.writing)
    assert cycles > apart + 10_000  # a turn of the bus costs both directions


def test_long_runs_one_way_at_a_time_pay_no_turns():
    alone = MemoryPort(memory_of(), 10**9, one_way=True)
    apart = alone.transfer_cycles(10**6) + alone.transfer_cycles(0, 10**6)
    assert 0 <= apart - alone.transfer_cycles(10**6, 10**6) <= 1  # rounded up twice, or once


def test_reads_beyond_the_writes_cost_as_a_read_stream():
    memory = MemoryPort(memory_of(), 10**9)
    more = memory.transfer_cycles(3 * 10**6, 10**6) - memory.transfer_cycles(2 * 10**6, 10**6)
    assert abs(more - memory.transfer_cycles(10**6)) <= 1


@pytest.mark.parametrize("reads", [2, 3])
def test_unequal_streams_are_within_a_tenth_of_what_their_commands_take(reads):
    profile = dram_profile(DramSpec(**DDR4))
    seconds = reads / profile.reading + 1 / profile.writing + profile.turnaround
    simulated = sustained_bytes_per_second(
        channel_of(DramSpec(**DDR4)),
        1,
        "MOP4CLXOR",
        read_streams=reads,
        write_streams=1,
        spec=ControllerSpec(),
    )
    assert (reads + 1) / seconds == pytest.approx(simulated / 12.8e9, rel=0.1)


def test_many_transfers_take_what_each_takes():
    memory = MemoryPort(memory_of(), 10**9)
    read, written = np.array([0, 1, 64, 10**6]), np.array([64, 0, 64, 999])
    each = [memory.transfer_cycles(int(r), int(w)) for r, w in zip(read, written, strict=True)]
    assert memory.busy_cycles(read, written).tolist() == each


def test_a_measured_efficiency_stands_in_place_of_the_drams_own():
    memory = MemoryPort(memory_of(efficiency=0.5), 10**9)
    assert memory.transfer_cycles(640, 0) == memory.transfer_cycles(0, 640) == 100
    assert memory.latency_cycles == 60  # the DRAM's own still


@pytest.mark.parametrize(
    "change",
    [
        {"organisation": "DDR4_4Gb_x16"},
        {"timing": "DDR4_1600L"},
        {"clock_ticks": "1.5 ns"},
        {"ranks": 2},
        {"mapping": "RoBaRaCoCh"},
        {"read_queue": 4},
        {"write_queue": 4},
        {"page": "closed"},
        {"refresh": "none"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_choice_of_a_dram_moves_what_streams_get_or_how_long_a_read_takes(change):
    before, after = DramSpec(**DDR4), DramSpec(**{**DDR4, **change})
    assert (dram_profile(after), dram_latency(after)) != (
        dram_profile(before),
        dram_latency(before),
    )


def test_more_channels_need_a_wider_bandwidth():
    with pytest.raises(SpecError) as error:
        check_peak(memory_of(channels=2), Path("m.yaml"))
    assert str(error.value) == (
        "m.yaml: key 'memory.dram': 2 channels of DDR4_1600K make 25.6 GB/s, "
        "bandwidth_bytes_per_second is 12.8 GB/s"
    )


def test_an_unknown_timing_of_a_dram_names_the_file_and_the_nearest():
    with pytest.raises(SpecError, match=r"m.yaml: key 'memory.dram': .*DDR4_1600[JKL]"):
        check_peak(memory_of(timing="DDR4_1600"), Path("m.yaml"))


@pytest.mark.parametrize(
    ("figures", "message"),
    [
        ({"path_ticks": "1 ns"}, "write that"),
        ({}, "write that"),
        ({"dram": DDR4}, "path_ticks"),
        ({"dram": DDR4, "path_ticks": "1 ns", "latency_ticks": "1 ns"}, "path_ticks"),
    ],
)
def test_a_latency_is_described_one_way_only(figures, message):
    with pytest.raises(ValueError, match=message):
        MemorySpec(
            kind="test", capacity_bytes="1 GiB", bandwidth_bytes_per_second="1 GB/s", **figures
        )


def test_a_part_at_a_slower_clock_keeps_its_times_and_its_bursts():
    slow = load_device("hbm2e", "HBM2E_16Gb", "HBM2E_3800Mbps", clock_ticks=628_000)
    # CL is 27 clocks of 526 ps: 14.2 ns, 23 of the longer clocks; a burst is 2 of either
    assert slow.read_ticks == 23 + 2
    assert slow.peak_bytes_per_second == pytest.approx(5120 / 40 / 8 * 2 / 628e-12)


def test_a_part_has_no_faster_clock_than_its_own():
    with pytest.raises(SpecError, match="526000 fs; 500000 fs is faster"):
        load_device("hbm2e", "HBM2E_16Gb", "HBM2E_3800Mbps", clock_ticks=500_000)


@pytest.mark.parametrize("name", machine_names())
def test_no_machine_s_memory_beats_its_peak(name):
    machine = load_machine(name).spec
    memory = MemoryPort(machine.memory, machine.clock_hz)
    peak = machine.memory.bandwidth_bytes_per_second
    for read, written in ((10**9, 0), (0, 10**9), (10**9, 10**9)):
        least = Fraction((read + written) * machine.clock_hz, peak)
        assert memory.transfer_cycles(read, written) >= least


def test_an_overridden_bandwidth_is_as_many_more_channels():
    wider = load_machine(
        "cpu-5stage", overrides={"memory.bandwidth_bytes_per_second": "25.6 GB/s"}
    ).spec
    plain = load_machine("cpu-5stage").spec
    twice = MemoryPort(plain.memory, plain.clock_hz).transfer_cycles(10**6)
    assert MemoryPort(wider.memory, wider.clock_hz).transfer_cycles(2 * 10**6) == twice
