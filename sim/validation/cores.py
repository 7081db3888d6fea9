"""Superscalar cores and a coherent multicore against rvsim: ratios, not absolute cycles."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from sim.cpu.cores import core_names, load_core, run_core
from sim.cpu.cores.shared_program import run_harts
from sim.cpu.cores.spec import FOLDER
from sim.cpu.riscv import assemble, execute
from sim.cpu.riscv.machine import Execution
from sim.errors import SpecError, TokenclockError, did_you_mean
from sim.memory.coherent.description import load_system
from sim.validation.suite import RowOutcome
from sim.validation.table import TableRow, read_tables

RATIO_BOUND, GROWTH_BOUND = 0.15, 0.25
_CORE_COLUMNS = {"program", "config", "cycles"}
_HART_COLUMNS = {"case", "harts", "interconnect", "cycles"}
INTERCONNECTS = {
    name: str(FOLDER / "multicores" / f"{name}-8.yaml") for name in ("crossbar", "ring")
}
"""The table's words and the files of the multicore memories."""


class CoresSuite:
    """Rows of two tables: a program on a core, and a program on several.

    Models: cycles of each configuration over those of the program's first row; cycles of several
    cores over those of one, on the same interconnect.
    Ignores: absolute cycles, which the peer's authors do not vouch for; counts of misses; the
    peer's prefetches into the second level, and of stores and fetches. Two things of the peer's
    in-order cores are inferred from its runs, for all of them alike: the cycles until a load is
    used, and that control flow ends a cycle's issue.
    Source: rvsim 2.1.0, github.com/willmccallion/rvsim.
    """

    name = "cores"
    pattern = "*.csv"
    columns: tuple[str, ...] = ("cycles",)
    quantity = "cycles over those of the program's first configuration, or of one core"
    bound = f"ratios within {RATIO_BOUND:.0%}, growth with cores within {GROWTH_BOUND:.0%}"

    def outcome(self, row: TableRow) -> RowOutcome | None:
        """Compare one row, None where it is of no known form; SpecError where unreadable."""
        columns = row.values.keys()
        if columns >= _CORE_COLUMNS:
            return _ratio(row, f"{row.text('program')} {row.text('config')}", RATIO_BOUND)
        if columns >= _HART_COLUMNS:
            label = f"{row.text('case')} {row.whole('harts', least=1)} {row.text('interconnect')}"
            return _ratio(row, label, GROWTH_BOUND)
        return None


def _ratio(row: TableRow, label: str, bound: float) -> RowOutcome:
    first = _reference_row(row)
    try:
        ours, base = _cycles(row), _cycles(first)
    except SpecError:
        raise
    except TokenclockError as error:
        return RowOutcome(
            label=label,
            reference=None,
            simulated=None,
            error=None,
            status="unsupported",
            note=str(error),
        )
    cycles = row.whole("cycles", least=1)
    reference, simulated = cycles / first.whole("cycles", least=1), ours / base
    off = simulated / reference - 1
    return RowOutcome(
        label=label,
        reference=reference,
        simulated=simulated,
        error=off,
        status="ok" if abs(off) <= bound else "missed",
        note=f"{ours} cycles here, {cycles} there",
    )


def _reference_row(row: TableRow) -> TableRow:
    """Return the first row of the table about the same program: one core, where harts count."""
    same = ("case", "interconnect") if "case" in row.values else ("program",)
    for other in _table(row.path):
        one = "case" not in row.values or other.whole("harts", least=1) == 1
        if one and all(other.values[name] == row.values[name] for name in same):
            return other
    raise row.error("harts", f"has no row of one hart for '{row.text('case')}' to compare with")


@lru_cache(maxsize=8)
def _table(path: Path) -> list[TableRow]:
    return read_tables(path.parent, path.name, CoresSuite.columns)


def _cycles(row: TableRow) -> int:
    folder = row.path.parent / "asm"
    if "case" in row.values:
        fabric = row.text("interconnect")
        if fabric not in INTERCONNECTS:
            raise _UnknownError(
                f"'{fabric}' is not known here{did_you_mean(fabric, INTERCONNECTS)}"
            )
        path = folder / f"mc_{row.text('case')}.s"
        if not path.is_file():
            raise row.error("case", f"is '{row.text('case')}', but there is no {path}")
        harts, system = row.whole("harts", least=1), load_system(INTERCONNECTS[fabric])
        if harts > system.cores:
            raise _UnknownError(f"{system.name} has {system.cores} cores, not {harts}")
        return _shared_cycles(path, harts, INTERCONNECTS[fabric])
    path, core = folder / f"{row.text('program')}.s", row.text("config").replace("_", "-")
    if not path.is_file():
        raise row.error("program", f"is '{row.text('program')}', but there is no {path}")
    if core not in core_names():
        raise _UnknownError(f"'{core}' is not known here{did_you_mean(core, core_names())}")
    return _core_cycles(path, core)


class _UnknownError(TokenclockError):
    """A row's core or interconnect is not described here."""


@lru_cache(maxsize=256)
def _core_cycles(path: Path, core: str) -> int:
    return run_core(load_core(core), _execution(path)).cycles


@lru_cache(maxsize=2)
def _execution(path: Path) -> Execution:
    return execute(assemble(path.read_text(encoding="utf-8"), xlen=64, name=str(path)))


@lru_cache(maxsize=64)
def _shared_cycles(path: Path, harts: int, system: str) -> int:
    return run_harts(path, harts=harts, system=system).cycles
