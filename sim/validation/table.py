"""Reference tables: CSV files read row by row, with errors that name file and line."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sim.errors import SpecError, did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """One row of a reference table and where it stands."""

    path: Path
    line: int
    """In the file, from 1; the header is line 1."""
    values: Mapping[str, str]

    def text(self, column: str) -> str:
        """Return a value as written, without surrounding blanks; SpecError where it is empty."""
        value = self.values[column].strip()
        if not value:
            raise self.error(column, "is empty")
        return value

    def whole(self, column: str, *, least: int = 0) -> int:
        """Return a value as a whole number of at least `least`; SpecError where it is none."""
        text = self.text(column)
        try:
            number = int(text)
        except ValueError:
            raise self.error(column, f"is '{text}', not a whole number") from None
        if number < least:
            raise self.error(column, f"is {number}; it should be at least {least}")
        return number

    def real(self, column: str) -> float:
        """Return a value as a finite number; SpecError where it is none."""
        text = self.text(column)
        try:
            number = float(text)
        except ValueError:
            raise self.error(column, f"is '{text}', not a number") from None
        if not abs(number) < float("inf"):
            raise self.error(column, f"is '{text}', not a finite number")
        return number

    def error(self, column: str, problem: str) -> SpecError:
        """Make the error for one value."""
        return SpecError(f"{self.path}, line {self.line}: column '{column}' {problem}")


def read_tables(folder: Path, pattern: str, columns: Sequence[str]) -> list[TableRow]:
    """Read every file of `folder` that matches, in order of name.

    Raises SpecError where the folder, a file, a required column or all rows are missing, or a file
    is not a table.
    """
    if not folder.is_dir():
        raise SpecError(f"{folder}: no such folder; --data names the folder of a reference table")
    paths = sorted(path for path in folder.glob(pattern) if path.is_file())
    if not paths:
        raise SpecError(
            f"{folder}: no file {pattern}; --data names the folder that holds the table"
        )
    rows = [row for path in paths for row in _read_table(path, columns)]
    if not rows:
        raise SpecError(f"{paths[0]}: the table has a header but no rows")
    return rows


def _read_table(path: Path, columns: Sequence[str]) -> list[TableRow]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            _require_columns(path, header, columns)
            return [_row(path, reader.line_num, header, cells) for cells in reader if cells]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SpecError(f"{path}: cannot be read as CSV ({error})") from error


def _require_columns(path: Path, header: Sequence[str], columns: Sequence[str]) -> None:
    for column in columns:
        if column not in header:
            raise SpecError(f"{path}: no column '{column}'{did_you_mean(column, header)}")
    twice = {name for name in header if header.count(name) > 1}
    if twice:
        raise SpecError(f"{path}: column '{min(twice)}' is there twice")


def _row(path: Path, line: int, header: Sequence[str], cells: Sequence[str]) -> TableRow:
    if len(cells) != len(header):
        raise SpecError(
            f"{path}, line {line}: {len(cells)} values under {len(header)} columns of the header"
        )
    return TableRow(path=path, line=line, values=dict(zip(header, cells, strict=True)))


def select(rows: Sequence[TableRow], where: Sequence[tuple[str, str]]) -> list[TableRow]:
    """Take the rows in which every column of `where` has the value given.

    Raises SpecError for an unknown column, with the nearest one, and where no row is left.
    """
    for column, _ in where:
        known = sorted({name for row in rows for name in row.values})
        if column not in known:
            raise SpecError(f"--where: no column '{column}'{did_you_mean(column, known)}")
    chosen = [
        row
        for row in rows
        if all(row.values.get(column, "").strip() == value.strip() for column, value in where)
    ]
    if not chosen:
        wanted = " and ".join(f"{column}={value}" for column, value in where)
        raise SpecError(f"--where: none of {len(rows)} rows has {wanted}")
    return chosen
