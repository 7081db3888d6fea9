"""Tomasulo's algorithm: the example of the textbooks, their loop, and each rule by itself.

Hennessy and Patterson, Computer Architecture: A Quantitative Approach, 6th ed., sections 3.4, 3.5
and 3.8. The cycles of the first example, to 57, are those of Patterson's lectures (3 load buffers,
3 add and 2 multiply stations; load 2 cycles, add 2, multiply 10, divide 40); public copies of the
slides "Tomasulo Example" were checked from cycle 1 to 14. The dual-issue loop is figure 3.19 of the
5th edition, from memory of the book: its caption was checked, its numbers were found nowhere
public.
"""

from functools import partial

import pytest
from dynamic_examples import BASE, LOOP, run_on

from sim.cpu.dynamic import (
    instruction_status,
    load_dynamic,
    register_status,
    unit_status,
)
from sim.stalls import StallCause

run = partial(run_on, "tomasulo")


def stamps(ran):
    return [[int(cell or 0) for cell in row[1:]] for row in instruction_status(ran)[1:]]


def with_unit(name, group, **changes):
    units = dict(load_dynamic(name).units)
    units[group] = units[group].model_copy(update=changes)
    return units


def station(ran, name, cycle):
    return next(row[1:] for row in unit_status(ran, cycle) if row[0] == name)


def test_the_instruction_status_of_the_example():
    """The slides' three columns: issue, execution complete (of loads the access), write result."""
    ran = run()
    assert [[s[0], s[3] or s[2], s[4]] for s in stamps(ran)] == [
        [1, 3, 4],
        [2, 4, 5],
        [3, 15, 16],
        [4, 7, 8],
        [5, 56, 57],
        [6, 10, 11],
    ]
    assert ran.cycles == 57


def test_stations_and_registers_at_the_slides_cycles():
    ran = run(data=".double 0, 0, 0, 0, 0, 4.0, 8.0, 0")
    four, eight = hex(0x4010 << 48), hex(0x4020 << 48)
    # busy, op, Vj, Vk, Qj, Qk
    assert station(ran, "Mult1", 3)[:6] == ["yes", "fmul.d", "", "0x0", "Load2", ""]
    assert register_status(ran, 3) == {"f6": "Load1", "f2": "Load2", "f0": "Mult1"}
    assert station(ran, "Load1", 4)[0] == "no"
    assert station(ran, "Add1", 4)[:6] == ["yes", "fsub.d", four, "", "", "Load2"]
    assert register_status(ran, 4) == {"f2": "Load2", "f0": "Mult1", "f8": "Add1"}
    assert station(ran, "Mult2", 5)[:6] == ["yes", "fdiv.d", "", four, "Mult1", ""]
    assert station(ran, "Add1", 8)[0] == "no"
    assert station(ran, "Add2", 8)[:6] == ["yes", "fadd.d", hex(0xC010 << 48), eight, "", ""]
    assert register_status(ran, 8) == {"f0": "Mult1", "f10": "Mult2", "f6": "Add2"}
    assert register_status(ran, 56) == {"f10": "Mult2"}
    assert register_status(ran, 57) == {}


def test_two_turns_of_a_loop_are_under_way_with_registers_renamed():
    """Section 3.5, two active turns of the loop: all issued, no floating point completed."""
    text = """
    loop: fld f0, 0(x1)
    fmul.d f4, f0, f2
    fsd f4, 0(x1)
    addi x1, x1, -8
    bne x1, x4, loop
    """
    start = {"x1": BASE + 16, "x4": BASE}
    ran = run(text, start=start, branches="perfect", memory_cycles=20, memory_ports=2)
    assert [row[0] for row in unit_status(ran, 13)[1:] if row[1] == "yes"] == [
        *("Load1", "Load2", "Store1", "Store2", "Mult1", "Mult2"),
    ]
    assert station(ran, "Mult1", 13)[4:6] == ["Load1", ""]
    assert station(ran, "Mult2", 13)[4:6] == ["Load2", ""]
    assert station(ran, "Store1", 13)[4:] == ["Mult1", "", "", hex(BASE + 16)]
    assert station(ran, "Store2", 13)[4:] == ["Mult2", "", "", hex(BASE + 8)]
    assert register_status(ran, 13) == {"f0": "Load2", "f4": "Mult2"}


