"""What a machine family must say about itself: its stages, its peaks, and its lowering of an op.

Lowering turns one operation of a trace into uops: rows of cycles, one column per stage of the
family's top-level pipeline. The family simulates the inside of an operation (an instruction loop, a
wave of thread blocks, folds through an array) however exactly it likes, once for each distinct
case; `machine.run` composes the uops of a whole step and does the accounting.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from sim.errors import UnsupportedOpError
from sim.pipeline import StageSpec
from sim.spec import MachineSpec
from sim.stalls import CycleStack
from workloads.trace import Op, Trace

DRAM = "dram"
"""Name of the main-memory level in every machine's traffic."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes that crossed one memory level's port."""

    read_bytes: int = 0
    written_bytes: int = 0

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(self.read_bytes + other.read_bytes, self.written_bytes + other.written_bytes)

    def scaled(self, times: int) -> Traffic:
        """Return the traffic of `times` repetitions."""
        return Traffic(self.read_bytes * times, self.written_bytes * times)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoweredOp:
    """One operation as uops of a machine's top-level pipeline.

    Raises ValueError where an account does not sum to the main stage's cycles.
    """

    uops: npt.NDArray[np.int64]
    """[uops, stages]: cycles that each uop holds each stage; at most some tens of uops."""
    main_stage: int
    stack: CycleStack
    """Inside the main stage's cycles: busy computing, or stalled; sums to them."""
    units: Mapping[str, CycleStack]
    """The same span for each inner unit (tensor cores, vector unit); each sums to it."""
    traffic: Mapping[str, Traffic]
    """Bytes by memory level; `dram` is always there."""
    extrapolated_cycles: int = 0
    """Part of the main stage's cycles that a steady state stands for."""
    unproved_cycles: int = 0
    """Part of the extrapolated ones whose steady state is not proved, but a mean."""
    hidden: Mapping[str, int] = field(default_factory=dict)
    """Cycles that an inner unit was busy for this operation beside earlier ones, while it was
    otherwise idle; they are not among the operation's own cycles."""
    choice: str = ""
    """What the lowering decided, for people: tile shape, split, loop order."""

    def __post_init__(self) -> None:
        for name, stack in {"stack": self.stack, **self.units}.items():
            if stack.total != self.main_cycles:
                raise ValueError(f"{name} holds {stack.total} cycles of {self.main_cycles}")
        if not 0 <= self.unproved_cycles <= self.extrapolated_cycles <= self.main_cycles:
            raise ValueError("extrapolated cycles are part of all, and unproved ones of them")
        if DRAM not in self.traffic:
            raise ValueError("a lowered operation needs DRAM traffic")

    @property
    def main_cycles(self) -> int:
        """Cycles of work in the main stage."""
        return int(self.uops[:, self.main_stage].sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Peaks:
    """What the machine can do at best, from its description alone: the input of `limits`."""

    matmul_flops_per_second: Mapping[str, int]
    """By dtype of the operands."""
    vector_flops_per_second: int
    memory_bytes_per_second: int
    on_chip_bytes: int
    """All that can stay on chip between two steps."""
    launch_ticks_per_op: int = 0
    """Least time between two operations that the host hands over."""

    def ridge_flops_per_byte(self, dtype: str) -> float:
        """Arithmetic intensity at which memory and matrix units take equally long."""
        return self.matmul_flops_per_second[dtype] / self.memory_bytes_per_second


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryLevel:
    """A level that `LoweredOp.traffic` may name."""

    name: str
    capacity_bytes: int
    bandwidth_bytes_per_second: int


class MachineModel(ABC):
    """A machine, ready to lower operations one after another.

    Subclasses are complete after `__init__(spec)`, their only argument. They keep what stays on
    chip between operations; everything else about an operation must follow from it and that
    state, so that equal state means equal futures and repeated layers may be replayed.
    """

    LOWERED_IN: ClassVar[str]
    """File to edit to support another operation, for error messages."""

    spec: MachineSpec
    stages: tuple[StageSpec, ...]
    """The top-level pipeline, through which an operation's uops flow."""
    main_stage: int
    """Index of the stage whose time line the run's cycles are counted on."""

    @abstractmethod
    def __init__(self, spec: Any) -> None:
        """Build the machine that a description of its family describes."""

    @abstractmethod
    def peaks(self) -> Peaks:
        """Best rates, from the description alone."""

    @abstractmethod
    def memory_levels(self) -> tuple[MemoryLevel, ...]:
        """Levels in order from the units outwards, DRAM last."""

    @abstractmethod
    def start(self, trace: Trace) -> None:
        """Forget all state: caches cold, and look at the trace to come."""

    @abstractmethod
    def lower(self, op: Op, layer: int | None) -> LoweredOp:
        """Lower the next operation and update what is on chip; equal cases give one object."""

    @abstractmethod
    def state_key(self, layer: int) -> Hashable:
        """Return the on-chip state, layers counted from `layer`: equal keys, equal futures."""

    @abstractmethod
    def skip_layers(self, count: int) -> None:
        """Move the state on by `count` layers that were proved to repeat."""

    def unsupported(self, op: Op, why: str) -> UnsupportedOpError:
        """Make the error for an operation without a lowering here."""
        return UnsupportedOpError(
            f"operation '{op.name}' ({op.kind}, {op.family}) cannot run on "
            f"{self.spec.name}: {why}; its lowering belongs in {self.LOWERED_IN}"
        )
