"""How many micro-ops a second of a kernel pass an out-of-order core, compiled and readable.

python benchmarks/kernels.py
"""

import numpy as np
from timing import Figures, best_of

from sim.cpu.kernelcores import load_core, parse_kernel, run_kernel
from sim.cpu.kernelcores.body import Body, build_body
from sim.cpu.kernelcores.ooo import OutOfOrderCore
from sim.cpu.kernelcores.ooo_compiled import advance
from sim.cpu.kernelcores.ooo_state import initial_state
from sim.cpu.kernelcores.program import build_program

RUNS = 3
ITERATIONS = 20_000
READABLE_ITERATIONS = 200
CORES = ("skylake", "zen4")

PRODUCT = "\n".join(
    [
        "product:",
        "vmovups ymm12, [rsi]",
        "vmovups ymm13, [rsi+32]",
        *(
            f"vbroadcastss ymm14, dword ptr [rdi+{4 * row}]\n"
            f"vfmadd231ps ymm{2 * row}, ymm12, ymm14\n"
            f"vfmadd231ps ymm{2 * row + 1}, ymm13, ymm14"
            for row in range(6)
        ),
        "add rsi, 64",
        "add rdi, 24",
        "dec rcx",
        "jnz product",
    ]
)
DOT = """
dot:
vmovups ymm1, [rsi]
vfmadd231ps ymm0, ymm1, [rdi]
add rsi, 32
add rdi, 32
dec rcx
jnz dot
"""
KERNELS = {"6 x 16 product": PRODUCT, "dot product, one accumulator": DOT}
"""One that fills the units, one that waits for a chain."""


def compiled_rate(body: Body) -> float:
    """Return micro-ops a CPU second of a long run without search for a period."""
    program = build_program(body)
    unstamped = np.zeros((0, 4), dtype=np.int64)

    def work() -> None:
        state = initial_state(program)
        advance(program, state, ITERATIONS, unstamped)

    work()
    return ITERATIONS * len(body.micro_ops) / best_of(RUNS, work)


def readable_rate(body: Body) -> float:
    """Return micro-ops a CPU second of the readable core."""
    program = build_program(body)
    seconds = best_of(RUNS, lambda: OutOfOrderCore(program).run(READABLE_ITERATIONS))
    return READABLE_ITERATIONS * len(body.micro_ops) / seconds


def answers(text: str, core: str) -> float:
    """Return kernels a CPU second from text to a proved steady state with its bounds."""
    spec = load_core(core)

    def work() -> None:
        run_kernel(parse_kernel(text, spec.isa), spec)

    work()
    return 1 / best_of(RUNS, work)


def main() -> None:
    """Print micro-ops and kernels per CPU second."""
    figures = Figures("speed of micro-kernels")
    for name, text in KERNELS.items():
        for core in CORES:
            body = build_body(parse_kernel(text, "x86_64"), load_core(core))
            figures.show(f"{name} on {core}", compiled_rate(body), "micro-ops/s")
    for core in CORES:
        rate = answers(PRODUCT, core)
        figures.show(f"6 x 16 product on {core}: text to proved steady state", rate, "kernels/s")
    body = build_body(parse_kernel(PRODUCT, "x86_64"), load_core(CORES[0]))
    figures.show("the readable core", readable_rate(body), "micro-ops/s")
    figures.finish()


if __name__ == "__main__":
    main()
