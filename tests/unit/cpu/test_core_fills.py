"""Line fills of a core's caches: places in every level, lines under way, the second level ahead."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.cpu.cores import CoreSpec, load_core, make_stream, run_core
from sim.cpu.cores.fills import levels_with
from sim.cpu.cores.prefetcher import lines_ahead
from sim.cpu.cores.spec import LoadPrefetcherSpec
from sim.cpu.riscv import assemble, execute
from sim.memory.cache.hierarchy import CacheHierarchy
from sim.memory.cache.spec import CacheLevelSpec, HierarchySpec

BASE = load_core("ooo-w4-rob128-gshare").model_dump()
ENGINES = pytest.mark.parametrize("engine", ["readable", "compiled"])
ADDRESS, FIRST, SECOND, MEMORY, FILL = 1, 1, 10, 135, 1
"""Cycles of the base core: address generation, the levels' lookups, memory, the last step."""
MISS = ADDRESS + FIRST + SECOND + MEMORY + FILL
SECOND_HIT = ADDRESS + FIRST + SECOND + FILL
LOADS, STORES = 7, 8


def core(*, places=(8, 8), second_line_bytes=64, prefetcher=None, **memory):
    first, second = BASE["memory"]["levels"]
    first = {**first, "miss_places": places[0]}
    second = {**second, "miss_places": places[1], "line_bytes": second_line_bytes}
    memory = {"levels": [first, second], "load_prefetcher": prefetcher, **memory}
    branches = {"scheme": "perfect"}
    return CoreSpec.model_validate(
        {**BASE, "branches": branches, "memory": {**BASE["memory"], **memory}}
    )


def executed(text):
    return execute(assemble(text + "\nli a7, 93\necall\n", xlen=64, name="fills"))


def passage(spec, text, engine):
    """When loads issued, and when they had their data."""
    run = run_core(spec, executed(text), engine=engine)
    loads = run.stream.unit == LOADS
    return run.timing.issued[loads].tolist(), run.timing.done[loads].tolist()


TWO = ".data\n.p2align 7\nx: .zero 256\n.text\nla s0, x\nld a0, 0(s0)\nld a1, {}(s0)"


@ENGINES
def test_a_fill_waits_for_a_place_of_the_second_level_and_keeps_its_own(engine):
    free, full = (
        passage(core(places=(8, places), memory_line_cycles=0), TWO.format(64), engine)
        for places in (2, 1)
    )
    assert free == ([0 + free[0][0]] * 2, [free[0][0] + MISS] * 2)
    assert full[1][1] - full[1][0] == SECOND + MEMORY  # from the lookup on, after the first


@ENGINES
def test_a_hit_on_a_line_under_way_to_the_second_level_waits_for_it(engine):
    issued, done = passage(core(second_line_bytes=128), TWO.format(64), engine)
    assert issued[0] == issued[1]
    assert done[0] == done[1] == issued[0] + MISS
    _, apart = passage(core(second_line_bytes=64), TWO.format(64), engine)
    assert apart[1] == done[1] + 11  # a line of its own, one transfer later


@ENGINES
def test_a_line_that_has_arrived_in_the_second_level_is_a_hit_there(engine):
    text = TWO.format(0).replace("ld a1", "fence\nld a1, 64(s0)\nfence\nld a2")
    issued, done = passage(core(second_line_bytes=128), text, engine)
    assert [end - begin for begin, end in zip(issued, done, strict=True)] == [
        MISS,
        SECOND_HIT,
        ADDRESS + FIRST,
    ]


def walk(adds):
    """Loads of the next line each, 106 cycles and `adds` more apart, whatever their data."""
    later = "\n".join(["add s0, s0, zero"] * adds)
    divisions = "div s0, s0, s2\n" * 3
    return (
        f"la s0, x\nli s1, 12\nli s2, 1\nloop: ld a0, 0(s0)\n{divisions}{later}\naddi s0, s0, 64\n"
        "addi s1, s1, -1\nbnez s1, loop\nli a7, 93\necall\n.data\n.p2align 12\nx: .zero 1024\n"
        ".text\n"
    )


@ENGINES
@pytest.mark.parametrize(("apart", "taken"), [(134, SECOND_HIT + 1), (135, SECOND_HIT)])
def test_a_line_asked_for_in_the_second_level_is_there_at_its_cycle_and_not_before(
    engine, apart, taken
):
    """Asked for after the first lookup, it is there when a load 135 cycles later looks for it."""
    prefetcher = {"entries": 4, "lines": 0, "second_level_lines": 1}
    spec = core(prefetcher=prefetcher, memory_line_cycles=0)
    issued, done = passage(spec, walk(apart - 106), engine)
    assert issued[6] - issued[5] == apart
    assert done[5] - issued[5] == MISS
    assert done[6] - issued[6] == taken


