"""Every field of a DRAM controller's description moves a result."""

from dataclasses import fields, replace

import numpy as np
import pytest

from sim.memory.dram import ControllerSpec, PagePolicy, Refresh, Stop, load_device, run_dram

HBM2 = load_device("hbm2", "HBM2_2Gb", "HBM2_2000Mbps")
OTHER = {
    "read_queue": 8,
    "write_queue": 8,
    "write_high_percent": 50,
    "write_low_percent": 60,
    "page": PagePolicy.CLOSED,
    "refresh": Refresh.PER_BANK,
    "stop": Stop.ACCEPTED,
}


def outcome(spec):
    rng = np.random.default_rng(3)
    addresses = rng.integers(0, 1 << 22, 3000) * 32
    result = run_dram(HBM2, addresses, rng.random(3000) < 0.4, mapping="RoBaRaCoCh", spec=spec)
    return result.ticks, result.row_hits, int(result.done.sum())


def test_every_field_is_tried():
    assert set(OTHER) == {field.name for field in fields(ControllerSpec)}


@pytest.mark.parametrize("name", sorted(OTHER))
def test_a_field_moves_a_result(name):
    assert outcome(replace(ControllerSpec(), **{name: OTHER[name]})) != outcome(ControllerSpec())
