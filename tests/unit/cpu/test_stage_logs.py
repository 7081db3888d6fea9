"""Exports of stage stamps: what other viewers read."""

from sim.cpu.logs import (
    O3Stages,
    StageStamp,
    StampedInstruction,
    chrome_trace,
    kanata,
    o3_pipe_view,
)
from sim.cpu.logs.columns import FOLDED_FROM, draw

STAGES = O3Stages(
    fetch="F", decode="D", rename="D", dispatch="D", issue="X", complete="W", retire="W"
)


def through(number, begin, *, stages="FDXW", thread=0, retired=True, address=None):
    """An instruction that stays a cycle in each stage."""
    stamps = tuple(
        StageStamp(stage, cycle, cycle) for cycle, stage in enumerate(stages, start=begin)
    )
    return StampedInstruction(
        number=number,
        text=f"i{number}",
        stamps=stamps,
        thread=thread,
        retired=retired,
        address=address,
    )


def slices(trace, *, category="instruction"):
    return [e for e in trace["traceEvents"] if e["ph"] == "X" and e["cat"] == category]


def lanes(trace):
    return [(e["name"], e["pid"], e["tid"]) for e in slices(trace)]


def test_an_instruction_takes_the_lowest_lane_that_is_free_from_that_cycle_on():
    trace = chrome_trace("core", [through(0, 0), through(1, 1), through(2, 4), through(3, 4)])
    assert lanes(trace) == [("i0", 0, 0), ("i1", 0, 1), ("i2", 0, 0), ("i3", 0, 2)]


def test_stages_lie_inside_their_instruction_and_fill_it():
    trace = chrome_trace("core", [through(0, 7)])
    (whole,) = slices(trace)
    assert (whole["ts"], whole["dur"]) == (7, 4)
    stages = slices(trace, category="stage")
    assert [(e["name"], e["ts"], e["dur"]) for e in stages] == [
        ("F", 7, 1),
        ("D", 8, 1),
        ("X", 9, 1),
        ("W", 10, 1),
    ]


def test_slices_of_a_lane_never_overlap():
    trace = chrome_trace("core", [through(n, n // 2, stages="FDXW"[: 1 + n % 4]) for n in range(9)])
    last = {}
    for each in slices(trace):
        assert each["ts"] >= last.get(each["tid"], 0)
        last[each["tid"]] = each["ts"] + each["dur"]


def test_the_counter_adds_up_to_what_retired():
    gone = through(2, 1, stages="FD", retired=False)
    trace = chrome_trace("core", [through(0, 0), through(1, 0), gone])
    counts = [e for e in trace["traceEvents"] if e["ph"] == "C"]
    assert [(e["ts"], e["args"]["retired"]) for e in counts] == [(3, 2), (4, 0)]
    assert [e["name"] for e in slices(trace, category="squashed")] == ["i2"]


def test_hardware_threads_are_processes_with_their_own_lanes_and_names():
    trace = chrome_trace("core", [through(0, 0), through(1, 0, thread=1)])
    assert lanes(trace) == [("i0", 0, 0), ("i1", 1, 0)]
    names = [e["args"]["name"] for e in trace["traceEvents"] if e["name"] == "process_name"]
    assert names == ["core, thread 0", "core, thread 1"]
    assert kanata([through(1, 0, thread=1)]).splitlines()[2] == "I\t1\t1\t1"


def test_kanata_starts_its_clock_with_the_first_instruction():
    lines = kanata([through(0, 5, stages="F"), through(1, 8, stages="F", retired=False)])
    assert lines.splitlines() == [
        "Kanata\t0004",
        "C=\t5",
        "I\t0\t0\t0",
        "L\t0\t0\ti0",
        "S\t0\t0\tF",
        "C\t1",
        "E\t0\t0\tF",
        "R\t0\t0\t0",
        "C\t2",
        "I\t1\t1\t0",
        "L\t1\t0\ti1",
        "S\t1\t0\tF",
        "C\t1",
        "E\t1\t0\tF",
        "R\t1\t1\t1",
    ]
    assert kanata([]) == "Kanata\t0004\nC=\t0\n"


def test_o3_pipe_view_retires_a_squashed_instruction_at_tick_0():
    lines = o3_pipe_view([through(0, 0, address=16, retired=False)], STAGES).splitlines()
    assert lines[0] == "O3PipeView:fetch:1000:0x00000010:0:1:i0"
    assert lines[-1] == "O3PipeView:retire:0:store:0"
    kept = o3_pipe_view([through(0, 0)], STAGES).splitlines()
    assert kept[-1] == "O3PipeView:retire:4000:store:0"


def test_o3_pipe_view_gives_a_stage_without_a_cycle_the_next_ones_time():
    lines = o3_pipe_view([through(0, 0, stages="FXW")], STAGES).splitlines()
    assert [line.split(":")[2] for line in lines[:5]] == ["1000", "2000", "2000", "2000", "2000"]
    cut = o3_pipe_view([through(0, 0, stages="FD", retired=False)], STAGES).splitlines()
    assert [line.split(":")[2] for line in cut[3:]] == ["2000", "0", "0", "0"]


def test_a_wait_of_eight_quiet_columns_is_folded_and_one_of_seven_is_not():
    for wait in (FOLDED_FROM - 1, FOLDED_FROM):
        row = {0: "F"} | dict.fromkeys(range(1, wait + 1), "-") | {wait + 1: "R"}
        heads, cells = (line.split() for line in draw(["i"], [row], "-").splitlines())
        folded = wait == FOLDED_FROM
        whole = [str(cycle) for cycle in range(wait + 2)]
        assert heads == (["0", "1", "+7", "9"] if folded else whole)
        assert cells == ["i", "F", *["-"] * (2 if folded else wait), "R"]


def test_a_wait_in_one_row_is_not_folded_while_another_row_works():
    rows = [dict.fromkeys(range(12), "-") | {0: "F", 12: "R"}, {6: "F", 7: "R"}]
    heads = draw(["a", "b"], rows, "-").splitlines()[0].split()
    assert heads == [str(cycle) for cycle in range(13)]
    assert draw([], [], "-") == ""
