"""Validation: runs the simulator on every row of a reference table and says how far off it is.

A suite knows one form of table. `validate` is all that the command line needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from statistics import fmean, median
from typing import Literal, Protocol

from sim.errors import SpecError, did_you_mean
from sim.validation.table import TableRow, read_tables, select

Status = Literal["ok", "missed", "unsupported"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowOutcome:
    """One row of a reference table beside the simulator's answer."""

    label: str
    """What the row is, for people."""
    reference: float | None
    """The table's value, made comparable; None where the row is unsupported."""
    simulated: float | None
    error: float | None
    """Relative deviation of `simulated`, with its sign."""
    status: Status
    note: str = ""
    """What missed besides, or why the row is unsupported."""
    group: str = ""
    """Rows whose mean is bounded together."""


class Suite(Protocol):
    """One form of reference table and the rule by which its rows are met."""

    @property
    def name(self) -> str:
        """As `tokenclock validate` calls it."""
        ...

    @property
    def pattern(self) -> str:
        """Which files of the folder are tables of this form."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that such a table must have."""
        ...

    @property
    def quantity(self) -> str:
        """What is compared, with its unit."""
        ...

    @property
    def bound(self) -> str:
        """The rule, for people."""
        ...

    def outcome(self, row: TableRow) -> RowOutcome | None:
        """Simulate one row, None where it is not the suite's; SpecError where it is unreadable."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A whole validation."""

    suite: str
    quantity: str
    bound: str
    rows: tuple[RowOutcome, ...]
    mean_bound: float = inf
    """Largest mean of the errors that passes."""
    left_out: int = 0
    """Rows of the same tables that the suite does not compare: other devices, other forms."""

    @property
    def passed(self) -> bool:
        """Whether every row met the bound, and their mean too; an unsupported row does not."""
        rows_met = all(row.status == "ok" for row in self.rows)
        return rows_met and all(mean <= self.mean_bound for mean in self.means.values())

    @property
    def means(self) -> dict[str, float]:
        """Mean of the errors of each group of rows that has any."""
        groups: dict[str, list[float]] = {}
        for row in self.rows:
            if row.error is not None:
                groups.setdefault(row.group, []).append(abs(row.error))
        return {group: fmean(errors) for group, errors in groups.items()}

    @property
    def errors(self) -> list[float]:
        """Relative deviations without their signs, of the rows that have one."""
        return [abs(row.error) for row in self.rows if row.error is not None]

    @property
    def summary(self) -> str:
        """One line for people."""
        counts = {status: self._count(status) for status in ("ok", "missed", "unsupported")}
        errors = self.errors
        largest = (
            f", largest error {max(errors):.3%} (median {median(errors):.3%}, "
            f"mean {fmean(errors):.3%})"
            if errors
            else ""
        )
        means = ", ".join(f"{group} {mean:.2%}" for group, mean in self.means.items() if group)
        largest += f", means: {means}" * bool(means)
        others = f", {self.left_out} rows of other devices or forms left out" * (self.left_out > 0)
        return (
            f"{self.suite}: {counts['ok']} of {len(self.rows)} rows ok, {counts['missed']} missed, "
            f"{counts['unsupported']} unsupported{others}{largest} ({self.bound}): "
            f"{'passed' if self.passed else 'FAILED'}"
        )

    def _count(self, status: str) -> int:
        return sum(row.status == status for row in self.rows)


def run_suite(suite: Suite, data_path: Path, where: Sequence[tuple[str, str]] = ()) -> Report:
    """Run one suite on the tables in a folder; SpecError where they cannot be used."""
    tables = read_tables(data_path, suite.pattern, suite.columns)
    extra_rows = getattr(suite, "extra_rows", None)  # references that are files of their own
    rows = select([*tables, *(extra_rows(data_path) if extra_rows else ())], where)
    outcomes = tuple(outcome for row in rows if (outcome := suite.outcome(row)) is not None)
    if not outcomes:
        raise SpecError(
            f"{data_path}: none of {len(rows)} rows is one that '{suite.name}' compares"
        )
    return Report(
        suite=suite.name,
        quantity=suite.quantity,
        bound=suite.bound,
        rows=outcomes,
        mean_bound=getattr(suite, "mean_bound", inf),
        left_out=len(rows) - len(outcomes),
    )


def find_suite(suites: dict[str, Suite], name: str) -> Suite:
    """Return the suite of that name; SpecError with the nearest name where there is none."""
    if name not in suites:
        raise SpecError(f"no validation suite is named '{name}'{did_you_mean(name, suites)}")
    return suites[name]
