"""When a DRAM inside SimPy answers, in femtoseconds."""

import pytest
import simpy

from sim.clock import DeadlockError, run_to_completion
from sim.errors import SpecError
from sim.memory.dram import ControllerSpec, DramServer, Refresh, load_device
from sim.memory.dram.requests import CONFLICT, FORWARDED, MISS

DDR4 = load_device("ddr4", "DDR4_8Gb_x8", "DDR4_2400R")
TICK = DDR4.tick_femtoseconds
BARE = ControllerSpec(refresh=Refresh.NONE)
ROW = 16 * 128 * 64
"""Bytes from a row to the next of the same bank."""


def server(*, channels=1, spec=BARE):
    environment = simpy.Environment()
    return DramServer(environment, DDR4, channels=channels, mapping="RoBaRaCoCh", spec=spec)


def ask(dram, *offers):
    """(femtoseconds, address, write) each; return when each was answered."""
    answered = {}

    def asker(number, time, address, write):
        yield dram.env.timeout(time)
        value = yield dram.request(address, write)
        answered[number] = dram.env.now
        assert dram.env.now == value * TICK

    for number, offer in enumerate(offers):
        dram.env.process(asker(number, *offer))
    dram.env.run()
    return [answered[number] for number in range(len(offers))]


def test_a_read_is_not_there_a_femtosecond_before_its_last_data():
    dram = server()
    event = dram.request(0, write=False)
    dram.env.run(until=37 * TICK)
    assert not event.triggered
    dram.env.run(until=37 * TICK + 1)
    assert event.processed
    assert event.value == 37


def test_what_is_asked_on_a_tick_is_offered_at_it():
    assert ask(server(), (100 * TICK, 0, False)) == [137 * TICK]


def test_what_is_asked_between_two_ticks_is_offered_at_the_later():
    assert ask(server(), (100 * TICK + 1, 0, False)) == [138 * TICK]


def test_the_order_within_a_femtosecond_is_that_of_the_calls():
    # Bank 0's next row must wait for the first: tRAS, tRP, tRCD after an activate at tick 1.
    late = (1 + 39 + 16 + 16 + 16 + 4) * TICK
    assert ask(server(), (0, 0, False), (0, ROW, False)) == [37 * TICK, late]
    assert ask(server(), (0, ROW, False), (0, 0, False)) == [37 * TICK, late]


def test_an_arrival_interrupts_a_sleep():
    # The first waits for tRCD until tick 17; bank group 1's activate leaves at tick 11.
    assert ask(server(), (0, 0, False), (10 * TICK, 128 * 64, False)) == [37 * TICK, 47 * TICK]


def test_a_full_queue_holds_back_and_says_when_it_took_a_request():
    dram = server(spec=ControllerSpec(read_queue=1, refresh=Refresh.NONE))
    events = [dram.request(ROW * row, write=False) for row in range(3)]
    dram.env.run(until=2 * TICK)
    assert [event.accepted.triggered for event in events] == [True, False, False]
    assert dram.waiting_for == "channel 0: 3 accesses"
    dram.env.run()
    assert [event.accepted.value for event in events] == [0, 1, 56]
    assert dram.waiting_for == ""


def test_a_waiting_write_answers_a_read_a_tick_later():
    dram = server()
    events = [dram.request(ROW * row, write=write) for row, write in ((0, 1), (1, 1), (1, 0))]
    dram.env.run()
    assert [event.access.outcome for event in events] == [MISS, CONFLICT, FORWARDED]
    assert events[0].value == 1 + 16 + 12 + 4
    assert (events[2].accepted.value, events[2].value) == (2, 3)


def test_channels_answer_side_by_side():
    assert ask(server(channels=2), (0, 0, False), (0, 64, False)) == [37 * TICK, 37 * TICK]


def test_an_idle_channel_costs_no_events_and_makes_up_for_its_refreshes():
    dram = server(spec=ControllerSpec())
    late = DDR4.refresh_interval_ticks
    assert ask(dram, ((3 * late + 20) * TICK, 0, False)) == [(3 * late + 421 + 16 + 16 + 4) * TICK]
    refreshed = [tick for tick, command, _ in dram.commands(0) if command == 7]
    assert refreshed == [late, 2 * late, 3 * late]
    idle = server(spec=ControllerSpec())
    idle.env.run()
    assert idle.env.now == 0


def test_a_caller_that_waits_for_more_than_it_asked_is_named():
    dram = server()
    dram.name = "dram"

    def asker():
        yield dram.request(0, write=False)
        yield dram.env.event()

    with pytest.raises(DeadlockError):
        run_to_completion(dram.env, [asker()], [dram])


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (lambda: server().request(-1, write=False), "no address -1"),
        (lambda: server(channels=0), "0 channels"),
        (lambda: server(spec=ControllerSpec(refresh=Refresh.PER_BANK)), "cannot refresh per bank"),
    ],
)
def test_what_cannot_be_is_an_error(call, problem):
    with pytest.raises(SpecError, match=problem):
        call()
