"""The GPU as a machine: one kernel an operation, launched by a host that runs ahead."""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar

from sim.gpu.gemm import GemmPlanner, Product
from sim.gpu.kernel import L2, MAIN_STAGE, Device
from sim.gpu.spec import GpuSpec
from sim.gpu.vector import VectorPlanner
from sim.lowering import DRAM, LoweredOp, MachineModel, MemoryLevel, Peaks
from sim.memory.residency import Residency
from sim.pipeline import StageSpec
from sim.stalls import StallCause
from workloads.trace import DTYPE_BYTES, Family, Op, Role, Tensor, Trace


class GpuMachine(MachineModel):
    """A GPU and its host: kernels of one stream, in order, each over all SMs.

    Models: launch-bound streams (the host's interval between launches, the queue between host and
    device), one kernel per operation, L2 content carried from kernel to kernel.
    Ignores: CUDA graphs, concurrent streams, kernel fusion beyond what the trace itself fuses.
    Source: Gray, "Getting Started with CUDA Graphs", NVIDIA Technical Blog, 2019 (launch overheads
    of a stream of short kernels).
    """

    LOWERED_IN: ClassVar[str] = "sim/gpu/machine.py"

    def __init__(self, spec: GpuSpec) -> None:
        self.spec: GpuSpec = spec
        self.stages = (
            StageSpec(name="host"),
            StageSpec(name="device", places=spec.launch.queue_depth, starved_as=StallCause.LAUNCH),
        )
        self.main_stage = MAIN_STAGE
        self._device = Device(spec)
        self._gemm = GemmPlanner(self._device)
        self._vector = VectorPlanner(self._device)
        self._l2 = Residency(spec.l2.capacity_bytes)
        self._tensors: tuple[Tensor, ...] = ()
        self._lowered: dict[Hashable, LoweredOp] = {}

    def peaks(self) -> Peaks:
        """Best rates: all SMs at the clock, HBM's pins, one launch after another."""
        sm = self.spec.sm
        all_sms = self.spec.sm_count * self.spec.clock_hz
        return Peaks(
            matmul_flops_per_second={
                dtype: rate * all_sms for dtype, rate in sm.tensor_flops_per_cycle.items()
            },
            vector_flops_per_second=max(sm.vector_flops_per_cycle.values()) * all_sms,
            memory_bytes_per_second=self.spec.memory.bandwidth_bytes_per_second,
            on_chip_bytes=self.spec.l2.capacity_bytes,
            launch_ticks_per_op=self.spec.launch.host_interval_ticks,
        )

    def memory_levels(self) -> tuple[MemoryLevel, ...]:
        """L2, then HBM."""
        return (
            MemoryLevel(
                name=L2,
                capacity_bytes=self.spec.l2.capacity_bytes,
                bandwidth_bytes_per_second=self.spec.l2.bytes_per_cycle * self.spec.clock_hz,
            ),
            MemoryLevel(
                name=DRAM,
                capacity_bytes=self.spec.memory.capacity_bytes,
                bandwidth_bytes_per_second=self.spec.memory.bandwidth_bytes_per_second,
            ),
        )

    def start(self, trace: Trace) -> None:
        """Empty the L2 and check that every operation has a lowering.

        Raises UnsupportedOpError for a dtype that the arithmetic units lack.
        """
        for block in trace.blocks:
            for op in block.ops:
                self._require_supported(op)
        self._tensors = trace.tensors
        self._l2 = Residency(self.spec.l2.capacity_bytes)
        self._lowered = {}

    def lower(self, op: Op, layer: int | None) -> LoweredOp:
        """Lower one operation as one kernel and update what L2 holds."""
        missed = tuple(self._missed_bytes(op, layer))
        self._write(op, layer)
        case = (op.shape_key, missed)
        if case not in self._lowered:
            self._lowered[case] = self._lower(op, sum(missed))
        return self._lowered[case]

    def state_key(self, layer: int) -> Hashable:
        """Return what L2 holds, with layers counted from `layer`."""
        return self._l2.key(layer)

    def skip_layers(self, count: int) -> None:
        """Let L2 hold the same tensors of layers `count` further on."""
        self._l2.skip_layers(count)

    def _lower(self, op: Op, missed_bytes: int) -> LoweredOp:
        if op.family is Family.MATMUL:
            kernel, times = self._gemm.fastest(Product.of(op, missed_bytes))
            return self._device.lowered(kernel, times)
        return self._device.run(self._vector.kernel(op, missed_bytes))

    def _missed_bytes(self, op: Op, layer: int | None) -> list[int]:
        scattered = op.family is Family.GATHER
        return [
            access.bytes
            - self._l2.read(self._tensors[access.tensor], layer, access.bytes, scattered=scattered)
            for access in op.reads
        ]

    def _write(self, op: Op, layer: int | None) -> None:
        for access in op.writes:
            tensor = self._tensors[access.tensor]
            appended = op.family is Family.COPY and tensor.role is Role.KV_CACHE
            self._l2.write(tensor, layer, access.bytes, appended=appended)

    def _require_supported(self, op: Op) -> None:
        sm = self.spec.sm
        if op.family is Family.MATMUL:
            supported = sm.tensor_flops_per_cycle
        elif op.family in (Family.ROWWISE, Family.ELEMENTWISE):
            supported = sm.vector_flops_per_cycle
        elif op.family in (Family.GATHER, Family.COPY):
            if op.dtype not in DTYPE_BYTES:
                raise self.unsupported(op, f"nothing here moves {op.dtype}, less than a byte each")
            return
        else:
            raise self.unsupported(op, f"no kernel for the family '{op.family}'")
        if op.dtype not in supported:
            raise self.unsupported(
                op, f"no {op.dtype} arithmetic of this kind (has {', '.join(supported)})"
            )
