"""Hennessy and Patterson's pipelining examples, executed for real, in exact cycles.

Computer Architecture: A Quantitative Approach, 6th edition, appendix C; Patterson and Hennessy,
Computer Organization and Design RISC-V Edition, chapter 4.
"""

import pytest

from sim.cpu.pipelines import load_pipeline, run_pipeline
from sim.cpu.pipelines.diagram import text_diagram
from sim.cpu.riscv import assemble
from sim.stalls import StallCause

FILL = 4
END = "\nebreak"


def run(name, text):
    return run_pipeline(load_pipeline(name), assemble(text + END))


def drawn(name, text, count):
    """Rows of the diagram from IF on, for instructions after the first two."""
    lines = text_diagram(run(name, text), count=count + 2).splitlines()[3:]
    return [" ".join(line[line.index(" IF") :].split()) for line in lines]


SETUP = "li t2, 3\nli t3, 4\n"


def test_a_result_forwarded_to_every_later_instruction_costs_nothing():
    """Appendix C.2, figure C.5: add x1,x2,x3; sub; and; or; xor all read x1."""
    text = (
        SETUP + "add x1, x7, x28; sub x4, x1, x5; and x6, x1, x7; or x8, x1, x9; xor x10, x1, x11"
    )
    forwarded = run("late-branch-forward", text)
    assert forwarded.stack.stalls == {StallCause.FILL_DRAIN: FILL}
    assert forwarded.cycles == 7 + FILL
    assert run("five-stage-stall", text).stall_cycles == 2 + 2  # x28 for add, x1 for sub


def test_a_load_used_at_once_stalls_one_cycle_and_all_behind_it():
    """Appendix C.2, figure C.8: ld x1,0(x2); sub; and; or."""
    text = "sw sp, -8(sp)\nnop\nlw x1, -8(sp)\nsub x4, x1, x5\nand x6, x1, x7\nor x8, x1, x9"
    assert drawn("five-stage-forward", text, 4) == [
        "IF ID EX MEM WB",
        "IF ID - EX MEM WB",
        "IF - ID EX MEM WB",
        "IF ID EX MEM WB",
    ]
    assert run("five-stage-forward", text).stall_cycles == 1


def test_without_forwarding_a_dependent_pair_waits_two_cycles():
    """Computer Organization and Design, section 4.5: add then sub, two bubbles."""
    text = SETUP + "nop\nnop\nadd x19, x7, x28\nsub x2, x19, x3"
    assert run("five-stage-stall", text).stall_cycles == 2


REORDERED = """
    lw x1, -16(sp)
    lw x6, -12(sp)
    {0}
    add x3, x1, x6
    sw x3, -4(sp)
    {1}
    add x5, x1, x4
    sw x5, -20(sp)
"""


def test_moving_a_load_up_saves_both_load_use_stalls():
    """Computer Organization and Design, section 4.5, a = b + e; c = b + f: 13 cycles become 11."""
    late = run("late-branch-forward", REORDERED.format("", "lw x4, -8(sp)"))
    early = run("late-branch-forward", REORDERED.format("lw x4, -8(sp)", ""))
    assert (late.cycles, early.cycles) == (13, 11)


@pytest.mark.parametrize(
    ("name", "penalty"), [("five-stage-forward", 2), ("late-branch-forward", 3)]
)
def test_a_taken_branch_squashes_what_was_fetched_behind_it(name, penalty):
    """Appendix C.2, branch hazards: the later it is resolved, the more is lost."""
    text = (
        "li t0, 1\nnop\nnop\nbnez t0, far\nadd x1, x1, x1\nadd x2, x2, x2\nadd x3, x3, x3\nfar: nop"
    )
    assert run(name, text).stack.stalls[StallCause.CONTROL] == penalty
    untaken = text.replace("bnez", "beqz")
    assert StallCause.CONTROL not in run(name, untaken).stack.stalls


def test_a_loop_of_ten_turns_fools_one_bit_twice_and_two_bits_once():
    """Appendix C.2, figure C.15's argument: a branch taken nine times in ten, again and again."""
    inner = "inner: addi t0, t0, -1\nbnez t0, inner"
    text = f"li t1, {{}}\nouter: li t0, 10\n{inner}\naddi t1, t1, -1\nbnez t1, outer"
    for name, wrong in (("predict-1-bit", 2), ("predict-2-bit", 1)):
        few, many = (run(name, text.format(turns)) for turns in (4, 9))
        missed = [result.predictions - result.correct_predictions for result in (few, many)]
        assert missed[1] - missed[0] == 5 * wrong


def test_cycles_per_instruction_are_the_ideal_and_the_stalls():
    """Appendix C.1: pipeline CPI = 1 + stall cycles per instruction."""
    text = "li t0, 9\nl: lw a1, -4(sp)\nadd a0, a0, a1\naddi t0, t0, -1\nbnez t0, l"
    result = run("late-branch-forward", text)
    stalls = result.stack.stalls
    assert stalls[StallCause.DATA_DEPENDENCY] == 9
    assert stalls[StallCause.CONTROL] == 3 * 8
    assert result.cycles == result.retired + sum(stalls.values())
