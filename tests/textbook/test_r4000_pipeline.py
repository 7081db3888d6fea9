"""The eight-stage pipeline of the MIPS R4000, in exact cycles.

Hennessy and Patterson, Computer Architecture: A Quantitative Approach, 6th edition, appendix C.6.
RISC-V has no delay slot, so that all cycles of a taken branch are lost.
"""

import pytest

from sim.cpu.logs import o3_pipe_view
from sim.cpu.pipelines import load_pipeline, run_pipeline
from sim.cpu.pipelines.compiled import run_stream
from sim.cpu.pipelines.diagram import text_diagram
from sim.cpu.riscv import assemble, execute
from sim.stalls import StallCause

STAGES = ["IF", "IS", "RF", "EX", "DF", "DS", "TC", "WB"]
FILL = 7
FORWARDS, STALLS = "r4000-eight-stage", "r4000-eight-stage-stall"
LOAD = "lw t0, -4(sp)"
ADD = "add t0, t1, t2"


def run(name, text):
    return run_pipeline(load_pipeline(name), assemble(text + "\nebreak"))


def executes(name, text):
    """Cycles in which the instructions of a text enter EX."""
    flights = run(name, text).flights
    return [begin for f in flights for stage, begin, _ in f.stamps if stage == "EX"]


def test_without_hazards_an_instruction_leaves_every_cycle_after_seven_to_fill():
    result = run(FORWARDS, "nop\n" * 10)
    assert result.cycles == 11 + FILL
    assert [stage for stage, _, _ in result.flights[0].stamps] == STAGES
    assert result.stack.stalls == {StallCause.FILL_DRAIN: FILL}


@pytest.mark.parametrize(("gap", "stalls"), [(0, 2), (1, 1), (2, 0), (3, 0)])
def test_loaded_data_is_there_for_the_third_instruction_behind_and_not_for_the_second(gap, stalls):
    """Appendix C.6: the load delay is two cycles."""
    text = f"{LOAD}\n" + "nop\n" * gap + "addi t3, t0, 1"
    load, *_, reader, _exit = executes(FORWARDS, text)
    assert reader - load == max(3, gap + 1)
    result = run(FORWARDS, text)
    assert result.stall_cycles == stalls
    assert result.stack.stalls.get(StallCause.DATA_DEPENDENCY, 0) == stalls


def test_a_load_and_its_use_stall_two_cycles_in_rf_and_so_does_all_behind():
    """Appendix C.6: LD R1; DADD R2,R1; DSUB R3,R1; OR R4,R1."""
    text = f"{LOAD}\nadd t1, t0, t2\nsub t2, t0, t3\nor t3, t0, t4"
    lines = text_diagram(run(FORWARDS, text), count=4).splitlines()[1:]
    drawn = [" ".join(line[line.index(" IF") :].split()) for line in lines]
    assert drawn == [
        "IF IS RF EX DF DS TC WB",
        "IF IS RF - - EX DF DS TC WB",
        "IF IS - - RF EX DF DS TC WB",
        "IF - - IS RF EX DF DS TC WB",
    ]


@pytest.mark.parametrize("gap", range(5))
def test_a_computed_result_is_forwarded_from_every_stage_behind_ex(gap):
    """Appendix C.6: forwarding from EX/DF, DF/DS, DS/TC and TC/WB."""
    text = f"{ADD}\n" + "nop\n" * gap + "addi t3, t0, 1"
    result = run(FORWARDS, f"li t1, 2\nli t2, 3\n{text}")
    assert result.stall_cycles == 0
    assert result.machine.registers[28] == 6


@pytest.mark.parametrize(("path", "distance"), [("DF", 1), ("DS", 2), ("TC", 3), ("WB", 4)])
def test_without_one_path_the_reader_at_its_distance_waits_and_no_other(path, distance):
    full = load_pipeline(FORWARDS)
    paths = tuple(stage for stage in full.forward_from if stage != path)
    spec = full.model_copy(update={"forward_from": paths})
    for behind in range(1, 6):
        text = f"{ADD}\n" + "nop\n" * (behind - 1) + "addi t3, t0, 1\nebreak"
        assert run_pipeline(spec, assemble(text)).stall_cycles == int(behind == distance)


@pytest.mark.parametrize("first", [LOAD, ADD])
@pytest.mark.parametrize("gap", range(6))
def test_without_forwarding_a_reader_waits_until_the_writer_is_in_wb(first, gap):
    text = f"{first}\n" + "nop\n" * gap + "addi t3, t0, 1"
    writer, *_, reader, _exit = executes(STALLS, text)
    assert reader - writer == max(5, gap + 1)
    assert run(STALLS, text).stall_cycles == max(0, 4 - gap)


def test_a_taken_branch_costs_three_cycles_and_an_untaken_one_none():
    """Appendix C.6: the condition is evaluated in EX; the basic branch delay is three cycles."""
    text = "nop\nbeqz zero, far\n" + "addi a0, a0, 1\n" * 4 + "far: nop"
    result = run(FORWARDS, text)
    assert result.stack.stalls[StallCause.CONTROL] == 3
    assert result.machine.registers[10] == 0
    _, branch, target, _exit = executes(FORWARDS, text)
    assert target - branch == 1 + 3
    squashed = [f for f in result.flights if not f.retired and f.stamps]
    assert [f.stamps[-1][0] for f in squashed[:3]] == ["RF", "IS", "IF"]
    untaken = run(FORWARDS, text.replace("beqz", "bnez"))
    assert StallCause.CONTROL not in untaken.stack.stalls
    assert untaken.machine.registers[10] == 4


def test_loop_of_the_compiled_twin_in_closed_form():
    """A turn of lw, add, addi, bnez: four instructions, two load-use stalls, three for the jump."""
    text = f"li t3, 50\nl: {LOAD}\nadd a0, a0, t0\naddi t3, t3, -1\nbnez t3, l\nebreak"
    program = assemble(text)
    spec = load_pipeline(FORWARDS)
    expected = 1 + 50 * (4 + 2) + 49 * 3 + 1 + FILL
    assert run_pipeline(spec, program).cycles == expected
    assert run_stream(spec, execute(program)).cycles == expected


def test_o3_pipe_view_knows_the_stages_by_their_roles():
    ran = run(FORWARDS, "nop")
    lines = o3_pipe_view(ran.stamped(), ran.o3_stages()).splitlines()
    ticks = [int(line.split(":")[2]) for line in lines[:7]]
    assert ticks == [1000, 2000, 2000, 3000, 4000, 6000, 8000]
