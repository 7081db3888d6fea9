"""Teaching pipelines against Ripes and QtRvSim: programs executed for real, every count equal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from sim.cpu.pipelines import PipelineRun, load_pipeline, run_pipeline
from sim.cpu.pipelines.diagram import cells
from sim.cpu.riscv import Program, assemble, execute
from sim.cpu.riscv.machine import Execution
from sim.cpu.riscv.operation import Kind
from sim.cpu.riscv.registers import A0
from sim.errors import SpecError, TokenclockError, did_you_mean
from sim.memory.cache.run import AddressTrace, run_addresses
from sim.memory.cache.spec import CacheLevelSpec, HierarchySpec
from sim.validation.suite import RowOutcome
from sim.validation.table import TableRow

RIPES: Mapping[str, str] = {
    "RV32_ISS": "single-cycle",
    "RV32_SS": "single-cycle",
    "RV32_5MC_1M": "multi-cycle-shared",
    "RV32_5MC_2M": "multi-cycle-split",
    "RV32_5S_NO_FW_HZ": "five-stage-bare",
    "RV32_5S_NO_HZ": "five-stage-forward-bare",
    "RV32_5S_NO_FW": "five-stage-stall",
    "RV32_5S": "five-stage-forward",
    "RV32_6S_DUAL": "six-stage-dual",
}
"""Ripes' processors and the machines here."""
_PREDICTED = "p5_forward_bp_"
QTRVSIM: Mapping[str, str] = {
    "single_cycle": "single-cycle-break",
    "p5_hazard_none": "late-branch-bare",
    "p5_stall": "late-branch-stall",
    "p5_forward": "late-branch-forward",
    f"{_PREDICTED}always_not_taken": "predict-not-taken",
    f"{_PREDICTED}always_taken": "predict-taken",
    f"{_PREDICTED}btfnt": "predict-backward-taken",
    f"{_PREDICTED}smith_1_bit": "predict-1-bit",
    f"{_PREDICTED}smith_2_bit": "predict-2-bit",
    f"{_PREDICTED}smith_2_bit_bhr2": "predict-2-bit-history",
}
"""QtRvSim's configurations and the machines here."""

WORD_BYTES = 4
_WRITING: Mapping[str, Mapping[str, bool]] = {
    "write-back allocate": {"write_back": True, "write_allocate": True},
    "write-back no-allocate": {"write_back": True, "write_allocate": False},
    "write-through allocate": {"write_back": False, "write_allocate": True},
    "write-through no-allocate": {"write_back": False, "write_allocate": False},
}
_EXIT = re.compile(
    r"^([ \t]*)li[ \t]+a7[ \t]*,[ \t]*10\b.*\n(?:[ \t]*(?:nop\b.*|#.*)?\n)*[ \t]*ecall\b",
    re.MULTILINE,
)
"""The exit call of the programs, which QtRvSim's runs replace by `ebreak`."""

_RIPES_COLUMNS = {"program", "processor", "retired", "cycles", "a0"}
_QTRVSIM_COLUMNS = {"program", "config", "minstret", "cycles", "stalls", "a0"}
_CACHE_COLUMNS = {"program", "config", "line_bytes", "sets", "ways", "write"}


