"""A GPU of two SMs, small enough to follow by hand: one cycle is one nanosecond."""

from copy import deepcopy

from sim.gpu.machine import GpuMachine
from sim.gpu.spec import GpuSpec
from workloads.trace import Access, Block, Family, Op, Phase, Role, Tensor, Trace

VALUES = {
    "name": "two-sms",
    "title": "two SMs",
    "family": "gpu",
    "kind": "teaching",
    "description": "a GPU for tests",
    "sources": {},
    "clock_hz": "1 GHz",
    "sm_count": 2,
    "memory": {
        "kind": "test",
        "capacity_bytes": "1 MB",
        "bandwidth_bytes_per_second": "8 GB/s",  # 8 bytes a cycle
        "latency_ticks": "100 ns",
    },
    "sm": {
        "tensor_flops_per_cycle": {"float16": 64},
        "vector_flops_per_cycle": {"float16": 4},
        "special_functions_per_cycle": 1,
        "shared_memory_bytes": "2 KiB",
        "register_bytes": "16 KiB",
        "load_bytes_per_cycle": 16,
        "max_threads": 32,
        "max_blocks": 1,
    },
    "l2": {"capacity_bytes": "4 KiB", "bytes_per_cycle": 32, "latency_cycles": 20},
    "launch": {
        "host_interval_ticks": "1 us",
        "device_start_ticks": "100 ns",
        "queue_depth": 4,
    },
    "tiles": {"shapes": [{"m": 8, "n": 8, "k_bytes": 16, "stages": 2}]},
    "vector_kernel": {"threads_per_block": 4, "bytes_per_thread": 16},
}

START = 100
"""Device cycles before a kernel's first thread block."""


def values(**changed):
    """Copy VALUES with some replaced by dotted keys, dots written as double underscores."""
    copy = deepcopy(VALUES)
    for dotted, value in changed.items():
        *parents, last = dotted.split("__")
        holder = copy
        for part in parents:
            holder = holder[part]
        holder[last] = value
    return copy


def gpu(**changed):
    return GpuMachine(GpuSpec.model_validate(values(**changed)))


def tensor(name, elements, role=Role.ACTIVATION, dtype="float16", layers=1):
    return Tensor(name=name, role=role, shape=(elements,), dtype=dtype, address=0, layers=layers)


def matmul(m, n, k, *, batch=1, dtype="float16", layer=None):
    """C = A x B over tensors 0 (A), 1 (B) and 2 (C)."""
    return Op(
        kind="matmul",
        family=Family.MATMUL,
        name="product",
        dims={"batch": batch, "m": m, "n": n, "k": k},
        flops=2 * batch * m * n * k,
        reads=(Access(0, 2 * batch * m * k), Access(1, 2 * batch * n * k)),
        writes=(Access(2, 2 * batch * m * n),),
        dtype=dtype,
        phase=Phase.PREFILL,
        step=0,
        layer=layer,
    )


def vector(family, dims, *, flops=0, transcendentals=0, read, written, dtype="float16"):
    """Reads a prefix of tensor 0 and writes one of tensor 2."""
    return Op(
        kind="vector",
        family=family,
        name="vector",
        dims=dims,
        flops=flops,
        transcendentals=transcendentals,
        reads=(Access(0, read),),
        writes=(Access(2, written),),
        dtype=dtype,
        phase=Phase.PREFILL,
        step=0,
    )


def elementwise(elements, *, dtype="float16"):
    """One flop an element."""
    return vector(
        Family.ELEMENTWISE,
        {"elements": elements},
        flops=elements,
        read=2 * elements,
        written=2 * elements,
        dtype=dtype,
    )


def trace_of(*ops, tensors=None, repeats=1):
    """A trace of one block over three large tensors, or those given."""
    if tensors is None:
        tensors = (tensor("a", 10**5), tensor("b", 10**5, Role.WEIGHT), tensor("c", 10**5))
    return Trace(
        model="by-hand",
        dtype="float16",
        batch=1,
        prompt_tokens=1,
        new_tokens=1,
        tensors=tensors,
        blocks=(Block(ops=ops, repeats=repeats),),
    )


def lowered(machine, *ops):
    """Lower operations one after another on a machine that starts cold."""
    machine.start(trace_of(*ops))
    return [machine.lower(op, op.layer) for op in ops]
