"""How many instructions a second the superscalar cores time, compiled and readable.

python benchmarks/cores.py
"""

from functools import partial

from timing import Figures, best_of

from sim.cpu.cores import CoreSpec, load_core, make_stream, run_core
from sim.cpu.cores.spec import BranchSpec
from sim.cpu.riscv import assemble, execute

PREDICTED = "ooo-w4-rob128-gshare"
CORES = ("inorder-w2-gshare", PREDICTED, "ooo-w8-rob256-tage", "ooo-w4-rob128-smt2")
TRIPS, FEW_TRIPS = 30_000, 300
RUNS = 3
DOT = """
la s0, x
li s2, 0
li s1, {trips}
loop: add t3, s0, s2
ld t0, 0(t3)
ld t1, 1024(t3)
mul t2, t0, t1
add a0, a0, t2
sd a0, 0(t3)
addi s2, s2, 8
andi s2, s2, 1023
addi s1, s1, -1
bnez s1, loop
li a7, 93
ecall
.data
x: .zero 2048
"""


def main() -> None:
    """Print instructions a second of the engines, and with what is settled before the clock."""
    figures = Figures("speed of the superscalar cores")
    few, many = (
        execute(assemble(DOT.format(trips=trips), xlen=64, name="dot"))
        for trips in (FEW_TRIPS, TRIPS)
    )
    for core in (*map(load_core, CORES), perfect(load_core(PREDICTED))):
        few_all, all_threads = [few] * core.threads, [many] * core.threads
        retired = many.retired * core.threads
        stream = make_stream(core, *all_threads)
        clock = best_of(RUNS, partial(run_core, core, *all_threads, stream=stream))
        whole = best_of(RUNS, partial(run_core, core, *all_threads))
        readable = best_of(1, partial(run_core, core, *few_all, engine="readable"))
        figures.show(f"{core.name}, compiled clock", retired / clock, "a second")
        figures.show(f"{core.name}, with its prediction and caches", retired / whole, "a second")
        figures.show(
            f"{core.name}, readable", sum(e.retired for e in few_all) / readable, "a second"
        )
    figures.finish()


def perfect(core: CoreSpec) -> CoreSpec:
    """Return a core that is never wrong about a branch."""
    return core.model_copy(
        update={
            "name": f"{core.name}, branches perfect",
            "branches": BranchSpec(scheme="perfect"),
        }
    )


if __name__ == "__main__":
    main()
