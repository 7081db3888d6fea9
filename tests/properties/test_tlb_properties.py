"""For any TLBs and any addresses: the compiled twin counts and loads what the readable one does.

And every field of a specification moves some output.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.memory.cache.run import AddressTrace, run_addresses
from sim.memory.cache.spec import Replacement, hierarchy
from sim.memory.tlb.run import translate, translation_cycles
from sim.memory.tlb.spec import (
    MappingSpec,
    MmuSpec,
    RegionSpec,
    TlbArraySpec,
    TlbLevelSpec,
    TranslationSpec,
    WalkCacheSpec,
)

PAGE = 256
SIZES = (PAGE, PAGE * 16, PAGE * 256)
"""Tables of 256 bytes have 16 entries of 16 bytes."""


@st.composite
def arrays(draw):
    ways = draw(st.sampled_from([1, 2, 4]))
    return {
        "entries": ways * draw(st.sampled_from([1, 2, 3])),
        "ways": ways,
        "replacement": draw(st.sampled_from(Replacement)),
        "seed": draw(st.integers(1, 5)),
    }


@st.composite
def levels(draw, number):
    sizes = draw(st.permutations(SIZES))
    cut = draw(st.integers(1, 3))
    parts = [part for part in (sizes[:cut], sizes[cut : draw(st.integers(cut, 3))]) if part]
    described = [{**draw(arrays()), "page_bytes": part} for part in parts]
    return {"name": str(number), "arrays": described}


@st.composite
def specs(draw):
    spans = draw(st.lists(st.sampled_from([*SIZES[1:], PAGE * 16**3]), unique=True))
    regions, at = [], 0
    for size in draw(st.lists(st.sampled_from(SIZES), max_size=3)):
        first = at + draw(st.integers(0, 1)) * SIZES[2]
        at = first + draw(st.integers(1, 2)) * SIZES[2]
        regions.append({"first_byte": first, "size_bytes": at - first, "page_bytes": size})
    return TranslationSpec.model_validate({
        "address_bits": 24,
        "smallest_page_bytes": PAGE,
        "entry_bytes": 16,
        "levels": [draw(levels(number)) for number in range(draw(st.integers(1, 3)))],
        "walk_caches": [{**draw(arrays()), "span_bytes": span} for span in spans],
        "mapping": {
            "page_bytes": draw(st.sampled_from(SIZES)),
            "regions": regions,
            "scatter_seed": draw(st.one_of(st.none(), st.integers(1, 2**31 - 1))),
        },
    })  # fmt: skip


@st.composite
def traces(draw):
    top = draw(st.sampled_from([PAGE * 8, SIZES[2] * 3, 2**24 - 256]))
    access = st.tuples(st.integers(0, top), st.integers(0, 1), st.sampled_from([1, 8, 255]))
    accesses = draw(st.lists(access, max_size=100))
    addresses, kinds, sizes = zip(*accesses, strict=True) if accesses else ((), (), ())
    return AddressTrace.of(addresses, kinds=kinds, sizes=sizes)


@given(specs(), traces())
@settings(deadline=None, max_examples=300)
def test_the_compiled_translation_counts_and_loads_what_the_readable_one_does(spec, trace):
    readable = translate(trace, spec, engine="readable", with_physical=True)
    compiled = translate(trace, spec, with_physical=True)
    assert readable.counts == compiled.counts
    assert np.array_equal(readable.is_walk, compiled.is_walk)
    for column in ("addresses", "kinds", "sizes"):
        left, right = getattr(readable.physical, column), getattr(compiled.physical, column)
        assert np.array_equal(left, right)
    assert translate(trace, spec).counts == compiled.counts


@given(specs(), traces())
@settings(deadline=None, max_examples=100)
def test_counts_add_up_and_no_two_bytes_share_a_place(spec, trace):
    run = translate(trace, spec, with_physical=True)
    counts, walked = run.counts, run.is_walk
    for nearer, farther in zip(counts.levels, counts.levels[1:], strict=False):
        assert farther.searches == nearer.misses
    assert counts.levels[-1].misses == counts.walks
    assert (counts.walk_loads, counts.translations) == (walked.sum(), (~walked).sum())
    assert run.physical.sizes[~walked].sum() == trace.sizes.sum()
    data = run.physical.addresses[~walked]
    assert np.all(data % PAGE == _pieces(trace, spec) % PAGE)
    if len(trace):
        tables = run.physical.addresses[walked]
        assert data.max() < tables.min()
    starts = dict(zip(_pieces(trace, spec).tolist(), data.tolist(), strict=True))
    assert len(set(starts.values())) == len(starts)


def _pieces(trace, spec):
    """Virtual addresses of all accesses, cut at pages' ends."""
    plain = spec.model_copy(update={"mapping": spec.mapping.model_copy(update=IDENTITY)})
    run = translate(trace, plain, with_physical=True)
    return run.physical.addresses[~run.is_walk]


