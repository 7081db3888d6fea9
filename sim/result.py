"""RunResult: the one contract between the simulator and the reports.

Everything is in whole cycles of the machine's clock; seconds and rates are properties.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from typing import Any

from sim.stalls import CycleStack
from workloads.trace import Family, Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """How the cycles were obtained."""

    simulated_cycles: int = 0
    """Simulated cycle by cycle or event by event."""
    replayed_cycles: int = 0
    """Repetitions of a simulated case with the same state."""
    extrapolated_cycles: int = 0
    """Continued from a loop's steady state."""
    unproved_cycles: int = 0
    """Those of the extrapolated ones whose steady state is a mean, since no state came back."""

    @property
    def total(self) -> int:
        """All cycles."""
        return self.simulated_cycles + self.replayed_cycles + self.extrapolated_cycles

    @property
    def error_bound_cycles(self) -> int:
        """By how much replay and extrapolation can be off from simulating all.

        Not at all where a state is proved to come back, with all that its future depends on in the
        state; tests hold that equal to brute force. By all that was continued without a proof.
        """
        return self.unproved_cycles

    def __add__(self, other: Shares) -> Shares:
        return Shares(
            simulated_cycles=self.simulated_cycles + other.simulated_cycles,
            replayed_cycles=self.replayed_cycles + other.replayed_cycles,
            extrapolated_cycles=self.extrapolated_cycles + other.extrapolated_cycles,
            unproved_cycles=self.unproved_cycles + other.unproved_cycles,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OpRow:
    """One operation of the trace, all its consecutive repetitions together."""

    index: int
    """Position of the first repetition in the expanded trace."""
    name: str
    kind: str
    family: Family
    phase: Phase
    step: int
    layer: int | None
    """Layer of the first repetition."""
    count: int
    """Repetitions: consecutive layers."""
    cycles: int
    """Of all repetitions together, from the end of the operation before to its own end."""
    stack: CycleStack
    """Where those cycles went, on the machine's main time line."""
    flops: int
    """Of all repetitions together, as `dram_read_bytes` and `dram_written_bytes`."""
    dram_read_bytes: int
    dram_written_bytes: int
    shares: Shares
    choice: str
    """What the lowering decided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitRow:
    """One unit over the whole run; its stack sums to the run's cycles."""

    name: str
    stack: CycleStack

    @property
    def utilisation(self) -> float:
        """Busy share."""
        return self.stack.busy / self.stack.total if self.stack.total else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryRow:
    """One memory level over one phase."""

    name: str
    phase: Phase
    read_bytes: int
    written_bytes: int
    capacity_bytes: int
    bandwidth_bytes_per_second: int
    utilisation: float
    """Achieved share of the peak bandwidth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseRow:
    """Prefill or decode, or one of training's phases, as a whole."""

    phase: Phase
    clock_hz: int
    steps: int
    """Passes through the model."""
    tokens: int
    """Prompt tokens taken in, or tokens that came out of decode passes; all sequences. In training
    every phase counts the tokens trained on."""
    cycles: int
    stack: CycleStack
    flops: int
    dram_bytes: int
    limits: Mapping[str, int]
    """Cycles if only that resource limited, computed apart from the simulation."""
    binds: str
    """The saturated resource or, where none is, what took most of the cycles."""
    bound_share: float
    """The share of the cycles that it needs or took."""

    @property
    def seconds(self) -> float:
        """Simulated time."""
        return self.cycles / self.clock_hz

    @property
    def tokens_per_second(self) -> float:
        """Throughput of the phase."""
        return self.tokens / self.seconds if self.cycles else 0.0

    @property
    def cycles_per_token(self) -> float:
        """The phase's CPI."""
        return self.cycles / self.tokens if self.tokens else 0.0

    @property
    def flops_per_second(self) -> float:
        """Achieved arithmetic rate."""
        return self.flops / self.seconds if self.cycles else 0.0

    @property
    def flops_per_byte(self) -> float:
        """Arithmetic intensity: operations per byte that crossed the DRAM port."""
        return self.flops / self.dram_bytes if self.dram_bytes else float("inf")

    @property
    def limit_cycles(self) -> int:
        """The highest of the analytic lower bounds."""
        return max(self.limits.values(), default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """One trace on one machine."""

    machine: str
    title: str
    family: str
    model: str
    dtype: str
    batch: int
    prompt_tokens: int
    new_tokens: int
    trace_digest: str
    clock_hz: int
    peak_matmul_flops_per_second: int
    """For the trace's dtype."""
    peak_memory_bytes_per_second: int
    phases: tuple[PhaseRow, ...]
    ops: tuple[OpRow, ...]
    units: tuple[UnitRow, ...]
    memory: tuple[MemoryRow, ...]
    shares: Shares

    @property
    def cycles(self) -> int:
        """Whole run."""
        return sum(phase.cycles for phase in self.phases)

    @property
    def seconds(self) -> float:
        """Whole run."""
        return self.cycles / self.clock_hz

    def phase(self, phase: Phase) -> PhaseRow | None:
        """Return the row of a phase, None where the run had none (one new token: no decode)."""
        return next((row for row in self.phases if row.phase is phase), None)

    def digest(self) -> str:
        """SHA-256 over all that was simulated: the same input gives the same digest."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        content = _plain(self)
        assert isinstance(content, dict)  # noqa: S101 - a dataclass becomes a dict
        return content


def _plain(value: Any) -> Any:
    """Turn rows, stacks and enums, nested, into JSON's types."""
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple):
        return [_plain(inner) for inner in value]
    return str(value) if isinstance(value, StrEnum) else value
