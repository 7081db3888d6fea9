"""How many RISC-V instructions a second are executed: with values alone, and with their time.

python benchmarks/riscv.py
"""

from timing import Figures, best_of

from reports.execute import model_numbers
from sim.cpu.riscv import Machine, Program, assemble
from sim.cpu.riscv.compiled import CompiledMachine, CoreTiming
from sim.cpu.riscv.decode_step import StepProgram, step_program, tensor_bytes
from sim.cpu.riscv.kernel_set import vector_kernels
from sim.cpu.riscv.vector.configuration import VLEN_BITS
from sim.cpu.spec import CpuSpec
from sim.machine import load_machine
from workloads import Trace, generate, load_model

RUNS = 3
LIMIT = 10**9
READABLE_INSTRUCTIONS = 100_000
TURNS = 2_000_000

INTEGER = f"""
main: li t0, {TURNS}
1: addi a0, a0, 3
   xor a1, a1, a0
   slli a2, a1, 2
   and a3, a2, a0
   mul a4, a3, a0
   addi t0, t0, -1
   bnez t0, 1b
   li a7, 10
   ecall
"""
MEMORY = f"""
main: li t0, {TURNS}
   la a0, numbers
1: andi a1, t0, 0x7ff
   slli a1, a1, 3
   add a1, a1, a0
   flw f1, 0(a1)
   fmadd.s f0, f1, f1, f0
   fsw f0, 4(a1)
   addi t0, t0, -1
   bnez t0, 1b
   li a7, 10
   ecall
.data
numbers: .zero 16384
"""


VECTOR_TURNS = 200_000
VECTOR = f"""
main: li t0, {VECTOR_TURNS}
   la a0, numbers
   vsetvli t1, x0, e32, m4, ta, ma
1: vle32.v v8, (a0)
   vfmacc.vf v16, f0, v8
   vfmacc.vf v20, f1, v8
   vse32.v v8, (a0)
   addi t0, t0, -1
   bnez t0, 1b
   li a7, 10
   ecall
.data
.balign 64
numbers: .zero 512
"""
VECTOR_ELEMENTS = 4 * 32
"""Of a turn's four vector instructions, in groups of four registers of 256 bits."""


def rate(program: Program, timing: CoreTiming | None) -> float:
    """Return instructions a CPU second of a whole run."""
    retired = []

    def work() -> None:
        machine = CompiledMachine(program, timing=timing)
        machine.run(limit=LIMIT)
        retired.append(machine.retired)

    seconds = best_of(RUNS, work)
    return retired[0] / seconds


def element_rate(timing: CoreTiming | None) -> float:
    """Return elements a CPU second of unmasked singles: loads, products, stores."""
    program = assemble(VECTOR, xlen=64)
    machine = CompiledMachine(program, timing=timing, vlen_bits=256)

    def work() -> None:
        machine.jump(program.entry)
        machine.run(limit=LIMIT)

    return VECTOR_TURNS * VECTOR_ELEMENTS / best_of(RUNS, work)


def readable_rate(program: Program) -> float:
    """Return instructions a CPU second of the readable machine."""

    def work() -> None:
        machine = Machine(program)
        for _ in range(READABLE_INSTRUCTIONS):
            machine.step()

    return READABLE_INSTRUCTIONS / best_of(RUNS, work)


def step_rate(
    trace: Trace, step: StepProgram, timing: CoreTiming | None, *, vlen_bits: int = VLEN_BITS
) -> float:
    """Return instructions a CPU second of a decode step on zeros: its loops and accesses."""
    machine = CompiledMachine(
        step.program,
        timing=timing,
        regions=[(0, tensor_bytes(trace))],
        power_off=False,
        vlen_bits=vlen_bits,
    )
    counts: list[int] = []

    def work() -> None:
        before = machine.retired
        machine.jump(step.program.entry)
        machine.run(limit=LIMIT)
        counts.append(machine.retired - before)

    seconds = best_of(RUNS, work)
    return counts[0] / seconds


def described(name: str) -> CpuSpec:
    """Return a CPU's description."""
    spec = load_machine(name).spec
    if not isinstance(spec, CpuSpec):
        raise TypeError(spec)
    return spec


def main() -> None:
    """Print instructions per CPU second."""
    figures = Figures("speed of RISC-V")
    timing, wide = CoreTiming.of(described("cpu-5stage")), described("cpu-simd")
    programs = {"integer loop": INTEGER, "loads, stores, products": MEMORY}
    for name, text in programs.items():
        program = assemble(text, xlen=64)
        figures.show(f"{name}: values", rate(program, None), "instructions/s")
        timed = rate(program, timing)
        figures.show(f"{name}: five-stage core and caches too", timed, "instructions/s")
    model = load_model("glassllm-en")
    trace = generate(model, prompt_tokens=8, new_tokens=2, execute=False).trace
    step = step_program(trace, 1, model_numbers(model))
    figures.show(
        "decode step of glassllm-en: values", step_rate(trace, step, None), "instructions/s"
    )
    timed = step_rate(trace, step, timing)
    figures.show("decode step of glassllm-en: core and caches too", timed, "instructions/s")
    kernels = vector_kernels(wide.core.vector_bits)
    step = step_program(trace, 1, model_numbers(model), kernels)
    timed = step_rate(trace, step, CoreTiming.of(wide), vlen_bits=wide.core.vector_bits)
    figures.show("the same with vectors: core, unit and caches too", timed, "instructions/s")
    figures.show("vector singles: values", element_rate(None), "elements/s")
    timed = element_rate(CoreTiming.of(wide))
    figures.show("vector singles: core, unit and caches too", timed, "elements/s")
    readable = readable_rate(assemble(MEMORY, xlen=64))
    figures.show("the readable machine", readable, "instructions/s")
    figures.finish()


if __name__ == "__main__":
    main()
