"""Tomasulo's algorithm with a reorder buffer.

Hennessy and Patterson, Computer Architecture: A Quantitative Approach, 6th ed., sections 3.6 and
3.8. The dual-issue loop is figure 3.20 of the 5th edition, from memory of the book: its numbers
were found nowhere public. Latencies in section 3.6: add 2, multiply 6, divide 12.
"""

from functools import partial

import pytest
from dynamic_examples import BASE, LOOP, run_on

from sim.cpu.dynamic import (
    instruction_status,
    register_status,
    unit_status,
)
from sim.cpu.dynamic.status import reorder_buffer
from sim.cpu.riscv import ExecutionError
from sim.stalls import StallCause

run = partial(run_on, "tomasulo-speculative")


def stamps(ran):
    """Issue, execute, complete, memory, write, commit of what was not squashed."""
    rows = [row for row in instruction_status(ran)[1:] if "squashed" not in row[0]]
    return [[int(cell or 0) for cell in row[1:]] for row in rows]


def loop_on(name):
    return run_on(name, LOOP, data=".dword 1, 2, 3, 0", start={"x3": 4})


def test_the_dual_issue_loop_with_speculation():
    """5th ed. figure 3.20: issues, executes, read access, write CDB, commits, of three turns."""
    ran = loop_on("tomasulo-speculative-dual")
    assert [[s[0], s[1], *s[3:]] for s in stamps(ran)] == [
        [1, 2, 3, 4, 5],
        [1, 5, 0, 6, 7],
        [2, 3, 0, 0, 7],
        [2, 3, 0, 4, 8],
        [3, 7, 0, 0, 8],
        [4, 5, 6, 7, 9],
        [4, 8, 0, 9, 10],
        [5, 6, 0, 0, 10],
        [5, 6, 0, 7, 11],
        [6, 10, 0, 0, 11],
        [7, 8, 9, 10, 12],
        [7, 11, 0, 12, 13],
        [8, 9, 0, 0, 13],
        [8, 9, 0, 10, 14],
        [9, 13, 0, 0, 14],
    ]


def test_speculation_lets_the_third_branch_execute_six_cycles_sooner():
    """Section 3.8: cycle 13 where 19 was needed without."""
    speculative, waiting = (
        loop_on(name).flights[14].begin for name in ("tomasulo-speculative-dual", "tomasulo-dual")
    )
    assert (speculative, waiting) == (13, 19)


def test_when_the_multiplication_is_to_commit_only_the_loads_have():
    """Section 3.6, the reorder buffer of its example: fsub.d and fadd.d have results.

    The book's table calls the division executing while it still waits for its operand; here it
    stands as issued until it begins, in the cycle after.
    """
    ran = run()
    multiply = ran.flights[2]
    assert (multiply.write, multiply.commit) == (12, 13)
    table = reorder_buffer(ran, 12)
    assert [(row[0], row[2], row[3]) for row in table[1:]] == [
        ("#3", "write result", "f0"),
        ("#4", "write result", "f8"),
        ("#5", "issue", "f10"),
        ("#6", "write result", "f6"),
    ]
    assert [row[0] for row in unit_status(ran, 12)[1:] if row[1] == "yes"] == ["Mult2"]
    assert register_status(ran, 12) == {"f0": "#3", "f8": "#4", "f10": "#5", "f6": "#6"}
    assert reorder_buffer(ran, 13)[2][:3] == ["#5", "fdiv.d f10 f0 f6", "execute"]


def test_results_commit_in_order_one_a_cycle():
    """Tomasulo alone would write f6 before the division; here it is the last (section 3.6)."""
    commits = [s[5] for s in stamps(run())]
    assert commits == [5, 6, 13, 14, 26, 27]


# One rule at a time


def test_a_result_commits_in_the_cycle_after_its_broadcast():
    (add,) = stamps(run("fadd.d f2, f4, f6"))
    assert add == [1, 2, 3, 0, 4, 5]


