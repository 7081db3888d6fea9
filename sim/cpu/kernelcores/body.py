"""From instructions to micro-ops: fusion, elimination, and who waits for whom, iterations apart."""

from __future__ import annotations

from dataclasses import dataclass, field

from sim.cpu.kernelcores.addresses import Aliases
from sim.cpu.kernelcores.spec import CoreSpec, Cost, Need, check_extensions, cost_of
from sim.cpu.kernelcores.text import Address, Kernel, KernelError, KernelInstruction

PASSES = 6
"""Iterations renamed to find producers; those of the last one are taken. A value that passes
through more copies than that before it is used again does not occur in kernels of this size."""
FLAGS = ("flags", "nzcv")
"""Of x86-64 and AArch64; they are not forwarded early."""
CHASE_OFFSET = 2048
"""Bytes below which an address of base and offset is simple on Intel's cores."""

NARROWEST_LOAD_BITS = 128
"""Of the tables' rows for loads of vectors; a shorter one costs as much."""


@dataclass(slots=True)
class Source:
    """One operand: which micro-op makes it, how many iterations before."""

    producer: int
    distance: int
    early_cycles: int = 0
    """How much before the producer is complete this consumer may start; negative: after it."""


@dataclass(slots=True)
class MicroOp:
    """One unit of execution.

    Models: needs, latency, operands; the slot at rename that it shares with what it is fused to.
    Ignores: values; that a comparison with memory may fuse with a branch.
    Source: as the core's file and tables say.
    """

    instruction: int
    needs: tuple[Need, ...]
    latency: int
    cost_class: str
    sources: list[Source] = field(default_factory=list)
    loads: bool = False
    stores: bool = False
    slot: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A loop body as a core sees it."""

    kernel: Kernel
    core: CoreSpec
    micro_ops: tuple[MicroOp, ...]
    slot_instructions: tuple[int, ...]
    """Instruction of each slot that rename handles, in order; some slots have no micro-op."""
    writes_at_once: frozenset[int]
    """Instructions whose first result is there without delay: a pointer's write-back."""

    @property
    def slots(self) -> int:
        """Fused micro-ops an iteration."""
        return len(self.slot_instructions)


@dataclass(slots=True)
class _Value:
    """Who makes what a register holds."""

    producer: int
    iteration: int
    late_cycles: int = 0
    """How much earlier (negative) or later than the producer's completion it is there."""


def build_body(kernel: Kernel, core: CoreSpec) -> Body:
    """Resolve a kernel on a core; KernelError for another instruction set or a missing cost."""
    if kernel.isa != core.isa:
        raise KernelError(
            f"{kernel.name}: is {kernel.isa}, but {core.name} executes {core.isa}; "
            "take another core"
        )
    check_extensions(core, kernel)
    builder = _Builder(kernel, core)
    for iteration in range(PASSES):
        builder.rename(iteration)
    return builder.body()


