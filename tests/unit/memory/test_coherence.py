"""Coherent caches: exact cycles of each kind of miss, sharing told apart, broken rules caught."""

import pytest

from sim.errors import LawViolationError
from sim.memory.coherent import protocol
from sim.memory.coherent.cache import PrivateCacheSpec, add, load, store, work
from sim.memory.coherent.monitor import MissClass, Monitor
from sim.memory.coherent.protocol import Do, Home, On, State
from sim.memory.coherent.snooping import BusSpec
from sim.memory.coherent.system import CoherenceSpec, run_coherent, straight
from sim.memory.coherent.wires import HomeSpec
from sim.memory.network.spec import NetworkSpec
from sim.memory.network.topology import Crossbar, Mesh

BUS = BusSpec(width_bytes=16, snoop_cycles=4, memory_cycles=60)
CROSSBAR = NetworkSpec(topology=Crossbar(4))
FABRICS = pytest.mark.parametrize("fabric", [BUS, CROSSBAR], ids=["bus", "directory"])
PROTOCOLS = pytest.mark.parametrize("name", ["MESI", "MOESI"])
LATER = 1000  # long after the others' accesses have ended


def run(fabric, *programs, name="MESI", **cache):
    spec = CoherenceSpec(fabric=fabric, protocol=name, cache=PrivateCacheSpec(**cache))
    return run_coherent(spec, [straight(program) for program in programs])


def after(fabric, *before, then, name="MESI"):
    """Cycles of core 0's accesses once the other cores have done theirs, one after the other."""
    others = [[work(LATER * n), access] for n, access in enumerate(before)]
    start = LATER * (len(before) + 1)
    return run(fabric, [work(start), *then], *others, name=name).cycles - start


# on a crossbar: 3 cycles a message, 7 with a line's data (5 flits); home lookup 4, memory 60
@FABRICS
def test_a_first_load_comes_from_memory(fabric):
    expected = {BUS: 1 + 4 + 60 + 4, CROSSBAR: 1 + 3 + 4 + 60 + 7}
    assert run(fabric, [load(64)]).cycles == expected[fabric]


@FABRICS
def test_a_hit_takes_the_lookup_alone(fabric):
    once = run(fabric, [load(64)]).cycles
    assert run(fabric, [load(64), load(72), load(64)]).cycles == once + 2


@FABRICS
def test_a_store_to_a_line_that_nobody_shares_needs_no_second_request(fabric):
    once = run(fabric, [load(64)]).cycles
    assert run(fabric, [load(64), store(64, 1), store(72, 2)]).cycles == once + 2


@FABRICS
def test_a_line_dirty_elsewhere_comes_from_that_cache(fabric):
    # the owner's data to the requester and to memory share its way out, flit by flit: 4 more
    expected = {BUS: 1 + 4 + 4, CROSSBAR: 1 + 3 + 4 + 3 + 1 + 7 + 4}
    assert after(fabric, store(64, 5), then=[load(64)]) == expected[fabric]


@FABRICS
def test_an_upgrade_moves_no_data_but_waits_for_acknowledgements(fabric):
    # invalidation 3, lookup 1, acknowledgement 3; the grant waits for its turn meanwhile
    expected = {BUS: 1 + 4, CROSSBAR: 1 + 3 + 4 + (3 + 1 + 3)}
    # and before, the owner's word to its home takes a turn from the data's five
    load_first = {BUS: 1 + 4 + 4, CROSSBAR: 1 + 3 + 4 + 3 + 1 + 7 + 1}
    cycles = after(fabric, load(64), then=[load(64), work(100), store(64, 1)])
    assert cycles == load_first[fabric] + 100 + expected[fabric]


@FABRICS
def test_reading_what_another_has_dirty_reaches_memory_in_mesi_only(fabric):
    third = [[load(0), work(3 * LATER)], [work(LATER), store(64, 7)], [work(2 * LATER), load(64)]]
    assert run(fabric, *third, name="MESI").cores[1].write_backs == 0
    key = str(On.WROTE_BACK)
    if fabric is CROSSBAR:
        assert run(fabric, *third, name="MESI").messages[key] == 1
        assert key not in run(fabric, *third, name="MOESI").messages


def test_in_moesi_the_owner_gives_a_third_reader_the_line_that_memory_gives_in_mesi():
    mesi = after(BUS, store(64, 5), load(64), then=[load(64)], name="MESI")
    moesi = after(BUS, store(64, 5), load(64), then=[load(64)], name="MOESI")
    assert (mesi, moesi) == (1 + 4 + 60 + 4, 1 + 4 + 4)


@FABRICS
@PROTOCOLS
def test_atomic_adds_of_four_cores_all_count(fabric, name):
    result = run(fabric, *[[add(64, 1)] * 50 for _ in range(4)], name=name)
    assert result.memory[64] == 200


@FABRICS
def test_plain_increments_of_two_cores_can_lose_one(fabric):
    def increment():
        value = yield load(64)
        yield work(LATER)
        yield store(64, value + 1)

    spec = CoherenceSpec(fabric=fabric)
    assert run_coherent(spec, [increment(), increment()]).memory[64] == 1


@FABRICS
@PROTOCOLS
def test_a_lock_of_swapped_tickets_keeps_plain_increments_apart(fabric, name):
    ticket, serving, counter = 0, 64, 128

    def guarded():
        for _ in range(5):
            mine = yield add(ticket, 1)
            while (yield load(serving)) != mine:
                yield work(3)
            value = yield load(counter)
            yield work(7)
            yield store(counter, value + 1)
            yield store(serving, mine + 1)

    spec = CoherenceSpec(fabric=fabric, protocol=name)
    assert run_coherent(spec, [guarded() for _ in range(4)]).memory[counter] == 20


