"""`tokenclock pipeline`: what it prints, writes and refuses."""

import json

import pytest

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
