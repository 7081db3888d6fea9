"""Under any traffic: one writer or many readers, reads return the last write, nothing is lost.

Both invariants are checked by the monitor at every step of every run, and raise.
"""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.memory.coherent.cache import PrivateCacheSpec, add, fence, load, store, work
from sim.memory.coherent.protocol import DIRECTORY, SNOOPING, On, State
from sim.memory.coherent.snooping import BusSpec
from sim.memory.coherent.system import CoherenceSpec, run_coherent, straight
from sim.memory.coherent.wires import HomeSpec
from sim.memory.network.spec import NetworkSpec
from sim.memory.network.topology import Crossbar, Mesh, Ring

LINE_BYTES = 16
WORDS = 8  # of four lines, in caches of one to four lines
ADDRESSES = st.integers(0, WORDS - 1).map(lambda word: 8 * word)
ACCESSES = st.one_of(
    st.builds(load, ADDRESSES),
    st.builds(store, ADDRESSES, st.integers(1, 99)),
    st.builds(add, ADDRESSES, st.integers(1, 9)),
    st.builds(work, st.integers(0, 40)),
    st.builds(fence),
)
NETWORKS = st.builds(
    NetworkSpec,
    topology=st.sampled_from([Crossbar(4), Ring(4), Mesh(2, 2)]),
    link_cycles=st.integers(1, 9),
    buffer_flits=st.integers(1, 4),
    arbitration=st.sampled_from(["flow", "port"]),
)
BUSES = st.builds(
    BusSpec,
    width_bytes=st.sampled_from([8, 16]),
    snoop_cycles=st.integers(1, 5),
    memory_cycles=st.integers(1, 30),
)
HOMES = st.builds(HomeSpec, lookup_cycles=st.integers(1, 6), memory_cycles=st.integers(1, 30))


def specs(fabrics, outer_cycles):
    return st.builds(
        CoherenceSpec,
        fabric=fabrics,
        protocol=st.sampled_from(["MESI", "MOESI"]),
        cache=st.builds(
            PrivateCacheSpec,
            sets=st.integers(1, 2),
            ways=st.integers(1, 2),
            line_bytes=st.just(LINE_BYTES),
            hit_cycles=st.integers(1, 4),
            store_buffer=st.integers(0, 3),
            merged_stores=st.integers(1, 3),
            outer_cycles=outer_cycles,
        ),
        home=HOMES,
    )


SPECS = st.one_of(specs(NETWORKS, st.integers(0, 9)), specs(BUSES, st.just(0)))
TRAFFIC = st.lists(st.lists(ACCESSES, max_size=25), min_size=2, max_size=4)


@given(SPECS, TRAFFIC)
@settings(deadline=None, max_examples=250)
def test_random_traffic_keeps_both_invariants_and_ends(spec, traffic):
    result = run_coherent(spec, [straight(accesses) for accesses in traffic])
    for core, accesses in zip(result.cores, traffic, strict=True):
        done = core.forwarded + core.hits + core.upgrades + sum(core.misses.values())
        assert done == core.accesses
        assert done == sum(access.kind not in ("work", "fence") for access in accesses)
        assert core.account.total == result.cycles


@given(SPECS, TRAFFIC)
@settings(deadline=None, max_examples=100)
def test_adds_of_all_cores_sum_up(spec, traffic):
    adds = [[a for a in accesses if a.kind == "atomic add"] for accesses in traffic]
    result = run_coherent(spec, [straight(accesses) for accesses in adds])
    assert sum(result.memory.values()) == sum(a.value for accesses in adds for a in accesses)


@given(SPECS, st.lists(ACCESSES, max_size=30))
@settings(deadline=None, max_examples=60)
def test_one_core_reads_what_a_plain_memory_holds_and_never_misses_by_sharing(spec, accesses):
    memory, expected, answers = {}, [], []
    for access in accesses:
        before = memory.get(access.address, 0)
        if access.kind == "store":
            memory[access.address] = access.value
        elif access.kind == "atomic add":
            memory[access.address] = before + access.value
        expected.append({"store": access.value, "work": 0, "fence": 0}.get(access.kind, before))

    def program():
        for access in accesses:
            answer = yield access
            answers.append(answer)

    result = run_coherent(spec, [program()])
    assert answers == expected
    assert not {"true sharing", "false sharing"} & set(result.misses)
    assert result.cores[0].invalidations == 0


@given(SPECS, TRAFFIC)
@settings(deadline=None, max_examples=30)
def test_the_same_traffic_takes_the_same_cycles(spec, traffic):
    first, second = (run_coherent(spec, [straight(a) for a in traffic]) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("name", ["MESI", "MOESI"])
def test_random_traffic_reaches_every_row_of_the_tables(name, monkeypatch):
    """A row never taken is a row never tested."""
    taken = set()

    class Noting(dict):
        def __getitem__(self, row):
            taken.add(row)
            return super().__getitem__(row)

    monkeypatch.setitem(DIRECTORY, name, Noting(DIRECTORY[name]))
    monkeypatch.setitem(SNOOPING, name, Noting(SNOOPING[name]))
    dice = random.Random(1)  # noqa: S311 - not for secrets
    makes = [load, load, lambda a: store(a, dice.randrange(99)), lambda a: add(a, 1)]
    cache = PrivateCacheSpec(sets=1, ways=1, line_bytes=LINE_BYTES)
    for trial in range(90):
        fabric = (
            BusSpec()
            if trial % 4 == 0
            else NetworkSpec(
                topology=dice.choice([Crossbar(4), Ring(4)]), link_cycles=dice.choice([1, 7])
            )
        )
        entries = trial % 3
        roomy = PrivateCacheSpec(sets=1, ways=3, line_bytes=LINE_BYTES, store_buffer=entries)
        spec = CoherenceSpec(
            fabric=fabric,
            protocol=name,
            cache=dice.choice([cache, roomy]),
            home=HomeSpec(memory_cycles=dice.choice([1, 60])),
        )
        run_coherent(
            spec,
            [
                straight([dice.choice(makes)(8 * dice.randrange(4)) for _ in range(60)])
                for _ in range(4)
            ],
        )
    missing = (set(DIRECTORY[name]) | set(SNOOPING[name])) - taken
    # an acknowledgement that overtakes a grant takes a jam on the home's way out
    assert missing <= {(State.SM, On.ACK), (State.OM, On.ACK)}
