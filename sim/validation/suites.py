"""The suites by name, and the one call that the command line makes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sim.validation.cache import CacheSuite
from sim.validation.dram import DramSuite
from sim.validation.suite import Report, Suite, find_suite, run_suite
from sim.validation.systolic import SystolicSuite
from sim.validation.tpu_measured import TpuMeasuredSuite

SUITES: dict[str, Suite] = {
    "dram": DramSuite(),
    "cache": CacheSuite(),
    "systolic": SystolicSuite(),
    "tpu": TpuMeasuredSuite(),
}


def validate(name: str, data_path: Path, where: Sequence[tuple[str, str]] = ()) -> Report:
    """Run the named suite on the tables in a folder.

    `where` holds (column, value) pairs that a row must match to be taken. Raises SpecError for an
    unknown suite or column, for no rows, and for a table that cannot be used.
    """
    return run_suite(find_suite(SUITES, name), data_path, where)
