"""`tokenclock pipeline`: what it prints, writes and refuses."""

import json
from pathlib import Path

import pytest

from sim import cpu

TEXT = "li a0, 20\naddi a0, a0, 1\nli a7, 1\necall\nli a7, 10\necall\n"


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "p.s"
    path.write_text(TEXT)
    return path


def test_it_draws_the_pipeline_and_says_where_the_cycles_went(tokenclock, program):
    ran = tokenclock("pipeline", program, "--on", "five-stage-forward")
    assert ran.code == 0
    rows = [line.split() for line in ran.out.splitlines()]
    assert ["addi", "x10", "x0", "20", "IF", "ID", "EX", "MEM", "WB"] in rows
    assert "cycles lost: synchronisation" in ran.out
    assert "printed: 21" in ran.out


def test_json_and_logs(tokenclock, program, tmp_path):
    logs = ("--kanata", tmp_path / "k.log", "--o3", tmp_path / "o3.log")
    logs += ("--chrome", tmp_path / "chrome.json")
    ran = tokenclock("pipeline", program, "--on", "predict-2-bit", *logs, "--json")
    counts = json.loads(ran.out)
    assert counts["a0"] == 21
    assert counts["predictions"] == 0
    assert counts["cycles"] == counts["retired"] + sum(counts["stalls"].values())
    assert (tmp_path / "k.log").read_text().startswith("Kanata\t0004\n")
    assert (tmp_path / "o3.log").read_text().startswith("O3PipeView:fetch:1000:0x00000200:0:1:")
    trace = json.loads((tmp_path / "chrome.json").read_text())
    shown = [e for e in trace["traceEvents"] if e.get("cat") == "instruction"]
    assert len(shown) == counts["retired"]


def test_wrong_machines_and_programs_are_refused_on_one_line(tokenclock, program):
    tokenclock("pipeline", program, "--on", "five-stag").assert_refused(
        "five-stage", "did you mean"
    )
    program.write_text("nop\nadd a0\n")
    tokenclock("pipeline", program).assert_refused("p.s, line 2: 'add' takes 3 operands, not 1")
    tokenclock("pipeline", program.with_name("gone.s")).assert_refused("gone.s: cannot be read")


def test_a_scoreboard_draws_its_tables_and_shows_a_cycle(tokenclock, program):
    ran = tokenclock("pipeline", program, "--on", "scoreboard")
    rows = [line.split() for line in ran.out.splitlines()]
    assert ["addi", "x10", "x0", "20", "1", "2", "3", "4"] in rows
    assert ["addi", "x10", "x10", "1", "5", "6", "7", "8"] in rows
    assert "printed: 21" in ran.out
    shown = tokenclock("pipeline", program, "--on", "scoreboard", "--at", 6)
    rows = [line.split() for line in shown.out.splitlines()]
    assert ["Integer", "yes", "addi", "x10", "x10", "no"] in rows
    assert ["x10", "Integer"] in rows
    assert ["addi", "x10", "x10", "1", "5", "6"] in rows


def test_a_reorder_buffer_at_a_cycle_as_json(tokenclock, program):
    ran = tokenclock("pipeline", program, "--on", "tomasulo-speculative", "--at", 4, "--json")
    state = json.loads(ran.out)
    assert state["a0"] == 21
    assert state["cycles"] > state["retired"]
    first = {"entry": "#2", "instruction": "addi x10 x10 1", "state": "execute", "dest": "x10"}
    assert state["reorder buffer"][0] == {**first, "value": ""}
    assert state["registers"][0] == {"register": "x10", "waits for": "#2"}


def test_what_a_machine_cannot_show_is_refused(tokenclock, program, tmp_path):
    tokenclock("pipeline", program, "--on", "scorebord").assert_refused("did you mean 'scoreboard'")
    o3 = tmp_path / "o3"
    tokenclock("pipeline", program, "--on", "scoreboard", "--o3", o3).assert_refused(
        "take --kanata"
    )
    assert not o3.exists()
    watched = ("--on", "tomasulo", "--watch", "a0")
    tokenclock("pipeline", program, *watched).assert_refused(
        "--watch is for the teaching pipelines"
    )
    tokenclock("pipeline", program, "--at", 99).assert_refused(
        "--at 99: the run's last cycle is 13"
    )
    on_core = ("--on", "ooo-w4-rob128-gshare", "--at", 3)
    tokenclock("pipeline", program, *on_core).assert_refused("keeps stamps only")
    tokenclock("pipeline").assert_refused("give a PROGRAM, or --list")