class _Builder:
    """Renames a body some times over."""

    def __init__(self, kernel: Kernel, core: CoreSpec) -> None:
        self.kernel = kernel
        self.core = core
        self.values: dict[str, _Value | None] = {}
        self.aliases = Aliases()
        self.micro_ops: list[MicroOp] = []
        self.earlier: list[MicroOp] = []
        self.slots: list[int] = []
        self.at_once: set[int] = set()
        self.iteration = 0
        self.number = 0

    def rename(self, iteration: int) -> None:
        """Rename one more iteration; the micro-ops are those of the last one."""
        self.iteration = iteration
        self.earlier, self.micro_ops, self.slots = self.micro_ops, [], []
        instructions = self.kernel.instructions
        for self.number, instruction in enumerate(instructions):
            if self._fuses(self.number + 1):
                continue
            fused = instructions[self.number - 1] if self._fuses(self.number) else None
            self._instruction(instruction, fused)
            self.aliases.step(instruction, self.number, iteration)

    def _fuses(self, number: int) -> bool:
        """Whether an instruction is a branch that is fused with the one before it."""
        instructions = self.kernel.instructions
        if not 0 < number < len(instructions) or not instructions[number].branch:
            return False
        before = instructions[number - 1]
        in_memory = before.load is not None or before.store is not None
        return before.mnemonic in self.core.macro_fusion and not in_memory

    def _instruction(self, each: KernelInstruction, fused: KernelInstruction | None) -> None:
        if self._eliminated(each):
            self._slots(1)
            return
        if fused is not None:
            self.aliases.step(fused, self.number - 1, self.iteration)
        first = len(self.micro_ops)
        access = each.load or each.store
        if each.load is not None:
            self._load(each, each.load)
        reads = (*each.reads, *(fused.reads if fused else ()))
        parts = self._compute(each, reads, first) if each.cost_class else None
        if each.store is not None:
            self._store(each, each.store, reads)
        writes = (*each.writes, *(fused.writes if fused else ()))
        last = len(self.micro_ops) - 1
        self._assign_slots(first, each, parts)
        for place, register in enumerate(writes):
            late = self._second(each) if place == 1 and register != "flags" else 0
            self.values[register] = _Value(last, self.iteration, late) if last >= first else None
        if access is not None and access.post_increment is not None:
            self._post_increment(access, first)

    def _eliminated(self, each: KernelInstruction) -> bool:
        """Whether the renamer does it alone; then its destination has its source's producer."""
        kind = "move" if each.cost_class == "mov" else "vmove"
        if each.zeroes and "zero" in self.core.eliminates:
            for register in each.writes:
                self.values[register] = None
            return True
        if each.moves and kind in self.core.eliminates:
            self.values[each.writes[0]] = self.values.get(each.reads[0])
            return True
        return False

    def _load(self, each: KernelInstruction, address: Address) -> None:
        width = each.width_bits
        if each.memory_class == "vload":  # narrower than the register where it is widened
            width = min(width, max(NARROWEST_LOAD_BITS, 8 * address.bytes))
        cost = cost_of(self.core, each.memory_class, width, each)
        self._chain(cost, each.memory_class)
        load = self.micro_ops[-len(cost.micro_ops)]
        load.loads = True
        if not each.cost_class:  # a masked load merges, a gather needs its mask
            found = [self._source(register, each.memory_class) for register in each.reads]
            merges = each.memory_class.startswith("vload")
            waits = self.micro_ops[-1] if merges else load
            waits.sources += [source for source in found if source is not None]
        for register in address.registers:
            source = self._source(register, "address")
            if source is not None:
                load.sources.append(source)
                if self._chases(each, address, source):
                    assert self.core.chased_load_cycles is not None  # noqa: S101 - `_chases`
                    source.early_cycles += load.latency - self.core.chased_load_cycles
        forwards = self.core.store_forward_cycles
        store = self.aliases.store_before(address, self.number, self.iteration)
        if store is not None and forwards is not None:
            load.sources.append(Source(store[0], self.iteration - store[1]))
            # the store itself has executed by then
            stored = (*self.earlier, *self.micro_ops)[store[0]].latency
            load.latency = max(1, forwards - stored)

    def _chases(self, each: KernelInstruction, address: Address, source: Source) -> bool:
        return (
            self.core.chased_load_cycles is not None
            and each.memory_class == "load"
            and len(address.registers) == 1
            and 0 <= address.offset < CHASE_OFFSET
            and self._producer_class(source.producer) == "load"
        )

    def _producer_class(self, producer: int) -> str:
        """Class of a micro-op of this iteration, or of an earlier one at the same place."""
        ops = self.micro_ops if producer < len(self.micro_ops) else self.earlier
        return ops[producer].cost_class if producer < len(ops) else ""

    def _compute(self, each: KernelInstruction, reads: tuple[str, ...], first: int) -> int:
        cost = cost_of(self.core, each.cost_class, each.width_bits, each)
        start = len(self.micro_ops)
        self._chain(cost, each.cost_class)
        if not cost.micro_ops:
            return start
        op = self.micro_ops[start]
        for place, register in enumerate(reads):
            role = f".{each.last_read}" if each.last_read and place == len(reads) - 1 else ""
            consumer = each.cost_class + role
            source = self._source(register, consumer, each.width_bits * (place == 0))
            if source is not None and source not in op.sources:
                op.sources.append(source)
        if start > first:
            op.sources.append(Source(start - 1, 0))
        return start

    def _store(self, each: KernelInstruction, address: Address, reads: tuple[str, ...]) -> None:
        cost = cost_of(self.core, each.memory_class, each.width_bits, each)
        start = len(self.micro_ops)
        self._chain(cost, each.memory_class, chained=False)
        self.micro_ops[start].sources += [
            s for r in address.registers if (s := self._source(r, "address")) is not None
        ]
        data = self.micro_ops[-1]
        data.stores = True
        if each.cost_class:  # a read-modify-write stores what was computed
            data.sources.append(Source(start - 1, 0))
        else:
            found = [self._source(register, each.memory_class) for register in reads]
            data.sources += [source for source in found if source is not None]
        self.aliases.record(address, len(self.micro_ops) - 1, self.number, self.iteration)

    def _chain(self, cost: Cost, cost_class: str, *, chained: bool = True) -> None:
        for at, (needs, latency) in enumerate(zip(cost.micro_ops, cost.latencies, strict=False)):
            op = MicroOp(self.number, needs, latency, cost_class)
            if at and chained:
                op.sources.append(Source(len(self.micro_ops) - 1, 0))
            self.micro_ops.append(op)

    def _source(self, register: str, consumer: str, accumulator_bits: int = 0) -> Source | None:
        """Return who makes a register; of an accumulator, the width says when it is read."""
        value = self.values.get(register)
        if value is None:
            return None
        source = Source(value.producer, self.iteration - value.iteration, -value.late_cycles)
        producer = self._producer_class(value.producer)
        if accumulator_bits and producer == consumer:
            by_class = self.core.accumulate_early_cycles
            both = f"{consumer}.{accumulator_bits}"
            source.early_cycles += by_class.get(both, by_class.get(consumer, 0))
        for advance in self.core.advances if register not in FLAGS else ():
            named = "*" in advance.producers or producer in advance.producers
            if named and consumer in advance.consumers:
                source.early_cycles += advance.cycles
                break
        return source

    def _second(self, each: KernelInstruction) -> int:
        if not each.memory_class.endswith("loadp"):
            return 0
        cost = cost_of(self.core, each.memory_class, each.width_bits, each)
        return cost.second_latency - cost.latencies[-1]

    def _assign_slots(self, first: int, each: KernelInstruction, compute: int | None) -> None:
        ops = self.micro_ops[first:]
        fused = self.core.micro_fusion and each.memory_class != "" and not self._unlaminated(each)
        for at, op in enumerate(ops, start=first):
            joins = at > first and fused and (op.stores or at == compute) and op.slot == 0
            if at == first or not joins:
                self._slots(1)
            op.slot = len(self.slots) - 1
        if not ops:
            self._slots(1)
        self._slots(self.core.extra_micro_ops.get(each.memory_class or each.cost_class, 0))

    def _unlaminated(self, each: KernelInstruction) -> bool:
        """Whether rename parts a load with an index from its arithmetic."""
        indexed = each.load is not None and each.store is None and len(each.load.registers) > 1
        accumulates = not each.vex and (not each.writes or each.writes[0] in (*each.reads, "flags"))
        return self.core.unlaminates_indexed and indexed and not accumulates

    def _slots(self, count: int) -> None:
        self.slots += [self.number] * count

    def _post_increment(self, access: Address, first: int) -> None:
        base = access.registers[0]
        self._slots(self.core.extra_micro_ops.get("post_increment", 0))
        if self.core.post_increment_ports:
            source = self._source(base, "address")
            latency = self.core.post_increment_cycles.get(self.micro_ops[first].cost_class, 1)
            needs = (Need(units=self.core.post_increment_ports),)
            op = MicroOp(self.number, needs, latency, "alu")
            op.sources = [source] if source else []
            if self.core.whole_instructions:  # a store's pointer waits for its data
                own = [s for each in self.micro_ops[first:] for s in each.sources]
                op.sources += [s for s in own if s.distance or s.producer < first]
            op.slot = len(self.slots) - 1
            self.micro_ops.append(op)
            self.values[base] = _Value(len(self.micro_ops) - 1, self.iteration)
        else:
            at_once = 0 if self.core.order == "in" else 1
            late = at_once - self.micro_ops[first].latency
            self.values[base] = _Value(first, self.iteration, late)
            self.at_once.add(self.number)

    def body(self) -> Body:
        """Return what the last iteration renamed to."""
        return Body(
            kernel=self.kernel,
            core=self.core,
            micro_ops=tuple(self.micro_ops),
            slot_instructions=tuple(self.slots),
            writes_at_once=frozenset(self.at_once),
        )
