"""Steady loops of micro-kernels on in-order and out-of-order cores, against two other tools.

Where both tools have a kernel, what lies between their answers has no error. uiCA's rows, and
LLVM's beside them, are compared with the core as it was measured. A row that only LLVM has comes
from its scheduling model, which reads some chips by rules of its own; there it is compared with the
core that is described by the same published model, and the note says what the measured one gives.
The suite `ooo-measured` compares such rows with the measured core and bounds no mean.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sim.cpu.kernelcores import KernelError, load_core, read_kernel, run_kernel
from sim.errors import SpecError, did_you_mean
from sim.validation.suite import RowOutcome
from sim.validation.table import TableRow

LLVM_VERSION = "19.1.7"
ROW_BOUND = 0.15
NOTES = Path(__file__).with_name("ooo_notes.csv")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """The cores that stand for a chip of the tables."""

    measured: str
    published: str = ""
    """As LLVM's scheduling model describes it; empty where that is `measured` itself."""


LLVM_CHIPS: Mapping[str, Chip] = {
    "haswell": Chip(measured="haswell"),
    "broadwell": Chip(measured="broadwell"),
    "skylake": Chip(measured="skylake"),
    "skylake-avx512": Chip(measured="skylake-avx512", published="llvm-skylake-avx512"),
    "icelake-client": Chip(measured="icelake", published="llvm-icelake-server"),
    "icelake-server": Chip(measured="icelake-server", published="llvm-icelake-server"),
    "znver2": Chip(measured="zen2", published="llvm-znver2"),
    "znver3": Chip(measured="zen3", published="llvm-znver3"),
    "znver4": Chip(measured="zen4", published="llvm-znver4"),
    "cortex-a55": Chip(measured="cortex-a55", published="llvm-cortex-a55"),
    "cortex-a57": Chip(measured="cortex-a57"),
    # LLVM schedules -mcpu=cortex-a76 by its model of the Cortex-A57
    "cortex-a76": Chip(measured="cortex-a76", published="llvm-cortex-a76"),
    "sifive-u74": Chip(measured="sifive-u74"),
}
UICA_CHIPS: Mapping[str, str] = {
    "HSW": "haswell",
    "BDW": "broadwell",
    "SKL": "skylake",
    "SKX": "skylake-avx512",
    "ICL": "icelake",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OooSuite:
    """Cycles an iteration of loops that run from the L1 cache.

    Models: `sim.cpu.kernelcores`, a row a kernel on a core.
    Ignores: rows of other versions of LLVM; rows that the other tool's row of the same kernel and
    core stands for; OSACA's static bounds.
    Source: LLVM 19.1.7 (llvm-mca), https://llvm.org; uiCA, https://github.com/andreas-abel/uiCA.
    """

    name: str = "ooo"
    published: bool = True
    """Whether rows of LLVM alone are compared with cores as its model describes them."""
    pattern: str = "*.csv"
    columns: tuple[str, ...] = ()
    quantity: str = "cycles an iteration"
    bound: str = (
        "no error between uiCA and LLVM, else to the nearer; rows of LLVM alone on cores as its "
        "model has them: mean of each core within 3 %, a row within 15 % or its reason told"
    )
    mean_bound: float = 0.03

    def outcome(self, row: TableRow) -> RowOutcome | None:
        """Simulate one row, None where it is not one to compare; SpecError if unreadable."""
        if {"mcpu", "cycles_per_iter_steady", "llvm"} <= set(row.values):
            if row.text("llvm") != LLVM_VERSION:
                return None
            return self._llvm(row)
        if {"arch", "tp"} <= set(row.values):
            return self._uica(row)
        return None

    def _llvm(self, row: TableRow) -> RowOutcome:
        kernel, mcpu = row.text("kernel"), row.text("mcpu")
        reference = _positive(row, "cycles_per_iter_steady")
        chip = LLVM_CHIPS.get(mcpu)
        if chip is None:
            return _unsupported(f"{mcpu} {kernel}", reference, f"no core{_near(mcpu)}", mcpu)
        other = _uica_cycles(row.path.parent).get((kernel, chip.measured))
        if other is not None or not chip.published:
            return _compare(row, chip.measured, (reference, other or reference))
        if not self.published:
            return _compare(row, chip.measured, (reference, reference), group=mcpu)
        outcome = _compare(row, chip.published, (reference, reference), group=mcpu)
        measured = _cycles(row, chip.measured)
        if isinstance(measured, str):
            return outcome
        as_measured = f"as LLVM's model {chip.published}; {chip.measured}: {measured:.2f}"
        return _with_note(outcome, as_measured)

    def _uica(self, row: TableRow) -> RowOutcome | None:
        kernel, arch = row.text("kernel"), row.text("arch")
        reference = _positive(row, "tp")
        core = UICA_CHIPS.get(arch)
        if core is None:
            return _unsupported(f"{arch} {kernel}", reference, f"no core for '{arch}'", arch)
        if (kernel, core) in _llvm_cycles(row.path.parent):
            return None  # the other table's row is compared with both
        return _compare(row, core, (reference, reference))


def _near(mcpu: str) -> str:
    return f" for '{mcpu}'{did_you_mean(mcpu, LLVM_CHIPS)}"


def _positive(row: TableRow, column: str) -> float:
    value = row.real(column)
    if value <= 0:
        raise row.error(column, f"is {value:g}; it should be above 0")
    return value


def _compare(
    row: TableRow, core: str, references: tuple[float, float], *, group: str = ""
) -> RowOutcome:
    kernel = row.text("kernel")
    label = f"{group or core} {kernel}"
    cycles = _cycles(row, core)
    low, high = min(references), max(references)
    if isinstance(cycles, str):
        return _unsupported(label, low, cycles, group or core)
    nearest = min(max(cycles, low), high)
    error = 0.0 if abs(cycles - nearest) < 1e-9 else (cycles - nearest) / nearest
    reason = _reasons().get((kernel, group or core), "")
    within = abs(error) <= ROW_BOUND or bool(reason)
    between = f"between {low:g} and {high:g}" if low != high else ""
    notes = [between, reason if abs(error) > ROW_BOUND else ""]
    return RowOutcome(
        label=label,
        reference=nearest,
        simulated=cycles,
        error=error,
        status="ok" if within else "missed",
        note="; ".join(note for note in notes if note),
        group=group or core,
    )


def _cycles(row: TableRow, core: str) -> float | str:
    """Simulate a row's kernel; a message where it cannot be."""
    path = row.path.parent / "kernels" / f"{row.text('kernel')}.s"
    if not path.is_file():
        raise SpecError(f"{path}: the kernel of {row.path.name}, line {row.line}, is missing")
    try:
        return _simulated(path, core)
    except KernelError as error:
        return str(error)


@cache
def _simulated(path: Path, core: str) -> float:
    spec = load_core(core)
    return float(run_kernel(read_kernel(path, spec.isa), spec).cycles_per_iteration)


def _with_note(outcome: RowOutcome, note: str) -> RowOutcome:
    return RowOutcome(
        label=outcome.label,
        reference=outcome.reference,
        simulated=outcome.simulated,
        error=outcome.error,
        status=outcome.status,
        note="; ".join(part for part in (note, outcome.note) if part),
        group=outcome.group,
    )


def _unsupported(label: str, reference: float, why: str, group: str) -> RowOutcome:
    return RowOutcome(
        label=label,
        reference=reference,
        simulated=None,
        error=None,
        status="unsupported",
        note=why,
        group=group,
    )


def _reasons() -> Mapping[tuple[str, str], str]:
    """Return why rows beyond the bound are, by kernel and core."""
    with NOTES.open(encoding="utf-8", newline="") as file:
        return {(row["kernel"], row["core"]): row["reason"] for row in csv.DictReader(file)}


def _uica_cycles(folder: Path) -> Mapping[tuple[str, str], float]:
    return {
        (row["kernel"], UICA_CHIPS.get(row["arch"], "")): float(row["tp"])
        for row in _rows(folder / "uica.csv")
    }


def _llvm_cycles(folder: Path) -> set[tuple[str, str]]:
    return {
        (row["kernel"], LLVM_CHIPS[row["mcpu"]].measured)
        for row in _rows(folder / "llvm_mca.csv")
        if row["llvm"] == LLVM_VERSION and row["mcpu"] in LLVM_CHIPS
    }


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
