"""The tables that textbooks print: of instructions, and of units and registers at a cycle.

A table at cycle c shows what holds when the cycle has ended, its writes done.
"""

from __future__ import annotations

from collections.abc import Mapping

from sim.cpu.dynamic.flight import DynamicRun, Flight, Operand, before
from sim.cpu.dynamic.spec import ScoreboardSpec, Spec, TomasuloSpec, unit_names
from sim.cpu.logs import StageStamp, StampedInstruction
from sim.cpu.riscv.operation import Kind
from sim.cpu.riscv.registers import name as register_name

Table = list[list[str]]
"""A heading, then rows."""

COLUMNS: Mapping[str, Mapping[str, str]] = {
    "scoreboard": {
        "issue": "issue",
        "read operands": "read",
        "execution complete": "complete",
        "write result": "write",
    },
    "tomasulo": {
        "issue": "issue",
        "execute": "begin",
        "complete": "complete",
        "memory": "memory",
        "write CDB": "write",
    },
    "tomasulo-speculative": {
        "issue": "issue",
        "execute": "begin",
        "complete": "complete",
        "memory": "memory",
        "write CDB": "write",
        "commit": "commit",
    },
    "in-order": {
        "IF": "fetch",
        "ID": "read",
        "EX": "begin",
        "EX ends": "complete",
        "MEM": "memory",
        "WB": "write",
    },
}
"""Technique to the heading of each column and the stamp in it."""


def instruction_status(
    run: DynamicRun, *, first: int = 0, count: int | None = None, at: int | None = None
) -> Table:
    """Return a row an instruction, in order of issue: the cycle of each step, empty for none.

    With `at` only what had happened by the end of that cycle is shown.
    """
    columns = COLUMNS[run.spec.technique]
    table = [["instruction", *columns]]
    end = None if count is None else first + count
    for flight in run.flights[first:end]:
        cells = [_cell(getattr(flight, stamp), at) for stamp in columns.values()]
        if any(cells) or at is None:
            table.append([_text(flight), *cells])
    return table


def unit_status(run: DynamicRun, cycle: int) -> Table:
    """Return a row a functional unit, or a reservation station, as it is after a cycle."""
    held = {flight.unit: flight for flight in run.flights if _in_unit(flight, cycle)}
    names = [n for g, unit in run.spec.groups().items() for n in unit_names(g, unit)]
    if isinstance(run.spec, ScoreboardSpec):
        heading = ["unit", "busy", "op", "Fi", "Fj", "Fk", "Qj", "Qk", "Rj", "Rk"]
        return [heading, *(_scoreboard_row(name, held.get(name), cycle) for name in names)]
    if isinstance(run.spec, TomasuloSpec):
        heading = ["station", "busy", "op", "Vj", "Vk", "Qj", "Qk", "dest", "address"]
        return [heading, *(_station_row(name, held.get(name), cycle, run.spec) for name in names)]
    heading = ["unit", "busy", "instruction"]
    rows = [[f.unit, "yes", str(f.instruction)] for f in run.flights if _executes(f, cycle)]
    busy = {row[0] for row in rows}
    return [heading, *rows, *([g, "no", ""] for g in run.spec.groups() if g not in busy)]


def register_status(run: DynamicRun, cycle: int) -> dict[str, str]:
    """Return who will write each register that waits for a result after a cycle.

    A unit or station, `#` and a number for an entry of the reorder buffer.
    """
    waiting: dict[str, str] = {}
    speculates = run.spec.technique == "tomasulo-speculative"
    for flight in run.flights:
        written = flight.commit if speculates else flight.write
        alone = not flight.unit
        gone = before(flight.squashed, cycle + 1) or before(written, cycle + 1)
        if flight.dest is None or not 0 < flight.issue <= cycle or gone or alone:
            continue
        waiting[register_name(flight.dest)] = _tag(flight, run.spec)
    return waiting


