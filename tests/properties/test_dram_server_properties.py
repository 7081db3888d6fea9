"""The DRAM inside SimPy against the lists of the reference and of the compiled twin."""

import numpy as np
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.memory.dram import (
    MAPPINGS,
    AddressMapping,
    ControllerSpec,
    DramServer,
    PagePolicy,
    Refresh,
    load_device,
    simulate,
)
from sim.memory.dram.compiled import simulate_compiled
from sim.memory.dram.run import make_requests

DEVICES = [
    load_device("ddr4", "DDR4_8Gb_x8", "DDR4_2400R", ranks=2),
    load_device("gddr6", "GDDR6_8Gb_x16", "GDDR6_14000"),
    load_device("hbm2", "HBM2_2Gb", "HBM2_2000Mbps"),
    load_device("hbm3", "HBM3_8Gb_8hi", "HBM3_6400Mbps"),
]


@st.composite
def offers(draw):
    device = draw(st.sampled_from(DEVICES))
    kinds = [kind for kind in Refresh if kind is not Refresh.PER_BANK or device.per_bank_refresh]
    spec = ControllerSpec(
        read_queue=draw(st.integers(1, 12)),
        write_queue=draw(st.integers(1, 12)),
        page=draw(st.sampled_from(PagePolicy)),
        refresh=draw(st.sampled_from(kinds)),
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(1, 60))
    addresses = rng.integers(0, 1 << draw(st.integers(8, 26)), count)
    writes = rng.random(count) < draw(st.sampled_from([0.0, 0.4, 1.0]))
    span = draw(st.sampled_from([1, 500, 40_000])) * device.tick_femtoseconds
    times = np.sort(rng.integers(0, span, count))
    return device, spec, draw(st.sampled_from(sorted(MAPPINGS))), addresses, writes, times


def serve(server, offered):
    """Ask each address at its time; return the events of all."""
    events = []

    def asker():
        for address, write, time in offered:
            if time > server.env.now:
                yield server.env.timeout(time - server.env.now)
            events.append(server.request(address, write))

    server.env.process(asker())
    server.env.run()
    return events


@settings(max_examples=80, deadline=None)
@given(offers(), st.sampled_from([1, 2, 4]))
def test_a_server_issues_the_commands_of_the_reference_at_its_ticks(offer, channels):
    device, spec, name, addresses, writes, times = offer
    server = DramServer(simpy.Environment(), device, channels=channels, mapping=name, spec=spec)
    events = serve(server, [(int(a), bool(w), int(t)) for a, w, t in zip(*offer[3:], strict=True)])
    mapping = AddressMapping(device, name, channels=channels)
    owners, transfers = mapping.transfers(addresses)
    ticks = -(-times // device.tick_femtoseconds)
    assert server.waiting_for == ""
    for channel in range(channels):
        own = owners == channel
        requests = make_requests(mapping, transfers[own], writes[own], ticks[own])
        asked = [event.access for event, mine in zip(events, own, strict=True) if mine]
        for expected in (
            simulate(device, requests, spec),
            simulate_compiled(device, requests, spec, keep_commands=True),
        ):
            assert server.commands(channel) == [tuple(row) for row in expected.commands.tolist()]
            assert [access.accepted for access in asked] == expected.accepted.tolist()
            assert [access.done for access in asked] == expected.done.tolist()
            assert [access.outcome for access in asked] == expected.outcomes.tolist()