class PipelineSuite:
    """Rows of three tables, and pipeline diagrams.

    Models: programs under `asm/`, on the machine that stands for a row's processor; counters of an
    L1 data cache, as both peers count; diagrams under `diagrams/`, cell by cell.
    Ignores: the peers' instruction caches.
    Source: Ripes CLI 2026, github.com/mortbopet/Ripes; QtRvSim 0.9.8, github.com/cvut/qtrvsim.
    """

    name = "pipeline"
    pattern = "*.csv"
    columns: tuple[str, ...] = ("program",)
    quantity = "cycles; of a cache, misses; of a diagram, cells"
    bound = "every number and cell equal"

    def extra_rows(self, folder: Path) -> Iterator[TableRow]:
        """Yield a row for each diagram."""
        for path in sorted((folder / "diagrams").glob("*__*.tsv")):
            program, _, processor = path.stem.partition("__")
            values = {"program": program, "processor": processor, "diagram": path.name}
            yield TableRow(path=path, line=1, values=values)

    def outcome(self, row: TableRow) -> RowOutcome | None:
        """Compare one row, None where it is of no known form; SpecError where unreadable."""
        columns = row.values.keys()
        forms = (
            ({"diagram"}, _diagram),
            (_RIPES_COLUMNS, _against_ripes),
            (_CACHE_COLUMNS, _caches),
            (_QTRVSIM_COLUMNS, _against_qtrvsim),
        )
        for wanted, compare in forms:
            if wanted <= columns:
                try:
                    return compare(row)
                except _UnknownError as error:
                    return _unsupported(row, str(error))
        return None


class _UnknownError(TokenclockError):
    """A row's machine or program cannot be simulated."""


def _against_ripes(row: TableRow) -> RowOutcome:
    run = _run(row, "processor", RIPES, peer_breaks=False)
    found = {"retired": run.retired, "cycles": run.cycles, "a0": run.machine.registers[A0]}
    return _compared(row, "cycles", found)


def _against_qtrvsim(row: TableRow) -> RowOutcome:
    run = _run(row, "config", QTRVSIM, peer_breaks=True)
    found = {
        "minstret": run.retired,
        "cycles": run.cycles,
        "stalls": run.stall_cycles,
        "a0": run.machine.registers[A0],
        "bp_total": run.predictions,
        "bp_hits": run.correct_predictions,
    }
    return _compared(row, "cycles", found)


def _caches(row: TableRow) -> RowOutcome:
    text, wanted = row.text("write"), _WRITING
    if text not in wanted:
        raise _UnknownError(f"write '{text}' is not known here{did_you_mean(text, wanted)}")
    line, sets, ways = (row.whole(name, least=1) for name in ("line_bytes", "sets", "ways"))
    try:
        spec = CacheLevelSpec.model_validate(
            {
                "name": "L1",
                "capacity_bytes": line * sets * ways,
                "line_bytes": line,
                "ways": ways,
                **wanted[text],
            }
        )
    except ValueError as error:
        raise row.error("line_bytes", f"makes no cache ({' '.join(str(error).split())})") from error
    trace = _data_accesses(_execution(_program_path(row)))
    counts = run_addresses(HierarchySpec(levels=(spec,)), trace).counts
    level, memory = counts.levels[0], counts.memory
    found = {
        "ripes_accesses": len(trace),
        "ripes_hits": level.hits,
        "ripes_misses": level.misses,
        "ripes_writebacks": memory.writes,
        "qtrvsim_hits": level.hits,
        "qtrvsim_misses": level.misses,
        "qtrvsim_mem_reads": memory.read_bytes // WORD_BYTES,
        "qtrvsim_mem_writes": memory.written_bytes // WORD_BYTES,
    }
    return _compared(row, "ripes_misses", found)


def _data_accesses(execution: Execution) -> AddressTrace:
    instructions = execution.program.instructions
    touching = [
        (instructions[index].operation, address)
        for index, address in zip(
            execution.indices.tolist(), execution.addresses.tolist(), strict=True
        )
        if address >= 0
    ]
    return AddressTrace.of(
        [address for _, address in touching],
        kinds=[int(operation.kind is Kind.STORE) for operation, _ in touching],
        sizes=[operation.bytes for operation, _ in touching],
    )


