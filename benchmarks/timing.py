"""Best of several runs, in CPU seconds, which a busy machine disturbs least."""

from collections.abc import Callable
from time import process_time
from typing import Any


def best_of(runs: int, work: Callable[[], Any]) -> float:
    """Return the least CPU time of `runs` calls, after one that warms caches and compilers."""
    work()
    times = []
    for _ in range(runs):
        start = process_time()
        work()
        times.append(process_time() - start)
    return min(times)


def show(what: str, figure: float, unit: str) -> None:
    """Print one figure on one line."""
    print(f"{what:<64}{figure:>14,.4g} {unit}")
