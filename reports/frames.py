"""A systolic array cycle by cycle, with a name for what each register holds: for pictures.

What is named comes out of `sim.tpu.array.reference`, where numbers move from register to register:
each element of A and B is given a number of its own, and the element whose number a register holds
is its name. No formula of the schedule is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sim.errors import TokenclockError
from sim.tpu.array.elements import BUBBLE, Matrix, Tags
from sim.tpu.array.folds import outputs_stay
from sim.tpu.array.reference import Snapshot, multiply
from sim.tpu.array.systolic import ArraySpec, Dataflow, Drain, Gemm, SystolicSchedule

MOST_ELEMENTS_ACROSS = 5
"""Rows or columns of an array whose names can still be read."""
MOST_CYCLES = 40
"""Pictures that fit on one sheet."""
MOST_EXTENT = 9
"""Of a product: the names have one digit for each index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What one element holds at the end of a cycle, by name; empty where it holds nothing."""

    right: str = ""
    """Operand that moves right."""
    stays: str = ""
    down: str = ""
    """Operand, or sum, that moves down."""
    leaves: str = ""
    """Complete result that waits here or moves down, where outputs stay."""
    complete: bool = False
    """Whether a sum that stays was completed in this cycle."""
    step: int = BUBBLE
    """Which row, column or k the element worked on, BUBBLE for none."""


Cells = tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The array at the end of one cycle."""

    cycle: int
    """Counted from 1 over all folds."""
    what: str
    """Such as `load` or `stream`."""
    cells: Cells
    """[R][C]."""
    out: tuple[str, ...]
    """[C] results that left at the array's bottom in this cycle."""


class PictureError(TokenclockError):
    """A product or an array is too large to be drawn."""


def frames(array: ArraySpec, gemm: Gemm, *, overlapped: bool = False) -> list[Frame]:
    """Run a product on the moving reference and name what each register holds in each cycle.

    Raises PictureError where array, product or cycles are too many to be read.
    """
    _require_small(array, gemm, overlapped=overlapped)
    numbers = np.arange(1, gemm.m * gemm.k + gemm.k * gemm.n + 1, dtype=np.float64)
    a = numbers[: gemm.m * gemm.k].reshape(gemm.m, gemm.k)
    b = numbers[gemm.m * gemm.k :].reshape(gemm.k, gemm.n)
    seen: list[Snapshot] = []
    multiply(array, a, b, overlapped=overlapped, watch=seen.append)
    namer = _Namer(array, gemm, {**_named("a", a), **_named("b", b)})
    return list(namer.frames(seen))


def _require_small(array: ArraySpec, gemm: Gemm, *, overlapped: bool) -> None:
    schedule = SystolicSchedule(array, gemm)
    cycles = schedule.overlapped_cycles if overlapped else schedule.serial_cycles
    across, extent = max(array.rows, array.cols), max(gemm.m, gemm.n, gemm.k)
    for value, most, what in (
        (across, MOST_ELEMENTS_ACROSS, f"an array of {array.rows}x{array.cols}"),
        (extent, MOST_EXTENT, f"a product of {gemm.m}x{gemm.n}x{gemm.k}"),
        (cycles, MOST_CYCLES, f"a run of {cycles} cycles"),
    ):
        if value > most:
            raise PictureError(
                f"{what} is too large for a picture: arrays to {MOST_ELEMENTS_ACROSS}x"
                f"{MOST_ELEMENTS_ACROSS}, extents to {MOST_EXTENT} and {MOST_CYCLES} cycles can be "
                "read; take --array 4x4 and a product of 4 4 4"
            )


def _named(letter: str, matrix: Matrix) -> dict[float, str]:
    """Name each number of a matrix by its place, counted from 1 as in a textbook."""
    return {
        float(value): f"{letter}{row + 1}{col + 1}" for (row, col), value in np.ndenumerate(matrix)
    }


