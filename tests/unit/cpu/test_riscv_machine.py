"""The functional machine: how programs end, print, and go wrong."""

import numpy as np
import pytest

from sim.cpu.riscv import ExecutionError, Machine, assemble, execute
from sim.cpu.riscv.registers import NUMBERS

LOOP = """
    .data
v:  .word 5, 6, 7
    .text
    la t0, v
    li t1, 3
loop:
    lw t2, 0(t0)
    add a0, a0, t2
    addi t0, t0, 4
    addi t1, t1, -1
    bnez t1, loop
    li a7, 93
    ecall
"""


def test_the_retired_stream_tells_place_direction_and_address():
    run = execute(assemble(LOOP))
    assert run.exit_code == run.registers[NUMBERS["a0"]] == 18
    assert run.retired == 3 + 3 * 5 + 2
    assert run.indices[:10].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 3, 4]
    assert np.flatnonzero(run.taken).tolist() == [7, 12]
    touched = run.addresses[run.addresses >= 0]
    assert touched.tolist() == [0x1000_0000, 0x1000_0004, 0x1000_0008]


def test_calls_print_integers_characters_and_strings():
    text = """
        .data
    s:  .string "ok "
        .text
        la a0, s
        li a7, 4
        ecall
        li a0, -7
        li a7, 1
        ecall
        li a0, 'z'
        li a7, 11
        ecall
        li a7, 10
        ecall
    """
    run = execute(assemble(text))
    assert (run.output, run.exit_code) == ("ok -7z", 0)


def test_a_store_to_the_power_off_register_ends_the_run():
    run = execute(assemble("li t0, 0x100000\nli t1, 0x5555\nsw t1, 0(t0)\nh: j h", xlen=64))
    assert (run.exit_code, run.retired) == (0, 4)


def test_counters_count_instructions_and_each_hart_has_its_number():
    run = execute(assemble("nop\nrdinstret a0\ncsrr a1, mhartid\nebreak"), hart=3)
    assert (run.registers[10], run.registers[11]) == (1, 3)


def test_the_machine_can_be_looked_into_after_every_step():
    machine = Machine(assemble("li a0, 4\nsw a0, -4(sp)\nfence\nebreak"))
    machine.step()
    assert machine.registers[10] == 4
    step = machine.step()
    assert machine.memory.read(step.data_address, 4) == 4
    machine.step()
    machine.step()
    assert machine.exit_code == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nop\nlw a0, 2(sp)", "f.s, line 2: `lw a0, 2(sp)`: misaligned access of 4 bytes at 0x7"),
        ("lw a0, 0(zero)", "wild access of 4 bytes at 0x0; the program has 0x7f"),
        ("sw a0, 64(sp)", "wild access of 4 bytes at 0x80000030"),
        (
            "nop",
            "line 1: `nop`: no instruction at 0x4; the text is 0x0 to 0x3; end with",
        ),
        ("li t0, 2\njr t0", "line 2: `jr t0`: no instruction at 0x2"),
        ("li a7, 77\necall", "environment call 77 is not known; a7 may be 1, 4 or 11"),
        ("l: j l", "line 1: `l: j l`: still running after 100 instructions; the program loops"),
        ("csrw frm, a0", "control register 'frm' cannot be written here"),
        ("csrr a0, fflags", "control register 'fflags' cannot be read here"),
    ],
)
def test_what_no_program_may_do_names_the_line(text, message):
    with pytest.raises(ExecutionError) as error:
        execute(assemble(text, name="f.s"), limit=100)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_lenient_memory_has_every_address_and_starts_with_zeros():
    run = execute(
        assemble("li t0, 3\nlw a0, 0(t0)\nsw t0, 0(t0)\nlw a1, 0(t0)\nebreak"), lenient=True
    )
    assert (run.registers[10], run.registers[11]) == (0, 3)
