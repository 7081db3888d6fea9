"""`tokenclock pipeline` on superscalar cores: diagram, counts, logs, and two programs at once."""

import json

import pytest

TEXT = "mul a0, a1, a1\naddi a0, a0, 5\nld a2, 0(sp)\nli a7, 1\necall\nli a7, 93\necall\n"
CORE, SMT = "ooo-w4-rob128-gshare", "ooo-w4-rob128-smt2"


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "p.s"
    path.write_text(TEXT)
    return path


def test_it_draws_the_stages_and_says_where_the_cycles_went(tokenclock, program):
    ran = tokenclock("pipeline", program, "--on", CORE, "--rows", 2)
    assert ran.code == 0
    rows = [line.split() for line in ran.out.splitlines()]
    multiply = next(row for row in rows if row[:1] == ["mul"])
    assert multiply[4:] == ["F", "-", "-", "-", "Rn", "I", "-", "-", "Rt"]  # done in 3 cycles
    assert "instructions per cycle" in ran.out
    assert "cycles lost: cache latency" in ran.out
    assert "printed: 5" in ran.out


def test_two_programs_share_a_core_of_two_threads(tokenclock, program):
    ran = tokenclock("pipeline", program, program, "--on", SMT, "--json")
    counts = json.loads(ran.out)
    assert [thread["a0"] for thread in counts["threads"]] == [5, 5]
    for thread in counts["threads"]:
        assert thread["busy"] + sum(thread["stalls"].values()) == thread["cycles"]
    assert counts["cycles"] == max(thread["cycles"] for thread in counts["threads"])
    assert counts["lines fetched"]["memory"] == 2
    drawn = tokenclock("pipeline", program, program, "--on", SMT, "--rows", 1).out
    assert "0: mul" in drawn
    assert "1: mul" in drawn


def test_logs_have_every_instruction_in_the_cycles_of_the_diagram(tokenclock, program, tmp_path):
    logs = ("--kanata", tmp_path / "k.log", "--o3", tmp_path / "o3.log")
    assert tokenclock("pipeline", program, "--on", CORE, *logs, "--rows", 0).code == 0
    log = (tmp_path / "k.log").read_text().splitlines()
    assert log[:2] == ["Kanata\t0004", "C=\t145"]  # fetched once memory has brought the line
    assert sum(line.startswith("R\t") for line in log) == 7
    trace = (tmp_path / "o3.log").read_text().splitlines()
    ticks = [int(line.split(":")[2]) for line in trace[:7]]
    assert ticks == sorted(ticks)
    assert ticks[5] - ticks[4] == 3000  # the multiplication, from issue to completion


@pytest.mark.parametrize(
    ("programs", "core", "message"),
    [
        (2, CORE, "ooo-w4-rob128-gshare has 1 hardware thread(s) for 2 program(s)"),
        (3, SMT, "ooo-w4-rob128-smt2 has 2 hardware thread(s) for 3 program(s)"),
        (2, "five-stage-forward", "five-stage-forward runs one program; 2 were given"),
        (1, "ooo-w4-rob128-gsharp", "no machine is named 'ooo-w4-rob128-gsharp'; did you mean"),
    ],
)
def test_what_no_machine_runs_is_refused(tokenclock, program, programs, core, message):
    ran = tokenclock("pipeline", *[program] * programs, "--on", core)
    assert ran.code == 2
    assert message in ran.err