def test_the_dual_issue_loop_without_speculation():
    """Section 3.8, 5th ed. figure 3.19: issues, executes, memory access, write CDB; three turns."""
    data, start = ".dword 1, 2, 3", {"x3": 4}
    ran = run_on("tomasulo-dual", LOOP, data=data, start=start)
    assert [[s[0], s[1], s[3], s[4]] for s in stamps(ran)] == [
        [1, 2, 3, 4],
        [1, 5, 0, 6],
        [2, 3, 7, 0],
        [2, 3, 0, 4],
        [3, 7, 0, 0],
        [4, 8, 9, 10],
        [4, 11, 0, 12],
        [5, 9, 13, 0],
        [5, 8, 0, 9],
        [6, 13, 0, 0],
        [7, 14, 15, 16],
        [7, 17, 0, 18],
        [8, 15, 19, 0],
        [8, 14, 0, 15],
        [9, 19, 0, 0],
    ]


# One rule at a time


def test_an_operand_is_used_in_the_cycle_after_its_broadcast():
    first, second = stamps(run("fadd.d f2, f4, f6\nfmul.d f8, f2, f6"))
    assert (first[4], second[1]) == (4, 5)


def test_neither_a_pending_write_nor_an_older_reader_holds_anything():
    first, second, third = stamps(run("fmul.d f2, f4, f6\nfdiv.d f8, f2, f10\nfadd.d f10, f4, f6"))
    assert second[1] == first[4] + 1 == 13
    assert third[4] == 3 + 3
    waw = run("fmul.d f2, f4, f6\nfadd.d f2, f4, f6")
    assert stamps(waw)[1][:2] == [2, 3]
    assert register_status(waw, 3) == {"f2": "Add1"}


def test_a_station_is_free_in_the_cycle_after_its_broadcast():
    text = "fmul.d f2, f4, f6\nfmul.d f8, f4, f6\nfmul.d f10, f4, f6"
    ran = run(text)
    assert stamps(ran)[0][4] == 12
    assert stamps(ran)[2][0] == 13
    assert ran.stack.stalls[StallCause.STRUCTURAL] == 10
    more = with_unit("tomasulo", "Mult", stations=3, units=3)
    assert stamps(run(text, units=more))[2][0] == 3


@pytest.mark.parametrize(
    ("units", "pipelined", "begins"), [(1, False, 12), (2, False, 3), (1, True, 3)]
)
def test_stations_share_units_that_take_one_at_a_time_or_one_a_cycle(units, pipelined, begins):
    changed = with_unit("tomasulo", "Mult", units=units, pipelined=pipelined)
    second = stamps(run("fmul.d f2, f4, f6\nfmul.d f8, f4, f6", units=changed))[1]
    assert second[1] == begins


def test_results_that_meet_on_the_bus_go_oldest_first():
    text = "fadd.d f2, f4, f6\naddi x5, x0, 1\naddi x6, x5, 1"
    for buses, cycles in ((1, [4, 5, 7]), (2, [4, 4, 6])):
        ran = run(f"nop\n{text}", common_data_buses=buses, issue_width=2)
        assert [s[4] for s in stamps(ran)][1:] == cycles, buses


@pytest.mark.parametrize(("second", "memory"), [("8(x1)", 5), ("4(x1)", 14), ("0(x1)", 14)])
def test_a_load_waits_for_an_older_store_to_a_byte_of_its_own(second, memory):
    store, load = stamps(run(f"fmul.d f2, f4, f6\nfsd f2, 0(x1)\nflw f8, {second}"))[1:]
    assert store[3] == 12 + 1
    assert load[3] == memory


def test_a_load_waits_until_an_older_stores_address_is_known():
    text = "mul x5, x4, x4\nadd x6, x5, x1\nfsd f2, 0(x6)\nfld f8, 8(x1)"
    store, load = stamps(run(text, memory_ports=2))[2:]
    assert store[2] == 15
    assert load[3] == 16


def test_memory_cycles_and_ports_move_loads():
    text = "fld f2, 0(x1)\nfld f4, 8(x1)"
    assert [s[3] for s in stamps(run(text))] == [3, 4]
    assert [s[3] for s in stamps(run(text, memory_cycles=5))] == [7, 8]
    both = with_unit("tomasulo-dual", "Address", units=2)
    for ports, cycles in ((1, [3, 4]), (2, [3, 3])):
        ran = run_on("tomasulo-dual", text, units=both, memory_ports=ports)
        assert [s[3] for s in stamps(ran)] == cycles


def test_behind_a_branch_issue_waits_or_only_execution_does():
    text = "mul x5, x4, x4\nbne x5, x1, over\nnop\nover: fadd.d f2, f4, f6"
    for branches, issue in (("stall", 14), ("perfect", 3)):
        _, branch, target = stamps(run(text, branches=branches))
        assert branch[1] == 13
        assert target[:2] == [issue, max(issue + 1, 14)]
