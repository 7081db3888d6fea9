"""The simulator held against tables that independent tools made, or that were measured."""

from sim.validation.suite import Report, RowOutcome, Suite
from sim.validation.suites import SUITES, validate

__all__ = ["SUITES", "Report", "RowOutcome", "Suite", "validate"]
