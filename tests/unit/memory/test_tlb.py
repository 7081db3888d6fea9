"""TLBs and page walks by hand: what hits, what leaves, what a walk loads."""

import numpy as np
import pytest
from pydantic import ValidationError
from tlb_cases import (
    GIB1,
    KIB4,
    MIB2,
    array,
    counts,
    level,
    pages,
    spec,
    walk_caches,
    walk_of,
)

from sim.errors import SpecError
from sim.memory.cache.run import AddressTrace
from sim.memory.tlb.run import translate
from sim.memory.tlb.spec import TlbLevelSpec, TranslationSpec


def test_four_entries_hold_four_pages_and_give_up_the_one_used_longest_ago():
    l1 = counts(spec(), pages([0, 1, 2, 3, 0, 4, 0, 1])).levels[0]
    assert (l1.hits, l1.misses, l1.evictions) == (2, 6, 2)


@pytest.mark.parametrize(
    ("replacement", "numbers", "hits"),
    [
        ("lru", [0, 1, 0, 2, 0], 2),
        ("fifo", [0, 1, 0, 2, 0], 1),
        ("mru", [0, 1, 0, 2, 1], 2),
        ("plru", [0, 1, 0, 2, 0], 2),
        ("srrip", [0, 1, 0, 2, 0], 2),
    ],
)
def test_each_policy_gives_up_its_own_page(replacement, numbers, hits):
    two = spec(level("L1", array(2, replacement=replacement)))
    assert counts(two, pages(numbers)).levels[0].hits == hits


def test_one_page_more_than_entries_misses_always_under_lru_and_rarely_under_mru():
    cycle = pages(list(range(5)) * 20)
    assert counts(spec(), cycle).levels[0].hits == 0
    newest = spec(level("L1", array(replacement="mru")))
    assert counts(newest, cycle).levels[0].hits > 70
    assert counts(spec(), pages(list(range(4)) * 20)).levels[0].misses == 4


def test_low_bits_of_the_page_number_choose_the_set():
    direct = spec(level("L1", array(4, ways=1)))
    assert counts(direct, pages([0, 4, 0, 4])).levels[0].hits == 0
    assert counts(direct, pages([0, 5, 0, 5])).levels[0].hits == 2


@pytest.mark.parametrize(("page_bytes", "loads"), [(KIB4, 4), (MIB2, 3), (GIB1, 2)])
def test_a_walk_of_48_bits_loads_an_entry_a_level_down_to_the_page(page_bytes, loads):
    assert counts(spec(page_bytes=page_bytes), pages([0])).walk_loads == loads


@pytest.mark.parametrize(("bits", "loads"), [(39, 3), (48, 4), (57, 5)])
def test_nine_more_address_bits_make_one_more_load(bits, loads):
    assert counts(spec(address_bits=bits), pages([0])).walk_loads == loads


def test_pages_of_16_kib_have_tables_of_2048_entries():
    large = spec(
        level("L1", array(page_bytes=[2**14, 2**25])),
        page_bytes=2**14,
        smallest_page_bytes="16 KiB",
        address_bits=47,
    )
    assert large.table_levels == 3
    assert walk_of(large, AddressTrace.of([3 * 2**14])) == [
        4 * 2**14,  # the root, above the data
        5 * 2**14,
        6 * 2**14 + 3 * 8,
    ]


def test_a_walk_reads_one_entry_of_each_table_on_the_way():
    address = 1 * GIB1 + 2 * MIB2 + 3 * KIB4
    root, pdpt, pd, pt = (
        address + KIB4 * nth for nth in range(1, 5)
    )  # first touched, first placed
    assert walk_of(spec(), AddressTrace.of([address])) == [root, pdpt + 8, pd + 16, pt + 24]


def test_tables_are_placed_as_they_are_first_touched():
    first, last = MIB2, 2 * MIB2
    tables = last + KIB4
    assert walk_of(spec(), AddressTrace.of([last, first])) == [
        *(tables, tables + KIB4, tables + 2 * KIB4 + 16, tables + 3 * KIB4),
        *(tables, tables + KIB4, tables + 2 * KIB4 + 8, tables + 4 * KIB4),
    ]


def test_loads_of_a_walk_stand_before_the_access_that_caused_it():
    trace = AddressTrace.of([0, 8, KIB4], kinds=[1, 0, 0], sizes=4)
    run = translate(trace, spec(), with_physical=True)
    assert run.is_walk.tolist() == [True] * 4 + [False] * 2 + [True] * 4 + [False]
    assert run.physical.sizes.tolist() == [8, 8, 8, 8, 4, 4, 8, 8, 8, 8, 4]
    assert run.physical.kinds.tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]


