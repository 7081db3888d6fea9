"""A CPU of `kernelcores`: operations one after another, each as loops of micro-kernels."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from sim.cpu.hierarchy import Hierarchy
from sim.cpu.kernelcores import KernelError, parse_kernel
from sim.cpu.kernelcores.body import build_body
from sim.cpu.kernelcores.bounds import bounds_of
from sim.cpu.kernelmachines.kernels import Flavour, pass_kernel, widened
from sim.cpu.kernelmachines.loops import Orbit, core_named, orbit_of
from sim.cpu.kernelmachines.multipliers import Multiplier, multipliers
from sim.cpu.kernelmachines.plan import RowPlanner
from sim.cpu.kernelmachines.products import ProductPlanner
from sim.cpu.kernelmachines.shares import Loop, Work
from sim.cpu.kernelmachines.spec import KernelCoreSpec, KernelCpuSpec
from sim.cpu.kernelmachines.storage import ELEMENT_BYTES, FLOAT32
from sim.cpu.multicore import CoreWork, Meeting, meet
from sim.cpu.passes import Visit
from sim.cpu.plan import Operands
from sim.lowering import DRAM, LoweredOp, MachineModel, MemoryLevel, Peaks, Traffic
from sim.pipeline import StageSpec
from sim.stalls import CycleStack, StallCause
from workloads.trace import Family, Op, Trace

MULTIPLY_ADD = {
    "x86_64": "vfmadd231ps ymm0, ymm1, ymm2",
    "aarch64": "fmla v0.4s, v1.4s, v2.4s",
    "riscv64": "fmadd.s f0, f1, f2, f0",
}


class KernelCpuMachine(MachineModel):
    """Cores of `kernelcores`, out of order or dual issue, that run micro-kernels out of caches.

    Models: each loop of each kernel, to the cycle, hitting in L1; a private L2's latency once and
    its bandwidth, beside the instructions; several cores' contention for the last cache and DRAM,
    and their barriers.
    Ignores: values, conflict misses, misses of the window that prefetch does not cover, address
    translation, turbo clocks, simultaneous multithreading, code outside kernels.
    Source: the documents of each core's and machine's file; Hennessy and Patterson, Computer
    Architecture, 6th edition, sections 2.3 and 3.4 to 3.8.
    """

    LOWERED_IN = "sim/cpu/kernelmachines/plan.py"

    def __init__(self, spec: KernelCpuSpec) -> None:
        self.spec: KernelCpuSpec = spec
        self.stages = (StageSpec(name="core"),)
        self.main_stage = 0
        core = spec.core
        self._flavours, self._refusals = flavours(core)
        self._hierarchy = Hierarchy(spec)
        self._products = {
            dtype: ProductPlanner(self._hierarchy, flavour, core.kernel_core, core.count)
            for dtype, flavour in self._flavours.items()
        }
        self._rows = {
            dtype: RowPlanner(self._hierarchy, flavour, core.count)
            for dtype, flavour in self._flavours.items()
        }
        self._cases: dict[Hashable, LoweredOp] = {}
        self._trace: Trace | None = None

    def peaks(self) -> Peaks:
        """Best rates: the widest multiply-adds on all units that take them, in every cycle."""
        core, spec = self.spec.core, self.spec
        ticks = 2 * core.count * spec.clock_hz
        best = {
            dtype: int(ticks * elements_per_cycle(core.kernel_core, flavour))
            for dtype, flavour in self._flavours.items()
        }
        plain = self._flavours[FLOAT32]
        vector = multiply_adds_per_cycle(core.kernel_core, plain) * core.lanes
        return Peaks(
            matmul_flops_per_second=best,
            vector_flops_per_second=int(ticks * vector),
            memory_bytes_per_second=self.spec.memory.bandwidth_bytes_per_second,
            on_chip_bytes=self._hierarchy.kept_bytes,
        )

    def memory_levels(self) -> tuple[MemoryLevel, ...]:
        """Return caches from the inside out, private ones of all cores together, then DRAM."""
        spec = self.spec
        levels = [
            MemoryLevel(
                name=name,
                capacity_bytes=cache.capacity_bytes * copies,
                bandwidth_bytes_per_second=cache.bytes_per_cycle * copies * spec.clock_hz,
            )
            for name, cache in spec.caches.items()
            for copies in (1 if cache.shared else spec.core.count,)
        ]
        memory = spec.memory
        return (
            *levels,
            MemoryLevel(
                name=DRAM,
                capacity_bytes=memory.capacity_bytes,
                bandwidth_bytes_per_second=memory.bandwidth_bytes_per_second,
            ),
        )

    def start(self, trace: Trace) -> None:
        """Empty the caches; UnsupportedOpError for the first operation without a kernel."""
        for block in trace.blocks:
            for op in block.ops:
                self._require_supported(op, trace)
        self._trace = trace
        self._hierarchy.clear()
        self._cases = {}

    def _require_supported(self, op: Op, trace: Trace) -> None:
        if op.family is Family.ATTENTION:
            raise self.unsupported(op, f"no kernel for the family '{op.family}'")
        if op.dtype not in self._flavours:
            known = ", ".join(self._flavours)
            why = self._refusals.get(op.dtype, "")
            raise self.unsupported(op, f"no kernel for {op.dtype}, only for {known}{why}")
        product = op.family is Family.MATMUL
        if product and len(op.reads) != 2:
            raise self.unsupported(op, f"a product of {len(op.reads)} operands")
        dialect = self._flavours[op.dtype].dialect
        ins, outs = len(dialect.reads), len(dialect.writes)
        if len(op.reads) > ins or len(op.writes) > outs:
            raise self.unsupported(op, f"a pass streams at most {ins} operands in and {outs} out")
        for access in op.reads if product else op.reads[:1]:
            dtype = trace.tensors[access.tensor].dtype
            if dtype != op.dtype:
                raise self.unsupported(op, f"an operand of {dtype} in arithmetic on {op.dtype}")

    def lower(self, op: Op, layer: int | None) -> LoweredOp:
        """Find the operands in the caches, then time the case unless it is known."""
        if self._trace is None:
            raise RuntimeError("start(trace) comes before lower")
        found = Operands(
            reads=tuple(self._hierarchy.read(self._trace, a, layer, op) for a in op.reads),
            writes=tuple(self._hierarchy.write(self._trace, a, layer, op) for a in op.writes),
        )
        key = (op.shape_key, found.reads, found.writes)
        if key not in self._cases:
            if op.family is Family.MATMUL:
                works, choice = self._products[op.dtype].product(op, found)
            else:
                works, choice = self._rows[op.dtype].rows(op, found, self._trace)
            self._cases[key] = self._lowered(works, found, choice)
        return self._cases[key]

    def state_key(self, layer: int) -> Hashable:
        """Return what the caches hold, with layers counted from `layer`."""
        return self._hierarchy.key(layer)

    def skip_layers(self, count: int) -> None:
        """Move the caches' content on by `count` layers."""
        self._hierarchy.skip_layers(count)

    def _lowered(self, works: Sequence[Work], found: Operands, choice: str) -> LoweredOp:
        meeting = self._meet(works, found)
        units = {f"core{core}": stack for core, stack in enumerate(meeting.stacks)}
        main = units[f"core{meeting.last}"]
        loops = [(self._orbit(each), each) for each in works[meeting.last].loops]
        guessed = sum(not o.proved and each.iterations > len(o.ends) for o, each in loops)
        if guessed:
            choice += f", {guessed} of {len(loops)} loops continued without a proved period"
        return LoweredOp(
            uops=np.array([[main.total]], dtype=np.int64),
            main_stage=0,
            stack=main,
            units=units,
            traffic=self._traffic(works, found),
            extrapolated_cycles=sum(
                each.calls * orbit.extrapolated_cycles(each.iterations) for orbit, each in loops
            ),
            unproved_cycles=sum(
                each.calls * orbit.extrapolated_cycles(each.iterations)
                for orbit, each in loops
                if not orbit.proved
            ),
            choice=choice,
        )

    def _meet(self, works: Sequence[Work], found: Operands) -> Meeting:
        """Time each core's work with what it must bring, up to the barrier."""
        users, dram = len(works), self._hierarchy.dram
        missing = _missing_bytes(found)
        spilled = sum(operand.spilled_bytes for operand in found.writes)
        shares = [CoreWork(stack=CycleStack())] * self.spec.core.count
        stacks = {id(work): self._core_stack(work) for work in {id(w): w for w in works}.values()}
        for core, work in enumerate(works):
            own, left = (
                total * (core + 1) // users - total * core // users for total in (missing, spilled)
            )
            shares[core] = CoreWork(
                stack=stacks[id(work)],
                shared_bytes=_walked(work, dram - 1) + work.written_bytes,
                dram_read_bytes=own + _walked(work, dram, again_only=True),
                dram_written_bytes=left,
            )
        return meet(self.spec, shares)

    def _core_stack(self, work: Work) -> CycleStack:
        """Account for a core's instructions, and for its private L2 where that is slower.

        Lines come into L1 while the core computes; the wait for the first is its L2's latency.
        """
        stack = CycleStack.sum(
            self._orbit(loop).stack(loop.iterations).scaled(loop.calls) for loop in work.loops
        )
        second = self.spec.levels[1]
        moved = _walked(work, 1)
        if second.shared or not moved:
            return stack
        filled = -(-moved // second.bytes_per_cycle)
        waits = {
            StallCause.CACHE: second.hit_cycles,
            StallCause.BANDWIDTH: max(0, filled - stack.total),
        }
        return stack + CycleStack(stalls=waits)

    def _orbit(self, loop: Loop) -> Orbit:
        return orbit_of(loop.kernel, self.spec.core.kernel_core, once=loop.iterations == 1)

    def _traffic(self, works: Sequence[Work], found: Operands) -> dict[str, Traffic]:
        """Bytes by level: L1 serves the instructions, each outer level what those inside lack."""
        levels = list(self.spec.caches.items())
        traffic = {levels[0][0]: _of_instructions(works)}
        written = sum(work.written_bytes for work in works)
        for index, (name, cache) in enumerate(levels[1:], start=1):
            read = sum(_walked(work, index) for work in works)
            passes = cache.shared or written > levels[index - 1][1].capacity_bytes
            traffic[name] = Traffic(read, written if passes else 0)
        again = sum(_walked(work, self._hierarchy.dram, again_only=True) for work in works)
        spilled = sum(operand.spilled_bytes for operand in found.writes)
        traffic[DRAM] = Traffic(_missing_bytes(found) + again, spilled)
        return traffic


def flavours(core: KernelCoreSpec) -> tuple[dict[str, Flavour], dict[str, str]]:
    """Return the flavours of a core's kernels by dtype, and why it has none of the others."""
    found: dict[str, Flavour] = {}
    refused: dict[str, str] = {}
    moves = Visit(reads=1, flops=1, transcendentals=0, writes=1, reduces=False)
    for dtype in ELEMENT_BYTES:
        extensions = frozenset(core.core.extensions)
        flavour = Flavour(core.core.isa, core.vector_bits, dtype, extensions)
        try:
            build_body(pass_kernel(moves, flavour, unroll=1), core.core)
        except KernelError as error:
            refused[dtype] = f": {error}"
        else:
            found[dtype] = flavour
    return found, refused


def elements_per_cycle(core: str, flavour: Flavour) -> Fraction:
    """Return how many multiply-adds of single elements a core can do in a cycle at best."""
    found = multipliers(flavour, one_row=False)
    return max(_rate(core, each) for each in found)


def _rate(core: str, by: Multiplier) -> Fraction:
    """Return multiply-adds of elements a cycle if only a multiplier's arithmetic took time."""
    flavour = by.flavour
    if not by.pairs:
        return multiply_adds_per_cycle(core, flavour) * flavour.lanes
    kernel = by.loop(by.rows, by.columns)
    products = tuple(each for each in kernel.instructions if "bf16ps" in each.mnemonic)
    bounds = bounds_of(build_body(replace(kernel, instructions=products), core_named(core)))
    return Fraction(by.rows * by.columns * by.depth) / bounds.ports


def multiply_adds_per_cycle(core: str, flavour: Flavour) -> Fraction:
    """Return how many multiply-adds of a whole register a core can start in a cycle."""
    text = widened(MULTIPLY_ADD[flavour.isa], flavour)
    body = build_body(parse_kernel(text, flavour.isa), core_named(core))
    return 1 / max(bounds_of(body).ports, Fraction(body.slots, body.core.issue_width))


def _of_instructions(works: Sequence[Work]) -> Traffic:
    """Bytes that the kernels' own loads and stores move."""
    total = Traffic()
    for loop in (loop for work in works for loop in work.loops):
        lines = loop.kernel.instructions
        once = Traffic(
            sum(each.load.bytes for each in lines if each.load),
            sum(each.store.bytes for each in lines if each.store),
        )
        total += once.scaled(loop.iterations * loop.calls)
    return total


def _missing_bytes(found: Operands) -> int:
    """Bytes of an operation's operands that no cache holds."""
    return sum(operand.from_dram_bytes for operand in (*found.reads, *found.writes))


def _walked(work: Work, level: int, *, again_only: bool = False) -> int:
    """Bytes that a share takes from a level or from beyond it."""
    return sum(
        walk.bytes for walk in work.walks if walk.level >= level and (walk.again or not again_only)
    )
