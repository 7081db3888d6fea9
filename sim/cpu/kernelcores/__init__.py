"""Micro-kernels of x86-64, AArch64 and RISC-V on out-of-order and in-order cores."""

from sim.cpu.kernelcores.packaged import (
    named_kernel,
    packaged_about,
    packaged_names,
    packaged_text,
)
from sim.cpu.kernelcores.read import parse_kernel, read_kernel
from sim.cpu.kernelcores.run import KernelResult, run_kernel
from sim.cpu.kernelcores.spec import CoreSpec, core_names, load_core, read_core
from sim.cpu.kernelcores.text import Kernel, KernelError

__all__ = [
    "CoreSpec",
    "Kernel",
    "KernelError",
    "KernelResult",
    "core_names",
    "load_core",
    "named_kernel",
    "packaged_about",
    "packaged_names",
    "packaged_text",
    "parse_kernel",
    "read_core",
    "read_kernel",
    "run_kernel",
]
