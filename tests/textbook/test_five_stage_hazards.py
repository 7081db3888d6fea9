"""The classic five-stage pipeline, in exact cycles, as textbooks and the Ripes simulator count."""

from dataclasses import replace

import pytest

from sim.cpu.inorder import PipelineRules, account, simulate
from sim.cpu.isa import parse
from sim.cpu.steady import step_of
from sim.stalls import CycleStack, StallCause

FORWARDING = PipelineRules(forwarding=True, shared_port=False)
REGISTER_FILE = PipelineRules(forwarding=False, shared_port=False)
ONE_PORT = PipelineRules(forwarding=True, shared_port=True)
FILL = 4  # a pipeline of five stages is empty at first


def steps(text, *, taken=(), fp_latency_cycles=4):
    """Steps of assembly text; `taken` numbers the branches that are taken."""
    body = [i for section in parse(text.replace(";", "\n")).values() for i in section]
    return [
        replace(step_of(each, fp_latency_cycles), taken=number in taken)
        for number, each in enumerate(body)
    ]


def cycles(program, rules=FORWARDING):
    return account(program, simulate(program, rules), rules).total


def stalls(program, rules=FORWARDING):
    found = dict(account(program, simulate(program, rules), rules).stalls)
    assert found.pop(StallCause.FILL_DRAIN) == FILL
    return found


def diagram(program, rules):
    """Each step's row: the stage that it is in, cycle by cycle; '-' while it waits there."""
    rows = []
    for stamps in simulate(program, rules):
        cells = ["  "] * int(stamps[0, 0])
        for stage, (start, done, leave) in zip(rules.stage_names, stamps.tolist(), strict=True):
            cells += [stage] * (done - start) + ["-"] * (leave - done)
        rows.append(" ".join(cells).strip())
    return rows


@pytest.mark.parametrize("count", [1, 2, 5, 100])
def test_independent_instructions_take_one_cycle_each_after_four_to_fill(count):
    program = steps("addi t0, zero, 1;" * count)
    assert cycles(program) == count + FILL
    assert account(program, simulate(program, FORWARDING), FORWARDING) == CycleStack(
        busy=count, stalls={StallCause.FILL_DRAIN: FILL}
    )


def test_a_load_use_hazard_costs_one_cycle():
    assert stalls(steps("lw t0, 0(a0); add t1, t0, t0")) == {StallCause.DATA_DEPENDENCY: 1}


def test_an_instruction_between_load_and_use_hides_the_hazard():
    assert stalls(steps("lw t0, 0(a0); addi t2, t2, 1; add t1, t0, t0")) == {}


def test_forwarding_lets_dependent_instructions_follow_each_other():
    assert stalls(steps("addi t0, t0, 1; addi t0, t0, 1; addi t0, t0, 1")) == {}


@pytest.mark.parametrize(("between", "lost"), [(0, 2), (1, 1), (2, 0)])
def test_without_forwarding_a_result_is_read_in_the_cycle_of_its_write_back(between, lost):
    text = "addi t0, zero, 1;" + "addi t2, zero, 1;" * between + "add t1, t0, t0"
    assert sum(stalls(steps(text), REGISTER_FILE).values()) == lost


def test_a_taken_branch_costs_two_cycles_and_another_none():
    text = "beq t0, t1, away; addi t2, t2, 1"
    assert stalls(steps(text, taken={0})) == {StallCause.CONTROL: 2}
    assert stalls(steps(text)) == {}


@pytest.mark.parametrize("accesses", [1, 2, 5])
def test_with_one_port_each_load_costs_a_fetch(accesses):
    text = "lw t0, 0(a0); addi t2, t2, 1; addi t2, t2, 1; addi t2, t2, 1;" * accesses
    program = steps(text + "addi t2, t2, 1")
    assert stalls(program, ONE_PORT) == {StallCause.STRUCTURAL: accesses}


def test_the_fourth_instruction_after_a_load_waits_for_the_port():
    program = steps("lw t0, 0(a0)" + "; addi t2, zero, 1" * 4)
    assert [int(row[0, 0]) for row in simulate(program, ONE_PORT)] == [0, 1, 2, 4, 5]


def test_a_multiply_add_of_four_cycles_holds_its_reader_for_three():
    program = steps("fmadd.s f0, f1, f2, f0; fmadd.s f0, f1, f2, f0")
    assert stalls(program) == {StallCause.DATA_DEPENDENCY: 3}


def test_independent_multiply_adds_do_not_wait():
    text = "".join(f"fmadd.s f{i}, f8, f9, f{i};" for i in (0, 1, 2, 3, 0, 1, 2, 3))
    assert stalls(steps(text)) == {}


def test_a_miss_costs_its_cycles_and_says_from_where():
    first, second = steps("lw t0, 0(a0); add t1, t0, t0")
    missed = replace(first, miss_cycles=60, missed_to=StallCause.DRAM)
    assert stalls([missed, second]) == {StallCause.DRAM: 60, StallCause.DATA_DEPENDENCY: 1}


def test_the_pipeline_diagram_of_a_load_use_hazard():
    program = steps("lw t0, 0(a0); add t1, t0, t1; addi a0, a0, 4")
    assert diagram(program, FORWARDING) == [
        "IF ID EX MEM WB",
        "IF ID - EX MEM WB",
        "IF - ID EX MEM WB",
    ]


RIPES_EXIT = 2  # its closing `ecall` waits two cycles, which is no part of a pipeline


def counted_loop(prologue, body, times, epilogue):
    """Steps of a loop whose branch, its last instruction, is taken until the last time."""
    length, width = len(prologue), len(body)
    program = prologue + body * times + epilogue
    for time in range(times - 1):
        branch = length + width * (time + 1) - 1
        program[branch] = replace(program[branch], taken=True)
    return program


@pytest.mark.parametrize(("rules", "ripes"), [(FORWARDING, 716), (REGISTER_FILE, 1040)])
def test_a_dot_product_of_64_takes_as_long_as_in_ripes(rules, ripes):
    setup = steps("addi s0, zero, 1; addi s0, s0, 0; addi s1, zero, 1; addi s1, s1, 0")
    setup += steps("addi s2, zero, 64; addi a0, zero, 0")
    body = steps(
        "lw t0, 0(s0); lw t1, 0(s1); mul t2, t0, t1; add a0, a0, t2;"
        "addi s0, s0, 4; addi s1, s1, 4; addi s2, s2, -1; bne s2, zero, loop"
    )
    program = counted_loop(setup, body, 64, steps("addi a7, zero, 10; addi zero, zero, 0"))
    assert len(program) == 520
    assert cycles(program, rules) == ripes - RIPES_EXIT


@pytest.mark.parametrize(("rules", "ripes"), [(FORWARDING, 508), (REGISTER_FILE, 710)])
def test_a_count_down_loop_takes_as_long_as_in_ripes(rules, ripes):
    setup = steps("addi t0, zero, 100; addi a0, zero, 0")
    body = steps("addi a0, a0, 2; addi t0, t0, -1; bne t0, zero, loop")
    program = counted_loop(setup, body, 100, steps("addi a7, zero, 10; addi zero, zero, 0"))
    assert cycles(program, rules) == ripes - RIPES_EXIT
