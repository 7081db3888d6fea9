"""CPUs and one-operation traces for them."""

from math import prod
from pathlib import Path

from sim.cpu.machine import CpuMachine
from sim.cpu.spec import CpuSpec
from sim.spec import read_spec_file, validate
from workloads.trace import (
    DTYPE_BYTES,
    Access,
    Block,
    Family,
    Op,
    Phase,
    Role,
    Tensor,
    Trace,
)

MACHINES = Path(__file__).parents[3] / "sim" / "machines"


def spec(name, **parts):
    """A packaged CPU's description; `parts` are merged into its values, part by part."""
    path = MACHINES / f"{name}.yaml"
    values = dict(read_spec_file(path).values)
    for part, changes in parts.items():
        values[part] = {**values[part], **changes} if isinstance(changes, dict) else changes
    return validate(CpuSpec, values, path)


def cpu(name, **parts):
    return CpuMachine(spec(name, **parts))


def l1(capacity):
    """The caches of a CPU with one level."""
    return {
        "l1": {
            "capacity_bytes": capacity,
            "line_bytes": "64 B",
            "ways": 8,
            "hit_cycles": 1,
            "bytes_per_cycle": 4,
        }
    }


def trace(family, dims, reads, writes, *, flops=0, transcendentals=0, dtype="float32", kinds=()):
    """A trace of one operation over tensors of the given shapes; `kinds` gives their dtypes."""
    shapes = [*reads, *writes]
    kinds = (*kinds, *[dtype] * (len(shapes) - len(kinds)))
    tensors, address = [], 0
    for number, (shape, kind) in enumerate(zip(shapes, kinds, strict=True)):
        tensors.append(
            Tensor(
                name=f"t{number}", role=Role.ACTIVATION, shape=shape, dtype=kind, address=address
            )
        )
        address += -(-tensors[-1].bytes // 64) * 64
    accesses = [
        Access(number, prod(shape) * DTYPE_BYTES[kind])
        for number, (shape, kind) in enumerate(zip(shapes, kinds, strict=True))
    ]
    op = Op(
        kind=str(family),
        family=family,
        name="the operation",
        dims=dims,
        flops=flops,
        transcendentals=transcendentals,
        reads=tuple(accesses[: len(reads)]),
        writes=tuple(accesses[len(reads) :]),
        dtype=dtype,
        phase=Phase.PREFILL,
        step=0,
    )
    return Trace(
        model="one operation",
        dtype=dtype,
        batch=1,
        prompt_tokens=1,
        new_tokens=1,
        tensors=tuple(tensors),
        blocks=(Block(ops=(op,)),),
    )


def matmul(m, n, k, *, batch=1, **options):
    return trace(
        Family.MATMUL,
        {"batch": batch, "m": m, "n": n, "k": k},
        [(batch, m, k), (batch, k, n)],
        [(batch, m, n)],
        flops=2 * batch * m * n * k,
        **options,
    )


def lower(machine, one_op, *, times=1):
    """Lower a trace's only operation, caches cold at first; return the last time's."""
    machine.start(one_op)
    (block,) = one_op.blocks
    return [machine.lower(block.ops[0], None) for _ in range(times)][-1]