def test_all_machines_are_listed(tokenclock):
    listed = tokenclock("pipeline", "--list").out.split()
    assert {"five-stage-forward", "scoreboard", "ooo-w4-rob128-smt2"} <= set(listed)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("pipelines", "predict-2-bit"), ("dynamic", "tomasulo"), ("cores", "inorder-w1-static")],
)
def test_a_machine_of_ones_own_runs_from_its_file(tokenclock, program, tmp_path, kind, name):
    path = tmp_path / "mine.yaml"
    text = (Path(cpu.__path__[0]) / kind / f"{name}.yaml").read_text()
    path.write_text(text.replace(f"name: {name}", "name: mine"))
    own = json.loads(tokenclock("pipeline", program, "--on", path, "--json").out)
    packaged = json.loads(tokenclock("pipeline", program, "--on", name, "--json").out)
    assert own == packaged | {"machine": "mine"}
    path.write_text("name: mine\n")
    tokenclock("pipeline", program, "--on", path).assert_refused("none of the keys organisation")


def test_a_watch_tells_each_change_in_the_cycle_of_its_stage(tokenclock, tmp_path):
    path = tmp_path / "w.s"
    path.write_text(
        "li a0, -3\nla a1, place\nsb a0, 1(a1)\nebreak\n.data\nplace: .half 7\n", "utf-8"
    )
    watches = ("--watch", "a0", "--watch", "place:2", "--at", 4)
    state = json.loads(tokenclock("pipeline", path, *watches, "--json").out)
    assert state["watched"] == [
        {"cycle": "0", "watched": "a0", "value": "0x00000000", "signed": "0"},
        {"cycle": "0", "watched": "place:2", "value": "0x0007", "signed": "7"},
        {"cycle": "4", "watched": "a0", "value": "0xfffffffd", "signed": "-3"},  # in WB
        {"cycle": "6", "watched": "place:2", "value": "0xfd07", "signed": "-761"},  # in MEM
    ]
    assert {"register": "x10", "value": "0xfffffffd", "signed": "-3"} in state[
        "registers at cycle 4"
    ]
    assert state["stages at cycle 4"][-1] == {"stage": "WB", "instruction": "addi x10 x0 -3"}
    text = tokenclock("pipeline", path, *watches).out
    assert "watched:\ncycle  watched" in text


@pytest.mark.parametrize("what", ["a9", "plaze", "place:3", "0x10:16"])
def test_a_watch_on_nothing_is_refused(tokenclock, program, what):
    tokenclock("pipeline", program, "--watch", what).assert_refused(f"--watch {what}: neither")


@pytest.mark.parametrize("name", ["scoreboard", "tomasulo-speculative", "in-order-fp"])
def test_textbook_machines_go_to_other_viewers_too(tokenclock, program, tmp_path, name):
    logs = ("--kanata", tmp_path / "k", "--chrome", tmp_path / "c")
    assert tokenclock("pipeline", program, "--on", name, *logs).code == 0
    slices = json.loads((tmp_path / "c").read_text())["traceEvents"]
    shown = [e for e in slices if e.get("cat") == "instruction"]
    assert (tmp_path / "k").read_text().count("\nR\t") == len(shown) > 0


@pytest.mark.parametrize("name", ["five-stage-stall", "scoreboard", "in-order-fp", "ooo-w2-rob32"])
def test_an_endless_program_ends_at_the_limit_with_its_line(tokenclock, tmp_path, name):
    path = tmp_path / "endless.s"
    path.write_text("nop\nloop: j loop\n")
    ran = tokenclock("pipeline", path, "--on", name, "--limit", 200)
    ran.assert_refused("endless.s, line 2: `loop: j loop`: still running after 200")
