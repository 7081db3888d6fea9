"""SCALE-Sim's layers on our schedule and memory, and its report tables.

The folds are the peer's: one after another, down the array's rows first, nothing overlapped between
them, so that compute cycles agree exactly (the peer prints the index of the last cycle, one less).
In USER mode the operands come through double-buffered SRAMs at the configured bandwidth, by the
rules of `sram`; its text says where the peer's stalls differ, and why they are not followed.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TextIO

from sim.errors import CapacityError
from sim.memory.port import MemoryPort
from sim.spec import MemorySpec
from sim.tpu.array.systolic import SystolicSchedule
from sim.tpu.memory.blocks import (
    LIES,
    TOUCHES,
    ArrayMemory,
    ArrayUnit,
    Blocking,
    Channel,
    Operand,
    OperandStore,
)
from sim.tpu.memory.sram import DoubleBuffered
from sim.tpu.scalesim.config import ScaleSimConfig
from sim.tpu.scalesim.topology import Layer

WORD_BYTES = 1
"""The peer's word; operands, partial sums and results alike."""

CLOCK_HZ = 1_000_000_000
"""Any would do: the configuration counts bandwidth in cycles."""

COMPUTE_COLUMNS = (
    "LayerID",
    "Total Cycles (incl. prefetch)",
    "Total Cycles",
    "Stall Cycles",
    "Overall Util %",
    "Mapping Efficiency %",
)
"""As in the peer's COMPUTE_REPORT.csv. Cycles are counts, not the index of the last; the total
without prefetch leaves out the first operands' arrival and the last results' departure. The peer's
`Compute Util %` has no counterpart here."""

BANDWIDTH_COLUMNS = (
    "LayerID",
    "Avg IFMAP SRAM BW",
    "Avg FILTER SRAM BW",
    "Avg OFMAP SRAM BW",
    "Whole-run IFMAP DRAM BW",
    "Whole-run FILTER DRAM BW",
    "Whole-run OFMAP DRAM BW",
)
"""Words a cycle, as in the peer's BANDWIDTH_REPORT.csv; it averages DRAM traffic over the cycles
between an operand's first and last transfer, here over the whole run, hence the other name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerResult:
    """One layer, run."""

    layer: Layer
    plan: DoubleBuffered

    @property
    def busy_cycles(self) -> int:
        """Cycles from the first fold's begin to the last one's end, stalls included."""
        return self.plan.total_cycles - self.plan.fill_cycles - self.plan.flush_cycles

    @property
    def compute_row(self) -> dict[str, int | float]:
        """Values under `COMPUTE_COLUMNS`, the layer's number aside."""
        array, busy = self.plan.unit.array, self.busy_cycles
        work = self.layer.gemm.macs * self.layer.batch
        values = (
            self.plan.total_cycles,
            busy,
            busy - self.plan.compute_cycles,
            100 * work / (busy * array.elements),
            100 * SystolicSchedule(array, self.layer.gemm).mapping_efficiency,
        )
        return dict(zip(COMPUTE_COLUMNS[1:], values, strict=True))

    @property
    def bandwidth_row(self) -> dict[str, int | float]:
        """Values under `BANDWIDTH_COLUMNS`, the layer's number aside."""
        reads = sram_words(self.plan)
        moved = self.plan.moved
        values = [
            *(reads[operand] / self.busy_cycles for operand in Operand),
            *(
                (moved[operand].read_bytes + moved[operand].written_bytes)
                / (WORD_BYTES * self.plan.total_cycles)
                for operand in Operand
            ),
        ]
        return dict(zip(BANDWIDTH_COLUMNS[1:], values, strict=True))