def test_a_stream_misses_once_a_page_and_pages_of_2_mib_divide_that_by_512():
    stream = AddressTrace.of(np.arange(0, 8 * MIB2, 64), sizes=64)
    assert counts(spec(), stream).walks == 8 * 512
    assert counts(spec(page_bytes=MIB2), stream).walks == 8


def test_walk_caches_leave_one_load_a_walk_of_a_stream():
    stream = pages(range(512))
    streamed = counts(spec(walk_caches=walk_caches()), stream)
    assert (streamed.walks, streamed.walk_loads) == (512, 4 + 511)
    assert streamed.saved_loads == 3 * 511
    assert counts(spec(), stream).walk_loads == 4 * 512


def test_a_walk_begins_below_the_nearest_entry_that_a_walk_cache_holds():
    apart = AddressTrace.of([0, MIB2, MIB2 + KIB4, GIB1])  # saves none, two, three, one
    described = spec(walk_caches=walk_caches())
    seen = counts(described, apart)
    assert (seen.walk_loads, seen.saved_loads) == (4 + 2 + 1 + 3, 2 + 3 + 1)
    assert [(c.hits, c.misses) for c in seen.walk_caches] == [(1, 3), (1, 2), (1, 1)]


def test_an_entry_that_is_a_page_is_no_matter_of_walk_caches():
    huge = spec(page_bytes=MIB2, walk_caches=walk_caches())
    seen = counts(huge, pages([0, 1, 2], MIB2))
    assert [c.searches for c in seen.walk_caches] == [0, 3, 1]
    assert seen.walk_loads == 3 + 1 + 1


def test_a_full_walk_cache_gives_up_an_entry():
    seen = counts(spec(walk_caches=walk_caches(1, [MIB2])), pages([0, 512, 1]))
    assert (seen.walk_caches[0].evictions, seen.saved_loads) == (2, 0)


def test_a_hit_in_the_second_level_needs_no_walk_and_fills_the_first():
    two = spec(level("L1", array(1)), level("L2", array(4)))
    seen = counts(two, pages([0, 1, 0, 0]))
    assert [(c.hits, c.misses) for c in seen.levels] == [(1, 3), (1, 2)]
    assert seen.walks == 2


def test_a_page_that_a_level_cannot_hold_misses_there_always():
    small = level("L1", array(4, page_bytes=[KIB4]))
    seen = counts(spec(small, level("L2"), page_bytes=MIB2), pages([0, 0, 0], MIB2))
    assert [(c.hits, c.misses) for c in seen.levels] == [(0, 3), (2, 1)]
    walked = translate(pages([0, 0], MIB2), spec(small, page_bytes=MIB2), with_physical=True)
    assert (walked.counts.walks, len(walked.physical)) == (2, 2 * 3 + 2)


def test_a_shared_array_does_not_take_a_large_page_for_the_small_one_of_its_number():
    region = {"first_byte": 0, "size_bytes": MIB2, "page_bytes": MIB2}
    both = spec(regions=[{**region, "first_byte": 4 * MIB2}])
    trace = AddressTrace.of([4 * KIB4, 4 * MIB2, 4 * KIB4, 4 * MIB2])  # both are page 4
    assert (counts(both, trace).levels[0].misses, counts(both, trace).walk_loads) == (2, 4 + 3)


def test_separate_arrays_of_a_level_do_not_push_each_other_out():
    split = level("L1", array(1, page_bytes=[KIB4]), array(1, page_bytes=[MIB2]))
    regions = [{"first_byte": MIB2, "size_bytes": MIB2, "page_bytes": MIB2}]
    trace = AddressTrace.of([0, MIB2, 0, MIB2])
    assert counts(spec(split, regions=regions), trace).levels[0].hits == 2
    assert counts(spec(level("L1", array(1)), regions=regions), trace).levels[0].hits == 0


def test_an_access_across_two_pages_is_translated_twice_and_cut():
    trace = AddressTrace.of([KIB4 - 3], kinds=1, sizes=8)
    run = translate(trace, spec(), with_physical=True)
    data = ~run.is_walk
    assert run.counts.translations == 2
    assert run.physical.addresses[data].tolist() == [KIB4 - 3, KIB4]
    assert run.physical.sizes[data].tolist() == [3, 5]
    assert run.physical.kinds[data].tolist() == [1, 1]
    assert counts(spec(page_bytes=MIB2), trace).translations == 1


