"""One matrix product on systolic arrays: every dataflow's cycles, stalls and energy, and the best.

Without a memory the closed form of `sim.tpu.array.systolic` says it all. With one, the mapper of
`sim.tpu.memory.mapping` finds each dataflow's best blocks, and what waits for memory is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sim.energy import ACCUMULATOR_BYTES, EnergyError, EnergySpec, energy_spec
from sim.errors import SpecError, did_you_mean
from sim.machine import load_machine
from sim.memory.port import MemoryPort
from sim.spec import MemorySpec
from sim.tpu.array.systolic import (
    FULL_RATE,
    ArraySpec,
    Dataflow,
    Drain,
    Gemm,
    Rate,
    SystolicSchedule,
)
from sim.tpu.energy import GemmEnergy, gemm_energy
from sim.tpu.memory.blocks import ArrayMemory, ArrayUnit, Channel, OperandStore
from sim.tpu.memory.mapping import Mapped, describe, map_product
from sim.tpu.spec import STREAM_BUFFERS, TpuSpec
from workloads.trace import DTYPE_BYTES

DEFAULT_ARRAY = ArraySpec(rows=128, cols=128)
DEFAULT_DTYPE = "bfloat16"
DEFAULT_CLOCK_HZ = 1_000_000_000

Srams = tuple[int | None, int | None, int | None]
"""Capacities of the SRAMs of A, B and C in bytes; None where one never runs out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """What a product runs on."""

    name: str = ""
    """Of the machine that it was taken from; empty where it was put together by hand."""
    array: ArraySpec = DEFAULT_ARRAY
    arrays: int = 1
    """Arrays that share the folds."""
    rate: Rate = FULL_RATE
    dtype: str = DEFAULT_DTYPE
    overlapped: bool = False
    """Whether a fold's stationary operand loads while the fold before streams."""
    clock_hz: int = DEFAULT_CLOCK_HZ
    srams: Srams = (None, None, None)
    memory: MemorySpec | None = None
    """None where all operands are on chip and nothing ever waits."""
    energy: EnergySpec | None = None
    no_energy: str = "no machine was named, and energy figures come with one"
    """Why there are no energy figures, where there are none."""

    @property
    def streamed_bytes_per_second(self) -> int | None:
        """What main memory sustains while it is read; None without one."""
        if self.memory is None:
            return None
        return MemoryPort(self.memory, self.clock_hz).streamed_bytes_per_second

    @property
    def surroundings(self) -> ArrayMemory | None:
        """SRAMs and main memory as the mapper takes them: all operands come from main memory."""
        if self.memory is None:
            return None
        element = DTYPE_BYTES[self.dtype]
        a, b, c = (OperandStore(element_bytes=element, sram_bytes=size) for size in self.srams)
        channel = Channel(MemoryPort(self.memory, self.clock_hz, one_way=True))
        return ArrayMemory(a=a, b=b, c=c, partial_bytes=ACCUMULATOR_BYTES, channel=channel)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataflowRow:
    """One dataflow's way with the product."""

    hardware: Hardware
    schedule: SystolicSchedule
    mapped: Mapped | None
    """None without a memory."""
    energy: GemmEnergy | None
    """None without energy figures."""

    @property
    def dataflow(self) -> Dataflow:
        """What stays in the array."""
        return self.schedule.array.dataflow

    def array_cycles(self, *, overlapped: bool) -> int:
        """Cycles of the arrays, were every operand there in time and every fold whole."""
        return _array_cycles(self.schedule, self.hardware.arrays, overlapped=overlapped)

    @property
    def cycles(self) -> int:
        """From the first request to the last result, as the hardware overlaps folds or not."""
        if self.mapped is not None:
            return self.mapped.plan.total_cycles
        return self.array_cycles(overlapped=self.hardware.overlapped)

    @property
    def stall_cycles(self) -> int:
        """Of these, those in which arrays wait for memory."""
        return self.mapped.plan.stall_cycles if self.mapped else 0

    @property
    def traffic_bytes(self) -> int:
        """Between main memory and the SRAMs."""
        return self.mapped.plan.traffic_bytes if self.mapped else 0

    @property
    def utilisation(self) -> float:
        """Useful share of what all elements could do in `cycles`."""
        return self.schedule.utilisation(self.cycles * self.hardware.arrays)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "dataflow": self.dataflow.value,
            "folds": self.schedule.folds,
            "serial_cycles": self.array_cycles(overlapped=False),
            "overlapped_cycles": self.array_cycles(overlapped=True),
            "cycles": self.cycles,
            "seconds": self.cycles / self.hardware.clock_hz,
            "least_cycles": -(-self.schedule.least_cycles // self.hardware.arrays),
            "utilisation": self.utilisation,
            "mapping_efficiency": self.schedule.mapping_efficiency,
            "mapping": _mapping_dict(self.mapped),
            "joules": self.energy.picojoules * 1e-12 if self.energy else None,
            "joules_by_part": (
                {part: each * 1e-12 for part, each in self.energy.picojoules_by_part.items()}
                if self.energy
                else None
            ),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A product in every dataflow that was asked for."""

    gemm: Gemm
    hardware: Hardware
    rows: tuple[DataflowRow, ...]

    @property
    def fastest(self) -> DataflowRow:
        """Fewest cycles; of equals, fewest bytes, then the one asked for first."""
        return min(self.rows, key=lambda row: (row.cycles, row.traffic_bytes))

    @property
    def thriftiest(self) -> DataflowRow | None:
        """Least energy; None where there are no energy figures."""
        known = [(row.energy.picojoules, at) for at, row in enumerate(self.rows) if row.energy]
        return self.rows[min(known)[1]] if known else None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        hardware, memory = self.hardware, self.hardware.memory
        return {
            "m": self.gemm.m,
            "n": self.gemm.n,
            "k": self.gemm.k,
            "macs": self.gemm.macs,
            "machine": hardware.name or None,
            "array": f"{hardware.array.rows}x{hardware.array.cols}",
            "arrays": hardware.arrays,
            "dtype": hardware.dtype,
            "clock_hz": hardware.clock_hz,
            "overlapped": hardware.overlapped,
            "sram_bytes": list(hardware.srams) if memory else None,
            "bandwidth_bytes_per_second": hardware.streamed_bytes_per_second,
            "dataflows": [row.as_dict() for row in self.rows],
            "fastest": self.fastest.dataflow.value,
            "least_energy": self.thriftiest.dataflow.value if self.thriftiest else None,
            "why": self.fastest.mapped.why if self.fastest.mapped else None,
        }


def machine_hardware(name: str, dtype: str | None) -> Hardware:
    """Take arrays, on-chip memory, bandwidth, clock and energy from a TPU's description.

    A lies in what the scratchpad leaves for activations, B in the stream buffers, and C has room,
    as in the lowering. Raises SpecError for other families, and dtypes that the arrays do not take.
    """
    spec = load_machine(name).spec
    if not isinstance(spec, TpuSpec):
        raise SpecError(
            f"'{name}' is of the family '{spec.family}'; a product on systolic arrays takes one of "
            "the family 'tpu' (see: tokenclock machines)"
        )
    computes = spec.arrays.computes
    if dtype is None:
        dtype = DEFAULT_DTYPE if DEFAULT_DTYPE in computes else computes[0]
    elif dtype not in computes:
        raise SpecError(f"the arrays of {spec.name} take no {dtype}{did_you_mean(dtype, computes)}")
    scratchpad = spec.scratchpad
    energy, no_energy = _energy_figures(spec, dtype)
    return Hardware(
        name=spec.name,
        array=spec.arrays.array,
        arrays=spec.arrays.count,
        rate=spec.arrays.rate(dtype),
        dtype=dtype,
        overlapped=spec.arrays.double_buffered_weights,
        clock_hz=spec.clock_hz,
        srams=(
            scratchpad.activation_bytes,
            STREAM_BUFFERS * scratchpad.stream_buffer_bytes,
            None,
        ),
        memory=spec.memory,
        energy=energy,
        no_energy=no_energy,
    )


def with_bandwidth(hardware: Hardware, bytes_per_second: int) -> Hardware:
    """Give a main memory of that sustained bandwidth; one that is new has no latency."""
    memory = hardware.memory or MemorySpec.model_validate(
        {
            "kind": "as given",
            "capacity_bytes": "1024 TiB",
            "bandwidth_bytes_per_second": "1 B/s",
            "latency_ticks": "0 ns",
        }
    )
    given = {"bandwidth_bytes_per_second": bytes_per_second, "efficiency": 1.0}
    return replace(hardware, memory=memory.model_copy(update=given))


def solve(gemm: Gemm, hardware: Hardware, dataflows: Sequence[Dataflow]) -> Answer:
    """Run a product in each dataflow; CapacityError where not even one fold fits in the SRAMs."""
    rows = tuple(_row(gemm, hardware, dataflow) for dataflow in dataflows)
    return Answer(gemm=gemm, hardware=hardware, rows=rows)


def _energy_figures(spec: TpuSpec, dtype: str) -> tuple[EnergySpec | None, str]:
    """Return a machine's figures, or why there are none that serve."""
    try:
        energy_spec(spec).mac_picojoules(dtype)
    except EnergyError as error:
        return None, str(error)
    return spec.energy, ""


def _row(gemm: Gemm, hardware: Hardware, dataflow: Dataflow) -> DataflowRow:
    array = replace(hardware.array, dataflow=dataflow)
    schedule = SystolicSchedule(array, gemm, hardware.rate)
    memory, mapped = hardware.surroundings, None
    if memory is not None:
        unit = ArrayUnit(
            array=array,
            count=hardware.arrays,
            rate=hardware.rate,
            overlapped=hardware.overlapped,
        )
        mapped = map_product([unit], memory, gemm)
    energy = None
    if hardware.energy is not None:
        alone = _array_cycles(schedule, hardware.arrays, overlapped=hardware.overlapped)
        energy = gemm_energy(
            array,
            gemm,
            hardware.energy,
            dtype=hardware.dtype,
            clock_hz=hardware.clock_hz,
            cycles=mapped.plan.total_cycles if mapped else alone,
            dram_bytes=mapped.plan.traffic_bytes if mapped else None,
        )
    return DataflowRow(hardware=hardware, schedule=schedule, mapped=mapped, energy=energy)


def _array_cycles(schedule: SystolicSchedule, arrays: int, *, overlapped: bool) -> int:
    """Cycles of the array that gets most of the folds."""
    others = -(-schedule.folds // arrays) - 1
    if overlapped:
        return schedule.fold_cycles + others * schedule.interval_cycles
    beside = schedule.array.drain_cycles if schedule.array.drain is Drain.OVERLAPPED else 0
    return schedule.fold_cycles + others * (schedule.fold_cycles - beside)


def _mapping_dict(mapped: Mapped | None) -> dict[str, Any] | None:
    if mapped is None:
        return None
    plan = mapped.plan
    return {
        "blocks": describe(plan),
        "array_cycles": plan.compute_cycles,
        "stall_cycles": plan.stall_cycles,
        "stack": {
            "busy": plan.stack().busy,
            **{str(cause): cycles for cause, cycles in plan.stack().stalls.items()},
        },
        "traffic_bytes": plan.traffic_bytes,
        "limited_by": mapped.limited_by,
        "bounds": dict(mapped.bounds),
        "considered": mapped.considered,
        "simulated": mapped.simulated,
        "why": mapped.why,
    }
