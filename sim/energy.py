"""Energy: joules of a run by part, and of one matrix product by dataflow.

Energies of operations and on-chip accesses come from one published table for 45 nm and 7 nm and are
interpolated between the two: straight in logarithms, so that each step of a node has the same
factor. Main memory and static power are the machine's own, from its description's `energy:` block.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import Annotated

from pydantic import Field

from sim.errors import TokenclockError
from sim.lowering import DRAM
from sim.result import PhaseRow, RunResult
from sim.spec import MachineSpec, Strict
from workloads.trace import Family, Phase

OLD_NANOMETRES, NEW_NANOMETRES = 45, 7
"""The two nodes of the table."""


@dataclass(frozen=True, slots=True)
class NodeEnergy:
    """Picojoules of one operation, or one access, in both nodes of the table."""

    old: float
    new: float

    def at(self, nanometres: float) -> float:
        """Picojoules at another node, on the straight line in logarithms of both."""
        way = log(OLD_NANOMETRES / nanometres) / log(OLD_NANOMETRES / NEW_NANOMETRES)
        return float(self.old * (self.new / self.old) ** way)


# Jouppi et al., Ten Lessons From Three Generations Shaped Google's TPUv4i, ISCA 2021, table 2: from
# 45 nm (Horowitz, Computing's Energy Problem, ISSCC 2014) to 7 nm. bfloat16 has no figure for
# 45 nm: its multiplication is scaled back by the factor of float16.
ADD: Mapping[str, NodeEnergy] = {
    "int32": NodeEnergy(0.1, 0.03),
    "float16": NodeEnergy(0.40, 0.16),
    "float32": NodeEnergy(0.90, 0.38),
}
MULTIPLY: Mapping[str, NodeEnergy] = {
    "int8": NodeEnergy(0.20, 0.07),
    "bfloat16": NodeEnergy(0.21 * 1.10 / 0.34, 0.21),
    "float16": NodeEnergy(1.10, 0.34),
    "float32": NodeEnergy(3.70, 1.31),
}
SRAM_1_MIB_WORD = NodeEnergy(100.0, 14.0)
"""An access of 64 bits to 1 MiB, of which larger memories are built as banks."""
SRAM_WORD_BYTES = 8

ACCUMULATOR: Mapping[str, str] = {
    "int8": "int32",
    "bfloat16": "float32",
    "float16": "float32",
    "float32": "float32",
}
"""What products of a dtype are summed in."""

ACCUMULATOR_BYTES = 4


class EnergySpec(Strict):
    """A machine's `energy:` block."""

    process_nanometres: Annotated[int, Field(gt=0)]
    memory_picojoules_per_bit: Annotated[float, Field(ge=0)]
    """Main memory, from its cells to the chip."""
    static_watts: Annotated[float, Field(ge=0)]
    """Drawn whatever the machine does: leakage, clocks, refresh."""

    def mac_picojoules(self, dtype: str) -> float:
        """One multiply-accumulate; EnergyError for a dtype without a figure."""
        if dtype not in MULTIPLY:
            raise EnergyError(
                f"no energy is known of a {dtype} product (known: {', '.join(MULTIPLY)}); "
                "add it to sim/energy.py with its source"
            )
        add = ADD[ACCUMULATOR[dtype]]
        return MULTIPLY[dtype].at(self.process_nanometres) + add.at(self.process_nanometres)

    @property
    def vector_picojoules(self) -> float:
        """One operation of the vector unit: the mean of a float32 addition and multiplication."""
        node = self.process_nanometres
        return (ADD["float32"].at(node) + MULTIPLY["float32"].at(node)) / 2

    @property
    def sram_picojoules_per_byte(self) -> float:
        """On-chip memory."""
        return SRAM_1_MIB_WORD.at(self.process_nanometres) / SRAM_WORD_BYTES

    @property
    def dram_picojoules_per_byte(self) -> float:
        """Main memory."""
        return 8 * self.memory_picojoules_per_bit