def test_scattered_pages_take_each_others_frames_and_keep_their_offsets():
    trace = AddressTrace.of([number * KIB4 + 5 for number in range(100)])
    run = translate(trace, spec(scatter_seed=7), with_physical=True)
    physical = run.physical.addresses[~run.is_walk]
    assert sorted(physical.tolist()) == trace.addresses.tolist()
    assert (physical != trace.addresses).sum() > 90
    plain = translate(trace, spec(), with_physical=True)
    assert plain.physical.addresses[~plain.is_walk].tolist() == trace.addresses.tolist()
    assert plain.counts == run.counts


def test_scattered_pages_of_two_sizes_never_overlap():
    regions = [{"first_byte": MIB2, "size_bytes": 3 * MIB2, "page_bytes": MIB2}]
    trace = pages(range(5 * 512))
    run = translate(trace, spec(regions=regions, scatter_seed=3), with_physical=True)
    physical = run.physical.addresses[~run.is_walk]
    assert sorted(physical.tolist()) == trace.addresses.tolist()
    large = physical[512 : 4 * 512]
    assert {int(address) // MIB2 for address in large} == {1, 2, 3}
    assert np.all(np.diff(large.reshape(3, 512)) == KIB4)


def test_reach_is_entries_times_page():
    described = TlbLevelSpec.model_validate(
        level("L1", array(64, page_bytes=[KIB4]), array(32, page_bytes=[MIB2]))
    )
    assert described.reach_bytes(KIB4) == 64 * KIB4
    assert described.reach_bytes(MIB2) == 32 * MIB2
    assert described.reach_bytes(GIB1) == 0


def test_no_accesses_need_no_translation():
    for engine in ("readable", "compiled"):
        run = translate(AddressTrace.of([]), spec(), engine=engine, with_physical=True)
        assert (run.counts.translations, len(run.physical), len(run.is_walk)) == (0, 0, 0)


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ({"levels": [level("L1", array(6, ways=4))]}, "no whole sets of 4 ways"),
        ({"levels": [level("L1", array(3, replacement="plru"))]}, "a power of two of ways"),
        ({"levels": [level("A"), level("A")]}, "names of their own: A"),
        ({"levels": [level("A", array(), array())]}, "A holds a page size twice"),
        ({"levels": [level("A", array(page_bytes=[8192]))]}, "none of the table's sizes: 4096, "),
        ({"mapping": {"page_bytes": "64 KiB"}}, "65536 bytes are none of the table's"),
        ({"walk_caches": walk_caches(4, [MIB2, MIB2])}, "two walk caches of one span"),
        ({"walk_caches": walk_caches(4, [KIB4])}, "belong into a TLB"),
        ({"smallest_page_bytes": 5000}, "no power of two"),
        ({"smallest_page_bytes": 128}, "greater than or equal to 256"),
        ({"entry_bytes": 12}, "no power of two"),
        ({"address_bits": 12}, "leave nothing to translate"),
        ({"mapping": {"scatter_seed": 0}}, "greater than or equal to 1"),
    ],
)
def test_hardware_that_cannot_be_is_refused(described, message):
    with pytest.raises(ValidationError, match=message):
        TranslationSpec.model_validate({"levels": (level(),), **described})


@pytest.mark.parametrize(
    ("regions", "message"),
    [
        ([(KIB4, MIB2, MIB2)], "must begin and end at pages of 2097152"),
        ([(0, MIB2 + KIB4, MIB2)], "must begin and end"),
        ([(0, 2 * MIB2, MIB2), (MIB2, MIB2, KIB4)], "overlaps the one before"),
        ([(2**48, MIB2, MIB2)], "end beyond addresses of 48 bits"),
    ],
)
def test_regions_that_cannot_be_are_refused(regions, message):
    names = ("first_byte", "size_bytes", "page_bytes")
    with pytest.raises(ValidationError, match=message):
        spec(regions=[dict(zip(names, region, strict=True)) for region in regions])


def test_a_region_of_small_pages_fills_whole_default_pages():
    regions = [{"first_byte": KIB4, "size_bytes": KIB4, "page_bytes": KIB4}]
    with pytest.raises(ValidationError, match="pages of 2097152 bytes"):
        spec(page_bytes=MIB2, regions=regions)


@pytest.mark.parametrize("engine", ["readable", "compiled"])
def test_an_address_of_more_bits_than_are_translated_is_refused(engine):
    narrow = spec(address_bits=39)
    assert translate(AddressTrace.of([2**39 - 1]), narrow, engine=engine).counts.walks == 1
    with pytest.raises(SpecError, match="needs more than the 39 bits"):
        translate(AddressTrace.of([2**39]), narrow, engine=engine)
