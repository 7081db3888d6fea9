"""How a run's cycles were obtained, in one line: simulated, replayed, extrapolated."""

from __future__ import annotations

from reports.quantities import percent
from sim.result import RunResult


def obtained(result: RunResult) -> str:
    """Return a machine's shares of cycles by how they were obtained, and the error's bound."""
    shares = result.shares
    total = shares.total or 1
    return (
        f"{result.machine}: {percent(shares.simulated_cycles / total)} of the cycles simulated, "
        f"{percent(shares.replayed_cycles / total)} replayed, "
        f"{percent(shares.extrapolated_cycles / total)} extrapolated; error bound "
        f"{shares.error_bound_cycles}, since only what starts from a proved equal state is repeated"
    )