@ENGINES
@pytest.mark.parametrize(
    ("places", "late"),
    [
        (1, [MISS] * 6),  # the last place is never taken
        (2, [MISS] * 6),  # the load that asks has the other one
        (3, [SECOND_HIT] * 6),  # the second line finds no place, and is tried again
    ],
)
def test_what_finds_no_place_in_the_second_level_is_tried_again_with_the_next_load(
    engine, places, late
):
    prefetcher = {"entries": 4, "lines": 0, "second_level_lines": 2}
    issued, done = passage(core(places=(8, places), prefetcher=prefetcher), walk(60), engine)
    took = [end - begin for begin, end in zip(issued, done, strict=True)]
    assert took == [MISS] * 6 + late


def asked(addresses, **spec):
    return lines_ahead(
        LoadPrefetcherSpec(entries=4, **spec),
        64,
        np.zeros(len(addresses), dtype=np.int64),
        np.array(addresses, dtype=np.int64),
    )


def of_level(found, level):
    rows = zip(found.load.tolist(), found.address.tolist(), found.level.tolist(), strict=True)
    return [(load, address) for load, address, where in rows if where == level]


def test_the_second_level_is_asked_for_each_line_once_beyond_those_of_the_first():
    found = asked([64 * n for n in range(8)], lines=1, second_level_lines=2)
    assert of_level(found, 0) == [(5, 384), (6, 448), (7, 512)]
    assert of_level(found, 1) == [(5, 448), (5, 512), (6, 576), (7, 640)]
    assert found.run_of.tolist() == [-1] * 5 + [0] * 3


def test_strides_within_a_line_ask_for_a_line_once_and_downwards_too():
    found = asked([1024 - 32 * n for n in range(9)], lines=0, second_level_lines=2)
    assert of_level(found, 1) == [(5, 864 - 64), (5, 864 - 128), (7, 800 - 128)]


def test_a_stream_begins_anew_where_a_load_leaves_what_was_asked_for():
    there = [64 * n for n in range(7)]
    found = asked(there * 2, lines=0, second_level_lines=2)
    assert found.run_of.tolist() == [-1] * 5 + [0, 0] + [-1] * 2 + [1] * 5
    assert of_level(found, 1)[2:5] == [(6, 512), (9, 192), (9, 256)]


def test_the_second_level_is_not_asked_for_other_pages():
    addresses = [4096 - 64 * n for n in range(7, 0, -1)]
    found = asked(addresses, lines=0, second_level_lines=2, page_bytes=4096)
    assert of_level(found, 1) == [(5, 4032)]
    assert (5, 4096) in of_level(
        asked(addresses, lines=0, second_level_lines=2, page_bytes=None), 1
    )


def test_fills_of_the_second_level_are_linked_to_those_that_bring_their_lines():
    prefetcher = {"entries": 4, "lines": 0, "second_level_lines": 2}
    lines = make_stream(core(prefetcher=prefetcher), executed(walk(0))).data
    assert lines.fill_level.tolist() == [2] * 6 + [1] * 6
    assert np.bincount(lines.home).tolist() == [12, 14]  # two lines beyond the last
    assert lines.home[lines.behind[:12]].tolist() == [1] * 12
    assert lines.behind[6:12].tolist() == lines.early[:6].tolist()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"levels": BASE["memory"]["levels"][:1]}, "for a second of the `levels`"),
        (
            {
                "levels": [
                    BASE["memory"]["levels"][0],
                    {**BASE["memory"]["levels"][1], "inclusion": "inclusive"},
                ]
            },
            "neither include nor exclude others: leave out `inclusion`",
        ),
        (
            {"load_prefetcher": {"entries": 1, "lines": 0}},
            "asks for `lines` or `second_level_lines`; leave it out",
        ),
    ],
)
def test_a_prefetcher_without_what_it_needs_is_refused(changes, message):
    prefetcher = {"entries": 4, "lines": 1, "second_level_lines": 2}
    memory = {**BASE["memory"], "load_prefetcher": prefetcher, **changes}
    with pytest.raises(ValueError, match=message):
        CoreSpec.model_validate({**BASE, "memory": memory})


LEVELS = tuple(
    CacheLevelSpec(name=name, capacity_bytes=size, ways=2, line_bytes=line)
    for name, size, line in (("L1", 256, 32), ("L2", 512, 64))
)
ACCESSES = st.lists(
    st.tuples(st.integers(0, 2047), st.booleans(), st.sampled_from([0, 0, 1])), max_size=120
)


@given(ACCESSES)
def test_an_access_that_enters_behind_the_first_level_passes_by_it(accesses):
    caches = CacheHierarchy(HierarchySpec(levels=LEVELS))
    expected = [
        enters + caches.levels[enters].access(address, write=store and not enters)
        for address, store, enters in accesses
    ]
    address, store, enters = (
        np.array([row[column] for row in accesses], dtype=np.int64) for column in range(3)
    )
    found = levels_with(LEVELS, address, (store == 1) & (enters == 0), enters)
    assert found.tolist() == expected
