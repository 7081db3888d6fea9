"""The compiled DRAM twin against the readable reference, and laws of every run."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.memory.dram import (
    MAPPINGS,
    AddressMapping,
    ControllerSpec,
    PagePolicy,
    Refresh,
    Stop,
    load_device,
    simulate,
)
from sim.memory.dram.compiled import simulate_compiled
from sim.memory.dram.requests import FORWARDED, NEVER
from sim.memory.dram.run import make_requests

DEVICES = [
    load_device("ddr4", "DDR4_8Gb_x8", "DDR4_2400R", ranks=2),
    load_device("ddr5", "DDR5_16Gb_x8", "DDR5_4800AN"),
    load_device("lpddr5", "LPDDR5_16Gb_x16", "LPDDR5_6400"),
    load_device("gddr6", "GDDR6_8Gb_x16", "GDDR6_14000"),
    load_device("hbm2", "HBM2_2Gb", "HBM2_2000Mbps"),
    load_device("hbm2e", "HBM2E_16Gb", "HBM2E_3800Mbps"),
    load_device("hbm3", "HBM3_8Gb_8hi", "HBM3_6400Mbps"),
]


@st.composite
def runs(draw):
    device = draw(st.sampled_from(DEVICES))
    kinds = [kind for kind in Refresh if kind is not Refresh.PER_BANK or device.per_bank_refresh]
    spec = ControllerSpec(
        read_queue=draw(st.integers(1, 20)),
        write_queue=draw(st.integers(1, 20)),
        page=draw(st.sampled_from(PagePolicy)),
        refresh=draw(st.sampled_from(kinds)),
        stop=draw(st.sampled_from(Stop)),
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(1, 150))
    addresses = rng.integers(0, 1 << draw(st.integers(8, 26)), count)
    writes = rng.random(count) < draw(st.sampled_from([0.0, 0.3, 0.7, 1.0]))
    ticks = np.sort(rng.integers(0, draw(st.sampled_from([1, 3000, 60000])), count))
    mapping = AddressMapping(device, draw(st.sampled_from(sorted(MAPPINGS))))
    return device, make_requests(mapping, mapping.transfers(addresses)[1], writes, ticks), spec


@settings(max_examples=150, deadline=None)
@given(runs())
def test_the_twin_issues_the_same_commands_at_the_same_ticks(run):
    device, requests, spec = run
    reference = simulate(device, requests, spec)
    twin = simulate_compiled(device, requests, spec, keep_commands=True)
    assert twin.ticks == reference.ticks
    assert twin.commands.tolist() == reference.commands.tolist()
    assert twin.accepted.tolist() == reference.accepted.tolist()
    assert twin.done.tolist() == reference.done.tolist()
    assert twin.outcomes.tolist() == reference.outcomes.tolist()


@settings(max_examples=50, deadline=None)
@given(runs())
def test_a_served_run_answers_all_and_stays_below_the_peak(run):
    device, requests, spec = run
    result = simulate_compiled(device, requests, spec)
    if spec.stop is Stop.SERVED:
        assert np.all(result.done != NEVER)
        moved = np.count_nonzero(result.outcomes != FORWARDED) * device.transfer_bytes
        assert moved / result.seconds <= device.peak_bytes_per_second
    assert np.all(result.accepted >= requests.ticks)
    assert np.all(np.diff(result.accepted) >= 1)
    assert 0 <= result.row_hits + result.row_misses + result.row_conflicts <= len(requests)
