"""How fast addresses pass through compiled caches, and how fast their miss-ratio curve is made.

python benchmarks/cache.py
"""

import numpy as np
from timing import Figures, best_of

from sim.memory.cache.run import AddressTrace, run_addresses
from sim.memory.cache.spec import HierarchySpec, hierarchy
from sim.memory.cache.stack_distance import miss_ratio_curve

ACCESSES = 4_000_000
CURVE_ACCESSES = 10_000_000
RANDOM_BYTES = 64 * 2**20
CURVE_LINES = 2**17

ONE = hierarchy({"capacity_bytes": "32 KiB", "ways": 8})
THREE = hierarchy(
    {"capacity_bytes": "32 KiB", "ways": 8},
    {"capacity_bytes": "256 KiB", "ways": 8},
    {"capacity_bytes": "2 MiB", "ways": 16},
)


def rate(spec: HierarchySpec, trace: AddressTrace) -> float:
    """Return accesses a CPU second."""
    return len(trace) / best_of(3, lambda: run_addresses(spec, trace))


def main() -> None:
    """Print accesses per CPU second."""
    figures = Figures("speed of the caches")
    generator = np.random.default_rng(1)
    streaming = AddressTrace.of(np.arange(ACCESSES) * 8, sizes=8)
    scattered = AddressTrace.of(generator.integers(0, RANDOM_BYTES // 8, ACCESSES) * 8, sizes=8)
    for name, spec in (("one level", ONE), ("three levels", THREE)):
        figures.show(f"streaming loads through {name}", rate(spec, streaming), "a second")
        figures.show(f"random loads through {name}", rate(spec, scattered), "a second")
    lines = generator.integers(0, CURVE_LINES, CURVE_ACCESSES)
    seconds = best_of(1, lambda: miss_ratio_curve(lines))
    figures.show("miss-ratio curve of 10 million random accesses", seconds, "seconds")
    figures.finish()


if __name__ == "__main__":
    main()
