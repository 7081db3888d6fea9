"""How fast addresses pass through compiled caches, and how fast their miss-ratio curve is made.

python benchmarks/cache.py

Where pycachesim is installed (it is not among our dependencies), it is given the same loads in
the same run, must count the same misses, and stands beside.
"""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec

import numpy as np
from timing import Figures, best_of

from sim.memory.cache.counts import HierarchyCounts
from sim.memory.cache.run import AddressTrace, run_addresses
from sim.memory.cache.spec import HierarchySpec, hierarchy
from sim.memory.cache.stack_distance import miss_ratio_curve

ACCESSES = 4_000_000
ACCESS_BYTES = 8
CURVE_ACCESSES = 10_000_000
RANDOM_BYTES = 64 * 2**20
CURVE_LINES = 2**17
RUNS = 5

LEVELS = (
    {"capacity_bytes": "32 KiB", "ways": 8},
    {"capacity_bytes": "256 KiB", "ways": 8},
    {"capacity_bytes": "2 MiB", "ways": 16},
)
PEER = "cachesim"
"""The name by which pycachesim is imported."""


def rate(spec: HierarchySpec, trace: AddressTrace) -> float:
    """Return accesses a CPU second."""
    return len(trace) / best_of(RUNS, lambda: run_addresses(spec, trace))


def peer_rate(spec: HierarchySpec, trace: AddressTrace) -> float:
    """Return loads a CPU second of pycachesim, given its addresses as the list that it takes.

    RuntimeError if it does not count the misses that we count.
    """
    addresses = trace.addresses.tolist()
    counts = run_addresses(spec, trace).counts
    return len(trace) / best_of(RUNS, lambda: pass_through_peer(spec, addresses, counts))


def pass_through_peer(spec: HierarchySpec, addresses: list[int], counts: HierarchyCounts) -> None:
    """Build its caches, pass the loads through and compare the misses."""
    peer = import_module(PEER)
    memory, behind, caches = peer.MainMemory(), None, []
    for level in reversed(spec.levels):
        links = {"load_from": behind, "store_to": behind}
        behind = peer.Cache(level.name, level.sets, level.ways, level.line_bytes, "LRU", **links)
        caches.insert(0, behind)
    memory.load_to(caches[-1])
    memory.store_from(caches[-1])
    peer.CacheSimulator(caches[0], memory).load(addresses, length=ACCESS_BYTES)
    theirs = [cache.backend.MISS_count for cache in caches]
    ours = [level.load_misses for level in counts.levels]
    if theirs != ours:
        raise RuntimeError(f"pycachesim counts misses of {theirs}, we of {ours}")


def show_plain(
    figures: Figures, traces: dict[str, AddressTrace], name: str, spec: HierarchySpec
) -> None:
    """Print the rates of a hierarchy, and of the peer where there is one."""
    ways: dict[str, Callable[[HierarchySpec, AddressTrace], float]] = {"": rate}
    if find_spec(PEER):
        ways[", by pycachesim"] = peer_rate
    for pattern, trace in traces.items():
        for by, measured in ways.items():
            figures.show(f"{pattern} through {name}{by}", measured(spec, trace), "a second")


def main() -> None:
    """Print accesses per CPU second."""
    figures = Figures("speed of the caches")
    generator = np.random.default_rng(1)
    places = generator.integers(0, RANDOM_BYTES // ACCESS_BYTES, ACCESSES) * ACCESS_BYTES
    kinds = generator.integers(0, 2, ACCESSES)
    scattered = AddressTrace.of(places, sizes=ACCESS_BYTES)
    mixed = AddressTrace.of(places, kinds=kinds, sizes=ACCESS_BYTES)
    in_order = AddressTrace.of(np.arange(ACCESSES) * ACCESS_BYTES, sizes=ACCESS_BYTES)
    loads = {"streaming loads": in_order, "random loads": scattered}
    if not find_spec(PEER):
        print("pycachesim is not installed: its rates are left out")
    show_plain(figures, loads, "one level", hierarchy(LEVELS[0]))
    show_plain(figures, loads, "three levels", hierarchy(*LEVELS))
    stores = rate(hierarchy(*LEVELS), mixed)
    figures.show("random loads and stores through three levels", stores, "a second")
    inclusive = hierarchy(*LEVELS[:2], LEVELS[2] | {"inclusion": "inclusive"})
    general = rate(inclusive, scattered)
    figures.show("random loads through three levels, the last inclusive", general, "a second")
    lines = generator.integers(0, CURVE_LINES, CURVE_ACCESSES)
    seconds = best_of(1, lambda: miss_ratio_curve(lines))
    figures.show("miss-ratio curve of 10 million random accesses", seconds, "seconds")
    figures.finish()


if __name__ == "__main__":
    main()
