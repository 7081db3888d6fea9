"""x[i] = x[i] + s, as written, scheduled, unrolled, and on two and five issue slots.

Hennessy and Patterson, Computer Architecture: A Quantitative Approach, section 3.2 (4th ed.: 2.2,
3rd ed.: 4.1). Latencies: 3 between floating-point operations, 2 from one to a store, 1 from a load.
In the 6th edition an addi hands its result straight to a branch (8 cycles as written, 26 unrolled);
in the 5th the branch reads its registers in ID and waits a cycle (9 and 27). Older course pages
also count the cycle behind a taken branch (10 and 28: University at Buffalo, CS 506, lecture 4;
Chulalongkorn University, Computer Architecture, "unroll").
Only 10, 28, 14 and 12 with their loops were found on public pages; the rest follows from the
latencies, which each test states.
"""

from itertools import pairwise

import pytest

from sim.cpu.dynamic import instruction_status, load_dynamic, run_dynamic
from sim.cpu.riscv import assemble
from sim.stalls import StallCause

BASE = 0x1000_0000
TURNS = 3
ONE = 0x3FF0_0000_0000_0000

PLAIN = """
loop: fld f0, 0(x1)
fadd.d f4, f0, f2
fsd f4, 0(x1)
addi x1, x1, -8
bne x1, x2, loop
"""
SCHEDULED = """
loop: fld f0, 0(x1)
addi x1, x1, -8
fadd.d f4, f0, f2
fsd f4, 8(x1)
bne x1, x2, loop
"""


def unrolled(times):
    """Copies one after the other, registers renamed, one addi and one branch."""
    lines = ["loop:"]
    for turn in range(times):
        loaded, added = (0, 6, 10, 14, 18)[turn], (4, 8, 12, 16, 20)[turn]
        lines += [
            f"fld f{loaded}, {-8 * turn}(x1)",
            f"fadd.d f{added}, f{loaded}, f2",
            f"fsd f{added}, {-8 * turn}(x1)",
        ]
    return "\n".join([*lines, f"addi x1, x1, {-8 * times}", "bne x1, x2, loop"])


UNROLLED_SCHEDULED = """
loop: fld f0, 0(x1)
fld f6, -8(x1)
fld f10, -16(x1)
fld f14, -24(x1)
fadd.d f4, f0, f2
fadd.d f8, f6, f2
fadd.d f12, f10, f2
fadd.d f16, f14, f2
fsd f4, 0(x1)
fsd f8, -8(x1)
addi x1, x1, -32
fsd f12, 16(x1)
fsd f16, 8(x1)
bne x1, x2, loop
"""
TWO_SLOTS = """
loop: fld f0, 0(x1)
fld f6, -8(x1)
fld f10, -16(x1)
fadd.d f4, f0, f2
fld f14, -24(x1)
fadd.d f8, f6, f2
fld f18, -32(x1)
fadd.d f12, f10, f2
fsd f4, 0(x1)
fadd.d f16, f14, f2
fsd f8, -8(x1)
fadd.d f20, f18, f2
fsd f12, -16(x1)
addi x1, x1, -40
fsd f16, 16(x1)
fsd f20, 8(x1)
bne x1, x2, loop
"""
FIVE_SLOTS = """
loop: fld f0, 0(x1)
fld f6, -8(x1)
fld f10, -16(x1)
fld f14, -24(x1)
fld f18, -32(x1)
fld f22, -40(x1)
fadd.d f4, f0, f2
fadd.d f8, f6, f2
fld f26, -48(x1)
fadd.d f12, f10, f2
fadd.d f16, f14, f2
fadd.d f20, f18, f2
fadd.d f24, f22, f2
fsd f4, 0(x1)
fsd f8, -8(x1)
fadd.d f28, f26, f2
fsd f12, -16(x1)
fsd f16, -24(x1)
addi x1, x1, -56
fsd f20, 24(x1)
fsd f24, 16(x1)
fsd f28, 8(x1)
bne x1, x2, loop
"""


def run(name, loop, elements, **changes):
    """Run TURNS turns over an array of `elements` a turn, each 1.0 larger afterwards."""
    spec = load_dynamic(name).model_copy(update=changes)
    program = assemble(f"{loop}\nebreak\n.data\n.zero {8 * (elements * TURNS + 1)}\n", xlen=64)
    last = BASE + 8 * elements * TURNS
    ran = run_dynamic(spec, program, {"x1": last, "x2": BASE, "f2": ONE})
    for place in range(1, elements * TURNS + 1):
        assert ran.machine.memory.read(BASE + 8 * place, 8) == ONE
    return ran


