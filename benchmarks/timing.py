"""Best of several runs, in CPU seconds, which a busy machine disturbs least."""

import sys
from collections.abc import Callable
from time import process_time
from typing import Any

from reports.output import write_atomically
from reports.readme import README, with_region


def best_of(runs: int, work: Callable[[], Any]) -> float:
    """Return the least CPU time of `runs` calls, after one that warms caches and compilers."""
    work()
    times = []
    for _ in range(runs):
        start = process_time()
        work()
        times.append(process_time() - start)
    return min(times)


class Figures:
    """What a benchmark found: printed as it comes and, with `--readme`, put into the README."""

    def __init__(self, region: str) -> None:
        self.region = region
        self.rows = ["| Measured | figure |", "|---|---:|"]

    def show(self, what: str, figure: float, unit: str) -> None:
        """Print one figure on one line, with two significant digits: more do not repeat."""
        rounded = float(f"{figure:.2g}")
        text = f"{rounded:,.0f} {unit}" if rounded >= 1000 else f"{rounded:g} {unit}"
        print(f"{what:<72}{text:>20}", flush=True)
        self.rows.append(f"| {what} | {text} |")

    def finish(self) -> None:
        """Write the README's region if the command line asks for it."""
        if "--readme" in sys.argv[1:]:
            text = README.read_text(encoding="utf-8")
            write_atomically(README, with_region(text, self.region, "\n".join(self.rows)))
