"""Average memory access time = hit time + miss rate x miss penalty."""

from fractions import Fraction

from sim.memory.cache.hierarchy import Cache, MainMemory


def test_walking_words_through_a_cold_cache_costs_one_miss_a_line():
    l1 = Cache(MainMemory(60), capacity_bytes=1024, line_bytes=64, ways=2, hit_cycles=1)
    for address in range(0, 1024, 4):
        l1.access(address, write=False)
    assert l1.miss_rate == Fraction(1, 16)
    assert l1.average_cycles == 1 + Fraction(60, 16)  # 4.75 cycles


def test_a_second_walk_that_fits_hits_always():
    l1 = Cache(MainMemory(60), capacity_bytes=1024, line_bytes=64, ways=2, hit_cycles=1)
    for _ in range(2):
        for address in range(0, 1024, 4):
            l1.access(address, write=False)
    assert l1.average_cycles == 1 + Fraction(60, 32)


def test_two_levels_nest_the_formula():
    memory = MainMemory(100)
    l2 = Cache(memory, capacity_bytes=4096, line_bytes=64, ways=4, hit_cycles=10)
    l1 = Cache(l2, capacity_bytes=128, line_bytes=64, ways=1, hit_cycles=1)
    for address in (0, 128, 0, 128, 4, 64, 68, 68):  # lines 0, 2, 0, 2, 0, 1, 1, 1
        l1.access(address, write=False)
    # 0 and 2 share a set of L1 and evict each other; line 1 has its own
    assert l1.miss_rate == Fraction(6, 8)
    assert l2.miss_rate == Fraction(3, 6)
    assert l1.average_cycles == 1 + Fraction(6, 8) * (10 + Fraction(3, 6) * 100)  # 46 cycles


def test_the_sum_over_all_accesses_is_the_average_times_their_number():
    costs = (1, 11, 111)  # found in L1, L2, memory
    l2 = Cache(MainMemory(100), capacity_bytes=2048, line_bytes=64, ways=2, hit_cycles=10)
    l1 = Cache(l2, capacity_bytes=256, line_bytes=64, ways=2, hit_cycles=1)
    addresses = [(i * i * 52) % 5000 for i in range(500)]
    total = sum(costs[l1.access(address, write=False)] for address in addresses)
    assert total == l1.average_cycles * len(addresses)
