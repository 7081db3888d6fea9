"""How a matrix product is spread over a core's arrays and cut into chunks for DMA.

Of C[M,N] = A[M,K] x B[K,N] the arrays hold folds of the operand that stays (B, A or C, as their
dataflow says) and share them. A lies in the scratchpad's room for activations; B (weights, or keys
and values) comes through the stream buffers. Where that lets every operand move once, no blocking
could move less. Otherwise the mapper decides: what is cut into blocks, and what is read again for
each of them. Folds that cannot be shared evenly may be cut along the extent that streams.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sim.memory.port import MemoryPort
from sim.tpu.array.partition import Partition, Partitioner
from sim.tpu.array.systolic import Dataflow, Gemm
from sim.tpu.fold_run import FoldRun
from sim.tpu.memory.blocks import LIES, ArrayMemory, ArrayUnit, Channel, Operand, OperandStore
from sim.tpu.memory.mapping import Mapped, describe, map_steady
from sim.tpu.operands import Movement
from sim.tpu.spec import STREAM_BUFFERS, TpuSpec
from workloads.trace import Op

EXTENTS = {"m": "rows", "n": "columns", "k": "the reduction"}
"""What is cut into blocks, for people."""

SUM_BYTES = 4
"""An accumulator's, as `ArrayMemory.partial_bytes`."""


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


def plan_matmul(spec: TpuSpec, op: Op, movement: Movement, *, least_rounds: int = 1) -> MatmulPlan:
    """Choose folds, rounds and bytes for a product whose operands are `op.reads[:2]`.

    `least_rounds` asks for at least so many blocks of rows of A, for each of which the folds are
    loaded anew; B is read again for them only if one product's B does not fit the stream buffers.

    Models: all three dataflows; folds shared evenly by the arrays, each head of a batched product
    with its own; folds cut along the extent that streams, where that shares them better, their
    partial sums added as `Partition` says if it is the reduction; where operands do not fit, the
    mapper's blocks, with what they read again and the sums they spill.
    Ignores: widening of operands narrower than the arithmetic, and what a product fuses beyond its
    sums; moving partial sums of cut folds between arrays; the addition of other partial sums,
    which keeps up with the results as they leave; the overlap of an operation's first load and last
    crossing with its neighbours; that a chunk's first overlapped load must wait for the chunk's
    DMA; other blockings than those that move every operand once, where one does.
    Source: Norrie et al., The Design Process for Google's Training Chips: TPUv2 and TPUv3, IEEE
    Micro 41(2), 2021; Samajdar et al., A Systematic Methodology for Characterizing Scalability of
    DNN Accelerators using SCALE-Sim, ISPASS 2020 (dataflows, scale-out).
    """
    arrays = spec.arrays
    turns = _turns(spec, op, movement, least_rounds)
    down, across, streamed = LIES[arrays.dataflow]
    pieces = {
        down: _folds_along(op.dims[down], arrays.rows, turns.row_blocks if down == "m" else 1),
        across: _folds_along(
            op.dims[across], arrays.cols, turns.row_blocks if across == "m" else 1
        ),
    }
    folds = op.dims["batch"] * pieces[down] * pieces[across]
    run, cut = _share(spec, op, folds, turns.rounds)
    parts = cut.arrays if cut else 1
    pieces[streamed] = run.rounds * parts
    times = [turns.a_reads, turns.b_reads, *(1 for _ in movement.fetches[2:])]
    moved = list(zip(movement.fetches, times, strict=True))
    return MatmulPlan(
        run=run,
        ahead_bytes=sum(f.read_bytes * count for f, count in moved if not f.late),
        late_bytes=sum(f.read_bytes * count for f, count in moved if f.late) + turns.spilled_bytes,
        spilled_bytes=turns.spilled_bytes,
        stream_bytes=op.reads[0].bytes * pieces["n"] + op.reads[1].bytes * pieces["m"],
        choice=(
            f"{_several(folds, 'fold')} of {arrays.rows}x{arrays.cols} on "
            f"{_several(arrays.count, 'array')}{_said(cut, run)}, "
            f"{_several(run.rounds, 'block')} of {EXTENTS[streamed]}{turns.why}"
        ),
    )