def _diagram(row: TableRow) -> RowOutcome:
    """Compare every cell of the columns that the file has."""
    header, lines = _read_diagram(row.path)
    run = _run(row, "processor", RIPES, peer_breaks=False)
    simulated = cells(run)
    if len(lines) != len(simulated):
        raise SpecError(f"{row.path}: {len(lines)} instructions, the program has {len(simulated)}")
    differing = []
    for number, (line, ours) in enumerate(zip(lines, simulated, strict=True)):
        label, *texts = line.split("\t")
        for place, cycle in enumerate(header):
            expected = texts[place].strip() if place < len(texts) else ""
            if expected != ours.get(cycle, ""):
                differing.append(
                    f"cycle {cycle} of `{label.strip()}` (row {number + 1}) is '{expected}', "
                    f"simulated '{ours.get(cycle, '')}'"
                )
    total = len(header) * len(lines)
    return RowOutcome(
        label=_label(row),
        reference=total,
        simulated=total - len(differing),
        error=-len(differing) / total,
        status="missed" if differing else "ok",
        note="; ".join(differing[:3]),
    )


def _read_diagram(path: Path) -> tuple[list[int], list[str]]:
    """Return the cycles of the columns and the rows below; what stands above them is preamble."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: cannot be read ({error})") from error
    for place, line in enumerate(lines):
        numbers = line.split("\t")[1:]
        if numbers and all(text.strip().isdigit() for text in numbers if text.strip()):
            header = [int(text) for text in numbers if text.strip()]
            rows = [row for row in lines[place + 1 :] if row.strip()]
            if header and rows:
                return header, rows
    raise SpecError(f"{path}: has no line of cycle numbers with instructions below it")


def _run(
    row: TableRow, column: str, machines: Mapping[str, str], *, peer_breaks: bool
) -> PipelineRun:
    wanted = row.text(column)
    if wanted not in machines:
        raise _UnknownError(f"'{wanted}' is not known here{did_you_mean(wanted, machines)}")
    path = _program_path(row)
    try:
        return _simulated(path, machines[wanted], peer_breaks=peer_breaks)
    except SpecError:
        raise
    except TokenclockError as error:
        raise _UnknownError(str(error)) from error


@lru_cache(maxsize=32)
def _simulated(path: Path, machine: str, *, peer_breaks: bool) -> PipelineRun:
    spec = load_pipeline(machine)
    return run_pipeline(spec, _program(path, text_base=spec.text_base, peer_breaks=peer_breaks))


@lru_cache(maxsize=4)
def _execution(path: Path) -> Execution:
    try:
        return execute(_program(path, text_base=0, peer_breaks=False))
    except TokenclockError as error:
        raise _UnknownError(str(error)) from error


def _program(path: Path, *, text_base: int, peer_breaks: bool) -> Program:
    text = path.read_text(encoding="utf-8")
    if peer_breaks:
        text = _EXIT.sub(lambda match: f"{match[1]}ebreak", text)
    return assemble(text, xlen=32, name=str(path), text_base=text_base)


def _program_path(row: TableRow) -> Path:
    folder = row.path.parent.parent if row.path.parent.name == "diagrams" else row.path.parent
    path = folder / "asm" / f"{row.text('program')}.s"
    if not path.is_file():
        raise row.error("program", f"is '{row.text('program')}', but there is no {path}")
    return path


def _label(row: TableRow) -> str:
    names = ("program", "processor", "config", "diagram")
    words = [row.values[name].strip() for name in names if row.values.get(name)]
    return " ".join(words[:2]) + " diagram" * ("diagram" in row.values)


def _compared(row: TableRow, main: str, found: Mapping[str, int | None]) -> RowOutcome:
    """Hold every number that the row gives against the simulated one."""
    off = []
    for column, simulated in found.items():
        if row.values.get(column, "").strip():
            expected = row.whole(column)
            if simulated != expected:
                off.append(f"{column} is {expected}, simulated {simulated}")
    reference, simulated = row.whole(main), found[main] or 0
    return RowOutcome(
        label=_label(row),
        reference=reference,
        simulated=simulated,
        error=(simulated - reference) / max(1, reference),
        status="missed" if off else "ok",
        note="; ".join(off),
    )


def _unsupported(row: TableRow, why: str) -> RowOutcome:
    return RowOutcome(
        label=_label(row),
        reference=None,
        simulated=None,
        error=None,
        status="unsupported",
        note=why,
    )
