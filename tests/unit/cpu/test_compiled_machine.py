"""The compiled machine: calls, sections, and what ends a run with a clear line."""

import numpy as np
import pytest

from sim.cpu.inorder import PipelineRules
from sim.cpu.riscv import ExecutionError, assemble, execute
from sim.cpu.riscv.compiled import CompiledMachine, CoreTiming
from sim.cpu.riscv.compiled.memory import FlatMemory
from sim.cpu.riscv.operation import Kind
from sim.memory.cache.spec import hierarchy
from sim.stalls import StallCause

END = "\nli a7, 10\necall"
CORE = CoreTiming(
    rules=PipelineRules(forwarding=True, shared_port=False),
    caches=hierarchy({"capacity_bytes": 128, "line_bytes": 64, "ways": 1}),
    latency_cycles=dict.fromkeys((Kind.FLOAT, Kind.FLOAT_MULTIPLY), 4),
    miss_cycles=(0, 20),
    write_back_cycles=5,
)


def machine(text, **options):
    return CompiledMachine(assemble(text, xlen=64, name="p.s"), **options)


def stack(text):
    return machine(text + END, timing=CORE).run()[0].stack


def test_a_straight_program_takes_its_instructions_and_four_cycles_to_fill_the_pipeline():
    taken = stack("addi a0, a0, 1\n" * 10)
    assert (taken.busy, taken.total) == (12, 16)


def test_a_use_right_behind_its_load_waits_one_cycle():
    data = "\n.data\nx: .dword 1"
    apart = "la a0, x\nld a1, 0(a0)\nnop\nadd a2, a1, a1" + END + data
    together = "la a0, x\nld a1, 0(a0)\nadd a2, a1, a1\nnop" + END + data
    cycles = [machine(text, timing=CORE).run()[0].stack.total for text in (apart, together)]
    assert cycles[1] - cycles[0] == 1


def test_a_taken_branch_costs_two_cycles_and_a_dependent_addition_three():
    assert stack("j 1f\nnop\n1: nop").stalls[StallCause.CONTROL] == 2
    waits = stack("fadd.s f1, f2, f3\nfadd.s f4, f1, f1").stalls[StallCause.DATA_DEPENDENCY]
    assert waits == 3


def test_a_miss_costs_its_cycles_and_more_where_it_drives_a_dirty_line_out():
    text = "la a0, x\nsd x0, 0(a0)\nld a1, 128(a0)\nld a1, 136(a0)" + END + "\n.data\nx: .zero 256"
    run = machine(text, timing=CORE)
    assert run.run()[0].stack.stalls[StallCause.DRAM] == 20 + 20 + 5
    assert run.cache_counts.levels[0].load_hits == 1
    assert run.cache_counts.memory.writes == 1


def test_sections_begin_at_marks_and_hold_what_is_called_from_there():
    text = "main: call twice\nsecond: call twice\nend: li a7, 10\necall\ntwice: nop\nret"
    program = assemble(text, xlen=64)
    marks = [program.symbols[name] for name in ("main", "second", "end")]
    sections = CompiledMachine(program, timing=CORE, marks=marks).run()
    assert [(s.address, s.instructions) for s in sections] == list(
        zip(marks, (3, 3, 2), strict=True)
    )


def test_calls_print_and_exit_as_on_the_readable_machine():
    text = (
        "la a0, s\nli a7, 4\necall\nli a0, -5\nli a7, 1\necall\nli a0, 33\nli a7, 11\necall\n"
        'li a0, 300\nli a7, 93\necall\n.data\ns: .string "hm "'
    )
    run = machine(text)
    run.run()
    expected = execute(assemble(text, xlen=64))
    assert (run.output, run.exit_code) == (expected.output, expected.exit_code) == ("hm -5!", 44)


def test_the_power_off_register_ends_a_run_unless_there_is_none():
    text = "li t0, 0x100000\nli t1, 0x5555\nsw t1, 0(t0)\nj ."
    run = machine(text)
    run.run()
    assert run.exit_code == 0
    with pytest.raises(ExecutionError, match="wild access"):
        machine(text, power_off=False).run()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nop\nlw a0, 2(x0)", r"p\.s, line 2: `lw a0, 2\(x0\)`: misaligned access of 4 bytes at"),
        ("sd a0, -8(x0)", r"p\.s, line 1: .*: wild access of 8 bytes at 0xfffffffffffffff8; the"),
        ("li a7, 99\necall", r"p\.s, line 2: `ecall`: environment call 99 is not known"),
        (
            "nop",
            r"p\.s, line 1: `nop`: no instruction at 0x4; the text is 0x0 to 0x3; end with",
        ),
        ("li a0, 6\njr a0\nnop", r"p\.s, line 2: `jr a0`: no instruction at 0x6"),
        ("nop\nj .-8", r"p\.s, line 2: `j .-8`: no instruction at 0xfffffffffffffffc"),
        ("li a7, 4\nli a0, 3\necall", r"p\.s, line 3: `ecall`: no memory holds 1 bytes at 0x3"),
    ],
)
def test_a_faulty_program_ends_with_its_line(text, message):
    with pytest.raises(ExecutionError, match=message):
        machine(text).run()


def test_an_endless_program_is_stopped_and_named():
    with pytest.raises(ExecutionError, match=r"p\.s, line 1: `1: j 1b`: still running after 1000"):
        machine("1: j 1b", timing=CORE).run(limit=1000)


@pytest.mark.parametrize("line", ["fadd.s f1, f2, f3, rtz", "csrrw x0, mstatus, a0"])
def test_what_only_the_readable_machine_executes_is_refused_with_its_line(line):
    with pytest.raises(ExecutionError, match=r"p\.s, line 1: .*use sim\.cpu\.riscv\.execute"):
        machine(line)


def test_the_loaded_program_finds_registers_and_memory_as_they_were_left():
    first = assemble("li a0, 7\nla a1, x\nsd a0, 8(a1)" + END + "\n.data\nx: .zero 16", xlen=64)
    run = CompiledMachine(first)
    run.run()
    run.load(assemble("ld a2, 8(a1)\nadd a2, a2, a0" + END, xlen=64))
    run.run()
    assert run.registers[12] == 14
    large = assemble("nop\n.data\n.zero 64", xlen=64)
    with pytest.raises(ExecutionError, match="no memory holds 64 bytes"):
        run.load(large)


def test_memory_regions_may_not_overlap():
    with pytest.raises(ExecutionError, match="0x10 to 0x1f overlaps that from 0x18; move one"):
        FlatMemory([(0x10, 16), (0x18, 16)])


def test_numbers_lie_in_flat_memory_as_in_the_readable_one():
    memory = FlatMemory([(8, 24)])
    memory.view(12, 4).view(np.int32)[0] = 5
    assert memory.view(8, 8).view(np.int64)[0] == 5 << 32
