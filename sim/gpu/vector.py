"""Kernels without matrix arithmetic: row-wise, element-wise, gathers and copies."""

from __future__ import annotations

from sim.gpu.kernel import VECTOR, Device, Kernel, ceil_div
from workloads.trace import DTYPE_BYTES, Family, Op


class VectorPlanner:
    """Lays out the kernel of an operation without matrix arithmetic.

    Models: one vector load a thread and operand, many resident blocks that hide latency; rows that
    fit a thread block's share of the SM are read once, longer ones once a pass; arithmetic and
    special-function rates, padding of the last block.
    Ignores: barriers and shuffles of a row's reduction, uncoalesced rows of a gather, occupancy
    limits by registers, mixed element widths.
    Source: NVIDIA, CUDA C++ Programming Guide, "Arithmetic Instructions" (throughput table);
    Luitjens, "CUDA Pro Tip: Increase Performance with Vectorized Memory Access", NVIDIA, 2013.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self.spec = device.spec

    def kernel(self, op: Op, missed_bytes: int) -> Kernel:
        """Lay out an operation of which `missed_bytes` of the reads are not in L2."""
        if op.family is Family.ROWWISE:
            return self._rowwise(op, missed_bytes)
        elements = op.dims.get("elements") or op.dims["rows"] * op.dims["cols"]
        blocks = ceil_div(elements, self._elements_per_chunk(op))
        return self._kernel(op, missed_bytes, blocks=blocks, choice=f"{blocks} blocks")

    def _rowwise(self, op: Op, missed_bytes: int) -> Kernel:
        rows, cols, passes = (op.dims[key] for key in ("rows", "cols", "passes"))
        per_chunk = self._elements_per_chunk(op)
        rows_per_block = max(1, per_chunk // cols)
        blocks = ceil_div(rows, rows_per_block)
        chunks = ceil_div(min(rows, rows_per_block) * cols, per_chunk)
        row_bytes = cols * DTYPE_BYTES[op.dtype]
        on_chip = self.spec.sm.shared_memory_bytes
        if row_bytes <= on_chip:
            return self._kernel(
                op,
                missed_bytes,
                blocks=blocks,
                chunks=chunks,
                buffers=chunks,
                resident=on_chip // row_bytes,
                choice=f"{blocks} blocks, rows kept on the SM",
            )
        at_work = min(rows, self.spec.sm_count) * row_bytes
        from_dram = at_work > self.spec.l2.capacity_bytes
        return self._kernel(
            op,
            missed_bytes + (op.bytes_read * (passes - 1) if from_dram else 0),
            blocks=blocks,
            chunks=chunks * passes,
            buffers=on_chip // self.spec.vector_kernel.chunk_bytes,
            resident=1,
            passes=passes,
            choice=f"{blocks} blocks, rows read {passes} times",
        )

    def _kernel(
        self,
        op: Op,
        missed_bytes: int,
        *,
        blocks: int,
        choice: str,
        chunks: int = 1,
        buffers: int = 1,
        resident: int | None = None,
        passes: int = 1,
    ) -> Kernel:
        sm = self.spec.sm
        by_threads = min(sm.max_threads // self.spec.vector_kernel.threads_per_block, sm.max_blocks)
        return Kernel(
            blocks=blocks,
            chunks=chunks,
            math_cycles=self._math_cycles(op, blocks * chunks),
            buffers=buffers,
            resident=by_threads if resident is None else max(1, min(by_threads, resident)),
            l2_read_bytes=max(op.bytes_read * passes, missed_bytes),
            dram_read_bytes=missed_bytes,
            l2_written_bytes=op.bytes_written,
            dram_written_bytes=op.bytes_written,
            unit=VECTOR,
            useful_cycles=self._math_cycles(op, 1),
            choice=choice,
        )

    def _math_cycles(self, op: Op, chunks: int) -> int:
        """Cycles of one of `chunks` parts; a special function takes a vector slot as well."""
        results = op.flops + op.transcendentals
        if not results:
            return 0
        sm = self.spec.sm
        return max(
            ceil_div(results, chunks * sm.vector_flops_per_cycle[op.dtype]),
            ceil_div(op.transcendentals, chunks * sm.special_functions_per_cycle),
        )

    def _elements_per_chunk(self, op: Op) -> int:
        return max(1, self.spec.vector_kernel.chunk_bytes // DTYPE_BYTES[op.dtype])
