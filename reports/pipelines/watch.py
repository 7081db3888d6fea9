"""Registers and memory at every cycle: what changed of the watched, and all of it at one cycle."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from reports.pipelines.look import Table
from sim.cpu.pipelines import View
from sim.cpu.riscv.program import Program
from sim.cpu.riscv.registers import NUMBERS, REGISTERS, F, name
from sim.errors import SpecError, did_you_mean

WORD_BYTES = 4
_PLACE = re.compile(r"^(?P<where>[^:]+)(?::(?P<bytes>1|2|4|8))?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A register, or some bytes of memory."""

    text: str
    """As it was asked for."""
    register: int | None = None
    address: int = 0
    bytes: int = WORD_BYTES

    def read(self, view: View) -> int:
        """Return what it holds, unsigned."""
        if self.register is not None:
            return view.registers[self.register]
        return int.from_bytes(view.memory.dump(self.address, self.bytes), "little")


def read_watches(texts: Sequence[str], program: Program) -> list[Watch]:
    """Read register names, labels and addresses, those with `:BYTES` behind them.

    SpecError for a name that is neither, with the nearest one.
    """
    return [_read_watch(text, program) for text in texts]


def _read_watch(text: str, program: Program) -> Watch:
    if text in NUMBERS:
        return Watch(text=text, register=NUMBERS[text])
    match = _PLACE.match(text)
    where = match["where"] if match else text
    if match and where in program.symbols:
        address = program.symbols[where]
    elif match and re.fullmatch(r"0[xX][0-9a-fA-F]+|\d+", where):
        address = int(where, 0)
    else:
        hint = did_you_mean(where, [*NUMBERS, *program.symbols])
        raise SpecError(
            f"--watch {text}: neither a register, nor a label or address with :1, :2, :4 or :8 "
            f"bytes behind it{hint}"
        )
    width = int(match["bytes"]) if match and match["bytes"] else WORD_BYTES
    return Watch(text=text, address=address, bytes=width)


@dataclass(slots=True)
class Recorder:
    """Keeps every change of registers and of what is watched, as a pipeline runs."""

    watches: Sequence[Watch]
    _changes: list[tuple[int, int, int]] = field(default_factory=list)
    """Cycle, watch, new value."""
    _last: list[int | None] = field(default_factory=list)
    _registers: list[tuple[int, int, int]] = field(default_factory=list)
    """Cycle, register, new value."""
    _known: list[int] = field(default_factory=lambda: [0] * REGISTERS)
    _stages: list[tuple[tuple[str, str], ...]] = field(default_factory=list)
    """Cycle by cycle: stage and what stands in it."""

    def __call__(self, cycle: int, view: View) -> None:
        """See the end of a cycle."""
        now = list(view.registers)
        if now != self._known:
            for register, (old, new) in enumerate(zip(self._known, now, strict=True)):
                if old != new:
                    self._registers.append((cycle, register, new))
            self._known = now
        self._stages.append(tuple(_standing(view)))
        for number, watch in enumerate(self.watches):
            value = watch.read(view)
            if number == len(self._last):
                self._last.append(None)
            if value != self._last[number]:
                self._changes.append((cycle, number, value))
                self._last[number] = value

    def changes(self) -> Table:
        """Return a row a change, in order of time; the first of each is what it began with."""
        table = [["cycle", "watched", "value", "signed"]]
        for cycle, number, value in self._changes:
            watch = self.watches[number]
            bits = 8 * watch.bytes if watch.register is None else _bits(watch.register)
            table.append([str(cycle), watch.text, _hex(value, bits), str(_signed(value, bits))])
        return table

    def state(self, cycle: int) -> dict[str, Table]:
        """Return stages and registers at the end of a cycle; SpecError beyond the run."""
        if cycle >= len(self._stages):
            raise SpecError(f"--at {cycle}: the run's last cycle is {len(self._stages) - 1}")
        values = dict.fromkeys(range(REGISTERS), 0)
        for when, register, value in self._registers:
            if when <= cycle:
                values[register] = value
        shown = [
            [name(register), _hex(value, _bits(register)), str(_signed(value, _bits(register)))]
            for register, value in values.items()
            if value
        ]
        return {
            f"stages at cycle {cycle}": [["stage", "instruction"], *map(list, self._stages[cycle])],
            f"registers at cycle {cycle}": [["register", "value", "signed"], *shown],
        }


def _standing(view: View) -> list[tuple[str, str]]:
    """Each stage and what stands in it, or why it is empty."""
    rows = []
    for stage, flights in view.stages.items():
        content = "; ".join(str(flight.instruction) for flight in flights)
        why = view.bubbles.get(stage)
        rows.append((stage, content or (f"({why})" if why else "")))
    return rows


def _bits(register: int) -> int:
    return 64 if register >= F else 32


def _hex(value: int, bits: int) -> str:
    return f"{value:#0{bits // 4 + 2}x}"


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value
