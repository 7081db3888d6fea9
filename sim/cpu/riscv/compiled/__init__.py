"""Compiled execution of RISC-V programs, with or without the time of an in-order core."""

from sim.cpu.riscv.compiled.core import CompiledMachine, Section
from sim.cpu.riscv.compiled.timing import CoreTiming

__all__ = ["CompiledMachine", "CoreTiming", "Section"]
