"""Which dataflow takes the least energy for one product on one array.

All dataflows multiply the same numbers and must read and write each operand in main memory once.
They differ in how often the operands pass between the on-chip memory and the array, and in how long
the array is busy, for which static power is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sim.energy import ACCUMULATOR_BYTES, EnergySpec
from sim.tpu.array.systolic import (
    FULL_RATE,
    PLACEMENTS,
    ArraySpec,
    Dataflow,
    Gemm,
    Rate,
    SystolicSchedule,
)
from workloads.trace import DTYPE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class GemmEnergy:
    """One product in one dataflow, in picojoules by part.

    Models: multiply-accumulates; every operand and partial sum that crosses the array's edge, read
    from or written to on-chip memory; each operand and result through main memory, once or as
    often as a plan says; static power while the folds run.
    Ignores: without a plan, main-memory traffic beyond the compulsory and waits for memory;
    shifts from element to element inside the array; padding of partial folds, which are zeros.
    Source: Chen, Emer and Sze, Eyeriss: A Spatial Architecture for Energy-Efficient Dataflow, ISCA
    2016 (dataflows compared by their accesses to each memory level).
    """

    dataflow: Dataflow
    cycles: int
    sram_bytes: int
    dram_bytes: int
    picojoules_by_part: Mapping[str, float]

    @property
    def picojoules(self) -> float:
        """All parts together."""
        return sum(self.picojoules_by_part.values())


def edge_bytes(schedule: SystolicSchedule, dtype: str) -> int:
    """Bytes that cross the array's edge: operands at their width, sums at the accumulator's."""
    gemm, element = schedule.gemm, DTYPE_BYTES[dtype]
    a, b, c = gemm.m * gemm.k, gemm.k * gemm.n, gemm.m * gemm.n
    across, down = schedule.folds_across, schedule.folds_down
    if schedule.array.dataflow is Dataflow.OUTPUT_STATIONARY:
        return (a * across + b * down) * element + c * ACCUMULATOR_BYTES
    kept, streamed = (b, a) if schedule.array.dataflow is Dataflow.WEIGHT_STATIONARY else (a, b)
    # each fold along the rows adds to the sums of the one before: writes them, and reads all but
    # the first fold's back
    return (kept + streamed * across) * element + c * (2 * down - 1) * ACCUMULATOR_BYTES


def gemm_energy(
    array: ArraySpec,
    gemm: Gemm,
    energy: EnergySpec,
    *,
    dtype: str,
    clock_hz: int,
    overlapped: bool = False,
    rate: Rate = FULL_RATE,
    cycles: int | None = None,
    dram_bytes: int | None = None,
) -> GemmEnergy:
    """Add up one product's energy; EnergyError for a dtype of which none is known.

    `cycles` and `dram_bytes` are those of a plan with memory, or on several arrays, where one is
    known; by default one array's own cycles, and each operand once.
    """
    schedule = SystolicSchedule(array, gemm, rate)
    if cycles is None:
        cycles = schedule.overlapped_cycles if overlapped else schedule.serial_cycles
    sram = edge_bytes(schedule, dtype)
    operands = gemm.m * gemm.k + gemm.k * gemm.n + gemm.m * gemm.n
    dram = operands * DTYPE_BYTES[dtype] if dram_bytes is None else dram_bytes
    return GemmEnergy(
        dataflow=array.dataflow,
        cycles=cycles,
        sram_bytes=sram,
        dram_bytes=dram,
        picojoules_by_part={
            "matrix arithmetic": gemm.macs * energy.mac_picojoules(dtype),
            "sram": sram * energy.sram_picojoules_per_byte,
            "dram": dram * energy.dram_picojoules_per_byte,
            "static": energy.static_watts * cycles / clock_hz * 1e12,
        },
    )


def dataflows_by_energy(
    array: ArraySpec,
    gemm: Gemm,
    energy: EnergySpec,
    *,
    dtype: str,
    clock_hz: int,
    overlapped: bool = False,
    rate: Rate = FULL_RATE,
) -> tuple[GemmEnergy, ...]:
    """Return the product's energy in every dataflow, the least first; ties as in `PLACEMENTS`."""
    each = (
        gemm_energy(
            replace(array, dataflow=dataflow),
            gemm,
            energy,
            dtype=dtype,
            clock_hz=clock_hz,
            overlapped=overlapped,
            rate=rate,
        )
        for dataflow in PLACEMENTS
    )
    return tuple(sorted(each, key=lambda row: row.picojoules))
