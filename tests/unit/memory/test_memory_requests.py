"""What caches ask of main memory, request by request."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.memory.cache.plain import memory_requests
from sim.memory.cache.run import AddressTrace, run_addresses
from sim.memory.cache.spec import hierarchy

SPEC = hierarchy({"capacity_bytes": 256, "ways": 2}, {"capacity_bytes": 1024, "ways": 4})


def requests(trace):
    return memory_requests(SPEC, trace.addresses, trace.kinds, trace.sizes)


def test_a_written_line_goes_out_after_the_fetch_that_drives_it_out():
    one_set = 256 * np.arange(7)
    kinds = [1, 0, 0, 0, 0, 0, 0]
    addresses, writes = requests(AddressTrace.of(one_set, kinds=kinds))
    assert addresses[~writes].tolist() == one_set.tolist()
    assert addresses[writes].tolist() == [0]
    # L1 gives it back when the third line comes, so that L2 keeps it longer than lines 1 and 2.
    assert np.flatnonzero(writes).tolist() == [7]


@given(st.lists(st.tuples(st.integers(0, 4095), st.integers(0, 1)), min_size=1, max_size=200))
@settings(max_examples=50, deadline=None)
def test_requests_are_as_many_as_are_counted(accesses):
    columns = np.array(accesses)
    trace = AddressTrace.of(columns[:, 0], kinds=columns[:, 1])
    addresses, writes = requests(trace)
    counts = run_addresses(SPEC, trace).counts.memory
    assert (len(addresses) - writes.sum(), writes.sum()) == (counts.reads, counts.writes)
    assert (addresses % 64 == 0).all()
