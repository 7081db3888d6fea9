"""How fast addresses pass through compiled TLBs, with and without their walks' loads.

python benchmarks/tlb.py
"""

import numpy as np
from timing import Figures, best_of

from sim.memory.cache.run import AddressTrace
from sim.memory.tlb.chip import load_mmu, mapped
from sim.memory.tlb.run import translate
from sim.memory.tlb.spec import MappingSpec, TranslationSpec, WalkCacheSpec

ACCESSES = 4_000_000
RANDOM_BYTES = 64 * 2**20
PAGES = {"4 KiB": 2**12, "2 MiB": 2**21}


def rate(spec: TranslationSpec, trace: AddressTrace, *, with_physical: bool) -> float:
    """Return accesses a CPU second."""
    return len(trace) / best_of(3, lambda: translate(trace, spec, with_physical=with_physical))


def main() -> None:
    """Print accesses per CPU second."""
    figures = Figures("speed of the TLBs")
    places = np.random.default_rng(1).integers(0, RANDOM_BYTES // 8, ACCESSES) * 8
    traces = {
        "streaming": AddressTrace.of(np.arange(ACCESSES) * 8, sizes=8),
        "random": AddressTrace.of(places, sizes=8),
    }
    walk_caches = tuple(
        WalkCacheSpec(entries=16, ways=4, span_bytes=span) for span in (2**21, 2**30, 2**39)
    )
    mmu = load_mmu("skylake").model_copy(update={"walk_caches": walk_caches})
    for pattern, trace in traces.items():
        for page, page_bytes in PAGES.items():
            spec = mapped(mmu, MappingSpec(page_bytes=page_bytes))
            what = f"{pattern} accesses, pages of {page}"
            figures.show(f"{what}, counted", rate(spec, trace, with_physical=False), "a second")
            figures.show(f"{what}, with loads", rate(spec, trace, with_physical=True), "a second")
    figures.finish()


if __name__ == "__main__":
    main()
