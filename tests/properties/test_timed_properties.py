"""For any hierarchy, timing and addresses: counts are the untimed ones, and laws of time hold."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.memory.cache.run import AddressTrace, run_addresses
from sim.memory.cache.spec import Inclusion, Replacement, hierarchy
from sim.memory.timed import CoreSpec, TimedHierarchySpec, TimedLevelSpec, run_timed

FEW = st.integers(1, 3)


@st.composite
def prefetchers(draw, line):
    return {
        "kind": draw(st.sampled_from(["next_line", "stride", "stream"])),
        "degree": draw(FEW),
        "distance": draw(FEW),
        "page_bytes": line * draw(st.sampled_from([1, 4, 64])),
    }


@st.composite
def hierarchies(draw, prefetching):
    levels, line, plain = [], draw(st.sampled_from([8, 16])), True
    for number in range(draw(st.integers(1, 3))):
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
            "prefetcher": draw(st.none() | prefetchers(line)) if prefetching else None,
            "hit_cycles": draw(st.integers(0, 4)),
        })  # fmt: skip
    return hierarchy(*levels, memory_cycles=draw(st.integers(0, 30)))


@st.composite
def timings(draw, hit_cycles):
    return TimedLevelSpec(
        ports=draw(FEW),
        banks=draw(FEW),
        bank_busy_cycles=draw(FEW),
        miss_cycles=draw(st.none() | st.integers(0, hit_cycles)),
        mshrs=draw(FEW),
        mshr_targets=draw(FEW),
        fill_bytes_per_cycle=draw(st.sampled_from([1, 8, 64])),
        write_buffer=draw(FEW),
        write_back_cycles=draw(st.integers(0, 5)),
    )


@st.composite
def timed(draw, prefetching=False):
    caches = draw(hierarchies(prefetching))
    return TimedHierarchySpec(
        caches=caches,
        timing={level.name: draw(timings(level.hit_cycles)) for level in caches.levels},
        memory_bytes_per_cycle=draw(st.sampled_from([1, 8, 64])),
        core=CoreSpec(
            issue_per_cycle=draw(FEW),
            outstanding_loads=draw(st.sampled_from([1, 4, 64])),
            store_buffer=draw(st.sampled_from([1, 4, 64])),
        ),
    )


@st.composite
def traces(draw, kinds=(0, 1)):
    access = st.tuples(st.integers(0, 300), st.sampled_from(kinds), st.sampled_from([1, 4, 8, 40]))
    accesses = draw(st.lists(access, max_size=60))
    addresses, kinds, sizes = zip(*accesses, strict=True) if accesses else ((), (), ())
    return AddressTrace.of(addresses, kinds=kinds, sizes=sizes)


@st.composite
def strides(draw):
    step, count = draw(st.sampled_from([4, 8, 24])), draw(st.integers(1, 60))
    return AddressTrace.of(np.arange(count) * step, kinds=draw(st.sampled_from([0, 1])))


@given(timed(prefetching=True), traces() | strides(), st.booleans())
@settings(deadline=None, max_examples=250)
def test_time_changes_no_count_and_the_stack_sums_to_the_cycles(spec, trace, dependent):
    run = run_timed(spec, trace, dependent=dependent)
    assert run.counts == run_addresses(spec.caches, trace).counts
    assert run.stack.total == run.cycles
    if len(trace):
        assert run.cycles == max(run.done.max(), run.issued.max() + 1)
        assert (np.diff(run.issued) >= 0).all()
        assert (run.done >= run.issued).all()
    for level in run.levels:
        assert level.timely_prefetches >= 0
        assert level.most_mshrs <= spec.timing[level.name].mshrs
        assert max(level.mshr_full_cycles, level.write_buffer_full_cycles) <= run.cycles


def with_more(spec, field, amount):
    """The description with one figure of every level, or of memory, set."""
    if field == "memory_bytes_per_cycle":
        return spec.model_copy(update={field: amount})
    timing = {name: own.model_copy(update={field: amount}) for name, own in spec.timing.items()}
    return spec.model_copy(update={"timing": timing})


MORE = [
    "ports",
    "mshrs",
    "mshr_targets",
    "fill_bytes_per_cycle",
    "write_buffer",
    "memory_bytes_per_cycle",
]


@given(timed(), traces(kinds=(0,)), st.sampled_from(MORE))
@settings(deadline=None, max_examples=250, derandomize=True)
def test_more_of_anything_makes_no_trace_of_loads_slower(spec, trace, field):
    # With stores it can: see the test of the write that gets in front of a load.
    few, more, many = (run_timed(with_more(spec, field, n), trace).cycles for n in (1, 2, 64))
    assert few >= more >= many