class _Namer:
    """Turns snapshots into frames, and knows which part of the product each fold is."""

    def __init__(self, array: ArraySpec, gemm: Gemm, names: dict[float, str]) -> None:
        self.array, self.gemm, self.names = array, gemm, names
        self.schedule = SystolicSchedule(array, gemm)

    def frames(self, seen: Sequence[Snapshot]) -> Iterator[Frame]:
        """Name the registers of each cycle in turn."""
        before = 0  # folds of a run that counts each fold's cycles from 1
        last: Cells = ()
        for number, snapshot in enumerate(seen):
            if number and snapshot.cycle == 1:
                before += 1
            folds = np.where(snapshot.rows == BUBBLE, BUBBLE, snapshot.folds + before)
            cells = self._cells(snapshot, folds)
            yield Frame(
                cycle=number + 1,
                what=self._what(snapshot, folds, before),
                cells=cells,
                out=self._out(last, cells),
            )
            last = cells

    def _cells(self, snapshot: Snapshot, folds: Tags) -> Cells:
        name = self._summing if outputs_stay(self.array) else self._holding
        cols = range(self.array.cols)
        return tuple(
            tuple(name(snapshot, row, col, int(folds[row, col])) for col in cols)
            for row in range(self.array.rows)
        )

    def _what(self, snapshot: Snapshot, folds: Tags, before: int) -> str:
        if self.schedule.folds == 1:
            return snapshot.phase
        live = sorted({fold for fold in folds.ravel().tolist() if fold != BUBBLE} or {before})
        if snapshot.phase == "drain":
            return "drain"
        ends = str(live[0] + 1) if len(live) == 1 else f"{live[0] + 1}\N{EN DASH}{live[-1] + 1}"
        return f"{snapshot.phase}, fold{'s' if len(live) > 1 else ''} {ends}"

    def _holding(self, snapshot: Snapshot, row: int, col: int, fold: int) -> Cell:
        """Name what an element holds whose operand stays."""
        step = int(snapshot.rows[row, col])
        across = fold // self.schedule.folds_down
        return Cell(
            right=self.names.get(float(snapshot.inputs[row, col]), ""),
            stays=self.names.get(float(snapshot.weights[row, col]), ""),
            down="" if step == BUBBLE else self._result(step, across, col),
            step=step,
        )

    def _summing(self, snapshot: Snapshot, row: int, col: int, fold: int) -> Cell:
        """Name what an element holds whose sum stays."""
        step, waits = int(snapshot.rows[row, col]), int(snapshot.leaving[row, col])
        complete = step == self.gemm.k - 1
        leaves = self._sum(int(snapshot.leaving_folds[row, col]), waits, col)
        return Cell(
            right=self.names.get(float(snapshot.inputs[row, col]), ""),
            stays="" if step == BUBBLE else self._sum(fold, row, col),
            down=self.names.get(float(snapshot.weights[row, col]), ""),
            leaves="" if waits == BUBBLE or complete else leaves,
            complete=complete,
            step=step,
        )

    def _out(self, last: Cells, cells: Cells) -> tuple[str, ...]:
        """Name what left at the bottom: where outputs stay, what is no longer in its column."""
        bottom = cells[-1]
        if not outputs_stay(self.array):
            return tuple(cell.down for cell in bottom)
        if self.array.drain is Drain.DIRECT:
            return tuple("" for _ in bottom)
        gone = []
        for col, cell in enumerate(bottom):
            here = {name for line in cells for name in (line[col].leaves, line[col].stays)}
            before = {
                line[col].leaves or line[col].stays
                for line in last[:-1]
                if line[col].leaves or line[col].complete
            }
            gone += ["".join(before - here) or (cell.stays if cell.complete else "")]
        return tuple(gone)

    def _sum(self, fold: int, row: int, col: int) -> str:
        """Name the sum of a fold that stays at a row and column of the array."""
        across, down = divmod(fold, self.schedule.folds_down)
        return self._result(down * self.array.rows + row, across, col)

    def _result(self, along: int, across: int, col: int) -> str:
        """Name the result in a column of the array; empty where the column is padding."""
        m, n = along, across * self.array.cols + col
        if self.array.dataflow is Dataflow.INPUT_STATIONARY:
            m, n = n, m  # computes the transposed product
        return f"c{m + 1}{n + 1}" if m < self.gemm.m and n < self.gemm.n else ""
