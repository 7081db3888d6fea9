"""CPUs whose cores are those of `kernelcores`: out of order, or in order and several wide."""

from sim.cpu.kernelmachines.machine import KernelCpuMachine
from sim.cpu.kernelmachines.spec import KernelCoreSpec, KernelCpuSpec

__all__ = ["KernelCoreSpec", "KernelCpuMachine", "KernelCpuSpec"]
