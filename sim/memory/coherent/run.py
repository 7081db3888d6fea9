"""Shared accesses through a described multicore memory: the one call."""

from __future__ import annotations

from sim.errors import SpecError
from sim.memory.coherent.description import MulticoreSpec
from sim.memory.coherent.patterns import Shape, build
from sim.memory.coherent.shared_trace import SharedTrace
from sim.memory.coherent.system import CoherenceResult, run_coherent

DEFAULT_ACCESSES = 1000
"""Of each core, where a pattern is asked for without a number."""


def run_shared(
    system: MulticoreSpec,
    trace: SharedTrace | str,
    *,
    cores: int | None = None,
    accesses: int = DEFAULT_ACCESSES,
    apart: bool = False,
) -> CoherenceResult:
    """Run a recorded trace, or a pattern by its name on some or all cores of a system.

    `apart` keeps a pattern's data in lines of each core's own. Raises SpecError for more cores
    than the system has, and for a pattern that there is not.
    """
    asked = trace.cores if isinstance(trace, SharedTrace) else cores
    count = system.cores if asked is None else asked
    if count > system.cores:
        raise SpecError(f"{system.name} has {system.cores} cores, not {count}")
    if isinstance(trace, SharedTrace):
        programs = trace.programs()
    else:
        shape = Shape(
            cores=count,
            accesses=accesses,
            line_bytes=system.cache.line_bytes,
            apart=apart,
        )
        programs = build(trace, shape)
    return run_coherent(system.coherence(), programs)
