"""Deeper and wider in-order pipelines, in exact cycles: the MIPS R4000's stages, and two at once.

The delays of the R4000 are those of Hennessy and Patterson, 6th ed., appendix C.6.
"""

from dataclasses import replace

import pytest

from sim.cpu.inorder import PipelineRules, Step, account, simulate
from sim.cpu.isa import parse
from sim.cpu.steady import step_of
from sim.stalls import StallCause

EIGHT = PipelineRules(
    forwarding=True, shared_port=False, fetch_stages=2, memory_stages=2, check_stages=1
)
EIGHT_UNFORWARDED = replace(EIGHT, forwarding=False)
TWO = PipelineRules(forwarding=True, shared_port=False, issue_width=2)


def steps(text, *, taken=()):
    """Steps of assembly text; `taken` numbers the branches that are taken."""
    body = [i for section in parse(text.replace(";", "\n")).values() for i in section]
    return [replace(step_of(each, 4), taken=number in taken) for number, each in enumerate(body)]


def entered(program, rules, stage):
    """The cycle in which each step enters a stage."""
    index = rules.stage_names.index(stage)
    return [int(row[index, 0]) for row in simulate(program, rules)]


def executed(text, rules=TWO, **options):
    """The cycle in which each step enters EX."""
    return entered(steps(text, **options), rules, "EX")


def stalls(program, rules):
    found = dict(account(program, simulate(program, rules), rules).stalls)
    assert found.pop(StallCause.FILL_DRAIN) == rules.write
    return found


def test_eight_stages_have_the_names_of_their_roles():
    assert EIGHT.stage_names == ("IF1", "IF2", "ID", "EX", "MEM1", "MEM2", "TC", "WB")


@pytest.mark.parametrize("count", [1, 2, 50])
def test_independent_instructions_take_one_cycle_each_after_seven_to_fill(count):
    program = steps("addi t0, zero, 1;" * count)
    assert account(program, simulate(program, EIGHT), EIGHT).total == count + 7


@pytest.mark.parametrize(("between", "lost"), [(0, 2), (1, 1), (2, 0)])
def test_a_load_s_user_waits_two_cycles_in_eight_stages(between, lost):
    text = "lw t0, 0(a0);" + "addi t2, zero, 1;" * between + "add t1, t0, t0"
    assert sum(stalls(steps(text), EIGHT).values()) == lost


def test_a_loaded_word_enters_ex_at_the_end_of_the_second_memory_stage_and_not_before():
    program = steps("lw t0, 0(a0); add t1, t0, t0")
    load, _ = entered(program, EIGHT, "MEM2")
    assert entered(program, EIGHT, "EX")[1] == load + 1


def test_a_taken_branch_costs_three_cycles_in_eight_stages():
    text = "beq t0, t1, away; addi t2, t2, 1"
    assert stalls(steps(text, taken={0}), EIGHT) == {StallCause.CONTROL: 3}
    assert entered(steps(text, taken={0}), EIGHT, "IF1")[1] == 4
    assert stalls(steps(text), EIGHT) == {}


@pytest.mark.parametrize(("between", "lost"), [(0, 4), (3, 1), (4, 0)])
def test_without_forwarding_eight_stages_lose_four_cycles_to_a_result(between, lost):
    text = "addi t0, zero, 1;" + "addi t2, zero, 1;" * between + "add t1, t0, t0"
    assert sum(stalls(steps(text), EIGHT_UNFORWARDED).values()) == lost


@pytest.mark.parametrize("stages", [1, 2, 5])
def test_each_execute_stage_more_delays_a_sum_s_user_and_a_branch_s_target_by_one(stages):
    rules = replace(TWO, issue_width=1, execute_stages=stages)
    chain = steps("addi t0, t0, 1; addi t0, t0, 1")
    assert sum(stalls(chain, rules).values()) == stages - 1
    branch = steps("beq t0, t1, away; addi t2, t2, 1", taken={0})
    assert stalls(branch, rules) == {StallCause.CONTROL: 1 + stages}


@pytest.mark.parametrize("stages", [1, 2, 4])
def test_each_decode_stage_more_costs_a_taken_branch_one_cycle(stages):
    rules = replace(TWO, issue_width=1, decode_stages=stages)
    branch = steps("beq t0, t1, away; addi t2, t2, 1", taken={0})
    assert stalls(branch, rules) == {StallCause.CONTROL: 1 + stages}


