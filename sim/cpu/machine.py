"""The CPU: operations one after another, each a program on one core or on several."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from sim.cpu import kernels
from sim.cpu.hierarchy import Hierarchy
from sim.cpu.lowering import Lowering, require_supported
from sim.cpu.multicore import CoreWork, meet
from sim.cpu.plan import Operands, Plan, Share
from sim.cpu.spec import CpuSpec
from sim.cpu.steady import EXTRAPOLATED, LOADED, STORED, Timeline, stack_of
from sim.lowering import DRAM, LoweredOp, MachineModel, MemoryLevel, Peaks, Traffic
from sim.pipeline import StageSpec
from sim.stalls import CycleStack
from workloads.trace import Op, Trace


class CpuMachine(MachineModel):
    """In-order cores that run RISC-V kernels out of caches.

    Models: every instruction of every kernel through the in-order pipeline; cache lines by
    stream and level; several cores' contention and barriers.
    Ignores: values, conflict misses, address translation, operating system, code outside kernels.
    Source: Hennessy and Patterson, Computer Architecture, appendices B and C, chapter 5.
    """

    LOWERED_IN = "sim/cpu/lowering.py"

    def __init__(self, spec: CpuSpec) -> None:
        self.spec: CpuSpec = spec
        self.stages = (StageSpec(name="core"),)
        self.main_stage = 0
        self._timeline = Timeline(spec.rules, spec.line_bytes)
        self._hierarchy = Hierarchy(spec)
        self._lowering = Lowering(self._hierarchy, spec)
        self._cases: dict[Hashable, LoweredOp] = {}
        self._trace: Trace | None = None

    def peaks(self) -> Peaks:
        """Best rates: a fused multiply-add on every lane of every core in every cycle, or tiles."""
        core = self.spec.core
        flops = 2 * core.lanes * core.count * self.spec.clock_hz
        return Peaks(
            matmul_flops_per_second={
                dtype: self._matmul_flops(flops, element_bytes)
                for dtype, element_bytes in kernels.STORAGE_BYTES.items()
            },
            vector_flops_per_second=flops,
            memory_bytes_per_second=self.spec.memory.bandwidth_bytes_per_second,
            on_chip_bytes=self._hierarchy.kept_bytes,
        )

    def _matmul_flops(self, vector_flops: int, element_bytes: int) -> int:
        core = self.spec.core
        if core.tiles is None:
            return vector_flops
        return core.tiles.flops_per_cycle(element_bytes) * core.count * self.spec.clock_hz

    def memory_levels(self) -> tuple[MemoryLevel, ...]:
        """Return caches from the inside out, private ones of all cores together, then DRAM."""
        spec = self.spec
        levels = []
        for name, cache in spec.caches.items():
            copies = 1 if cache.shared else spec.core.count
            levels.append(
                MemoryLevel(
                    name=name,
                    capacity_bytes=cache.capacity_bytes * copies,
                    bandwidth_bytes_per_second=cache.bytes_per_cycle * copies * spec.clock_hz,
                )
            )
        memory = spec.memory
        bandwidth = memory.bandwidth_bytes_per_second
        return (
            *levels,
            MemoryLevel(
                name=DRAM,
                capacity_bytes=memory.capacity_bytes,
                bandwidth_bytes_per_second=bandwidth,
            ),
        )

    def start(self, trace: Trace) -> None:
        """Empty the caches; UnsupportedOpError for the first operation without a kernel."""
        for block in trace.blocks:
            for op in block.ops:
                require_supported(op, trace, self.unsupported)
        self._trace = trace
        self._hierarchy.clear()
        self._lowering.start(trace)
        self._cases = {}

    def lower(self, op: Op, layer: int | None) -> LoweredOp:
        """Find the operands in the caches, then simulate the case unless it is known."""
        if self._trace is None:
            raise RuntimeError("start(trace) comes before lower")
        found = self._lowering.find(op, layer, self._trace)
        key = (op.shape_key, found)
        if key not in self._cases:
            plan = self._lowering.plan(op, found, self._trace)
            build = self._several if self.spec.core.prefetch else self._single
            self._cases[key] = build(plan, found)
        return self._cases[key]

    def state_key(self, layer: int) -> Hashable:
        """Return what the caches hold, with layers counted from `layer`."""
        return self._hierarchy.key(layer)

    def skip_layers(self, count: int) -> None:
        """Move the caches' content on by `count` layers."""
        self._hierarchy.skip_layers(count)

    def _single(self, plan: Plan, found: Operands) -> LoweredOp:
        cost = self._timeline.cost(plan.shares[0].program)
        return self._lowered(
            plan,
            found,
            {"core": stack_of(cost)},
            "core",
            extrapolated=int(cost[EXTRAPOLATED]),
            registers=Traffic(int(cost[LOADED]), int(cost[STORED])),
        )

    def _several(self, plan: Plan, found: Operands) -> LoweredOp:
        cores = self.spec.core.count
        costs = [self._timeline.cost(share.program) for share in plan.shares]
        works = [CoreWork(stack=CycleStack())] * cores
        missing = _missing_bytes(found)
        spilled = sum(w.spilled_bytes for w in found.writes)
        users = len(plan.shares)
        for core, (share, cost) in enumerate(zip(plan.shares, costs, strict=True)):
            own, left = (
                total * (core + 1) // users - total * core // users for total in (missing, spilled)
            )
            again = _walked(share, self._hierarchy.dram, again_only=True)
            works[core] = CoreWork(
                stack=stack_of(cost),
                shared_bytes=_walked(share, self._hierarchy.dram - 1) + share.written_bytes,
                dram_read_bytes=own + again,
                dram_written_bytes=left,
            )
        meeting = meet(self.spec, works)
        stacks = {f"core{core}": stack for core, stack in enumerate(meeting.stacks)}
        return self._lowered(
            plan,
            found,
            stacks,
            f"core{meeting.last}",
            extrapolated=int(costs[meeting.last][EXTRAPOLATED]),
            registers=Traffic(
                sum(int(cost[LOADED]) for cost in costs), sum(int(cost[STORED]) for cost in costs)
            ),
        )

    def _lowered(
        self,
        plan: Plan,
        found: Operands,
        units: dict[str, CycleStack],
        main: str,
        *,
        extrapolated: int,
        registers: Traffic,
    ) -> LoweredOp:
        return LoweredOp(
            uops=np.array([[units[main].total]], dtype=np.int64),
            main_stage=0,
            stack=units[main],
            units=units,
            traffic=self._traffic(plan, found, registers),
            extrapolated_cycles=extrapolated,
            choice=plan.choice,
        )

    def _traffic(self, plan: Plan, found: Operands, registers: Traffic) -> dict[str, Traffic]:
        """Bytes by level: L1 serves the instructions, each outer level what those inside lack."""
        levels = list(self.spec.caches.items())
        traffic = {levels[0][0]: registers}
        written = sum(share.written_bytes for share in plan.shares)
        for index, (name, cache) in enumerate(levels[1:], start=1):
            read = sum(_walked(share, index) for share in plan.shares)
            passes = cache.shared or written > levels[index - 1][1].capacity_bytes
            traffic[name] = Traffic(read, written if passes else 0)
        again = sum(_walked(share, self._hierarchy.dram, again_only=True) for share in plan.shares)
        spilled = sum(operand.spilled_bytes for operand in found.writes)
        traffic[DRAM] = Traffic(_missing_bytes(found) + again, spilled)
        return traffic


def _missing_bytes(found: Operands) -> int:
    """Bytes of an operation's operands that no cache holds."""
    return sum(operand.from_dram_bytes for operand in (*found.reads, *found.writes))


def _walked(share: Share, level: int, *, again_only: bool = False) -> int:
    """Bytes that a share takes from a level or from beyond it."""
    return sum(
        walk.bytes for walk in share.walks if walk.level >= level and (walk.again or not again_only)
    )