def cycles_a_turn(ran):
    """The same for every turn: from one first instruction's execution to the next's."""
    turn = len(ran.flights) // TURNS
    begins = [flight.begin for flight in ran.flights[::turn]]
    steps = {later - earlier for earlier, later in pairwise(begins)}
    assert len(steps) == 1, steps
    return steps.pop()


@pytest.mark.parametrize(
    ("name", "changes", "plain", "four"),
    [
        pytest.param("in-order-loop", {}, 8, 26, id="6th edition"),
        pytest.param("in-order-loop-early-branch", {}, 9, 27, id="5th edition"),
        pytest.param(
            "in-order-loop-early-branch", {"taken_branch_cycles": 1}, 10, 28, id="branch delay"
        ),
    ],
)
def test_the_loop_as_written_and_unrolled_four_times(name, changes, plain, four):
    """Each load costs 1 stall and each addition 2: 5 + 3, and 14 + 4 * 3; then the branch's."""
    assert cycles_a_turn(run(name, PLAIN, 1, **changes)) == plain
    assert cycles_a_turn(run(name, unrolled(4), 4, **changes)) == four


@pytest.mark.parametrize("name", ["in-order-loop", "in-order-loop-early-branch"])
def test_scheduled_the_loop_takes_seven_cycles_and_unrolled_too_fourteen_for_four(name):
    """7 cycles an element, then 3.5: no stall is left, 14 instructions in 14 cycles."""
    assert cycles_a_turn(run(name, SCHEDULED, 1)) == 7
    assert cycles_a_turn(run(name, UNROLLED_SCHEDULED, 4)) == 14


def test_two_slots_take_twelve_cycles_for_five_elements():
    """2.4 cycles an element (3rd ed., section 4.1; the Chulalongkorn page has the same table)."""
    ran = run("in-order-dual", TWO_SLOTS, 5)
    assert cycles_a_turn(ran) == 12
    first = ran.flights[0].begin
    pairs = {f.begin - first + 1: f for f in ran.flights[:17] if f.kind == "float"}
    assert sorted(pairs) == [3, 4, 5, 6, 7]


def test_five_slots_take_nine_cycles_for_seven_elements():
    """23 operations in 9 cycles, 1.29 an element (section 3.7, figure of the VLIW loop)."""
    ran = run("in-order-vliw", FIVE_SLOTS, 7)
    assert cycles_a_turn(ran) == 9
    first = ran.flights[0].begin
    # A store's word is the last one in which it can stand: one before MEM.
    last = [f.memory - 1 if f.kind == "store" else f.begin for f in ran.flights[:23]]
    words = [cycle - first + 1 for cycle in last]
    assert [words.count(word) for word in range(1, 10)] == [2, 2, 4, 3, 2, 3, 3, 2, 2]


# Latencies, one by one


def begins(text, name="in-order-loop", **changes):
    spec = load_dynamic(name).model_copy(update=changes)
    program = assemble(f"{text}\nebreak\n.data\n.zero 64\n", xlen=64)
    return run_dynamic(spec, program, {"x1": BASE, "f2": ONE}).flights


@pytest.mark.parametrize(
    ("text", "latency"),
    [
        pytest.param("fadd.d f4, f0, f2\nfmul.d f6, f4, f2", 3, id="FP to FP"),
        pytest.param("fld f0, 0(x1)\nfadd.d f4, f0, f2", 1, id="load to FP"),
        pytest.param("addi x3, x1, 8\nfld f0, 0(x3)", 0, id="integer to load"),
        pytest.param("addi x3, x1, 8\nbne x3, x3, 8", 0, id="integer to branch"),
        pytest.param("ld x3, 0(x1)\naddi x4, x3, 1", 1, id="load to integer"),
    ],
)
def test_the_cycles_between_an_instruction_and_one_that_uses_its_result(text, latency):
    one, other = begins(text)
    assert other.begin - one.begin - 1 == latency


@pytest.mark.parametrize(
    ("text", "latency"),
    [
        pytest.param("fadd.d f4, f0, f2\nfsd f4, 0(x1)\naddi x5, x0, 1", 2, id="FP to store"),
        pytest.param("fld f4, 0(x1)\nfsd f4, 8(x1)\naddi x5, x0, 1", 0, id="load to store"),
    ],
)
def test_a_store_waits_in_ex_for_its_value_and_holds_what_is_behind_it(text, latency):
    one, store, behind = begins(text)
    assert store.memory - 2 - one.begin == latency
    assert behind.begin == store.memory


