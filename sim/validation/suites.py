"""The suites by name, and the one call that the command line makes."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from pathlib import Path

from sim.validation.cache import CacheSuite
from sim.validation.cores import CoresSuite
from sim.validation.dram import DramSuite
from sim.validation.measured import GPUS, TPUS, MeasuredSuite
from sim.validation.ooo import OooSuite
from sim.validation.pipeline import PipelineSuite
from sim.validation.suite import Report, Suite, find_suite, run_suite
from sim.validation.systolic import SystolicSuite

SUITES: dict[str, Suite] = {
    "systolic": SystolicSuite(),
    "cache": CacheSuite(),
    "dram": DramSuite(),
    "pipeline": PipelineSuite(),
    "ooo": OooSuite(),
    "ooo-measured": OooSuite(
        name="ooo-measured",
        published=False,
        bound="all cores as measured: means are reported; a row within 15 % or its reason told",
        mean_bound=inf,
    ),
    "cores": CoresSuite(),
    "tpu": MeasuredSuite(name="tpu", devices=TPUS, attention=True),
    "gpu": MeasuredSuite(name="gpu", devices=GPUS, attention=False),
}


def validate(name: str, data_path: Path, where: Sequence[tuple[str, str]] = ()) -> Report:
    """Run the named suite on the tables in a folder.

    `where` holds (column, value) pairs that a row must match to be taken. Raises SpecError for an
    unknown suite or column, for no rows, and for a table that cannot be used.
    """
    return run_suite(find_suite(SUITES, name), data_path, where)