IDENTITY = {"scatter_seed": None}

ARRAY = TlbArraySpec(entries=4, ways=2, replacement="random", page_bytes=SIZES)
FIRST = TlbLevelSpec(name="L1", hit_cycles=1, arrays=(ARRAY,))
CACHE = WalkCacheSpec(entries=4, ways=2, replacement="random", span_bytes=SIZES[1])
REGION = RegionSpec(first_byte=SIZES[2], size_bytes=SIZES[2], page_bytes=SIZES[1])
BASE = TranslationSpec(
    address_bits=24,
    smallest_page_bytes=PAGE,
    entry_bytes=16,
    levels=(FIRST,),
    walk_caches=(CACHE,),
    mapping=MappingSpec(page_bytes=PAGE, regions=(REGION,), scatter_seed=3),
)
PLAIN = TranslationSpec(
    address_bits=32,
    entry_bytes=16,
    levels=(TlbLevelSpec(name="L1", arrays=(ARRAY.model_copy(update={"page_bytes": (4096,)}),)),),
)
"""Of one page size that tables of several forms have."""
ENTRIES = {"entries": 8, "ways": 4, "replacement": Replacement.LRU, "seed": 2}
CHANGES = {
    "hardware": {"address_bits": 28, "levels": (FIRST, FIRST), "walk_caches": ()},
    "tables": {"smallest_page_bytes": 256, "entry_bytes": 8},
    "whole": {"mapping": MappingSpec(page_bytes=SIZES[1])},
    "mapping": {"page_bytes": SIZES[1], "regions": (), "scatter_seed": 4},
    "region": {"first_byte": 0, "size_bytes": 2 * SIZES[2], "page_bytes": SIZES[2]},
    "level": {"hit_cycles": 2, "arrays": (ARRAY.model_copy(update={"entries": 16}),)},
    "array": {**ENTRIES, "page_bytes": SIZES[1:]},
    "walk_cache": {**ENTRIES, "span_bytes": SIZES[2]},
}
MOVING = [
    (part, field, value) for part, fields in CHANGES.items() for field, value in fields.items()
]


def _changed(part, change):
    """Change one field of one part of the base."""
    if part in {"hardware", "whole", "tables"}:
        return (PLAIN if part == "tables" else BASE).model_copy(update=change)
    if part in {"mapping", "region"}:
        if part == "region":
            change = {"regions": (REGION.model_copy(update=change),)}
        return BASE.model_copy(update={"mapping": BASE.mapping.model_copy(update=change)})
    if part == "walk_cache":
        return BASE.model_copy(update={"walk_caches": (CACHE.model_copy(update=change),)})
    if part == "array":
        change = {"arrays": (ARRAY.model_copy(update=change),)}
    return BASE.model_copy(update={"levels": (FIRST.model_copy(update=change),)})


def _outputs(spec):
    generator = np.random.default_rng(2)
    trace = AddressTrace.of(generator.integers(0, 3 * SIZES[2], 2000), sizes=8)
    run = translate(trace, spec, with_physical=True)
    caches = hierarchy({"capacity_bytes": 1024, "ways": 4})
    found = run_addresses(caches, run.physical, where_found=True).found
    cycles = translation_cycles(spec, run, found, [4, 100])
    return run.counts, run.physical.addresses.tolist(), run.physical.sizes.tolist(), cycles


@pytest.mark.parametrize(("part", "field", "value"), MOVING)
def test_every_field_moves_some_output(part, field, value):
    base = PLAIN if part == "tables" else BASE
    assert _outputs(_changed(part, {field: value})) != _outputs(base)


def test_no_field_is_left_out_but_names():
    parts = (MmuSpec, TranslationSpec, MappingSpec, RegionSpec, TlbLevelSpec, TlbArraySpec)
    known = {name for part in (*parts, WalkCacheSpec) for name in part.model_fields}
    assert known - {field for _, field, _ in MOVING} == {"name"}
