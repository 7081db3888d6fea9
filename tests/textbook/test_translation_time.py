"""Average translation time = hit time + miss rate x miss penalty, for TLBs as for caches.

Hennessy and Patterson, Computer Architecture, appendix B: the formula (B.1) and the TLB (B.4).
"""

from fractions import Fraction

import numpy as np
import pytest

from sim.memory.cache.run import AddressTrace, run_addresses
from sim.memory.cache.spec import hierarchy
from sim.memory.tlb.run import translate, translation_cycles
from sim.memory.tlb.spec import MappingSpec, TlbArraySpec, TlbLevelSpec, TranslationSpec

PAGE = 4096
ARRAY = {"replacement": "lru", "page_bytes": (PAGE,)}
NEVER_HITS = hierarchy({"capacity_bytes": 64, "ways": 1})
"""A single line, which the four tables of a walk take from each other."""
MEMORY = 25


def levels(*described):
    return TranslationSpec(
        levels=tuple(
            TlbLevelSpec(
                name=f"L{nth}",
                hit_cycles=hit_cycles,
                arrays=(TlbArraySpec(entries=entries, ways=entries, **ARRAY),),
            )
            for nth, (entries, hit_cycles) in enumerate(described, start=1)
        ),
        mapping=MappingSpec(page_bytes=PAGE),
    )


def average(spec, trace):
    run = translate(trace, spec, with_physical=True)
    found = run_addresses(NEVER_HITS, run.physical, where_found=True).found
    cycles = translation_cycles(spec, run, found, [1, MEMORY])
    return run.counts, Fraction(cycles, run.counts.translations)


def test_one_level():
    words = AddressTrace.of(np.arange(0, 16 * PAGE, 8), sizes=8)
    counts, cycles = average(levels((16, 1)), words)
    assert counts.levels[0].miss_rate == Fraction(1, 512)
    assert cycles == 1 + Fraction(1, 512) * 4 * MEMORY


@pytest.mark.parametrize("pages", [4, 12, 20])
def test_two_levels_nest_the_formula(pages):
    cycle = AddressTrace.of(np.tile(np.arange(pages) * PAGE, 10))
    counts, cycles = average(levels((8, 1), (16, 7)), cycle)
    first, second = (level.miss_rate for level in counts.levels)
    assert cycles == 1 + first * (7 + second * 4 * MEMORY)
    assert (first, second) == {
        4: (Fraction(1, 10), 1),  # fits the first
        12: (1, Fraction(1, 10)),  # fits the second
        20: (1, 1),  # fits neither
    }[pages]