@FABRICS
def test_words_of_one_line_written_by_two_cores_miss_by_false_sharing(fabric):
    programs = [[access for _ in range(9) for access in (add(8 * c, 1), work(500))] for c in (0, 1)]
    programs[1].insert(0, work(250))
    misses = run(fabric, *programs).misses
    assert misses == {MissClass.COLD: 2, MissClass.FALSE_SHARING: 16}


@FABRICS
def test_the_same_word_written_by_two_cores_misses_by_true_sharing(fabric):
    programs = [[access for _ in range(9) for access in (add(8, 1), work(500))] for _ in (0, 1)]
    programs[1].insert(0, work(250))
    misses = run(fabric, *programs).misses
    assert misses == {MissClass.COLD: 2, MissClass.TRUE_SHARING: 16}


@FABRICS
def test_two_lines_of_one_set_of_one_way_conflict_and_three_of_a_full_cache_are_too_many(fabric):
    conflict = run(fabric, [load(0), load(128)] * 3, sets=2, ways=1)
    capacity = run(fabric, [load(0), load(64), load(128)] * 2, sets=1, ways=2)
    assert conflict.misses == {MissClass.COLD: 2, MissClass.CONFLICT: 4}
    assert capacity.misses == {MissClass.COLD: 3, MissClass.CAPACITY: 3}


@FABRICS
def test_a_dirty_victim_is_written_back_and_read_again_from_memory(fabric):
    result = run(fabric, [store(0, 9), load(64), load(0)], sets=1, ways=1)
    assert result.cores[0].write_backs == 1


@FABRICS
@pytest.mark.parametrize("stride", [0, 8, 64], ids=["shared", "false sharing", "private"])
def test_cycles_of_a_core_are_busy_stalled_or_idle(fabric, stride):
    result = run(fabric, *[[add(stride * c, 1), work(5)] * (c + 1) for c in range(4)])
    for core in result.cores:
        assert core.account.total == result.cycles
        assert core.hits + core.upgrades + sum(core.misses.values()) > 0


@FABRICS
def test_shared_counters_grow_with_cores_and_private_ones_do_not(fabric):
    fabric = CROSSBAR if fabric is BUS else NetworkSpec(topology=Mesh(4, 2))
    for addresses, least, most in ((0, 1.5, 2.5), (64, 1.0, 1.1)):
        cycles = [
            run(fabric, *[[add(addresses * c, 1), work(3)] * 100 for c in range(n)]).cycles
            for n in (2, 4)
        ]
        assert least <= cycles[1] / cycles[0] <= most


def test_a_cache_that_forgets_to_give_up_a_line_is_caught(monkeypatch):
    broken = {**protocol.SNOOPING_MESI, (State.M, On.WRITE): (State.M, (Do.GIVE,))}
    monkeypatch.setitem(protocol.SNOOPING, "MESI", broken)
    with pytest.raises(LawViolationError, match=r"line 1 is M in core . and M in core"):
        run(BUS, [store(64, 1)], [store(64, 2)])


def test_a_home_that_forgets_to_invalidate_is_caught(monkeypatch):
    row = (Home.EXCLUSIVE, (Do.SEND_GRANT, Do.OWN))
    monkeypatch.setitem(protocol.HOME, (Home.SHARED, On.UPGRADE), row)
    with pytest.raises(LawViolationError, match="line 1 is M in core 0 and S in core 1"):
        run(CROSSBAR, [load(64), work(LATER), store(64, 1)], [load(64)])


def test_a_state_without_a_row_for_an_event_is_named(monkeypatch):
    rows = {k: v for k, v in protocol.DIRECTORY_MESI.items() if k != (State.M, On.FORWARD_WRITE)}
    monkeypatch.setitem(protocol.DIRECTORY, "MESI", rows)
    with pytest.raises(LawViolationError, match="no row for 'forwarded write' in state M"):
        run(CROSSBAR, [store(64, 1)], [store(64, 2)])


def test_a_read_of_anything_but_the_last_write_is_caught():
    monitor = Monitor(cores=1, line_bytes=64, lines=4)
    monitor.write(8, 3)
    with pytest.raises(LawViolationError, match="core 0 read 2 at 8, last written 3"):
        monitor.read(0, 8, 2)


def test_more_programs_than_nodes_are_an_error():
    with pytest.raises(ValueError, match="5 programs for a network of 4 nodes"):
        run(CROSSBAR, *[[load(0)]] * 5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CoherenceSpec(fabric=BUS, protocol="MSI"), "protocol is 'MSI'"),
        (lambda: PrivateCacheSpec(line_bytes=60), "line_bytes is 60"),
        (lambda: PrivateCacheSpec(ways=0), "must be at least 1"),
        (lambda: BusSpec(snoop_cycles=0), "at least 1 of everything"),
        (lambda: HomeSpec(lookup_cycles=0), "at least 1 of everything"),
    ],
)
def test_numbers_that_make_no_machine_are_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_an_address_between_words_is_an_error():
    with pytest.raises(ValueError, match="address 12 is that of no 8-byte word"):
        run(BUS, [load(12)])


def test_a_bus_is_taken_for_snoop_memory_and_transfer_of_each_miss():
    result = run(BUS, [load(64), load(72), load(128)])
    assert result.busy_cycles == {"bus": 2 * (4 + 60 + 4)}


def test_channels_are_taken_for_the_flits_they_carry():
    # line 1 lives at node 1: a request of one flit there, five of data back, a word that it is done
    result = run(CROSSBAR, [load(64), work(LATER)])
    taken = {name: busy for name, busy in result.busy_cycles.items() if busy}
    assert taken == {"into 0": 2, "out of 1": 2, "into 1": 5, "out of 0": 5}
