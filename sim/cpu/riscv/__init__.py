"""RISC-V executed for real: assembler, instruction table, functional machine."""

from sim.cpu.riscv.assembler import assemble, assemble_file
from sim.cpu.riscv.machine import Execution, Machine, execute
from sim.cpu.riscv.memory import ExecutionError, Memory
from sim.cpu.riscv.program import AssemblyError, Instruction, Program, Xlen
from sim.cpu.riscv.semantics import OPERATIONS

__all__ = [
    "OPERATIONS",
    "AssemblyError",
    "Execution",
    "ExecutionError",
    "Instruction",
    "Machine",
    "Memory",
    "Program",
    "Xlen",
    "assemble",
    "assemble_file",
    "execute",
]
