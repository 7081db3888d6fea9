"""What streams and scattered reads get in the long run, and the latency of a lone read."""

import numpy as np
import pytest

from sim.errors import SpecError
from sim.memory.dram import (
    AddressMapping,
    ControllerSpec,
    Refresh,
    idle_read_ticks,
    load_device,
    random_bytes_per_second,
    simulate,
    sustained_bytes_per_second,
)
from sim.memory.dram.run import make_requests

DDR4 = load_device("ddr4", "DDR4_8Gb_x8", "DDR4_2400R")
DEVICES = {
    "ddr4": DDR4,
    "ddr5": load_device("ddr5", "DDR5_16Gb_x8", "DDR5_4800AN"),
    "hbm2": load_device("hbm2", "HBM2_2Gb", "HBM2_2000Mbps"),
    "hbm3": load_device("hbm3", "HBM3_8Gb_8hi", "HBM3_6400Mbps"),
}
BARE = ControllerSpec(refresh=Refresh.NONE)
ROUNDING = 1 + 1e-12


def streams(device, reads, writes, *, mapping="MOP4CLXOR", channels=1, spec=BARE):
    return sustained_bytes_per_second(
        device, channels, mapping, read_streams=reads, write_streams=writes, spec=spec
    )


def scattered(device, granule, *, channels=1, spec=BARE):
    return random_bytes_per_second(device, channels, "RoBaRaCoCh", granule_bytes=granule, spec=spec)


def test_an_idle_ddr4_reads_in_a_tick_plus_trcd_plus_cl_plus_the_burst():
    assert idle_read_ticks(DDR4) == 1 + 15 + 1 + 16 + 4 == 37


def test_two_streams_in_two_bank_groups_fill_a_ddr4_bus_but_for_opening_rows():
    # A row of 128 transfers at tCCD_S lasts 512 ticks; opening it hides behind the other row.
    share = streams(DDR4, 2, 0, mapping="RoBaRaCoCh") / DDR4.peak_bytes_per_second
    assert 0.95 < share <= ROUNDING


def test_one_stream_in_one_bank_group_at_a_time_gets_four_of_six_ticks_or_more():
    part = load_device("ddr4", "DDR4_8Gb_x8", "DDR4_2400R")
    # Within a row tCCD_L of 6 ticks for a burst of 4; the queue of 32 overlaps rows' ends.
    share = streams(part, 1, 0, mapping="RoBaRaCoCh") / part.peak_bytes_per_second
    assert 4 / 6 <= share < 0.8


def test_the_steady_bandwidth_is_that_of_a_longer_run_of_the_reference():
    mapping = AddressMapping(DDR4, "MOP4CLXOR")
    count = 4000
    result = simulate(DDR4, make_requests(mapping, np.arange(count), np.zeros(count)), BARE)
    window = (result.done > 1000) & (result.done <= 13_000)
    rate = np.count_nonzero(window) * 64 / (12_000 * 833e-12)
    assert streams(DDR4, 1, 0) == pytest.approx(rate, rel=0.01)


@pytest.mark.parametrize("name", sorted(DEVICES))
@pytest.mark.parametrize("spec", [BARE, ControllerSpec()])
def test_no_pattern_exceeds_the_peak(name, spec):
    device = DEVICES[name]
    found = [
        streams(device, 1, 0, spec=spec),
        streams(device, 2, 1, spec=spec),
        streams(device, 0, 1, spec=spec),
        scattered(device, device.transfer_bytes, spec=spec),
        scattered(device, 16 * device.transfer_bytes, spec=spec),
    ]
    assert min(found) > 0
    assert max(found) <= device.peak_bytes_per_second * ROUNDING


@pytest.mark.parametrize("name", sorted(DEVICES))
def test_reads_alone_are_faster_than_reads_between_writes(name):
    assert streams(DEVICES[name], 1, 0) > streams(DEVICES[name], 1, 1)


@pytest.mark.parametrize("name", sorted(DEVICES))
def test_refreshes_cost_a_stream_their_share(name):
    device = DEVICES[name]
    refreshed = streams(device, 1, 0, spec=ControllerSpec())
    assert 0.85 * streams(device, 1, 0) < refreshed < streams(device, 1, 0)


def test_channels_scale_streams_and_single_transfers_exactly():
    assert streams(DDR4, 2, 1, channels=8) == 8 * streams(DDR4, 2, 1)
    assert scattered(DDR4, 64, channels=4) == 4 * scattered(DDR4, 64)


def test_a_granule_over_all_channels_is_as_scattered_as_its_pieces():
    assert scattered(DDR4, 256, channels=4) == 4 * scattered(DDR4, 64)
    assert scattered(DDR4, 256, channels=2) == 2 * scattered(DDR4, 128)


def test_half_a_transfer_wastes_the_other_half():
    assert scattered(DDR4, 32) == scattered(DDR4, 64) / 2


def test_larger_granules_are_faster_and_single_transfers_slower_than_a_stream():
    assert scattered(DDR4, 64) < scattered(DDR4, 256)
    assert scattered(DDR4, 64) < streams(DDR4, 1, 0)


def test_a_longer_queue_finds_more_to_overlap():
    short = ControllerSpec(read_queue=4, refresh=Refresh.NONE)
    assert scattered(DDR4, 64, spec=short) < scattered(DDR4, 64)


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (lambda: streams(DDR4, 0, 0), "one or more should be"),
        (lambda: streams(DDR4, -1, 2), "one or more should be"),
        (lambda: streams(DDR4, 1, 0, channels=3), "power of two"),
        (lambda: streams(DDR4, 1, 0, channels=0), "power of two"),
        (lambda: streams(DDR4, 1, 0, mapping="MOP4"), "did you mean 'MOP4CLXOR'"),
        (lambda: scattered(DDR4, 0), "should be 1 or more"),
        (lambda: scattered(DDR4, 64 * 3, channels=2), "spread evenly over 2 channels"),
        (
            lambda: streams(DDR4, 1, 0, spec=ControllerSpec(refresh=Refresh.PER_BANK)),
            "cannot refresh per bank",
        ),
    ],
)
def test_what_cannot_be_asked_is_an_error(call, problem):
    with pytest.raises(SpecError, match=problem):
        call()