class EnergyError(TokenclockError):
    """Energy was asked of a machine, or a dtype, of which too little is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseEnergy:
    """One phase's energy, by part."""

    phase: Phase
    seconds: float
    tokens: int
    joules_by_part: Mapping[str, float]
    """Matrix arithmetic, vector arithmetic, each memory level, static."""

    @property
    def joules(self) -> float:
        """All parts together."""
        return sum(self.joules_by_part.values())

    @property
    def joules_per_token(self) -> float:
        """Of a prompt token taken in, or a token decoded."""
        return self.joules / self.tokens if self.tokens else 0.0

    @property
    def watts(self) -> float:
        """Mean power."""
        return self.joules / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnergy:
    """A run's energy.

    Models: arithmetic at the energy of its number format and process node, bytes through each
    memory level, static power for as long as the run takes.
    Ignores: registers, wires and control inside arrays and vector unit beyond the static share;
    operands that are narrower or wider than the trace's dtype; what a transcendental takes beyond
    the operations that the trace counts; padding, whose products have a zero operand; temperature,
    voltage and frequency scaling; the host, the network and the losses of the supply.
    Source: Horowitz, Computing's Energy Problem, ISSCC 2014; Jouppi et al., Ten Lessons From Three
    Generations Shaped Google's TPUv4i, ISCA 2021, table 2; O'Connor et al., Fine-Grained DRAM,
    MICRO 2017 (energy per bit of HBM2).
    """

    machine: str
    model: str
    phases: tuple[PhaseEnergy, ...]

    @property
    def joules(self) -> float:
        """Whole run."""
        return sum(phase.joules for phase in self.phases)

    @property
    def watts(self) -> float:
        """Mean power of the whole run."""
        seconds = sum(phase.seconds for phase in self.phases)
        return self.joules / seconds if seconds else 0.0

    def phase(self, phase: Phase) -> PhaseEnergy | None:
        """Return one phase's energy, None where the run had no such phase."""
        return next((each for each in self.phases if each.phase is phase), None)


MATRIX, VECTOR, STATIC = "matrix arithmetic", "vector arithmetic", "static"


def energy_spec(spec: MachineSpec) -> EnergySpec:
    """Return a machine's `energy:` block; EnergyError where it has none."""
    found = getattr(spec, "energy", None)
    if not isinstance(found, EnergySpec):
        raise EnergyError(
            f"{spec.name} has no `energy:` block in its description: give it "
            f"{', '.join(EnergySpec.model_fields)}, with their sources"
        )
    return found


def run_energy(result: RunResult, spec: MachineSpec) -> RunEnergy:
    """Add up a run's energy; EnergyError where the machine or the dtype has no figures."""
    energy = energy_spec(spec)
    return RunEnergy(
        machine=result.machine,
        model=result.model,
        phases=tuple(_phase_energy(result, phase, energy) for phase in result.phases),
    )


def _phase_energy(result: RunResult, phase: PhaseRow, energy: EnergySpec) -> PhaseEnergy:
    flops = {MATRIX: 0, VECTOR: 0}
    for op in result.ops:
        if op.phase is phase.phase:
            flops[MATRIX if op.family is Family.MATMUL else VECTOR] += op.flops
    picojoules = {
        MATRIX: flops[MATRIX] / 2 * energy.mac_picojoules(result.dtype),
        VECTOR: flops[VECTOR] * energy.vector_picojoules,
    }
    for row in result.memory:
        if row.phase is phase.phase:
            each = (
                energy.dram_picojoules_per_byte
                if row.name == DRAM
                else energy.sram_picojoules_per_byte
            )
            picojoules[row.name] = (row.read_bytes + row.written_bytes) * each
    joules = {part: amount * 1e-12 for part, amount in picojoules.items()}
    joules[STATIC] = energy.static_watts * phase.seconds
    return PhaseEnergy(
        phase=phase.phase, seconds=phase.seconds, tokens=phase.tokens, joules_by_part=joules
    )
