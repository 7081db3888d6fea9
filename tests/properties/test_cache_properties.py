"""For any hierarchy and any addresses: the compiled twin counts what the readable caches count."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.memory.cache.run import AddressTrace, run_addresses
from sim.memory.cache.spec import Inclusion, Replacement, hierarchy


@st.composite
def prefetchers(draw, line):
    kind = draw(st.sampled_from(["next_line", "stride", "stream"]))
    spec = {
        "kind": kind,
        "degree": draw(st.integers(1, 3)),
        "distance": draw(st.integers(1, 4)),
        "page_bytes": line * draw(st.sampled_from([1, 4, 16, 64])),
        "queue_lines": draw(st.sampled_from([1, 3, 32])),
    }
    if kind != "next_line":
        spec |= {"entries": draw(st.integers(1, 3)), "confidence": draw(st.integers(1, 2))}
    if kind == "stream":
        spec["window"] = draw(st.integers(1, 4))
    return spec


@st.composite
def hierarchies(draw, prefetching=st.just(False)):  # noqa: B008 - a strategy is a value
    levels, line, plain = [], draw(st.sampled_from([8, 16])), True
    for number in range(draw(st.integers(1, 4))):
        ways = draw(st.sampled_from([1, 2, 4]))
        exclusive = number > 0 and plain and draw(st.booleans())
        if not exclusive:
            line *= draw(st.sampled_from([1, 1, 2]))
        sectors = 1 if exclusive else draw(st.sampled_from([1, 1, 2, 4]))
        back = exclusive or draw(st.booleans())
        plain = back and sectors == 1
        inclusion = Inclusion.EXCLUSIVE if exclusive else Inclusion.NEITHER
        if number and not exclusive and draw(st.booleans()):
            inclusion = Inclusion.INCLUSIVE
        levels.append({
            "capacity_bytes": ways * line * draw(st.sampled_from([1, 2, 3, 4])),
            "ways": ways,
            "line_bytes": line,
            "sectors": sectors,
            "replacement": draw(st.sampled_from(Replacement)),
            "write_back": back,
            "write_allocate": draw(st.booleans()),
            "inclusion": inclusion,
            "prefetcher": draw(prefetchers(line)) if draw(prefetching) else None,
        })  # fmt: skip
    return hierarchy(*levels)


@st.composite
def traces(draw):
    access = st.tuples(st.integers(0, 300), st.integers(0, 1), st.sampled_from([1, 4, 8, 40]))
    accesses = draw(st.lists(access, max_size=120))
    addresses, kinds, sizes = zip(*accesses, strict=True) if accesses else ((), (), ())
    return AddressTrace.of(addresses, kinds=kinds, sizes=sizes)


@st.composite
def walks(draw):
    """Strides, up and down, some of them interleaved with others."""
    trace = []
    for _ in range(draw(st.integers(1, 4))):
        at, step = draw(st.integers(0, 600)), draw(st.sampled_from([-48, -16, -8, 4, 8, 16, 24]))
        run = [(at + step * i, draw(st.integers(0, 1))) for i in range(draw(st.integers(2, 30)))]
        other = draw(st.sampled_from([[], trace]))
        merged = [access for pair in zip(run, other, strict=False) for access in pair]
        trace = [*trace, *(merged or run)]
    kept = [(address, kind) for address, kind in trace if address >= 0] or [(0, 0)]
    addresses, kinds = zip(*kept, strict=True)
    return AddressTrace.of(addresses, kinds=kinds, sizes=draw(st.sampled_from([1, 8, 40])))


@given(hierarchies(), traces())
@settings(deadline=None, max_examples=400)
def test_the_compiled_caches_count_what_the_readable_ones_count(spec, trace):
    readable = run_addresses(spec, trace, engine="readable", where_found=True)
    compiled = run_addresses(spec, trace, where_found=True)
    assert readable.counts == compiled.counts
    assert np.array_equal(readable.found, compiled.found)


@given(hierarchies(prefetching=st.booleans()), st.one_of(walks(), traces()))
@settings(deadline=None, max_examples=400)
def test_with_prefetchers_too_the_compiled_caches_count_what_the_readable_ones_count(spec, trace):
    readable = run_addresses(spec, trace, engine="readable", where_found=True)
    compiled = run_addresses(spec, trace, where_found=True)
    assert readable.counts == compiled.counts
    assert np.array_equal(readable.found, compiled.found)
    for level in readable.counts.levels:
        assert level.useful + level.useless <= level.prefetches
