"""The time of a compiled run: which pipeline, which caches, which latencies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sim.cpu.inorder_rules import PipelineRules, Step
from sim.cpu.riscv.compiled.state import Caches
from sim.cpu.riscv.compiled.vector_codes import LIKES, uses_vectors
from sim.cpu.riscv.operation import CONTROL_FLOW, MEMORY, Kind
from sim.cpu.riscv.program import Instruction, Program
from sim.cpu.riscv.registers import ZERO
from sim.cpu.riscv.vector.configuration import check_vlen
from sim.cpu.riscv.vector.unit import VectorUnitSpec
from sim.cpu.spec import CpuSpec
from sim.cpu.steady import step_table
from sim.errors import SpecError
from sim.memory.cache.compiled_state import empty_frames, layout
from sim.memory.cache.spec import CacheLevelSpec, HierarchySpec

Ints = npt.NDArray[np.int64]

LOAD_CYCLES = 2
"""From EX until what a load that hits has read can enter EX, as in the pipeline."""
FLOATING = (Kind.FLOAT, Kind.FLOAT_MULTIPLY, Kind.FLOAT_DIVIDE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreTiming:
    """An in-order core as the pipeline takes it, with a vector unit where it has lanes.

    Models: `inorder`'s pipeline, instruction by instruction; each access through set-associative
    caches, dirty lines that are driven out to main memory.
    Ignores: dividers and square roots that are not pipelined (a description has one latency for all
    floating point), multiplication and division of integers, which take one cycle as in `isa`;
    instruction cache misses, address translation.
    Source: Hennessy and Patterson, Computer Architecture, appendices B and C.
    """

    rules: PipelineRules
    caches: HierarchySpec
    latency_cycles: Mapping[Kind, int] = field(default_factory=dict)
    """From EX until a forwarded result can enter EX; 1 for kinds that are not there."""
    miss_cycles: tuple[int, ...]
    """By level at which an access is found, beyond a hit in the first; main memory last."""
    write_back_cycles: int = 0
    """By which a line that goes to main memory lengthens the access that drives it out."""
    vector: VectorUnitSpec | None = None
    """None: a core without one, on which no vector instruction is timed."""

    @classmethod
    def of(cls, spec: CpuSpec) -> CoreTiming:
        """Take a machine's description; SpecError unless it is one core."""
        core = spec.core
        if core.count > 1 or core.prefetch or core.tiles:
            raise SpecError(
                f"{spec.name}: programs are executed on one core without prefetch or tile unit; "
                "take cpu-5stage, cpu-superpipelined, cpu-dual-issue, cpu-harvard, "
                "cpu-von-neumann or cpu-simd"
            )
        vector = None
        if core.lanes > 1:
            check_vlen(core.vector_bits)
            vector = VectorUnitSpec(
                datapath_bits=core.vector_bits,
                memory_bytes_per_cycle=spec.levels[0].bytes_per_cycle,
            )
        line, dram = spec.line_bytes, spec.dram
        passed = np.cumsum([0, *(level.hit_cycles for level in spec.levels[1:])]).tolist()
        fill = dram.latency_cycles + dram.transfer_cycles(line)
        return cls(
            rules=spec.rules,
            caches=spec.hierarchy,
            latency_cycles=dict.fromkeys(FLOATING, core.fp_latency_cycles),
            miss_cycles=(*passed, passed[-1] + fill),
            write_back_cycles=dram.transfer_cycles(line, line) - dram.transfer_cycles(line),
            vector=vector,
        )

    def steps(self, program: Program) -> Ints:
        """Return what the pipeline knows of each instruction of a program."""
        return step_table([self._step(instruction) for instruction in program.instructions])

    def _step(self, instruction: Instruction) -> Step:
        kind = instruction.operation.kind
        read = [source for source in instruction.sources if source != ZERO]
        if kind is Kind.VECTOR:
            read.append(ZERO)  # stands for the vector unit
        return Step(
            dest=instruction.dest,
            sources=tuple(read),
            latency_cycles=self.latency_cycles.get(kind, 1),
            accesses_memory=kind in MEMORY,
            result_from_memory=kind in (Kind.LOAD, Kind.ATOMIC),
            branch=kind in CONTROL_FLOW,
            floating=kind in FLOATING,
        )

    def like_cycles(self) -> Ints:
        """Return cycles until a vector element's result is there, by the number of its kind."""
        cycles = {Kind.LOAD: LOAD_CYCLES} | dict(self.latency_cycles)
        return np.array([cycles.get(kind, 1) for kind in LIKES], dtype=np.int64)

    def check(self, program: Program) -> None:
        """Raise SpecError for vector instructions on a core that has no unit for them."""
        if self.vector is None and uses_vectors(program):
            raise SpecError(
                f"{program.name}: has vector instructions, but this core has no vector unit; give "
                "CoreTiming a `vector`, or run without timing"
            )

    def empty_caches(self) -> Caches:
        """Return the caches as the compiled loop takes them, empty."""
        table, state = layout(self.caches)
        return Caches(
            table=table,
            state=state,
            frames=empty_frames(table),
            miss_cycles=np.array(self.miss_cycles, dtype=np.int64),
            write_back_cycles=self.write_back_cycles,
        )


def no_caches() -> Caches:
    """Return caches of a run without time, which asks for none."""
    level = CacheLevelSpec(name="none", capacity_bytes=64, line_bytes=64, ways=1)
    table, state = layout(HierarchySpec(levels=(level,)))
    costs = np.zeros(2, dtype=np.int64)
    return Caches(
        table=table,
        state=state,
        frames=empty_frames(table),
        miss_cycles=costs,
        write_back_cycles=0,
    )
