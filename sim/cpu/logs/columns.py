"""Text drawings with a column a cycle, in which long waits are folded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

FOLDED_FROM = 8
"""Columns in which nothing begins, from which on a wait is folded into one."""


def draw(labels: Sequence[str], rows: Sequence[Mapping[int, str]], held: str) -> str:
    """Return rows of cycle to text under a heading of cycles; empty without a cell.

    `held` marks a cycle in which nothing begins. Where that is so in every row for FOLDED_FROM
    columns, all but the first of them become one, headed by how many they were: `+149`.
    """
    cycles = {cycle for row in rows for cycle in row}
    if not cycles:
        return ""
    columns = _columns(range(min(cycles), max(cycles) + 1), rows, held)
    heads = [head for head, _ in columns]
    texts = [[row.get(cycle, "") for _, cycle in columns] for row in rows]
    column = max(len(text) for line in (heads, *texts) for text in line) + 1
    label = max(map(len, labels))
    lines = [" " * label + "".join(head.rjust(column) for head in heads)]
    for name, line in zip(labels, texts, strict=True):
        lines.append((name.ljust(label) + "".join(t.rjust(column) for t in line)).rstrip())
    return "\n".join(lines) + "\n"


def _columns(cycles: range, rows: Sequence[Mapping[int, str]], held: str) -> list[tuple[str, int]]:
    """Return heading and cycle of each column."""
    columns: list[tuple[str, int]] = []
    quiet: list[int] = []
    for cycle in cycles:
        if all(row.get(cycle, held) == held for row in rows):
            quiet.append(cycle)
            continue
        columns += _fold(quiet)
        quiet = []
        columns.append((str(cycle), cycle))
    return columns + _fold(quiet)


def _fold(quiet: Sequence[int]) -> list[tuple[str, int]]:
    if len(quiet) < FOLDED_FROM:
        return [(str(cycle), cycle) for cycle in quiet]
    return [(str(quiet[0]), quiet[0]), (f"+{len(quiet) - 1}", quiet[-1])]
