"""A shared link's turns."""

import simpy

from sim.memory.link import SharedLink


def test_users_pass_round_robin_and_a_busy_user_keeps_its_turn():
    env = simpy.Environment()
    link = SharedLink(env, users=2, transfers=2)
    passed = []

    def use(user, ready, cycles):
        yield env.timeout(ready)
        for transfer in range(2):
            yield link.turn(user, transfer)
            passed.append((env.now, user, transfer))
            yield env.timeout(cycles)
            link.pass_on(user, transfer)

    env.process(use(0, 5, 3))
    env.process(use(1, 0, 4))
    env.run()
    assert passed == [(5, 0, 0), (8, 1, 0), (12, 0, 1), (15, 1, 1)]