def reorder_buffer(run: DynamicRun, cycle: int) -> Table:
    """Return a row an entry of the reorder buffer, oldest first, as it is after a cycle."""
    table = [["entry", "instruction", "state", "dest", "value"]]
    for flight in run.flights:
        ended = before(flight.commit, cycle + 1) or before(flight.squashed, cycle + 1)
        if flight.issue > cycle or ended or not flight.unit:
            continue
        has = before(flight.done, cycle + 1)
        state = "write result" if has else "execute" if 0 < flight.begin <= cycle else "issue"
        dest = "" if flight.dest is None else register_name(flight.dest)
        value = hex(flight.result) if has and flight.dest is not None else ""
        table.append([_entry(flight), str(flight.instruction), state, dest, value])
    return table


def _cell(stamp: int, at: int | None) -> str:
    return "" if not stamp or (at is not None and stamp > at) else str(stamp)


def _text(flight: Flight) -> str:
    return f"{flight.instruction}{' (squashed)' if flight.squashed else ''}"


def _in_unit(flight: Flight, cycle: int) -> bool:
    ended = before(flight.squashed, cycle + 1) or before(flight.done, cycle + 1)
    return 0 < flight.issue <= cycle and bool(flight.unit) and not ended


def _executes(flight: Flight, cycle: int) -> bool:
    last = flight.memory - 1 if flight.kind is Kind.STORE else flight.complete
    return bool(flight.unit) and flight.begin <= cycle <= last


def _entry(flight: Flight) -> str:
    return f"#{flight.number + 1}"


def _tag(flight: Flight, spec: Spec) -> str:
    return _entry(flight) if spec.technique == "tomasulo-speculative" else flight.unit


def _pair(flight: Flight) -> tuple[Operand | None, Operand | None]:
    operands = [operand for operand in flight.operands if operand.register]
    return (operands[0] if operands else None, operands[1] if len(operands) > 1 else None)


def _scoreboard_row(name: str, flight: Flight | None, cycle: int) -> list[str]:
    if flight is None:
        return [name, "no", *[""] * 8]
    names, producers, flags = [], [], []
    for operand in _pair(flight):
        if operand is None:
            cells = ("", "", "")
        else:
            ready = operand.ready(cycle + 1)
            unread = not before(flight.read, cycle + 1)
            producer = "" if ready or operand.producer is None else operand.producer.unit
            flag = "yes" if ready and unread else "no"
            cells = (register_name(operand.register), producer, flag)
        names.append(cells[0])
        producers.append(cells[1])
        flags.append(cells[2])
    dest = "" if flight.dest is None else register_name(flight.dest)
    return [name, "yes", flight.instruction.mnemonic, dest, *names, *producers, *flags]


def _station_row(name: str, flight: Flight | None, cycle: int, spec: Spec) -> list[str]:
    if flight is None:
        return [name, "no", *[""] * 7]
    values, producers = [], []
    for operand in _pair(flight):
        ready = operand is not None and operand.ready(cycle + 1)
        values.append(hex(operand.read()) if operand is not None and ready else "")
        producer = None if operand is None or ready else operand.producer
        producers.append("" if producer is None else _tag(producer, spec))
    known = flight.instruction.operation.accesses_memory and before(flight.complete, cycle + 1)
    address = hex(flight.address) if known else ""
    speculates = spec.technique == "tomasulo-speculative"
    dest = _entry(flight) if speculates else ""
    return [name, "yes", flight.instruction.mnemonic, *values, *producers, dest, address]


def stamped(run: DynamicRun) -> list[StampedInstruction]:
    """Return every instruction with its steps, as `sim.cpu.logs` exports them.

    A step lasts until the cycle before the next one's stamp, so that a wait shows in the step
    behind which it is.
    """
    columns = COLUMNS[run.spec.technique]
    found = []
    for flight in run.flights:
        steps = {step: getattr(flight, stamp) for step, stamp in columns.items()}
        times = sorted((time, step) for step, time in steps.items() if time)
        ends = [time for time, _ in times[1:]] + [times[-1][0] + 1]
        stamps = tuple(
            StageStamp(step, time, end - 1)
            for (time, step), end in zip(times, ends, strict=True)
            if end > time
        )
        found.append(
            StampedInstruction(
                number=flight.number,
                text=str(flight.instruction),
                address=flight.instruction.address,
                stamps=stamps,
                retired=not flight.squashed,
            )
        )
    return found
