"""The load prefetcher of the superscalar cores: what it asks for, when, and what it gains."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.cpu.cores import CoreSpec, load_core, make_stream, run_core
from sim.cpu.cores.prefetcher import SATURATED, lines_ahead
from sim.cpu.cores.spec import LoadPrefetcherSpec
from sim.cpu.riscv import assemble, execute

LINE = 64
BASE = load_core("ooo-w4-rob128-gshare")


def asked(addresses, places=None, **spec):
    """Pairs of a load's number and the address that it asks for."""
    found = lines_ahead(
        LoadPrefetcherSpec(**{"entries": 16, "lines": 1, **spec}),
        LINE,
        np.array(places or [0] * len(addresses), dtype=np.int64),
        np.array(addresses, dtype=np.int64),
    )
    return list(zip(found.load.tolist(), found.address.tolist(), strict=True))


def test_a_load_asks_from_its_sixth_access_at_one_stride_on():
    assert asked([0, 64, 128, 192, 256]) == []
    assert asked([0, 64, 128, 192, 256, 320]) == [(5, 384)]


def test_a_stride_within_a_line_asks_for_the_next_line_and_a_longer_one_for_its_own():
    assert asked([0, 8, 16, 24, 32, 40], lines=2) == [(5, 40 + 64), (5, 40 + 128)]
    assert asked([8, 208, 408, 608, 808, 1008], lines=2) == [(5, 1208), (5, 1408)]
    assert asked([408, 400, 392, 384, 376, 368]) == [(5, 368 - 64)]


def test_a_prefetch_stays_on_its_page_unless_it_may_leave():
    addresses = [4096 - 64 * n for n in range(6, 0, -1)]
    assert asked(addresses, page_bytes=4096) == []
    assert asked(addresses, page_bytes=None) == [(5, 4096)]
    assert asked(addresses, page_bytes=8192) == [(5, 4096)]


def test_loads_are_told_apart_as_far_as_the_table_goes():
    addresses, places = [], []
    for n in range(7):
        addresses += [64 * n, 4096 + 128 * n]
        places += [0, 2]
    assert {load % 2 for load, _ in asked(addresses, places, entries=2)} == {0, 1}
    assert asked(addresses, places, entries=1) == []


@given(st.lists(st.tuples(st.sampled_from([0, 2, 6]), st.integers(0, 3), st.integers(-1, 3))))
def test_it_is_a_reference_prediction_table(steps):
    table, addresses, places, expected = {}, [], [], []
    at = dict.fromkeys((0, 2, 6), 10_000)
    for number, (place, kind, stride) in enumerate(steps):
        at[place] += 40 * (stride if kind == 0 else 2)
        here, row = at[place], (place >> 1) % 2
        addresses.append(here)
        places.append(place)
        tag, last, known, sure = table.get(row, (None, 0, 0, 0))
        if tag != place:
            table[row] = (place, here, 0, 0)
            continue
        if here - last == known and known:
            if sure == SATURATED:
                step = max(abs(known), LINE)
                expected.append((number, here + (step if known > 0 else -step)))
            table[row] = (place, here, known, min(sure + 1, SATURATED))
        else:
            sure = max(sure - 1, 0)
            table[row] = (place, here, known if sure else here - last, sure)
    assert asked(addresses, places, entries=2, page_bytes=None) == expected


WALK = """
la s0, x
li s1, 12
loop: ld a0, 0(s0)
div a1, a0, s1
div a1, a1, s1
div a1, a1, s1
div a1, a1, s1
div a1, a1, s1
add s2, a1, zero
sub s2, s2, a1
add s0, s0, s2
addi s0, s0, 64
addi s1, s1, -1
bnez s1, loop
li a7, 93
ecall
.data
.p2align 12
x: .zero 1024
"""


def core(prefetcher, misses=8):
    memory = {**BASE.model_dump()["memory"], "load_prefetcher": prefetcher}
    memory["levels"][0]["miss_places"] = misses
    return CoreSpec.model_validate({**BASE.model_dump(), "memory": memory})


def load_cycles(spec, engine):
    execution = execute(assemble(WALK, xlen=64, name="walk"))
    run = run_core(spec, execution, engine=engine)
    loads = run.stream.unit == 7
    return (run.timing.done[loads] - run.timing.issued[loads]).tolist()


@pytest.mark.parametrize("engine", ["readable", "compiled"])
def test_a_line_asked_for_in_time_hits_and_the_first_six_miss(engine):
    miss = 1 + 1 + 10 + 135 + 1
    assert load_cycles(core(None), engine) == [miss] * 12
    ahead = load_cycles(core({"entries": 4, "lines": 1}), engine)
    assert ahead == [miss] * 6 + [2] * 6


@pytest.mark.parametrize("engine", ["readable", "compiled"])
def test_a_prefetch_does_not_take_the_last_place_for_a_miss(engine):
    miss = 1 + 1 + 10 + 135 + 1
    assert load_cycles(core({"entries": 4, "lines": 1}, misses=1), engine) == [miss] * 12
    two, three = (
        load_cycles(core({"entries": 4, "lines": 1}, misses=places), engine) for places in (2, 3)
    )
    assert two == [miss] * 12  # the load that asks has the other place
    assert three == [miss] * 6 + [2] * 6


def test_a_caches_own_prefetcher_is_refused_by_a_core():
    levels = [level.model_dump() for level in BASE.memory.levels]
    levels[0]["prefetcher"] = {"kind": "next_line"}
    memory = {**BASE.memory.model_dump(), "levels": levels}
    with pytest.raises(ValueError, match=r"take no `prefetcher`.*see `load_prefetcher`"):
        CoreSpec.model_validate({**BASE.model_dump(), "memory": memory})


def test_a_prefetched_line_is_one_fill_and_no_demand_fill():
    execution = execute(assemble(WALK, xlen=64, name="walk"))
    plain, ahead = (
        make_stream(core(prefetcher), execution)
        for prefetcher in (None, {"entries": 4, "lines": 1})
    )
    assert len(plain.fill_level) == 12
    assert len(ahead.fill_level) == 13  # one line beyond the last
    assert len(ahead.data.prefetches) == 7
