"""A small array with SRAMs and a memory of whole bytes a cycle, for cases worked by hand."""

from sim.memory.port import MemoryPort
from sim.spec import MemorySpec
from sim.tpu.array.systolic import ArraySpec, Dataflow
from sim.tpu.memory.blocks import ArrayMemory, ArrayUnit, Channel, OperandStore


def dram(bytes_per_cycle: int, *, latency_cycles: int = 0) -> MemoryPort:
    """Main memory of a machine at 1 GHz."""
    spec = MemorySpec(
        kind="test",
        capacity_bytes="1 GiB",
        bandwidth_bytes_per_second=f"{bytes_per_cycle} GB/s",
        latency_ticks=f"{latency_cycles} ns",
    )
    return MemoryPort(spec, 10**9)


def unit(dataflow: str = "ws", *, overlapped: bool = False, count: int = 1) -> ArrayUnit:
    """One or more arrays of 4 x 4."""
    array = ArraySpec(rows=4, cols=4, dataflow=Dataflow(dataflow))
    return ArrayUnit(array=array, overlapped=overlapped, count=count)


def memory(
    bytes_per_cycle: int = 4,
    *,
    a: int | None = None,
    b: int | None = None,
    c: int | None = None,
    element_bytes: int = 1,
    latency_cycles: int = 0,
    port_bytes_per_cycle: int | None = None,
) -> ArrayMemory:
    """SRAMs of `a`, `b` and `c` bytes, of elements of one byte and sums of four."""
    return ArrayMemory(
        a=OperandStore(element_bytes=element_bytes, sram_bytes=a),
        b=OperandStore(element_bytes=element_bytes, sram_bytes=b),
        c=OperandStore(element_bytes=element_bytes, sram_bytes=c),
        channel=Channel(
            dram(bytes_per_cycle, latency_cycles=latency_cycles),
            port_bytes_per_cycle=port_bytes_per_cycle,
        ),
    )
