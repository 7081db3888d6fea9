"""The DRAM controller against Ramulator 2.1's: same traces, same parts, same queues."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from sim.errors import SpecError, did_you_mean
from sim.memory.dram import (
    ControllerSpec,
    DramDevice,
    DramResult,
    Refresh,
    Stop,
    load_device,
    run_dram,
)
from sim.memory.dram.requests import Ints
from sim.validation.suite import RowOutcome
from sim.validation.table import TableRow

BANDWIDTH_BOUND = 0.06
"""Of each row; the mean over all rows may be 0.02."""
HIT_BOUND = 0.02
"""Row hits, misses and conflicts, each as a share of the requests."""
LATENCY_BOUND = 0.06
"""Mean read latency of each row."""

QUEUES = {"HBM2": (64, 64), "HBM3": (128, 64)}
"""Read and write queues where they are not the peer's default of 32.

HBM3's are those of the peer's own latency test. HBM2's are in none of its public files, whose test
of the same part takes the default; they are read off the reference: each row leaves as many
requests waiting, and by Little's law bandwidth times latency of the row that opens a new row of one
bank each time is 65 requests. With 32 all 18 HBM2 rows miss, streams and triads by up to 39 %.
"""
DEFAULT_QUEUES = (32, 32)


class DramSuite:
    """Rows of `ramulator2.csv`: one trace through one channel.

    Models: what `DramController` does, with open rows; requests offered one a tick, the clock
    stopped when the last is accepted; requests of the two mappings and refresh on or off.
    Ignores: the peer's CPU time; the energy of commands.
    Source: Ramulator 2.1 (Luo et al., IEEE CAL 2023), its public defaults: queues of 32, write mode
    above 80 % and until below 20 % of the write queue.
    """

    name = "dram"
    pattern = "*.csv"
    columns: tuple[str, ...] = (
        "standard",
        "org",
        "timing",
        "mapper",
        "refresh",
        "pattern",
        "requests",
        "tx_bytes",
        "banks_total",
        "GBps",
        "read_lat_cyc",
        "row_hits",
        "row_misses",
        "row_conflicts",
    )
    quantity = "GB/s"
    bound = (
        "bandwidth within 6 % and 2 % on average, mean read latency within 6 %, "
        "hits, misses and conflicts within 2 % of the requests"
    )
    mean_bound = 0.02

    def outcome(self, row: TableRow) -> RowOutcome:
        """Compare one row; SpecError where it, or its trace, cannot be read."""
        words = [row.text(column) for column in ("standard", "mapper", "refresh", "pattern")]
        reference = row.real("GBps")
        if reference <= 0:
            raise row.error("GBps", "should be above 0")
        addresses, writes = _trace(row)
        try:
            result = _simulate(row, addresses, writes)
        except SpecError as error:
            return RowOutcome(
                label=" ".join(words),
                reference=reference,
                simulated=None,
                error=None,
                status="unsupported",
                note=str(error),
            )
        simulated = result.bytes_per_second / 1e9
        deviation = simulated / reference - 1
        notes = _notes(row, result)
        met = abs(deviation) <= BANDWIDTH_BOUND and not notes
        return RowOutcome(
            label=" ".join(words),
            reference=reference,
            simulated=simulated,
            error=deviation,
            status="ok" if met else "missed",
            note=notes,
        )


def _simulate(row: TableRow, addresses: Ints, writes: Ints) -> DramResult:
    family = row.text("org").split("_")[0]
    reads, stores = QUEUES.get(family, DEFAULT_QUEUES)
    refresh = row.text("refresh")
    if refresh not in list(Refresh):
        raise SpecError(f"no refresh is named '{refresh}'{did_you_mean(refresh, list(Refresh))}")
    spec = ControllerSpec(
        read_queue=reads, write_queue=stores, refresh=Refresh(refresh), stop=Stop.ACCEPTED
    )
    return run_dram(_device(row, family), addresses, writes, mapping=row.text("mapper"), spec=spec)


def _device(row: TableRow, family: str) -> DramDevice:
    """Load a row's part; more banks than one rank has are more ranks."""
    organisation, timing = row.text("org"), row.text("timing")
    device = load_device(family, organisation, timing)
    banks = row.whole("banks_total", least=1)
    if banks != device.banks and banks % device.banks == 0:
        device = load_device(family, organisation, timing, ranks=banks // device.banks)
    if banks != device.banks or row.whole("tx_bytes") != device.transfer_bytes:
        raise SpecError(
            f"{organisation} has {device.banks} banks and transfers of {device.transfer_bytes} "
            f"bytes, the row {banks} and {row.whole('tx_bytes')}"
        )
    return device


def _notes(row: TableRow, result: DramResult) -> str:
    """Say what besides the bandwidth is out of bounds."""
    notes = []
    latency = row.real("read_lat_cyc")
    mean = result.mean_read_latency_ticks
    if abs(mean - latency) > LATENCY_BOUND * latency:
        notes.append(f"read_lat_cyc is {latency:.2f}, simulated {mean:.2f}")
    allowed = HIT_BOUND * row.whole("requests")
    for column in ("row_hits", "row_misses", "row_conflicts"):
        known, counted = row.whole(column), getattr(result, column)
        if abs(counted - known) > allowed:
            notes.append(f"{column} is {known}, simulated {counted}")
    return "; ".join(notes)


def _trace(row: TableRow) -> tuple[Ints, Ints]:
    """Return the addresses and writes of a row's pattern; SpecError where they do not fit it."""
    path = row.path.parent / "traces" / f"{row.text('standard')}.npz"
    pattern = row.text("pattern")
    arrays = _read_traces(path)
    for name in (f"{pattern}__addr", f"{pattern}__write"):
        if name not in arrays:
            raise row.error("pattern", f"is not in {path}{did_you_mean(name, arrays)}")
    addresses, writes = arrays[f"{pattern}__addr"], arrays[f"{pattern}__write"]
    asked = row.whole("requests", least=1)
    if len(addresses) != asked or len(writes) != asked:
        raise row.error("requests", f"is {asked}, but {path} has {len(addresses)}")
    return addresses, writes


@lru_cache(maxsize=4)
def _read_traces(path: Path) -> dict[str, Ints]:
    try:
        with np.load(path) as file:
            return {name: file[name].astype(np.int64) for name in file.files}
    except (OSError, ValueError, BadZipFile) as error:
        raise SpecError(f"{path}: cannot be read as a trace ({error})") from error
