"""Dynamically scheduled machines: what their files and programs may not say, and status tables."""

import pytest
import yaml

from sim.cpu.dynamic import (
    dynamic_names,
    instruction_status,
    load_dynamic,
    register_status,
    run_dynamic,
    unit_status,
)
from sim.cpu.dynamic.in_order import InOrder
from sim.cpu.dynamic.spec import FOLDER
from sim.cpu.dynamic.tomasulo import Tomasulo
from sim.cpu.riscv import ExecutionError, assemble
from sim.errors import SpecError


@pytest.mark.parametrize("name", dynamic_names())
def test_a_machine_is_named_as_its_file_and_fits_a_program(name):
    spec = load_dynamic(name)
    assert spec.name == name
    assert run_dynamic(spec, assemble("addi x5, x0, 7\nebreak", xlen=64)).machine.registers[5] == 7


def refused(tmp_path, name, change):
    """The message for a machine's file after a change to its content."""
    content = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    change(content)
    path = tmp_path / "machine.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(SpecError) as caught:
        load_dynamic(path)
    assert "machine.yaml" in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("scoreboard", lambda c: c.update(technique="scorebord"), "did you mean 'scoreboard'"),
        ("scoreboard", lambda c: c.update(issue_width=2), "key 'issue_width': unknown"),
        ("scoreboard", lambda c: c["units"]["Add"].update(stations=2), "'units.Add.stations'"),
        ("tomasulo", lambda c: c.update(commit_width=1), "has no `commit_width`"),
        ("tomasulo", lambda c: c.update(branches="taken"), "write stall or perfect"),
        ("tomasulo", lambda c: c.update(common_data_bus=2), "did you mean 'common_data_buses'"),
        ("tomasulo", lambda c: c["units"]["Add"].pop("stations"), "missing; add it"),
        ("tomasulo-speculative", lambda c: c.pop("commit_width"), "needs `commit_width`"),
        (
            "scoreboard",
            lambda c: c["units"]["Add"]["latency_cycles"].update(load=2),
            "'load' stands in two units",
        ),
        (
            "scoreboard",
            lambda c: c["units"]["Add"]["latency_cycles"].update(fence=2),
            "'fence' has no unit in these machines",
        ),
        ("scoreboard", lambda c: c["units"]["Add"]["latency_cycles"].update(float=0), "float"),
        (
            "scoreboard",
            lambda c: c["units"].update(Mult1=c["units"].pop("Add")),
            "two units are named 'Mult1'",
        ),
        ("in-order-loop", lambda c: c["issue_slots"][0].remove("load"), "load: give every kind"),
        (
            "in-order-loop",
            lambda c: c["units"]["Integer"]["latency_cycles"].update(load=2),
            "'load' computes its address in 1 cycle",
        ),
    ],
)
def test_a_wrong_file_is_refused_with_its_key_and_the_remedy(tmp_path, name, change, message):
    assert message in refused(tmp_path, name, change)


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(SpecError, match="did you mean 'tomasulo-dual'"):
        load_dynamic("tomasulo-duel")


@pytest.mark.parametrize("name", ["scoreboard", "tomasulo", "in-order-fp"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nop\namoadd.w x5, x6, (x7)\nebreak", r"line 2: .*no unit for 'atomic'"),
        ("nop\nlw x5, 0(x0)\nebreak", r"line 2: `lw x5, 0\(x0\)`: wild access"),
        ("nop\nsw x5, 1(x0)\nebreak", r"line 2: .*misaligned"),
        ("nop", "no instruction at 0x4"),
        ("li a7, 77\necall", "line 2: .*environment call 77"),
    ],
)
def test_a_program_that_cannot_be_done_is_refused_with_its_line(name, text, message):
    with pytest.raises(ExecutionError, match=message):
        run_dynamic(load_dynamic(name), assemble(text, xlen=64))


def test_a_program_of_another_width_is_refused_and_a_machine_may_have_that_width():
    spec = load_dynamic("scoreboard")
    program = assemble("li x5, -1\nebreak", xlen=32)
    with pytest.raises(ExecutionError, match="assemble with xlen=64"):
        run_dynamic(spec, program)
    ran = run_dynamic(spec.model_copy(update={"xlen": 32}), program)
    assert ran.machine.registers[5] == 2**32 - 1


@pytest.mark.parametrize(("machine", "name"), [(Tomasulo, "tomasulo"), (InOrder, "in-order-fp")])
def test_an_endless_program_is_refused(machine, name):
    endless = assemble("nop\nloop: j loop", xlen=64)
    with pytest.raises(ExecutionError, match="still running after 50 "):
        machine(load_dynamic(name), endless, {}).run(limit=50)


def test_only_known_registers_can_be_set():
    program = assemble("mv x6, x5\nebreak", xlen=64)
    assert run_dynamic(load_dynamic("tomasulo"), program, {"t0": 3}).machine.registers[6] == 3
    for name in ("y1", "x0", "zero"):
        with pytest.raises(SpecError, match=f"no register '{name}' can be set"):
            run_dynamic(load_dynamic("tomasulo"), program, {name: 1})


def test_a_printing_call_waits_for_everything_and_is_a_row_of_its_own():
    text = "fmul.d f2, f4, f6\nli a0, 5\nli a7, 1\necall\nli a0, 6\necall\nebreak"
    for name in ("scoreboard", "tomasulo-speculative", "in-order-fp"):
        ran = run_dynamic(load_dynamic(name), assemble(text, xlen=64))
        assert ran.machine.output == "56"
        call = ran.flights[3]
        assert call.issue >= max(flight.last for flight in ran.flights[:3])


def test_rows_from_one_to_another_and_what_had_happened_by_a_cycle():
    text = "fmul.d f2, f4, f6\nfadd.d f8, f2, f4\nfadd.d f10, f4, f6\nebreak"
    ran = run_dynamic(load_dynamic("tomasulo"), assemble(text, xlen=64))
    assert [row[0] for row in instruction_status(ran, first=1, count=1)[1:]] == ["fadd.d f8 f2 f4"]
    assert instruction_status(ran, at=2)[1:] == [
        ["fmul.d f2 f4 f6", "1", "2", "", "", ""],
        ["fadd.d f8 f2 f4", "2", "", "", "", ""],
    ]


def test_what_an_in_order_unit_executes():
    text = "fmul.d f2, f4, f6\nfmul.d f8, f4, f6\nebreak"
    ran = run_dynamic(load_dynamic("in-order-fp"), assemble(text, xlen=64))
    assert unit_status(ran, 4)[1:3] == [
        ["Multiply", "yes", "fmul.d f2 f4 f6"],
        ["Multiply", "yes", "fmul.d f8 f4 f6"],
    ]
    assert ["Multiply", "no", ""] in unit_status(ran, 11)
    assert register_status(ran, 4) == {"f2": "Multiply", "f8": "Multiply"}
