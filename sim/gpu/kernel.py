"""A kernel on the whole device: a grid of thread blocks over the SMs, sharing L2 and HBM."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.clock import period_ticks
from sim.gpu.sm import Round, SmTimes, SmWork, run_sm
from sim.gpu.spec import GpuSpec
from sim.lowering import DRAM, LoweredOp, Traffic
from sim.memory.port import MemoryPort
from sim.stalls import CycleStack, StallCause

L2 = "l2"
TENSOR = "sm.tensor"
VECTOR = "sm.vector"
MAIN_STAGE = 1


def ceil_div(amount: int, by: int) -> int:
    """Smallest whole number of `by` that covers `amount`."""
    return -(-amount // by)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """One launch, ready to be timed: its grid, its bytes and its arithmetic."""

    blocks: int
    """Thread blocks of the grid."""
    chunks: int
    """Loads of each block, one after another."""
    math_cycles: int
    """Arithmetic of each chunk on its SM."""
    buffers: int
    """Chunks in flight that one block has room for."""
    resident: int
    """Blocks that fit on an SM at once."""
    l2_read_bytes: int
    """Through the SMs' load paths, all blocks together; as the next three."""
    dram_read_bytes: int
    """Part of the bytes read that L2 does not hold."""
    l2_written_bytes: int
    dram_written_bytes: int
    unit: str
    """Which arithmetic units work: TENSOR or VECTOR."""
    useful_cycles: int
    """SM cycles of arithmetic that the operation asks for, without padding, of all SMs together."""
    synchronisation_cycles: int = 0
    """Added to each block's store: waiting for other blocks' parts of the same result."""
    choice: str = ""


class Device:
    """What all SMs share, and how a kernel's time follows from one SM's.

    Models: the grid dealt to SMs in waves, L2 and HBM bandwidth divided among the SMs at work,
    partly filled last waves, load paths, kernel start latency. Results are written through to HBM,
    spread over the kernel's loads.
    Ignores: uneven placement, L2 partitions and slice conflicts, all that `memory.port.MemoryPort`
    ignores of HBM, contention of stores with loads in L2, the
    overlap of one kernel's tail with the next one's start, clocks that drop under load.
    Source: NVIDIA A100 Tensor Core GPU Architecture (whitepaper), 2020; NVIDIA, Matrix
    Multiplication Background User's Guide (waves and tail quantization).
    """

    def __init__(self, spec: GpuSpec) -> None:
        self.spec = spec
        period = period_ticks(spec.clock_hz)
        self.host_cycles = ceil_div(spec.launch.host_interval_ticks, period)
        self.start_cycles = ceil_div(spec.launch.device_start_ticks, period)
        self.dram = MemoryPort(spec.memory, spec.clock_hz)

    def work(self, kernel: Kernel) -> SmWork:
        """Return the busiest SM's part: all full waves, and one block of the last one."""
        waves, last = divmod(kernel.blocks, self.spec.sm_count)
        shares = [(waves, self.spec.sm_count), (1 if last else 0, last)]
        resident = min(kernel.resident, waves + (1 if last else 0))
        from_dram = kernel.dram_read_bytes > 0
        return SmWork(
            rounds=tuple(self._round(kernel, blocks, sms) for blocks, sms in shares if blocks),
            chunks=kernel.chunks,
            math_cycles=kernel.math_cycles,
            latency_cycles=max(
                self.spec.l2.latency_cycles, self.dram.latency_cycles if from_dram else 0
            ),
            buffers=max(2, kernel.buffers * resident),
            resident=resident,
        )

    def _round(self, kernel: Kernel, blocks: int, sms: int) -> Round:
        load = self.transfer_cycles(
            kernel.l2_read_bytes,
            (kernel.dram_read_bytes, kernel.dram_written_bytes),
            pieces=kernel.blocks * kernel.chunks,
            sms=sms,
        )
        store = self.transfer_cycles(kernel.l2_written_bytes, pieces=kernel.blocks, sms=sms)
        return Round(
            blocks=blocks, load_cycles=load, store_cycles=store + kernel.synchronisation_cycles
        )

    def transfer_cycles(
        self, l2_bytes: int, dram_bytes: tuple[int, int] = (0, 0), *, pieces: int, sms: int
    ) -> int:
        """Cycles for one of `pieces` equal parts while `sms` SMs move one each.

        `dram_bytes` are read and written.
        """
        read, written = dram_bytes
        return max(
            ceil_div(l2_bytes * sms, pieces * self.spec.l2.sustained_bytes_per_cycle),
            ceil_div(l2_bytes, pieces * self.spec.sm.load_bytes_per_cycle),
            self.dram.transfer_cycles(read * sms, written * sms, parts=pieces),
        )

    def lowered(self, kernel: Kernel, times: SmTimes) -> LoweredOp:
        """Turn a timed kernel into one uop: the host launches, the device runs."""
        cycles = self.start_cycles + times.total
        stack = self._stack(kernel, times)
        idle = CycleStack(idle=cycles)
        return LoweredOp(
            uops=np.array([[self.host_cycles, cycles]], dtype=np.int64),
            main_stage=MAIN_STAGE,
            stack=stack,
            units={unit: stack if unit == kernel.unit else idle for unit in (TENSOR, VECTOR)},
            traffic={
                L2: Traffic(kernel.l2_read_bytes, kernel.l2_written_bytes),
                DRAM: Traffic(kernel.dram_read_bytes, kernel.dram_written_bytes),
            },
            choice=kernel.choice,
        )

    def _stack(self, kernel: Kernel, times: SmTimes) -> CycleStack:
        """Account the busiest SM's time line; busy is the mean SM's useful arithmetic.

        What the busiest SM computes beyond that is padding, or work that SMs without a block in
        the last wave have no part in: the wave is not full. Where bytes set the pace it costs
        nothing, since a shorter computation would only wait longer, and the bytes are charged.
        """
        account = times.account()
        busy = min(kernel.useful_cycles // self.spec.sm_count, account.math_cycles)
        not_full = account.math_cycles - busy
        hidden = not_full * account.behind_bytes_cycles // max(1, account.math_cycles)
        waits_for = StallCause.DRAM if kernel.dram_read_bytes else StallCause.CACHE
        in_turn = min(kernel.synchronisation_cycles, account.drain_cycles)
        return CycleStack(
            busy=busy,
            stalls={
                StallCause.LAUNCH: self.start_cycles,
                StallCause.BANDWIDTH: account.bandwidth_cycles + hidden,
                waits_for: account.latency_cycles,
                StallCause.SYNCHRONISATION: in_turn,
                StallCause.FILL_DRAIN: (
                    account.fill_cycles + account.drain_cycles - in_turn + not_full - hidden
                ),
            },
        )

    def run(self, kernel: Kernel) -> LoweredOp:
        """Time a kernel and lower it."""
        return self.lowered(kernel, run_sm(self.work(kernel)))
