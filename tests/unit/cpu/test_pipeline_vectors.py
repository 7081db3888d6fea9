"""What the teaching pipelines make of a vector program."""

import pytest

from sim.cpu.pipelines import load_pipeline, run_pipeline
from sim.cpu.pipelines.compiled import run_stream
from sim.cpu.riscv import assemble, execute
from sim.errors import SpecError

VECTORS = """main: li a0, 3
vsetvli t0, a0, e32, m1, ta, ma
vadd.vi v1, v1, 5
vmv.x.s a0, v1
li a7, 93
ecall
"""
LINE = r"line 2: `vsetvli t0, a0, e32, m1, ta, ma`: "


@pytest.fixture
def program():
    return assemble(VECTORS, xlen=32)


@pytest.mark.parametrize("name", ["five-stage-bare", "five-stage-forward", "six-stage-dual"])
def test_a_pipelined_machine_refuses_a_vector_program_by_its_line(program, name):
    with pytest.raises(SpecError, match=LINE + ".*no vector unit; give a scalar program"):
        run_pipeline(load_pipeline(name), program)


def test_the_compiled_pipeline_refuses_it_as_the_readable_one_does(program):
    with pytest.raises(SpecError, match=LINE + ".*no vector unit; give a scalar program"):
        run_stream(load_pipeline("five-stage-forward"), execute(program))


def test_the_single_cycle_machine_executes_it_in_a_cycle_each(program):
    run = run_pipeline(load_pipeline("single-cycle"), program)
    assert (run.cycles, run.machine.exit_code) == (6, 5)


def test_a_multi_cycle_machine_names_the_line_whose_stages_are_not_said(program):
    with pytest.raises(SpecError, match=LINE + "`visits` of multi-cycle-shared does not say which"):
        run_pipeline(load_pipeline("multi-cycle-shared"), program)
