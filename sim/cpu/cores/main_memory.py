"""Main memory behind a core's caches: one line after the other, and rows that are open or not."""

from __future__ import annotations

from sim.cpu.cores.spec import MemoryPathSpec, RowsSpec

NONE_OPEN = -1


class MainMemory:
    """Lines that come back one after the other.

    Models: a latency; for how long a line keeps the memory busy; one open row a bank, closed by
    another row of the bank or by refresh; column accesses of an open row that overlap.
    Ignores: reordering of requests, writes, ranks, turnarounds; activations overlap without limit.
    Source: Jacob, Ng and Wang, Memory Systems: Cache, DRAM, Disk, 2007, chapters 10 to 13.
    """

    def __init__(self, spec: MemoryPathSpec) -> None:
        self.spec = spec
        self._free = 0
        banks = spec.rows.banks if spec.rows is not None else 0
        self._open = [NONE_OPEN] * banks
        self._ready = [0] * banks
        """When each bank's open row can be read."""

    def line_back(self, row: int, now: int) -> int:
        """Return when a line of a row is back that is asked for now."""
        rows = self.spec.rows
        at = max(now if rows is None else self._row_open(rows, row, now), self._free)
        self._free = at + self.spec.memory_line_cycles
        return at + self.spec.memory_cycles

    def _row_open(self, rows: RowsSpec, row: int, at: int) -> int:
        """Open a row; return from when on it can be read."""
        bank = row % rows.banks
        refreshed = at - at % rows.refresh_every_cycles  # none at 0: memory begins refreshed
        if refreshed and self._ready[bank] < refreshed:
            self._open[bank], self._ready[bank] = NONE_OPEN, refreshed + rows.refresh_cycles
        at = max(at, self._ready[bank])
        if self._open[bank] != row:
            at += rows.activate_cycles
            at += rows.precharge_cycles if self._open[bank] != NONE_OPEN else 0
            self._open[bank], self._ready[bank] = row, at
        return at
