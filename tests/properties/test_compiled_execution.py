"""The compiled machine computes what the readable one does, and takes the SimPy core's cycles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.cpu import inorder_compiled as pipeline
from sim.cpu.inorder import PipelineRules, Step, account, simulate
from sim.cpu.riscv import OPERATIONS, Machine, assemble, execute
from sim.cpu.riscv.compiled import CompiledMachine, CoreTiming
from sim.cpu.riscv.compiled.loop import copy_step
from sim.cpu.riscv.compiled.timing import FLOATING
from sim.cpu.riscv.operation import CONTROL_FLOW, Kind
from sim.cpu.steady import CAUSE_ORDER, step_table
from sim.memory.cache.hierarchy import CacheHierarchy
from sim.memory.cache.spec import hierarchy
from sim.stalls import StallCause

BUFFER_BYTES = 256
WORDS = [0, 1, -1, 2**31 - 1, -(2**31), 2**31, 2**63 - 1, -(2**63), 31, 64]
FLOATS = [0.0, -0.0, 1.0, -1.5, float("inf"), float("-inf"), float("nan"), 1e-42, 3e38, 0.5, 2.5]
FLOATS += [-2.5, 1e-310, 1.7e308, 2.0**31, 2.0**63, 2.0**64, -(2.0**63), 0.49999999999999994]
SINGLES = [int(np.float32(x).view(np.uint32)) | 0xFFFF_FFFF << 32 for x in FLOATS[:12]]
patterns = st.one_of(
    st.sampled_from(WORDS),
    st.sampled_from(SINGLES),
    st.sampled_from([int(np.float64(x).view(np.uint64)) for x in FLOATS]),
    st.floats(width=32).map(lambda x: int(np.float32(x).view(np.uint32)) | 0xFFFF_FFFF << 32),
    st.integers(-(2**63), 2**64 - 1),
)
integer_registers = st.integers(10, 31).map(lambda n: f"x{n}")
float_registers = st.integers(0, 31).map(lambda n: f"f{n}")
MODES = ["rne", "rtz", "rdn", "rup", "rmm"]
READ_ONLY = ("cycle", "instret", "mhartid")


def operand(letter, name, xlen):
    """What may stand for one letter of an instruction's operands."""
    size = OPERATIONS[name].bytes or 1
    places = st.integers(0, BUFFER_BYTES // size - 1)
    return {
        "d": integer_registers | st.just("x0"),
        "s": integer_registers | st.just("x0"),
        "D": float_registers,
        "S": float_registers,
        "i": st.integers(-2048, 2047),
        "h": st.integers(0, 31 if name.endswith("w") or xlen == 32 else 63),
        "u": st.integers(0, 2**20 - 1),
        "m": places.map(lambda place: f"{place * size}(x9)"),
        "a": st.just("(x9)"),
        "b": st.just("1f"),
        "j": st.just("1f"),
        "r": st.sampled_from(MODES if name.startswith(("fcvt.w", "fcvt.l")) else ["rne"]),
    }[letter]


@st.composite
def instruction(draw, xlen):
    allowed = {n for n, o in OPERATIONS.items() if xlen == 64 or not o.only_rv64}
    name = draw(st.sampled_from(sorted(allowed - {"jalr", "ecall", "ebreak"})))
    operation = OPERATIONS[name]
    if operation.kind is Kind.CONTROL_REGISTER:
        return f"csrrs {draw(integer_registers)}, {draw(st.sampled_from(READ_ONLY))}, x0"
    words = [str(draw(operand(letter, name, xlen))) for letter in operation.operands]
    return f"{name} {', '.join(words)}"


@st.composite
def program(draw, xlen):
    body = draw(st.lists(instruction(xlen), min_size=1, max_size=25))
    lines = ["la x9, buffer", f"li x8, {draw(st.integers(1, 4))}"]
    load, size = ("ld", 8) if xlen == 64 else ("lw", 4)
    lines += [f"{load} x{n}, {size * (n - 8)}(x9)" for n in range(10, 32)]
    lines += [f"fld f{n}, {8 * n}(x9)" for n in range(32)]
    lines += ["loop:", *body, "1:", "addi x8, x8, -1", "bnez x8, loop", "li a7, 10", "ecall"]
    content = draw(st.lists(patterns, min_size=32, max_size=32))
    data = ".data\nbuffer: .dword " + ", ".join(str(x % 2**64) for x in content)
    return assemble("\n".join([*lines, data]), xlen=xlen)


xlens = st.sampled_from([32, 64])


@given(built=xlens.flatmap(program))
@settings(deadline=None, max_examples=150)
def test_the_compiled_machine_leaves_the_registers_and_memory_of_the_readable_one(built):
    expected = execute(built)
    machine = CompiledMachine(built)
    machine.run()
    assert machine.registers == expected.registers
    assert machine.retired == expected.retired
    content = machine.memory.view(built.data_base, len(built.data)).tobytes()
    assert content == expected.memory.dump(built.data_base, len(built.data))


@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_every_instruction_of_the_table_is_executed_as_the_readable_machine_does(data):
    xlen = data.draw(xlens)
    names = [n for n, o in sorted(OPERATIONS.items()) if xlen == 64 or not o.only_rv64]
    names = [n for n in names if not n.startswith(("csrr", "e", "jal"))]
    lines = ["la x9, buffer"]
    for name in names:
        lines += [
            "ld x10, 0(x9)" if xlen == 64 else "lw x10, 0(x9)",
            "ld x11, 8(x9)" if xlen == 64 else "lw x11, 8(x9)",
            *(f"fld f{n}, {8 * n}(x9)" for n in range(3)),
        ]
        operation = OPERATIONS[name]
        fixed = {"d": "x12", "D": "f3", "i": "-7", "h": "5", "u": "9", "m": "32(x9)", "a": "(x9)"}
        fixed |= {"b": "1f", "j": "1f"}
        sources = {"s": iter(["x10", "x11"]), "S": iter(["f0", "f1", "f2"])}
        operands = operation.operands.removesuffix("r")
        words = [next(sources[c]) if c in sources else fixed[c] for c in operands]
        lines += [f"{name} {', '.join(words)}", "1:", "sd x12, 48(x9)" if xlen == 64 else "nop"]
        lines += [f"fsd f3, {56}(x9)", "xor x13, x13, x12"]
        lines += [] if xlen == 32 else ["ld x14, 56(x9)", "slli x15, x15, 1", "add x15, x15, x14"]
    content = data.draw(st.lists(patterns, min_size=8, max_size=8))
    values = ", ".join(str(x % 2**64) for x in content)
    text = "\n".join([*lines, "li a7, 10", "ecall", f".data\nbuffer: .dword {values}"])
    built = assemble(text, xlen=xlen)
    expected, machine = Machine(built), CompiledMachine(built)
    while expected.exit_code is None:
        expected.step()
    machine.run()
    assert machine.registers == tuple(expected.registers)


LEVELS = (
    {"capacity_bytes": 128, "line_bytes": 32, "ways": 2},
    {"capacity_bytes": 256, "line_bytes": 32, "ways": 4},
)


@st.composite
def timing(draw):
    levels = LEVELS[: draw(st.integers(1, 2))]
    return CoreTiming(
        rules=PipelineRules(
            forwarding=draw(st.booleans()),
            shared_port=draw(st.booleans()),
            fetch_stages=draw(st.integers(1, 2)),
            memory_stages=draw(st.integers(1, 2)),
            issue_width=draw(st.integers(1, 2)),
        ),
        caches=hierarchy(*levels),
        latency_cycles={Kind.FLOAT: 4, Kind.FLOAT_MULTIPLY: 5, Kind.MULTIPLY: 3},
        miss_cycles=(0, *(7,) * (len(levels) - 1), 30),
        write_back_cycles=draw(st.sampled_from([0, 9])),
    )


def steps_of(built, core):
    """What was executed, by the readable machine and the readable caches."""
    run, caches = execute(built), CacheHierarchy(core.caches)
    steps = []
    for index, taken, address in zip(run.indices, run.taken, run.addresses, strict=True):
        executed = built.instructions[index]
        kind, cycles, cause = executed.operation.kind, 0, StallCause.CACHE
        if address >= 0:
            before = caches.counts.memory.writes
            size, write = executed.operation.bytes, kind is not Kind.LOAD
            depth = caches.access(int(address), write=write, size_bytes=size)
            out = caches.counts.memory.writes - before
            cycles = core.miss_cycles[depth] + out * core.write_back_cycles
            if out or depth == len(core.miss_cycles) - 1:
                cause = StallCause.DRAM
        steps.append(
            Step(
                dest=executed.dest,
                sources=tuple(source for source in executed.sources if source),
                latency_cycles=core.latency_cycles.get(kind, 1),
                accesses_memory=bool(address >= 0),
                result_from_memory=kind in (Kind.LOAD, Kind.ATOMIC),
                miss_cycles=cycles,
                missed_to=cause,
                taken=bool(taken),
                branch=kind in CONTROL_FLOW,
                floating=kind in FLOATING,
            )
        )
    return steps, caches.counts


@given(built=xlens.flatmap(program), core=timing())
@settings(deadline=None, max_examples=60)
def test_a_compiled_run_takes_the_cycles_of_the_simpy_core_behind_the_readable_caches(built, core):
    steps, counts = steps_of(built, core)
    machine = CompiledMachine(built, timing=core)
    (section,) = machine.run()
    assert machine.cache_counts == counts
    expected = account(steps, simulate(steps, core.rules), core.rules)
    assert section.stack == expected
    lost = np.zeros(pipeline.CAUSES, dtype=np.int64)
    state, stamps = pipeline.initial_state(core.rules), pipeline.no_stamps(core.rules)
    cycles = pipeline.advance(step_table(steps), state, pipeline.pack(core.rules), stamps, lost)
    assert section.stack.total == cycles
    assert [expected.stalls.get(cause, 0) for cause in CAUSE_ORDER] == lost.tolist()


@given(built=program(64), core=timing(), cuts=st.sets(st.integers(0, 80), max_size=4))
@settings(deadline=None, max_examples=40)
def test_sections_add_up_to_the_run_in_which_they_are_not_told_apart(built, core, cuts):
    marks = [4 * cut for cut in cuts if cut < len(built.instructions)]
    whole = CompiledMachine(built, timing=core).run()[0]
    parts = CompiledMachine(built, timing=core, marks=marks).run()
    assert sum(part.instructions for part in parts) == whole.instructions
    assert sum(part.stack.total for part in parts) == whole.stack.total
    assert {part.address for part in parts[1:]} <= set(marks)


@given(built=program(64), core=timing(), block=st.integers(1, 9))
@settings(deadline=None, max_examples=40)
def test_it_does_not_matter_how_many_instructions_pass_the_pipeline_at_once(built, core, block):
    whole = CompiledMachine(built, timing=core)
    cut = CompiledMachine(built, timing=core)
    expected = whole.run()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sim.cpu.riscv.compiled.core.BLOCK", block)
        assert cut.run() == expected
    assert cut.registers == whole.registers
    assert cut.cache_counts == whole.cache_counts


def test_every_column_of_a_step_is_copied():
    step = np.arange(1, pipeline.COLUMNS + 1, dtype=np.int64)
    row = np.zeros_like(step)
    copy_step(step, row)
    assert (row == step).all()
