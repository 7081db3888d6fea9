"""A machine simple enough to follow by hand, and small traces for it."""

from dataclasses import replace

import numpy as np

from sim.lowering import DRAM, LoweredOp, MachineModel, MemoryLevel, Peaks, Traffic
from sim.pipeline import StageSpec
from sim.spec import MachineSpec
from sim.stalls import CycleStack, StallCause
from workloads.trace import Access, Block, Family, Op, Phase, Role, Tensor, Trace

SPEC = {
    "name": "by-hand",
    "title": "by hand",
    "family": "cpu",
    "kind": "teaching",
    "description": "a machine for tests",
    "sources": {},
    "clock_hz": "1 GHz",
    "memory": {
        "kind": "test",
        "capacity_bytes": "1 MB",
        "bandwidth_bytes_per_second": "1 GB/s",
        "latency_ticks": "1 ns",
    },
}


class ByHandMachine(MachineModel):
    """Loads weights at a byte a cycle, then works two cycles, one of them waiting for DRAM."""

    LOWERED_IN = "tests"

    def __init__(self, spec):
        self.spec = spec
        self.stages = (
            StageSpec(name="dma"),
            StageSpec(name="core", starved_as=StallCause.BANDWIDTH),
        )
        self.main_stage = 1
        self.lowered_ops = 0
        self._cases = {}

    def peaks(self):
        return Peaks(
            matmul_flops_per_second={"int8": 4 * 10**9},
            vector_flops_per_second=10**9,
            memory_bytes_per_second=10**9,
            on_chip_bytes=0,
        )

    def memory_levels(self):
        return (MemoryLevel(name=DRAM, capacity_bytes=10**6, bandwidth_bytes_per_second=10**9),)

    def start(self, trace):
        pass

    def lower(self, op, layer):
        self.lowered_ops += 1
        if op.shape_key not in self._cases:
            self._cases[op.shape_key] = LoweredOp(
                uops=np.array([[op.bytes_read, 2]], dtype=np.int64),
                main_stage=1,
                stack=CycleStack(busy=1, stalls={StallCause.DRAM: 1}),
                units={op.kind: CycleStack(busy=2)},
                traffic={DRAM: Traffic(op.bytes_read, 0)},
            )
        return self._cases[op.shape_key]

    def state_key(self, layer):
        return ()

    def skip_layers(self, count):
        pass


def machine():
    return ByHandMachine(MachineSpec.model_validate(SPEC))


WEIGHT = Tensor(
    name="w", role=Role.WEIGHT, shape=(5,), dtype="int8", address=0, layers=3, layer_stride_bytes=64
)
RESULT = Tensor(name="y", role=Role.ACTIVATION, shape=(1,), dtype="int8", address=512)

MATMUL = Op(
    kind="matmul",
    family=Family.MATMUL,
    name="project",
    dims={"batch": 1, "m": 1, "n": 1, "k": 5},
    flops=4,
    reads=(Access(0, 5),),
    writes=(Access(1, 1),),
    dtype="int8",
    layer=0,
    phase=Phase.PREFILL,
    step=0,
)
ADD = replace(
    MATMUL, kind="add", family=Family.ELEMENTWISE, name="add", dims={"elements": 1}, flops=1,
    reads=(Access(1, 1),), depends_back=(1,),
)  # fmt: skip


def trace():
    """Three layers of a product and an addition, in a prefill and one decode step."""
    steps = [(Phase.PREFILL, 0), (Phase.DECODE, 1)]
    return Trace(
        model="by-hand",
        dtype="int8",
        batch=2,
        prompt_tokens=3,
        new_tokens=2,
        tensors=(WEIGHT, RESULT),
        blocks=tuple(
            Block(ops=tuple(replace(op, phase=phase, step=step) for op in (MATMUL, ADD)), repeats=3)
            for phase, step in steps
        ),
    )