def test_a_branch_that_reads_in_id_waits_one_cycle_for_an_integer_result():
    one, other = begins("addi x3, x1, 8\nbne x3, x3, 8", "in-order-loop-early-branch")
    assert other.begin - one.begin - 1 == 1


def test_lost_cycles_behind_a_taken_branch_are_named():
    text = "addi x3, x0, 1\nbne x3, x0, 8\nnop\naddi x4, x0, 1"
    spec = load_dynamic("in-order-loop")
    for lost in (0, 1, 3):
        changed = spec.model_copy(update={"taken_branch_cycles": lost})
        ran = run_dynamic(changed, assemble(f"{text}\nebreak", xlen=64))
        assert ran.flights[-1].begin == ran.flights[-2].begin + 1 + lost
        assert ran.stack.stalls.get(StallCause.CONTROL, 0) == lost


# Appendix C.5


def rows(name, text):
    program = assemble(f"{text}\nebreak\n.data\n.zero 64\n", xlen=64)
    ran = run_dynamic(load_dynamic(name), program, {"x2": BASE})
    return [[int(cell) for cell in row[1:]] for row in instruction_status(ran)[1:]]


def test_a_chain_of_load_multiply_add_and_store():
    """Appendix C.5, the figure of RAW stalls: fsd meets fadd.d in MEM and waits one cycle more."""
    text = "fld f4, 0(x2)\nfmul.d f0, f4, f6\nfadd.d f2, f0, f8\nfsd f2, 0(x2)"
    assert rows("in-order-fp", text) == [
        # IF ID EX - MEM WB
        [1, 2, 3, 3, 4, 5],
        [2, 3, 5, 11, 12, 13],
        [3, 5, 12, 15, 16, 17],
        [5, 12, 13, 13, 17, 18],
    ]
    # Where only accesses share MEM, as in section 3.2, that cycle is not lost.
    assert rows("in-order-loop", text.replace("mul", "add"))[-1][4] == 5 + 4 + 4


THREE_WRITES = """
fmul.d f0, f4, f6
addi x5, x0, 1
addi x6, x0, 1
fadd.d f2, f4, f6
addi x7, x0, 1
addi x8, x0, 1
fld f8, 0(x2)
"""


def test_three_results_for_one_write_port_in_cycle_eleven():
    """Appendix C.5, the figure of simultaneous writes: all three would write in cycle 11.

    With one port the later ones are held in ID, a cycle each as they meet it.
    """
    for_all = [row[-1] for row in _written("in-order-fp-ports", float_write_ports=None)]
    assert for_all == [11, 11, 11]
    one = [row[-1] for row in _written("in-order-fp-ports")]
    assert one == [11, 12, 13]
    two = [row[-1] for row in _written("in-order-fp-ports", float_write_ports=2)]
    assert two == [11, 11, 12]


def _written(name, **changes):
    spec = load_dynamic(name).model_copy(update=changes)
    program = assemble(f"{THREE_WRITES}\nebreak\n.data\n.zero 64\n", xlen=64)
    ran = run_dynamic(spec, program, {"x2": BASE})
    return [
        [int(cell) for cell in row[1:]]
        for row in instruction_status(ran)[1:]
        if row[0].startswith("f")
    ]


def test_a_write_of_one_register_waits_for_an_older_slower_one():
    """Appendix C.5, WAW: fmul.d writes f2 in cycle 11; a load of it must not write before 12."""
    text = "fmul.d f2, f4, f6\nfld f2, 0(x2)"
    multiply, load = rows("in-order-fp-ports", text)
    assert (multiply[-1], load[-1]) == (11, 12)


def test_the_divider_takes_one_at_a_time_and_the_multiplier_one_a_cycle():
    """Appendix C.5: latency and initiation interval, 24 and 24 + 1 there, 6 and 1."""
    divides = rows("in-order-fp-ports", "fdiv.d f0, f2, f4\nfdiv.d f6, f2, f4")
    assert divides[1][2] - divides[0][2] == 24
    multiplies = rows("in-order-fp-ports", "fmul.d f0, f2, f4\nfmul.d f6, f2, f4")
    assert multiplies[1][2] - multiplies[0][2] == 1
