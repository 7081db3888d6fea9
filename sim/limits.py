"""Analytic lower bounds: what a run cannot beat, from the trace and the machine's peaks alone.

Nothing of the simulation is used here, so that the two can be held against each other in every
run. Each bound answers "how long if only this resource limited?":

- matrix arithmetic: flops of matrix products over the matrix units' peak; what a product fuses
  beyond its sums (a scale for each result) may run elsewhere and is left out;
- vector arithmetic: all other flops, a transcendental as one, over the vector units' peak;
- bandwidth: compulsory bytes over main memory's peak. A step must read every distinct byte of
  weights and cache that it touches, less what can have stayed on chip since the step before;
- launch: operations times the least time between two launches.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod

from sim.clock import TICKS_PER_SECOND
from sim.lowering import Peaks
from sim.stalls import StallCause
from workloads.trace import Access, Block, Family, Op, Role, Tensor

MATRIX = "matrix arithmetic"
VECTOR = "vector arithmetic"
MEMORY = str(StallCause.BANDWIDTH)
LAUNCH = str(StallCause.LAUNCH)

COMPULSORY_ROLES = (Role.WEIGHT, Role.KV_CACHE)
"""Tensors that come from before the step; activations may live on chip throughout."""


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
    """Distinct bytes of weights and KV cache that the blocks read before they write them.

    A gather counts its rows once; of a tensor read several times the largest read counts.
    """
    largest: dict[tuple[int, int | None], int] = {}
    written: dict[tuple[int, int | None], int] = {}
    for block in blocks:
        for op in block.ops:
            for access in op.writes:
                key, instances = _instances(access, op, block, tensors)
                written[key] = written.get(key, 0) + access.bytes * instances
            for access in op.reads:
                if tensors[access.tensor].role in roles:
                    key, instances = _instances(access, op, block, tensors)
                    largest[key] = max(largest.get(key, 0), access.bytes * instances)
    return sum(max(0, touched - written.get(key, 0)) for key, touched in largest.items())


def _instances(
    access: Access, op: Op, block: Block, tensors: tuple[Tensor, ...]
) -> tuple[tuple[int, int | None], int]:
    """Return which tensor of which layer is touched, and how many layers' instances of it."""
    if tensors[access.tensor].layers > 1:
        return (access.tensor, op.layer), block.repeats
    return (access.tensor, None), 1


def total_limits(steps: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Add the bounds of consecutive steps, which cannot overlap."""
    total: dict[str, int] = {}
    for limits in steps:
        for name, cycles in limits.items():
            total[name] = total.get(name, 0) + cycles
    return total
