"""How runs' cycles were obtained: simulated, replayed, extrapolated, and what proves them."""

from __future__ import annotations

from collections.abc import Iterable

from reports.columns import aligned
from reports.quantities import percent
from sim.result import RunResult

HEADING = (
    "how the cycles were obtained",
    "simulated",
    "replayed",
    "extrapolated",
    "of it unproved",
)
PROVED = (
    "What is replayed or extrapolated begins in a state that is proved equal: it is off by 0 "
    "cycles."
)
UNPROVED = (
    "Unproved: no state of a loop came back, so a mean continues it; all else is off by 0 cycles."
)


def obtained(results: Iterable[RunResult]) -> str:
    """Return a table with a row a machine and a sentence on the error of what is not simulated."""
    results = list(results)
    rows = [_row(result) for result in results]
    unproved = any(result.shares.unproved_cycles for result in results)
    if not unproved:
        rows = [row[:-1] for row in rows]
    kept = list(dict.fromkeys(map(tuple, rows)))
    table = aligned(HEADING[: len(kept[0])] if kept else HEADING, kept, text=(0,))
    return f"{table}\n{UNPROVED if unproved else PROVED}"


def _row(result: RunResult) -> list[str]:
    shares = result.shares
    total = shares.total or 1
    counts = (
        shares.simulated_cycles,
        shares.replayed_cycles,
        shares.extrapolated_cycles,
        shares.unproved_cycles,
    )
    return [result.machine, *(percent(count / total) for count in counts)]