def run_layer(config: ScaleSimConfig, layer: Layer) -> LayerResult:
    """Run one layer; CapacityError where a fold's tiles do not fit in the SRAMs.

    Models: the peer's schedule behind our memory. Where a fold's streamed operand is too long for
    its SRAM, it comes in parts, without the fold being loaded again.
    Ignores: in CALC mode, all memory; always, request buffers, SRAM banks, and in a convolution
    that neighbouring windows share pixels.
    Source: Samajdar et al., A Systematic Methodology for Characterizing Scalability of DNN
    Accelerators using SCALE-Sim, ISPASS 2020.
    """
    unit, memory = ArrayUnit(array=config.array), _memory(config)
    down, across, streamed = LIES[config.array.dataflow]
    extent = {"m": layer.gemm.m, "n": layer.gemm.n, "k": layer.gemm.k}
    tile = {down: config.array.rows, across: config.array.cols, streamed: extent[streamed]}
    order = f"{across}{down}{streamed}"
    while True:
        blocking = Blocking(m=tile["m"], n=tile["n"], k=tile["k"], order=order)
        try:
            plan = DoubleBuffered(unit, memory, layer.gemm, blocking, batch=layer.batch)
            return LayerResult(layer=layer, plan=plan)
        except CapacityError as error:
            if tile[streamed] == 1:
                raise CapacityError(f"layer '{layer.name}': {error}") from error
            tile[streamed] = -(-tile[streamed] // 2)


def run_layers(config: ScaleSimConfig, layers: Iterable[Layer]) -> list[LayerResult]:
    """Run the layers of a topology, each by itself, as the peer does."""
    return [run_layer(config, layer) for layer in layers]


def write_compute_report(results: Sequence[LayerResult], file: TextIO) -> None:
    """Write a COMPUTE_REPORT.csv."""
    _write(COMPUTE_COLUMNS, [result.compute_row for result in results], file)


def write_bandwidth_report(results: Sequence[LayerResult], file: TextIO) -> None:
    """Write a BANDWIDTH_REPORT.csv."""
    _write(BANDWIDTH_COLUMNS, [result.bandwidth_row for result in results], file)


def sram_words(plan: DoubleBuffered) -> dict[Operand, int]:
    """Words that the arrays read from the SRAMs (A, B) or write to them (C).

    What stays passes once for each fold; what streams passes once for each fold across its own
    extents; a sum leaves after each fold along K.
    """
    extent, array = plan.nest.extent, plan.unit.array
    down, across, _ = LIES[array.dataflow]
    folds = {down: -(-extent[down] // array.rows), across: -(-extent[across] // array.cols)}
    words = {}
    for operand in Operand:
        again = [folds.get(d, 1) for d in "mnk" if d not in TOUCHES[operand]]
        words[operand] = plan.nest.operand_elements(operand) * plan.nest.batch * again[0]
    return words


def _memory(config: ScaleSimConfig) -> ArrayMemory:
    """Make the SRAMs and memory of a configuration; in CALC mode everything is on chip."""
    rate = config.bandwidth_bytes_per_cycle
    moved = 0 if rate is None else WORD_BYTES
    srams = (config.ifmap_sram_bytes, config.filter_sram_bytes, config.ofmap_sram_bytes)
    a, b, c = (
        OperandStore(element_bytes=moved, sram_bytes=size if moved else None) for size in srams
    )
    memory = MemorySpec.model_validate(
        {
            "kind": "as configured",
            "capacity_bytes": "1 TiB",
            "bandwidth_bytes_per_second": f"{(rate or 1) * CLOCK_HZ} B/s",
            "latency_ticks": "0 ns",
        }
    )
    channel = Channel(MemoryPort(memory, CLOCK_HZ))
    return ArrayMemory(a=a, b=b, c=c, partial_bytes=WORD_BYTES, channel=channel)


def _write(columns: Sequence[str], rows: Sequence[dict[str, int | float]], file: TextIO) -> None:
    """Write rows under a header, numbered from 0 and closed by a comma, as the peer does."""
    writer = csv.writer(file, lineterminator=",\n")
    writer.writerow(columns)
    for number, row in enumerate(rows):
        writer.writerow([number, *(row[column] for column in columns[1:])])
