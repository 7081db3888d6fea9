"""How a matrix product is spread over a core's arrays and cut into chunks for DMA.

The stationary operand B [K, N] (weights, or keys and values) is tiled into folds; the arrays share
the folds. An A operand that neither lies in the scratchpad nor fits there is handled in the cheaper
of two ways: in blocks of rows that fit, for each of which B is read again, or streamed again for
each buffer full of B.
"""

from __future__ import annotations

from dataclasses import dataclass

from sim.stalls import CycleStack, StallCause
from sim.tpu.operands import Movement
from sim.tpu.spec import TpuSpec
from sim.tpu.systolic import ArraySpec
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
    stream_bytes: int
    """Read from the scratchpad by the arrays."""
    choice: str


def plan_matmul(spec: TpuSpec, op: Op, movement: Movement) -> MatmulPlan:
    """Choose rounds and count bytes for a product whose operands are `op.reads[:2]`.

    Models: folds shared evenly by the arrays; each head of a batched product has its own folds.
    Ignores: splitting rows over arrays when there are fewer folds than arrays; the addition of
    partial sums, which keeps up with the results as they leave; the overlap of an operation's
    first weight load and last crossing with its neighbours; that a chunk's first overlapped load
    must wait for the chunk's DMA.
    Source: Norrie et al., The Design Process for Google's Training Chips: TPUv2 and TPUv3, IEEE
    Micro 41(2), 2021.
    """
    batch, m, n, k = (op.dims[key] for key in ("batch", "m", "n", "k"))
    arrays = spec.arrays
    rounds, a_reads = _rounds(spec, op, movement)
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
    times = [a_reads, rounds, *(1 for _ in movement.fetches[2:])]
    moved = list(zip(movement.fetches, times, strict=True))
    return MatmulPlan(
        run=run,
        ahead_bytes=sum(f.read_bytes * count for f, count in moved if not f.late),
        late_bytes=sum(f.read_bytes * count for f, count in moved if f.late),
        stream_bytes=op.reads[0].bytes * across + op.reads[1].bytes * rounds,
        choice=(
            f"{batch * across * down} folds of {arrays.rows}x{arrays.cols} on {arrays.count} "
            f"array{'s' if arrays.count > 1 else ''}, {rounds} block{'s' if rounds > 1 else ''} "
            f"of rows"
        ),
    )


def _rounds(spec: TpuSpec, op: Op, movement: Movement) -> tuple[int, int]:
    """Blocks of rows, and how often A is read from main memory: whichever moves fewer bytes."""
    a, b = movement.fetches[:2]
    batch, m = op.dims["batch"], op.dims["m"]
    capacity = spec.scratchpad.activation_bytes
    a_each = -(-op.reads[0].bytes // batch)
    if not a.read_bytes or a_each <= capacity:
        return 1, 1
    rounds = min(m, -(-a_each // capacity))
    b_each = -(-op.reads[1].bytes // batch)
    passes = -(-b_each // spec.scratchpad.stream_buffer_bytes)
    if a.read_bytes + b.read_bytes * rounds <= a.read_bytes * passes + b.read_bytes:
        return rounds, 1
    return 1, passes
