"""Analytic lower bounds: what a run cannot beat, from the trace and the machine's peaks alone.

Nothing of the simulation is used here, so that the two can be held against each other in every
run. Each bound answers "how long if only this resource limited?":

- matrix arithmetic: flops of matrix products over the matrix units' peak; what a product fuses
  beyond its sums (a scale for each result) may run elsewhere and is left out;
- vector arithmetic: all other flops, a transcendental as one, over the vector units' peak;
- bandwidth: compulsory bytes over main memory's peak. A step (in training, each of its phases)
  must read every distinct byte of weights, cache and optimiser state that it touches, less what
  can have stayed on chip since the step before;
- launch: operations times the least time between two launches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import prod

from sim.clock import TICKS_PER_SECOND
from sim.lowering import Peaks
from sim.stalls import StallCause
from workloads.trace import Access, Block, Family, Op, Role, Tensor

MATRIX = "matrix arithmetic"
VECTOR = "vector arithmetic"
MEMORY = str(StallCause.BANDWIDTH)
LAUNCH = str(StallCause.LAUNCH)

COMPULSORY_ROLES = (Role.WEIGHT, Role.KV_CACHE, Role.OPTIMIZER_STATE)
"""Tensors that come from before the step; activations, and the gradients of weights, may live on
chip throughout."""


def step_limits(
    blocks: Iterable[Block],
    tensors: tuple[Tensor, ...],
    peaks: Peaks,
    clock_hz: int,
    *,
    cold: bool,
) -> dict[str, int]:
    """Return the bounds of one step in whole cycles, rounded down.

    `cold`: nothing is on chip yet, as in a run's first step.
    """
    blocks = list(blocks)
    matrix: dict[str, int] = {}
    vector = launches = 0
    for block in blocks:
        launches += block.op_count
        for op in block.ops:
            if op.family is Family.MATMUL:
                multiplied = min(op.flops, 2 * prod(op.dims.values()))
                matrix[op.dtype] = matrix.get(op.dtype, 0) + multiplied * block.repeats
            else:
                vector += (op.flops + op.transcendentals) * block.repeats
    kept = 0 if cold else peaks.on_chip_bytes
    moved = max(0, compulsory_bytes(blocks, tensors) - kept)
    return {
        MATRIX: sum(
            flops * clock_hz // peaks.matmul_flops_per_second[dtype]
            for dtype, flops in matrix.items()
        ),
        VECTOR: vector * clock_hz // peaks.vector_flops_per_second,
        MEMORY: moved * clock_hz // peaks.memory_bytes_per_second,
        LAUNCH: launches * peaks.launch_ticks_per_op * clock_hz // TICKS_PER_SECOND,
    }


def compulsory_bytes(
    blocks: Iterable[Block],
    tensors: tuple[Tensor, ...],
    roles: tuple[Role, ...] = COMPULSORY_ROLES,
) -> int:
    """Distinct bytes of weights, KV cache and other state that are read before they are written.

    A gather counts its rows once; of a tensor read several times the largest read counts. Blocks
    may fold the same layers differently: layers count one by one.
    """
    known: dict[int, list[_Span]] = {}
    for block in blocks:
        for op in block.ops:
            for access in op.reads:
                if tensors[access.tensor].role in roles:
                    for span in _spans(known, access, op, block, tensors):
                        span.read = max(span.read, access.bytes - span.made)
            for access in op.writes:
                if tensors[access.tensor].role in roles:
                    for span in _spans(known, access, op, block, tensors):
                        span.made += access.bytes
    return sum(span.read * (span.end - span.first) for spans in known.values() for span in spans)


@dataclass(slots=True)
class _Span:
    """Neighbouring layers' instances of a tensor, all of one history."""

    first: int
    end: int
    made: int = 0
    """Bytes written so far, of each instance."""
    read: int = 0
    """The most bytes read at once that had not been written before."""


def _spans(
    known: dict[int, list[_Span]],
    access: Access,
    op: Op,
    block: Block,
    tensors: tuple[Tensor, ...],
) -> Iterator[_Span]:
    """Yield the histories of all instances that are touched, cut where they begin to differ."""
    tensor = tensors[access.tensor]
    every = _Span(tensor.first_layer, tensor.first_layer + tensor.layers)
    spans = known.setdefault(access.tensor, [every])
    first, end = every.first, every.end
    if tensor.layers > 1 and op.layer is not None:
        first, end = op.layer, op.layer + block.repeats
    for place, span in reversed(list(enumerate(spans))):
        cuts = [cut for cut in (first, end) if span.first < cut < span.end]
        edges = [span.first, *cuts, span.end]
        if cuts:
            spans[place : place + 1] = [
                _Span(low, high, span.made, span.read) for low, high in pairwise(edges)
            ]
    yield from (span for span in spans if first <= span.first and span.end <= end)


def total_limits(steps: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Add the bounds of consecutive steps, which cannot overlap."""
    total: dict[str, int] = {}
    for limits in steps:
        for name, cycles in limits.items():
            total[name] = total.get(name, 0) + cycles
    return total
