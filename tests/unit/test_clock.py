"""Integer time, clock domains, and a hang that speaks."""

import pytest
import simpy

from sim.clock import TICKS_PER_SECOND, Clock, DeadlockError, period_ticks, run_to_completion


def test_ten_tenths_make_one_second():
    env = simpy.Environment()
    tenth = Clock(env, 10)

    def count():
        for _ in range(10):
            yield tenth.cycles(1)

    run_to_completion(env, [count()], [])
    assert env.now == TICKS_PER_SECOND
    assert tenth.now == 10


def test_a_gpu_clock_is_exact_to_a_part_in_a_million():
    assert abs(period_ticks(1_410_000_000) * 1_410_000_000 - TICKS_PER_SECOND) < 1e-6 * 10**15


def test_two_domains_meet_at_the_next_edge():
    env = simpy.Environment()
    fast, slow = Clock(env, 3_000_000_000), Clock(env, 1_000_000_000)
    seen = []

    def cross():
        yield fast.cycles(1)
        yield slow.next_edge()
        seen.append((env.now, slow.now))
        yield slow.next_edge()
        seen.append((env.now, slow.now))

    run_to_completion(env, [cross()], [])
    assert seen == [(1_000_000, 1), (1_000_000, 1)]


def test_a_deadlock_names_who_waits_for_what():
    env = simpy.Environment()

    class Waiting:
        name, waiting_for = "decoder", "input"

    def starve():
        yield env.timeout(71)
        yield env.event()

    with pytest.raises(DeadlockError, match="tick 71: decoder waits for input"):
        run_to_completion(env, [starve()], [Waiting()])


def test_an_error_inside_a_process_is_not_taken_for_a_deadlock():
    env = simpy.Environment()

    def fail():
        yield env.timeout(1)
        raise RuntimeError("broken unit")

    with pytest.raises(RuntimeError, match="broken unit"):
        run_to_completion(env, [fail()], [])


@pytest.mark.parametrize("hertz", [0, -1, TICKS_PER_SECOND + 1])
def test_a_clock_without_a_period_is_refused(hertz):
    with pytest.raises(ValueError, match="period"):
        Clock(simpy.Environment(), hertz)
