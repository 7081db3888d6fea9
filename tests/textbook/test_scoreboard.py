"""The scoreboard's example of the textbooks, cycle by cycle.

Hennessy and Patterson, Computer Architecture: A Quantitative Approach, 5th and 6th ed., appendix
C.7, has the program, the units and the latencies (add 2, multiply 10, divide 40) and tables without
cycle numbers. The cycle numbers, to 62, are those of Patterson's lectures. The University of
Maryland's CMSC 411 page "Scoreboard Example" walks the cycles: 1 to 11 were checked against it.
"""

import pytest

from sim.cpu.dynamic import (
    instruction_status,
    load_dynamic,
    register_status,
    run_dynamic,
    unit_status,
)
from sim.cpu.riscv import assemble
from sim.stalls import StallCause

BASE = 0x1000_0000
EXAMPLE = """
fld f6, 34(x2)
fld f2, 45(x3)
fmul.d f0, f2, f4
fsub.d f8, f6, f2
fdiv.d f10, f0, f6
fadd.d f6, f8, f2
"""


def run(text=EXAMPLE, **changes):
    spec = load_dynamic("scoreboard").model_copy(update=changes)
    program = assemble(f"{text}\nebreak\n.data\n.zero 64\n", xlen=64)
    return run_dynamic(spec, program, {"x1": BASE, "x2": BASE + 6, "x3": BASE + 3})


def stamps(ran):
    return [[int(cell) for cell in row[1:]] for row in instruction_status(ran)[1:]]


def unit(ran, name, cycle):
    """The row of a functional unit, without its name."""
    return next(row[1:] for row in unit_status(ran, cycle) if row[0] == name)


def test_the_instruction_status_of_the_example():
    ran = run()
    assert instruction_status(ran)[0] == [
        "instruction",
        "issue",
        "read operands",
        "execution complete",
        "write result",
    ]
    assert stamps(ran) == [
        [1, 2, 3, 4],
        [5, 6, 7, 8],  # issue waits for the integer unit
        [6, 9, 19, 20],  # operands: f2 written in 8
        [7, 9, 11, 12],
        [8, 21, 61, 62],  # operands: f0 written in 20
        [13, 14, 16, 22],  # issue waits for the adder; the write for fdiv.d to read f6
    ]
    assert ran.cycles == 62


def test_functional_units_and_registers_at_the_cycles_that_the_page_describes():
    ran = run()
    idle = ["no", *[""] * 8]
    # busy, op, Fi, Fj, Fk, Qj, Qk, Rj, Rk
    assert unit(ran, "Integer", 1) == ["yes", "fld", "f6", "x2", "", "", "", "yes", ""]
    assert unit(ran, "Integer", 4) == idle
    assert unit(ran, "Mult1", 6) == [
        *("yes", "fmul.d", "f0", "f2", "f4"),
        *("Integer", "", "no", "yes"),
    ]
    assert unit(ran, "Add", 7) == [
        *("yes", "fsub.d", "f8", "f6", "f2"),
        *("", "Integer", "yes", "no"),
    ]
    assert unit(ran, "Divide", 8) == [
        *("yes", "fdiv.d", "f10", "f0", "f6"),
        *("Mult1", "", "no", "yes"),
    ]
    assert unit(ran, "Integer", 8) == idle
    assert unit(ran, "Mult2", 8) == idle
    assert register_status(ran, 6) == {"f2": "Integer", "f0": "Mult1"}
    assert register_status(ran, 8) == {"f0": "Mult1", "f8": "Add", "f10": "Divide"}
    assert register_status(ran, 22) == {"f10": "Divide"}


def test_before_the_multiplication_writes_all_but_it_and_those_behind_it_have():
    """Appendix C.7, the table "just before the fmul.d goes to write result": cycle 19."""
    ran = run()
    table = [row[1:] for row in instruction_status(ran, at=19)[1:]]
    assert [sum(bool(cell) for cell in row) for row in table] == [4, 4, 3, 4, 1, 3]
    assert unit(ran, "Mult1", 19)[5:] == ["", "", "no", "no"]
    assert unit(ran, "Add", 19)[:4] == ["yes", "fadd.d", "f6", "f8"]
    assert unit(ran, "Divide", 19)[5:] == ["Mult1", "", "no", "yes"]
    assert register_status(ran, 19) == {"f0": "Mult1", "f6": "Add", "f10": "Divide"}


def test_before_the_division_writes_it_alone_is_left():
    """Appendix C.7, the table "just before the fdiv.d goes to write result": cycle 61."""
    ran = run()
    assert [row[0] for row in unit_status(ran, 61)[1:] if row[1] == "yes"] == ["Divide"]
    assert unit(ran, "Divide", 61)[5:] == ["", "", "no", "no"]
    assert register_status(ran, 61) == {"f10": "Divide"}


def test_where_the_cycles_without_an_issue_went():
    stalls = run().stack.stalls
    assert stalls[StallCause.STRUCTURAL] == 3 + 4  # cycles 2 to 4 and 9 to 12
    assert sum(stalls.values()) == 62 - 6


# One rule at a time


def test_a_busy_unit_holds_issue_until_the_cycle_after_its_write():
    first, second = stamps(run("fadd.d f2, f4, f6\nfadd.d f8, f4, f6"))
    assert (first[3], second[0]) == (5, 6)
    one = run("fmul.d f2, f4, f6\nfmul.d f8, f4, f6")
    assert stamps(one)[1][0] == 2  # there are two multipliers
    units = dict(one.spec.units)
    units["Mult"] = units["Mult"].model_copy(update={"units": 1})
    assert stamps(run("fmul.d f2, f4, f6\nfmul.d f8, f4, f6", units=units))[1][0] == 14


def test_an_operand_is_read_in_the_cycle_after_its_write():
    first, second = stamps(run("fadd.d f2, f4, f6\nfmul.d f8, f2, f6"))
    assert (first[3], second[1]) == (5, 6)


def test_a_pending_write_of_the_same_register_holds_issue():
    first, second = stamps(run("fmul.d f2, f4, f6\nfadd.d f2, f4, f6"))
    assert (first[3], second[0]) == (13, 14)


def test_a_result_waits_for_an_older_reader_of_its_register():
    first, second, third = stamps(run("fmul.d f2, f4, f6\nfdiv.d f8, f2, f10\nfadd.d f10, f4, f6"))
    assert first[3] == 13
    assert second[1] == 14
    assert (third[2], third[3]) == (6, 15)


def test_what_is_behind_a_branch_is_issued_once_it_is_resolved():
    ran = run("addi x5, x0, 1\nbne x5, x0, over\nfadd.d f2, f4, f6\nover: fmul.d f2, f4, f6")
    integer, branch, target = stamps(ran)
    assert branch[0] == integer[3] + 1
    assert target[0] == branch[2] + 1
    assert ran.stack.stalls[StallCause.CONTROL] == branch[2] - branch[0]


@pytest.mark.parametrize(("one", "other", "waits"), [("fld", "fld", False), ("fsd", "fld", True)])
def test_only_loads_overlap_in_memory(one, other, waits):
    units = dict(load_dynamic("scoreboard").units)
    units["Integer"] = units["Integer"].model_copy(update={"units": 2})
    first, second = stamps(run(f"{one} f2, 0(x1)\n{other} f4, 0(x1)", units=units))
    assert second[0] == 2
    assert second[1] == (first[3] + 1 if waits else 3)
