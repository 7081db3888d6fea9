"""Every role and rule of a described pipeline moves cycles, by exactly what it says."""

import pytest

from sim.cpu.pipelines import load_pipeline, run_pipeline
from sim.cpu.pipelines.compiled import run_stream
from sim.cpu.pipelines.spec import PipelineSpec
from sim.cpu.riscv import assemble, execute
from sim.stalls import StallCause

EIGHT = load_pipeline("r4000-eight-stage")
LOAD_USE = "lw t0, -4(sp)\naddi t0, t0, 1\nli a7, 10\nnop\nebreak"
TAKEN = "j far\n" + "nop\n" * 6 + "far: li a7, 10\nebreak"
POWER_OFF = "li t0, 0x100000\nli t1, 0x5555\nsw t1, 0(t0)\nli a0, 9\nli a0, 8\nnop\nnop\nnop\nnop"


def changed(spec=EIGHT, **fields):
    return PipelineSpec.model_validate({**spec.model_dump(), **fields})


def both(spec, text):
    """Run on the readable engine, and hold the twin's cycles equal."""
    program = assemble(text)
    run = run_pipeline(spec, program)
    assert run_stream(spec, execute(program)).cycles == run.cycles
    return run


@pytest.mark.parametrize(("stage", "stalls"), [("DF", 1), ("DS", 2), ("TC", 3)])
def test_loaded_data_is_there_from_the_stage_behind_the_memory_stage_on(stage, stalls):
    assert both(changed(memory_stage=stage), LOAD_USE).stall_cycles == stalls


@pytest.mark.parametrize(("stage", "lost"), [("EX", 3), ("DF", 4), ("DS", 5)])
def test_each_stage_to_where_branches_are_resolved_costs_a_cycle(stage, lost):
    assert both(changed(resolve_stage=stage), TAKEN).stack.stalls[StallCause.CONTROL] == lost


def test_executing_a_stage_sooner_saves_a_cycle_of_each_jump():
    spec = changed(
        read_stage="IS", execute_stage="RF", resolve_stage="RF", forward_from=["EX", "DF"]
    )
    assert both(spec, TAKEN).stack.stalls[StallCause.CONTROL] == 2


def test_a_waiting_call_stays_in_ex_until_the_last_writer_has_left():
    spec = changed(call_stage="EX", call_waits_for_writes=True)
    run = both(spec, "nop\nli a7, 10\nebreak")
    writer, call = ({s: (b, e) for s, b, e in run.flights[n].stamps} for n in (1, 2))
    assert call["EX"][1] == writer["WB"][1] + 1
    assert run.stack.stalls[StallCause.SYNCHRONISATION] == 4
    assert both(EIGHT, "nop\nli a7, 10\nebreak").cycles == run.cycles - 4


@pytest.mark.parametrize(("stage", "cycles"), [("EX", 4), ("DF", 5), ("TC", 7)])
def test_without_draining_the_clock_stops_where_the_call_is_made(stage, cycles):
    spec = changed(call_stage=stage, call_waits_for_writes=True, drains=False)
    assert both(spec, "ebreak").cycles == cycles
    assert both(changed(spec, drains=True), "ebreak").cycles == 8


@pytest.mark.parametrize("drains", [True, False])
@pytest.mark.parametrize("name", ["five-stage-forward", "r4000-eight-stage", "six-stage-dual"])
def test_a_store_that_powers_off_ends_the_program_and_nothing_behind_it_acts(name, drains):
    run = both(changed(load_pipeline(name), drains=drains), POWER_OFF)
    assert run.machine.exit_code == 0
    assert run.machine.registers[10] == 0
    assert not any(f.retired for f in run.flights if "9" in str(f.instruction).split())


def test_two_instructions_of_which_the_first_is_predicted_taken_part_in_fetch():
    dual = load_pipeline("six-stage-dual")
    predictor = {"scheme": "taken", "address_bits": 4, "buffer_bits": 4}
    text = "li t0, 9\nnop\nl: addi t0, t0, -1\nnop\nbnez t0, l\naddi a0, a0, 1\nli a7, 10\nebreak"
    run = both(changed(dual, predictor=predictor), text)
    assert run.machine.registers[10] == 1
    assert run.predictions - run.correct_predictions == 2  # the first and the last turn
    dropped = [f for f in run.flights if len(f.stamps) == 1 and not f.retired]
    assert any(str(f.instruction) == "addi x10 x10 1" for f in dropped)


def test_a_perfect_predictor_loses_no_cycle_to_control():
    text = "li t0, 9\nl: addi t0, t0, -1\nbnez t0, l\nli a7, 10\nnop\nebreak"
    run = both(changed(predictor={"scheme": "perfect"}), text)
    assert StallCause.CONTROL not in run.stack.stalls
    assert run.cycles == run.retired + 7
    assert run.predictions == run.correct_predictions == 9