def test_commit_width_limits_commits():
    text = "fmul.d f2, f4, f6\naddi x5, x0, 1\naddi x6, x0, 1\naddi x7, x0, 1"
    for width, commits in ((1, [9, 10, 11, 12]), (2, [9, 9, 10, 10]), (4, [9, 9, 9, 9])):
        assert [s[5] for s in stamps(run(text, commit_width=width))] == commits


def test_a_full_reorder_buffer_holds_issue_until_the_cycle_after_a_commit():
    text = "fmul.d f2, f4, f6\naddi x5, x0, 1\naddi x6, x0, 1"
    ran = run(text, reorder_buffer_entries=2)
    first, _, third = stamps(ran)
    assert (first[5], third[0]) == (9, 10)
    assert ran.stack.stalls[StallCause.STRUCTURAL] == 7
    assert stamps(run(text, reorder_buffer_entries=3))[2][0] == 3


def test_a_store_writes_memory_when_it_commits_and_a_load_of_it_waits_for_that():
    store, load, other = stamps(run("fsd f2, 0(x1)\nfld f4, 0(x1)\nfld f6, 8(x1)"))
    assert store == [1, 2, 2, 0, 0, 3]
    assert load[3] == 4
    assert other[3] == 5
    slow = "fmul.d f2, f4, f6\nfsd f2, 0(x1)\nfld f4, 0(x1)"
    multiply, store, load = stamps(run(slow))
    assert (multiply[4], store[5], load[3]) == (8, 10, 11)


def test_stores_that_commit_take_the_memory_port_from_loads():
    text = "fsd f2, 0(x1)\nfld f4, 8(x1)"
    for ports, cycle in ((1, 4), (2, 3)):  # the store commits in cycle 3
        assert stamps(run(text, issue_width=2, memory_ports=ports))[1][3] == cycle


WRONG = """
addi x5, x0, 1
mul x6, x5, x5
beq x6, x0, {0}
addi x5, x5, 16
fld f2, 1(x0)
sd x5, 0(x1)
over: addi x7, x5, 1
"""


def test_a_wrong_prediction_is_undone_and_the_right_path_issues_a_cycle_later():
    """The branch back, predicted taken, falls through: registers are as if nothing had been."""
    text = "addi x5, x0, 1\nback: mul x6, x5, x5\naddi x5, x5, 1\nbltu x6, x0, back\naddi x7, x5, 1"
    ran = run(text, branches="backward-taken")
    branch = ran.flights[3]
    gone = [flight for flight in ran.flights if flight.squashed]
    assert gone
    assert {flight.squashed for flight in gone} == {branch.complete}
    assert all(0 < flight.last <= branch.complete for flight in gone)
    right = ran.flights[-1]
    assert right.issue == branch.complete + 1
    assert ran.machine.registers[5:8] == [2, 1, 3]
    assert ran.retired == 5


@pytest.mark.parametrize(
    ("branches", "squashed", "issue"),
    [
        ("perfect", 0, 4),
        ("taken", 0, 4),
        ("stall", 0, 12),
        ("not-taken", 4, 12),
        ("backward-taken", 4, 12),
    ],
)
def test_a_branch_ahead_that_is_taken_under_each_policy(branches, squashed, issue):
    """On the wrong path a wild load does no harm and the store changes nothing."""
    text = WRONG.format("over").replace("beq", "bne")
    ran = run(text, branches=branches)
    assert sum(bool(f.squashed) for f in ran.flights) == squashed
    assert (ran.flights[-1].issue, ran.flights[2].complete) == (issue, 11)
    assert ran.machine.registers[7] == 2
    assert ran.machine.memory.read(BASE, 8) == 0


def test_a_wild_load_on_the_right_path_is_an_error_that_names_its_line():
    with pytest.raises(ExecutionError, match=r"line 6: `fld f2, 1\(x0\)`: misaligned"):
        run(WRONG.format("over"), branches="not-taken")
