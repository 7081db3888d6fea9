"""SCALE-Sim's files in, its reports and address traces out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.errors import CapacityError
from sim.tpu.memory.blocks import Operand
from sim.tpu.scalesim.address_trace import Line, address_map, dram_trace, sram_trace, write_trace
from sim.tpu.scalesim.config import ScaleSimConfig, read_config
from sim.tpu.scalesim.layers import (
    LayerResult,
    run_layer,
    write_bandwidth_report,
    write_compute_report,
)
from sim.tpu.scalesim.topology import read_topology

OPERAND_NAMES = {Operand.A: "IFMAP", Operand.B: "FILTER", Operand.C: "OFMAP"}
"""As in the names of the peer's files."""

LINES_A_REPORT = 8192
"""Lines of a trace between two reports of progress."""

Progress = Callable[[int, int, str], None]
"""Called with work done, work in all, and what is being done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A configuration and its layers, run."""

    config: ScaleSimConfig
    results: tuple[LayerResult, ...]

    @property
    def cycles(self) -> int:
        """Of all layers, one after another."""
        return sum(result.plan.total_cycles for result in self.results)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: each layer's extents and its rows of both reports."""
        config = self.config
        return {
            "run_name": config.run_name,
            "array": f"{config.array.rows}x{config.array.cols}",
            "dataflow": config.array.dataflow.value,
            "bandwidth_bytes_per_cycle": config.bandwidth_bytes_per_cycle,
            "cycles": self.cycles,
            "layers": [
                {
                    "name": result.layer.name,
                    "m": result.layer.gemm.m,
                    "n": result.layer.gemm.n,
                    "k": result.layer.gemm.k,
                    "batch": result.layer.batch,
                    "compute": result.compute_row,
                    "bandwidth": result.bandwidth_row,
                }
                for result in self.results
            ],
        }


def import_layers(config_path: Path, topology_path: Path, *, progress: Progress) -> Imported:
    """Read both files and run every layer.

    Raises SpecError that names file, line and key; CapacityError where a layer's fold does not fit
    in the configuration's SRAMs.
    """
    config, layers = read_config(config_path), read_topology(topology_path)
    results = []
    for number, layer in enumerate(layers):
        progress(number, len(layers), layer.name)
        try:
            results.append(run_layer(config, layer))
        except CapacityError as error:
            raise CapacityError(f"{config_path}: {error}") from error
    return Imported(config=config, results=tuple(results))


def write_reports(imported: Imported, folder: Path) -> None:
    """Write COMPUTE_REPORT.csv and BANDWIDTH_REPORT.csv into a folder that exists."""
    for name, write in (
        ("COMPUTE_REPORT.csv", write_compute_report),
        ("BANDWIDTH_REPORT.csv", write_bandwidth_report),
    ):
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            write(imported.results, file)


def write_addresses(imported: Imported, folder: Path, *, progress: Progress) -> None:
    """Write each layer's traces line by line into layerN/, named as the peer's.

    One of the SRAM for each operand, and of DRAM too in USER mode, where there is one.
    """
    done = 0
    for number, result in enumerate(imported.results):
        place = folder / f"layer{number}"
        place.mkdir()
        for name, lines in _traces(imported.config, result):
            what = f"{result.layer.name}: {name}"
            cycles, total = result.plan.total_cycles, _trace_cycles(imported)
            with (place / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
                write_trace(_reported(lines, done, total, what, progress), file)
            done += cycles


def _traces(config: ScaleSimConfig, result: LayerResult) -> Iterator[tuple[str, Iterator[Line]]]:
    addresses = address_map(config, result.layer)
    for operand, name in OPERAND_NAMES.items():
        lines = sram_trace(config.array, result.layer.gemm, addresses, operand)
        yield f"{name}_SRAM_TRACE", lines
        if config.bandwidth_bytes_per_cycle is not None:
            yield f"{name}_DRAM_TRACE", dram_trace(result.plan, addresses, operand)


def _trace_cycles(imported: Imported) -> int:
    """Cycles of all traces together."""
    kinds = 1 if imported.config.bandwidth_bytes_per_cycle is None else 2
    return imported.cycles * len(OPERAND_NAMES) * kinds


def _reported(
    lines: Iterator[Line], done: int, total: int, what: str, progress: Progress
) -> Iterator[Line]:
    """Pass lines on, and report every so many of them."""
    for number, line in enumerate(lines):
        if number % LINES_A_REPORT == 0:
            progress(done + line.cycle, total, what)
        yield line