def _folds_along(extent: int, unit: int, blocks: int) -> int:
    """Folds along an extent of which the array takes `unit`, cut into equal blocks before."""
    least, longer = divmod(extent, blocks)
    return longer * -(-(least + 1) // unit) + (blocks - longer) * -(-least // unit)


def _share(spec: TpuSpec, op: Op, folds: int, rounds: int) -> tuple[FoldRun, Partition | None]:
    """Share folds out among the arrays; cut each along what streams if that is sooner done.

    Cuts of the other extents cannot be: they make as many folds, of which a part is as slow as a
    whole one.
    """
    arrays = spec.arrays
    streamed = LIES[arrays.dataflow][2]
    rate = arrays.rate(op.dtype)
    best = FoldRun(
        array=arrays.array,
        folds=-(-folds // arrays.count),
        rounds=rounds,
        streamed=op.dims[streamed],
        rate=rate,
        overlapped=arrays.overlapped,
    )
    cut = None
    if folds % arrays.count == 0:
        return best, cut  # every array is at work to the end
    down, across, _ = LIES[arrays.dataflow]
    held = {down: min(op.dims[down], arrays.rows), across: min(op.dims[across], arrays.cols)}
    fold = Gemm(**held, **{streamed: op.dims[streamed]})
    partitioner = Partitioner(arrays.array, arrays.count, rate=rate, overlapped=arrays.overlapped)
    for parts in range(2, min(arrays.count, op.dims[streamed]) + 1):
        ways = {"m": 1, "n": 1, "k": 1, streamed: parts}
        partition = partitioner.partition(fold, ways["m"], ways["n"], ways["k"])
        groups = min(arrays.count, folds * parts) // parts
        steps = -(-op.dims[streamed] // parts)
        run = replace(
            best,
            folds=-(-folds * parts // arrays.count),
            rounds=min(rounds, steps),
            streamed=steps,
            addition_cycles=partition.addition_cycles * -(-folds // groups) * min(rounds, steps),
        )
        if run.spent(run.count) < best.spent(best.count):
            best, cut = run, partition
    return best, cut


def _several(count: int, noun: str) -> str:
    """Name a number of things, for people."""
    return f"{count} {noun}{'s' if count > 1 else ''}"


def _said(cut: Partition | None, run: FoldRun) -> str:
    """Name how folds are cut, for people."""
    if cut is None:
        return ""
    adding = f", {run.addition_cycles} cycles adding partial sums" * (run.addition_cycles > 0)
    return f", each cut {cut.name}{adding}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turns:
    """How often operands come in, and the arrays are loaded anew."""

    rounds: int = 1
    """Blocks of the extent that streams, for each of which every fold is loaded."""
    row_blocks: int = 1
    """Blocks of rows of A that were asked for; whose folds are apart where A's rows lie in the
    array."""
    a_reads: int = 1
    b_reads: int = 1
    spilled_bytes: int = 0
    """Partial sums that are written out, to be read again."""
    why: str = ""


def _turns(spec: TpuSpec, op: Op, movement: Movement, least_rounds: int) -> _Turns:
    """Let every operand move once where that is possible; otherwise ask the mapper."""
    room = _Room(spec, op, movement)
    turns = _Turns() if room.moves_once else _mapped(_map(spec, op, movement, room))
    blocks = min(least_rounds, op.dims["m"])
    if blocks == 1:
        return turns
    streams = LIES[spec.arrays.dataflow][2] == "m"
    return replace(
        turns,
        rounds=max(turns.rounds, blocks) if streams else turns.rounds,
        row_blocks=blocks,
        b_reads=turns.b_reads if room.b_stays else max(turns.b_reads, blocks),
    )


class _Room:
    """What the scratchpad leaves for A and C, half each, and the stream buffers for B."""

    def __init__(self, spec: TpuSpec, op: Op, movement: Movement) -> None:
        batch, m, n, k = (op.dims[key] for key in ("batch", "m", "n", "k"))
        arrays, scratchpad = spec.arrays, spec.scratchpad
        self.sum_bytes = scratchpad.activation_bytes // 2
        """For partial sums; and for blocks of an A that does not stay."""
        self.stream_bytes = STREAM_BUFFERS * scratchpad.stream_buffer_bytes
        a, b = movement.fetches[:2]
        self.a_stays = (
            not a.read_bytes or -(-op.reads[0].bytes // batch) <= scratchpad.activation_bytes
        )
        self.b_stays = not b.read_bytes or -(-op.reads[1].bytes // batch) <= self.stream_bytes
        places = 2 if batch > 1 or m > arrays.cols else 1  # one fills while one empties
        sums = places * min(m, arrays.cols) * n
        held: Mapping[Dataflow, bool] = {
            Dataflow.WEIGHT_STATIONARY: True,
            # B streams past each fold along the rows of A, which it must wait out in the buffers
            Dataflow.OUTPUT_STATIONARY: self.b_stays or m <= arrays.rows,
            # as above; and the sums of a whole fold, columns and all, wait for the rest of K
            Dataflow.INPUT_STATIONARY: (self.b_stays or m <= arrays.cols)
            and (k <= arrays.rows or sums * SUM_BYTES <= self.sum_bytes),
        }
        self.moves_once = self.a_stays and held[arrays.dataflow]
        """Whether one pass over the folds reads each operand once."""


def _mapped(mapped: Mapped) -> _Turns:
    """Read from the mapper's plan what is done how often."""
    plan = mapped.plan
    reads = {
        operand: plan.moved[operand].read_bytes
        // max(1, plan.nest.operand_elements(operand) * plan.nest.batch)
        // max(1, plan.memory.store(operand).element_bytes)
        for operand in (Operand.A, Operand.B)
    }
    streamed = LIES[plan.unit.array.dataflow][2]
    return _Turns(
        rounds=1 if plan.core.continues else plan.nest.tiles[streamed],
        a_reads=max(1, reads[Operand.A]),
        b_reads=max(1, reads[Operand.B]),
        spilled_bytes=plan.moved[Operand.C].read_bytes,
        why=f": {describe(plan)}, bound by {mapped.limited_by}",
    )


def _map(spec: TpuSpec, op: Op, movement: Movement, room: _Room) -> Mapped:
    """Search for the blocks that fit in what the scratchpad leaves."""
    batch, m, n, k = (op.dims[key] for key in ("batch", "m", "n", "k"))
    arrays = spec.arrays
    unit = ArrayUnit(
        array=arrays.array,
        count=arrays.count,
        rate=arrays.rate(op.dtype),
        overlapped=arrays.overlapped,
    )
    a, b = movement.fetches[:2]
    memory = ArrayMemory(
        a=OperandStore(
            element_bytes=-(-a.read_bytes // (batch * m * k)),
            sram_bytes=None if room.a_stays else room.sum_bytes,
        ),
        b=OperandStore(
            element_bytes=-(-b.read_bytes // (batch * k * n)), sram_bytes=room.stream_bytes
        ),
        c=OperandStore(
            element_bytes=-(-movement.written_bytes // (batch * m * n)), sram_bytes=room.sum_bytes
        ),
        channel=Channel(MemoryPort(spec.memory, spec.clock_hz, one_way=True)),
        partial_bytes=SUM_BYTES,
    )
    return map_steady([unit], memory, Gemm(m=m, n=n, k=k), batch=batch)