def test_a_pipelined_cache_takes_a_load_every_cycle_and_a_miss_holds_its_first_stage():
    loads = steps("lw t0, 0(a0); lw t1, 4(a0); lw t2, 8(a0)")
    assert entered(loads, EIGHT, "MEM1") == [4, 5, 6]
    loads[0] = replace(loads[0], miss_cycles=10)
    assert entered(loads, EIGHT, "MEM1") == [4, 15, 16]
    assert stalls(loads, EIGHT) == {StallCause.CACHE: 10}


@pytest.mark.parametrize("rules", [EIGHT, replace(EIGHT, execute_stages=2)])
def test_on_a_shared_port_the_fetch_that_meets_a_load_in_its_first_memory_stage_waits(rules):
    rules = replace(rules, shared_port=True)
    program = steps("lw t0, 0(a0)" + "; addi t2, zero, 1" * 7)
    starts = entered(program, rules, "IF1")
    met = rules.resolve + 1
    assert starts == [*range(met), *range(met + 1, 9)]


def test_two_independent_instructions_issue_together():
    assert executed("addi t0, t0, 1; addi t1, t1, 1; addi t2, t2, 1; addi t3, t3, 1") == [
        2,
        2,
        3,
        3,
    ]


@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_a_dual_issue_core_retires_two_a_cycle(count):
    program = steps("addi zero, zero, 1;" * count)
    assert account(program, simulate(program, TWO), TWO).total == -(-count // 2) + 4


def test_a_dependent_pair_issues_one_cycle_apart():
    assert executed("addi t0, t0, 1; add t1, t0, t0") == [2, 3]


def test_the_second_of_a_parted_pair_issues_with_the_next_instruction():
    assert executed("addi t0, t0, 1; add t1, t0, t0; addi t2, t2, 1") == [2, 3, 3]


@pytest.mark.parametrize(
    "pair",
    [
        "lw t0, 0(a0); lw t1, 4(a0)",
        "lw t0, 0(a0); sw t1, 4(a0)",
        "beq t0, t1, away; beq t0, t2, away",
        "fadd.s f0, f1, f2; fmul.s f3, f4, f5",
    ],
)
def test_two_instructions_of_one_unit_issue_one_cycle_apart(pair):
    assert executed(pair) == [2, 3]
    first, second = pair.split(";")
    assert executed(f"{first}; addi t6, t6, 1; {second}") == [2, 2, 3]


@pytest.mark.parametrize(
    "pair",
    [
        "lw t0, 0(a0); fadd.s f0, f1, f2",
        "fadd.s f0, f1, f2; bne t0, t1, loop",
        "sw t0, 0(a0); bne t0, t1, loop",
        "addi t0, t0, 1; lw t1, 0(a0)",
    ],
)
def test_two_instructions_of_different_units_issue_together(pair):
    assert executed(pair) == [2, 2]


def test_a_load_s_user_loses_its_own_cycle_and_one_more_in_a_pair():
    assert executed("lw t0, 0(a0); add t1, t0, t0") == [2, 4]


def test_nothing_overtakes_an_instruction_that_waits():
    assert executed("lw t0, 0(a0); add t1, t0, t0; addi t2, t2, 1; addi t3, t3, 1") == [2, 4, 4, 5]


def test_the_target_of_a_taken_branch_is_fetched_after_it_even_beside_it():
    program = steps("beq t0, t1, away; addi t2, t2, 1; addi t3, t3, 1", taken={0})
    assert entered(program, TWO, "IF") == [0, 3, 3]
    assert stalls(program, TWO) == {StallCause.CONTROL: 2}


def test_a_miss_holds_the_access_behind_it_and_not_the_sum_beside_it():
    program = steps("lw t0, 0(a0); addi t1, t1, 1; lw t2, 4(a0)")
    program[0] = replace(program[0], miss_cycles=9)
    stamps = simulate(program, TWO)
    assert stamps[:, TWO.resolve + 1].tolist() == [[3, 13, 13], [3, 4, 13], [13, 14, 14]]


def test_a_pair_parted_for_its_unit_leaves_no_cycle_empty_and_a_miss_does():
    slow = Step(dest=40, floating=True)
    assert stalls([slow] * 4, TWO) == {}
    assert account([slow] * 4, simulate([slow] * 4, TWO), TWO).busy == 4
    missed = [Step(dest=5, accesses_memory=True, miss_cycles=5)] * 2
    assert stalls(missed, TWO) == {StallCause.CACHE: 10}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fetch_stages": 0}, "one fetch stage at least"),
        ({"memory_stages": 0}, "one memory stage at least"),
        ({"check_stages": -1}, "check stages of 0 or more"),
        ({"issue_width": 0}, "a width of 1 or more"),
    ],
)
def test_a_pipeline_that_cannot_be_is_an_error(change, message):
    with pytest.raises(ValueError, match=message):
        replace(TWO, **change)
