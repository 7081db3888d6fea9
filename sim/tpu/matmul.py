"""How a matrix product is spread over a core's arrays and cut into chunks for DMA.

The stationary operand B [K, N] (weights, or keys and values) is tiled into folds; the arrays share
the folds. Where A lies in the scratchpad, or fits there, every operand moves once and no blocking
could move less. Otherwise the mapper decides: A in blocks of rows that fit, for each of which B is
read again, or streamed again for each block of B that the stream buffers hold.
"""

from __future__ import annotations

from dataclasses import dataclass

from sim.memory.dram import Dram
from sim.stalls import CycleStack, StallCause
from sim.tpu.blocks import ArrayMemory, ArrayUnit, Channel, Operand, OperandStore
from sim.tpu.mapping import Mapped, describe, map_steady
from sim.tpu.operands import Movement
from sim.tpu.spec import STREAM_BUFFERS, TpuSpec
from sim.tpu.systolic import ArraySpec, Gemm, Rate
from workloads.trace import Op


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldRun:
    """The folds that one array works through, in closed form.

    `rounds` times `folds` folds; the rows that stream in each round differ by one at most.
    """

    array: ArraySpec
    folds: int
    rounds: int
    rows: int
    """Rows of A in all rounds together."""
    cycles_per_row: int
    overlapped: bool
    """Whether a fold's weights load while the fold before streams."""
    rows_per_cycle: int = 1
    """Rows that enter together, where narrow operands are packed."""

    @property
    def count(self) -> int:
        """Folds of all rounds."""
        return self.folds * self.rounds

    def spent(self, done: int) -> int:
        """Cycles until fold number `done` begins; for `count`, until the last has left the array.

        A fold begins to load where folds are serial, and to stream where loads overlap.
        """
        fill = self.array.rows if self.overlapped else 0
        if self.overlapped and done == self.count:
            last = self._stream(self.rounds - 1)
            return self.spent(done - 1) + last + self.array.crossing_cycles
        whole, part = divmod(done, self.folds)
        taller = min(whole, self.rows % self.rounds)
        steps = taller * self._step(0) + (whole - taller) * self._step(self.rounds - 1)
        return fill + self.folds * steps + part * self._step(whole)

    def stack(self) -> CycleStack:
        """Account of all cycles: rows streaming, waits for the weight port, fill and drain."""
        taller = self.rows % self.rounds
        streaming = self.folds * (
            taller * self._stream(0) + (self.rounds - taller) * self._stream(self.rounds - 1)
        )
        total = self.spent(self.count)
        fill = self.array.rows + self.array.crossing_cycles
        if not self.overlapped:
            fill *= self.count
        stalls = {
            StallCause.FILL_DRAIN: fill,
            StallCause.STRUCTURAL: total - streaming - fill,
        }
        return CycleStack(busy=streaming, stalls=stalls)

    def _stream(self, turn: int) -> int:
        """Cycles in which the rows of a round enter; the first rounds take one row more."""
        rows = self.rows // self.rounds + (turn < self.rows % self.rounds)
        return -(-rows * self.cycles_per_row // self.rows_per_cycle)

    def _step(self, turn: int) -> int:
        """Cycles between the begin of a fold and that of the next."""
        stream = self._stream(turn)
        if self.overlapped:
            return max(self.array.rows, stream)
        return stream + self.array.crossing_cycles + self.array.rows


@dataclass(frozen=True, slots=True, kw_only=True)
class MatmulPlan:
    """What the lowering decided for one product."""

    run: FoldRun
    ahead_bytes: int
    """To be read from main memory, known before the step."""
    late_bytes: int
    """To be read once earlier operations are done."""
    spilled_bytes: int
    """Partial sums that do not stay: among the late bytes, and to be written as well."""
    stream_bytes: int
    """Read from the scratchpad by the arrays."""
    choice: str


def plan_matmul(spec: TpuSpec, op: Op, movement: Movement) -> MatmulPlan:
    """Choose rounds and count bytes for a product whose operands are `op.reads[:2]`.

    Models: folds shared evenly by the arrays; each head of a batched product has its own folds;
    where A does not fit, the mapper's blocks, with what they read again and the sums they spill.
    Ignores: splitting rows over arrays when there are fewer folds than arrays; the addition of
    partial sums, which keeps up with the results as they leave; the overlap of an operation's
    first weight load and last crossing with its neighbours; that a chunk's first overlapped load
    must wait for the chunk's DMA.
    Source: Norrie et al., The Design Process for Google's Training Chips: TPUv2 and TPUv3, IEEE
    Micro 41(2), 2021.
    """
    batch, m, n, k = (op.dims[key] for key in ("batch", "m", "n", "k"))
    arrays = spec.arrays
    turns = _turns(spec, op, movement)
    rounds = turns.rounds
    across, down = -(-n // arrays.cols), -(-k // arrays.rows)
    run = FoldRun(
        array=arrays.array,
        folds=-(-batch * across * down // arrays.count),
        rounds=rounds,
        rows=m,
        cycles_per_row=arrays.cycles_per_row[op.dtype],
        rows_per_cycle=arrays.rows_per_cycle.get(op.dtype, 1),
        overlapped=arrays.double_buffered_weights,
    )
    times = [turns.a_reads, turns.b_reads, *(1 for _ in movement.fetches[2:])]
    moved = list(zip(movement.fetches, times, strict=True))
    return MatmulPlan(
        run=run,
        ahead_bytes=sum(f.read_bytes * count for f, count in moved if not f.late),
        late_bytes=sum(f.read_bytes * count for f, count in moved if f.late) + turns.spilled_bytes,
        spilled_bytes=turns.spilled_bytes,
        stream_bytes=op.reads[0].bytes * across + op.reads[1].bytes * rounds,
        choice=(
            f"{batch * across * down} folds of {arrays.rows}x{arrays.cols} on {arrays.count} "
            f"array{'s' if arrays.count > 1 else ''}, {rounds} block{'s' if rounds > 1 else ''} "
            f"of rows{turns.why}"
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turns:
    """How often operands come in, and the arrays are loaded anew."""

    rounds: int = 1
    """Blocks of rows, for each of which every fold is loaded."""
    a_reads: int = 1
    b_reads: int = 1
    spilled_bytes: int = 0
    """Partial sums that are written out, to be read again."""
    why: str = ""


def _turns(spec: TpuSpec, op: Op, movement: Movement) -> _Turns:
    """Let every operand move once where A fits; otherwise ask the mapper."""
    a = movement.fetches[0]
    a_each = -(-op.reads[0].bytes // op.dims["batch"])
    if not a.read_bytes or a_each <= spec.scratchpad.activation_bytes:
        return _Turns()
    mapped = _map(spec, op, movement)
    plan = mapped.plan
    reads = {
        operand: plan.moved[operand].read_bytes
        // max(1, plan.nest.operand_elements(operand) * plan.nest.batch)
        // max(1, plan.memory.store(operand).element_bytes)
        for operand in (Operand.A, Operand.B)
    }
    return _Turns(
        rounds=1 if plan.core.continues else plan.nest.tiles["m"],
        a_reads=max(1, reads[Operand.A]),
        b_reads=max(1, reads[Operand.B]),
        spilled_bytes=plan.moved[Operand.C].read_bytes,
        why=f": {describe(plan)}, bound by {mapped.limited_by}",
    )


def _map(spec: TpuSpec, op: Op, movement: Movement) -> Mapped:
    """Search with what the scratchpad leaves for A and the stream buffers for B.

    Blocks of A and sums of C share the room for activations, half each.
    """
    batch, m, n, k = (op.dims[key] for key in ("batch", "m", "n", "k"))
    arrays, scratchpad = spec.arrays, spec.scratchpad
    rate = Rate(
        cycles_per_step=arrays.cycles_per_row[op.dtype],
        steps_per_cycle=arrays.rows_per_cycle.get(op.dtype, 1),
    )
    unit = ArrayUnit(
        array=arrays.array,
        count=arrays.count,
        rate=rate,
        overlapped=arrays.double_buffered_weights,
    )
    a, b = movement.fetches[:2]
    memory = ArrayMemory(
        a=OperandStore(
            element_bytes=-(-a.read_bytes // (batch * m * k)),
            sram_bytes=scratchpad.activation_bytes // 2,
        ),
        b=OperandStore(
            element_bytes=-(-b.read_bytes // (batch * k * n)),
            sram_bytes=STREAM_BUFFERS * scratchpad.stream_buffer_bytes,
        ),
        c=OperandStore(
            element_bytes=-(-movement.written_bytes // (batch * m * n)),
            sram_bytes=scratchpad.activation_bytes // 2,
        ),
        channel=Channel(Dram(spec.memory, spec.clock_hz)),
    )
    return map_steady([unit], memory, Gemm(m=m, n=n, k=k), batch=batch)
