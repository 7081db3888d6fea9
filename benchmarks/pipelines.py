"""How fast RISC-V programs are executed and timed: functional, over SimPy, compiled.

python benchmarks/pipelines.py
"""

from dataclasses import replace

import numpy as np
from timing import Figures, best_of

from sim.cpu.pipelines import load_pipeline, run_pipeline
from sim.cpu.pipelines.bare import run_bare
from sim.cpu.pipelines.compiled import run_stream
from sim.cpu.riscv import assemble, execute

SORT = """
    .data
v:  .word 19, 3, -34, -43, 44, -5, 8, 34, 24, 16, 3, 14, -34, 18, -31, 17
    .text
    li s1, 15
outer:
    la s0, v
    mv s2, s1
inner:
    lw t0, 0(s0)
    lw t1, 4(s0)
    ble t0, t1, ordered
    sw t1, 0(s0)
    sw t0, 4(s0)
ordered:
    addi s0, s0, 4
    addi s2, s2, -1
    bnez s2, inner
    addi s1, s1, -1
    bnez s1, outer
    li a7, 10
    ecall
"""
SPACED = """
    li s2, 300000
    nop
    nop
    nop
loop:
    lw t0, 0(sp)
    addi s2, s2, -1
    add t1, t1, t0
    nop
    nop
    bnez s2, loop
    nop
    nop
    nop
    ebreak
"""
"""A loop that ends on a machine without interlock, though it adds old values."""
REPEATS = 10_000
"""Of the retired stream, for the compiled engine."""
CYCLES = 10**9
"""At most, of the loop."""
MACHINES = (
    "multi-cycle-split",
    "five-stage-stall",
    "five-stage-forward",
    "predict-2-bit-history",
    "r4000-eight-stage",
    "six-stage-dual",
)


def main() -> None:
    """Print instructions per CPU second."""
    figures = Figures("speed of executed RISC-V")
    program = assemble(SORT, name="sort")
    execution = execute(program)
    count = execution.retired
    long = replace(
        execution,
        indices=np.tile(execution.indices, REPEATS),
        taken=np.tile(execution.taken, REPEATS),
        addresses=np.tile(execution.addresses, REPEATS),
    )
    figures.show("functional", count / best_of(3, lambda: execute(program)), "a second")
    for name in MACHINES:
        spec = load_pipeline(name)
        slow = best_of(3, lambda spec=spec: run_pipeline(spec, program))
        figures.show(f"{name}, SimPy", count / slow, "a second")
        run_stream(spec, execution)  # compiles
        fast = best_of(3, lambda spec=spec: run_stream(spec, long))
        figures.show(f"{name}, compiled", long.retired / fast, "a second")
    bare, spaced = load_pipeline("five-stage-bare"), assemble(SPACED, name="spaced")
    retired = run_bare(bare, spaced, limit=CYCLES).retired
    fast = best_of(3, lambda: run_bare(bare, spaced, limit=CYCLES))
    figures.show("five-stage-bare, compiled", retired / fast, "a second")
    figures.finish()


if __name__ == "__main__":
    main()
