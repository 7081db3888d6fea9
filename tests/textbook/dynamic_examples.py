"""The textbooks' programs for dynamic scheduling, and how a machine runs them."""

from sim.cpu.dynamic import load_dynamic, run_dynamic
from sim.cpu.riscv import assemble

BASE = 0x1000_0000
EXAMPLE = """
fld f6, 34(x2)
fld f2, 45(x3)
fmul.d f0, f2, f4
fsub.d f8, f6, f2
fdiv.d f10, f0, f6
fadd.d f6, f8, f2
"""
LOOP = """
loop: ld x2, 0(x1)
addi x2, x2, 1
sd x2, 0(x1)
addi x1, x1, 8
bne x2, x3, loop
"""


def run_on(machine, text=EXAMPLE, *, data=".zero 64", start=None, **changes):
    """A run on a machine, some of whose numbers are changed, from the examples' registers."""
    spec = load_dynamic(machine).model_copy(update=changes)
    program = assemble(f"{text}\nebreak\n.data\n{data}\n", xlen=64)
    registers = {"x1": BASE, "x2": BASE + 6, "x3": BASE + 3, **(start or {})}
    return run_dynamic(spec, program, registers)
