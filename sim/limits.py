"""Analytic lower bounds: what a run cannot beat, from the trace and the machine's peaks alone.

Nothing of the simulation is used here, so that the two can be held against each other in every
run. Each bound answers "how long if only this resource limited?":

- matrix arithmetic: flops of matrix products over the matrix units' peak;
- vector arithmetic: all other flops, a transcendental as one, over the vector units' peak;
- bandwidth: compulsory bytes over main memory's peak. A step must read every distinct byte of
  weights and cache that it touches, less what can have stayed on chip since the step before;
- launch: operations times the least time between two launches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import add

from sim.clock import TICKS_PER_SECOND
from sim.lowering import Peaks
from sim.stalls import StallCause
from workloads.trace import Access, Block, Family, Op, Role, Tensor

MATRIX = "matrix arithmetic"
VECTOR = "vector arithmetic"
MEMORY = str(StallCause.BANDWIDTH)
LAUNCH = str(StallCause.LAUNCH)

COMPULSORY_ROLES = (Role.WEIGHT, Role.KV_CACHE)
"""Tensors that come from before the step; activations may live on chip throughout, and so may the
state of a recurrent network."""

_Instances = tuple[int, range]
"""A tensor, by its index, and the layers whose instances of it are meant."""


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
                matrix[op.dtype] = matrix.get(op.dtype, 0) + op.flops * block.repeats
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
    """Distinct bytes of weights and KV cache that the blocks read before they write them.

    A gather counts its rows once; of a tensor read several times the largest read counts. Blocks
    may fold the same layers differently: bytes are counted layer by layer.
    """
    largest: dict[_Instances, int] = {}
    written: dict[_Instances, int] = {}
    for block, op in ((each, op) for each in blocks for op in each.ops):
        for access in op.writes:
            key = _instances(access, op, block, tensors)
            written[key] = written.get(key, 0) + access.bytes
        for access in op.reads:
            if tensors[access.tensor].role in roles:
                key = _instances(access, op, block, tensors)
                largest[key] = max(largest.get(key, 0), access.bytes)
    read, made = _by_layer(largest, max), _by_layer(written, add)
    return sum(max(0, touched - made.get(place, 0)) for place, touched in read.items())


def _by_layer(
    counts: Mapping[_Instances, int], merge: Callable[[int, int], int]
) -> dict[tuple[int, int], int]:
    """Give each layer its own count, merging those of blocks that overlap."""
    merged: dict[tuple[int, int], int] = {}
    for (tensor, layers), count in counts.items():
        for layer in layers:
            merged[tensor, layer] = merge(merged.get((tensor, layer), 0), count)
    return merged


def _instances(access: Access, op: Op, block: Block, tensors: tuple[Tensor, ...]) -> _Instances:
    """Return which tensor is touched, and in which layers."""
    if op.layer is not None and tensors[access.tensor].layers > 1:
        return access.tensor, range(op.layer, op.layer + block.repeats)
    return access.tensor, range(1)


def total_limits(steps: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Add the bounds of consecutive steps, which cannot overlap."""
    total: dict[str, int] = {}
    for limits in steps:
        for name, cycles in limits.items():
            total[name] = total.get(name, 0) + cycles
    return total
